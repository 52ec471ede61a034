package server

import (
	"context"
	"sync"
	"time"

	"tribune/impl/consensus"
	"tribune/impl/fsm"
	"tribune/impl/gossip"
	"tribune/impl/kv"
)

// tenure is what the server knows of its own leadership.
type tenure struct {
	mu      sync.Mutex
	term    uint64        // in which it leads and may answer reads; 0: in none
	ended   chan struct{} // closed when that is over
	changed chan struct{} // members changed: the leader looks again
}

// begin says that the server leads in a term and has applied all that earlier
// terms committed.
func (t *tenure) begin(term uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.term, t.ended = term, make(chan struct{})
}

func (t *tenure) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.term != 0 {
		close(t.ended)
		t.term, t.ended = 0, nil
	}
}

// now returns the term in which the server may answer as the leader, 0 if in
// none, and a channel that closes when it may no longer.
func (t *tenure) now() (term uint64, ended <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.term, t.ended
}

func (t *tenure) wakes() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{}, 1)
	}
	return t.changed
}

func (t *tenure) wake() {
	t.wakes()
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// leads reports whether the server leads and has applied everything that was
// acknowledged before it did. raft's own word is asked each time: leadership may
// have been lost, and won again in a later term, before watchLeadership heard.
func (s *Server) leads() (ended <-chan struct{}, ok bool) {
	term, ended := s.tenure.now()
	st := s.raft.Status()
	return ended, term != 0 && st.Leader && st.Term == term
}

// watchLeadership starts the leader's duties when leadership is won and ends
// them when it is lost.
func (s *Server) watchLeadership() {
	var duties sync.WaitGroup
	stop := func() {}
	retire := func() {
		stop()
		duties.Wait()
		s.tenure.end()
	}
	defer func() { retire() }()
	for {
		select {
		case <-s.ctx.Done():
			return
		case leads := <-s.raft.Leadership():
			retire()
			stop = func() {}
			if !leads {
				s.log.Info("cluster leadership lost")
				continue
			}
			s.log.Info("cluster leadership acquired")
			ctx, cancel := context.WithCancel(s.ctx)
			stop = cancel
			duties.Go(func() { s.lead(ctx) })
		}
	}
}

const (
	barrierTimeout    = 2 * time.Minute
	reconcileInterval = time.Minute
	reapGranularity   = 30 * time.Second
	tombstoneTTL      = 15 * time.Minute
)

// lead is the leader's life: catch up, then serve and keep the raft group as
// gossip sees it.
func (s *Server) lead(ctx context.Context) {
	for {
		term := s.raft.Status().Term
		barrier, cancel := context.WithTimeout(ctx, barrierTimeout)
		err := s.raft.Barrier(barrier)
		cancel()
		if st := s.raft.Status(); err == nil && st.Leader && st.Term == term {
			s.tenure.begin(term)
			break
		}
		if err != nil {
			s.log.Warn("the leader could not catch up", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	graves := graveyard{}
	reconcile := time.NewTicker(reconcileInterval)
	defer reconcile.Stop()
	reap := time.NewTicker(reapGranularity)
	defer reap.Stop()
	s.reconcile()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.tenure.wakes():
			s.reconcile()
		case <-reconcile.C:
			s.reconcile()
		case <-reap.C:
			s.reap(ctx, &graves)
		}
	}
}

// reconcile brings the raft group in line with gossip: servers that are alive
// are in it under their present address, servers that left are not. Servers
// that failed stay: they may come back, and taking them out lowers the number
// that a majority needs.
func (s *Server) reconcile() {
	group, _, err := s.raft.Servers()
	if err != nil {
		return // leadership is lost
	}
	in := map[string]consensus.Server{}
	for _, m := range group {
		in[m.ID] = m
	}
	for _, p := range s.peers() {
		m, member := in[p.id]
		switch {
		case p.status == gossip.StatusAlive && p.id != s.config.NodeID && (!member || m.Address != p.address):
			s.evict(group, p)
			s.log.Info("adding a server to the raft group", "server", p.name, "address", p.address)
			err = s.raft.AddVoter(p.id, p.address)
		case p.status == gossip.StatusLeft && member && p.id != s.config.NodeID:
			s.log.Info("removing a server from the raft group: it left", "server", p.name)
			err = s.raft.RemoveServer(p.id)
		default:
			continue
		}
		if err != nil {
			s.log.Error("the raft group could not be changed", "server", p.name, "error", err)
			return
		}
	}
}

// evict removes a server of another identity from an address that a living one
// has taken: its data directory was lost.
func (s *Server) evict(group []consensus.Server, p peer) {
	for _, m := range group {
		if m.Address != p.address || m.ID == p.id || m.ID == s.config.NodeID {
			continue
		}
		s.log.Info("removing a server from the raft group: another has its address", "id", m.ID, "address", m.Address)
		if err := s.raft.RemoveServer(m.ID); err != nil {
			s.log.Error("the raft group could not be changed", "id", m.ID, "error", err)
		}
	}
}

// graveyard remembers when which deletions were the latest, to tell the age of
// tombstones, which carry an index and no time.
type graveyard struct {
	marks []mark
}

type mark struct {
	at    time.Time
	index uint64
}

// reap commits the removal of the tombstones that are older than tombstoneTTL.
func (s *Server) reap(ctx context.Context, g *graveyard) {
	latest, err := kv.LastTombstone(s.fsm.Store().Read())
	if err != nil {
		s.log.Error("tombstones could not be read", "error", err)
		return
	}
	if n := len(g.marks); latest > 0 && (n == 0 || g.marks[n-1].index < latest) {
		g.marks = append(g.marks, mark{time.Now(), latest})
	}
	var due uint64
	for len(g.marks) > 0 && time.Since(g.marks[0].at) >= tombstoneTTL {
		due = g.marks[0].index
		g.marks = g.marks[1:]
	}
	if due == 0 {
		return
	}
	command, err := s.fsm.Encode(fsm.TombstoneType, fsm.ReapRequest{UpTo: due})
	if err == nil {
		_, _, err = s.raft.Apply(ctx, command)
	}
	if err != nil {
		s.log.Warn("old tombstones could not be reaped; the next leader will", "error", err)
	}
}
