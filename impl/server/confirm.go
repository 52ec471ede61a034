package server

import (
	"context"
	"slices"
	"sync"
	"time"

	"tribune/impl/consensus"
	"tribune/impl/fault"
	"tribune/impl/rpc"
)

// A consistent read asks a majority of the servers for their term after it was
// called. If none of them is beyond the leader's, no later leader had been
// elected when the read was called: a majority had to enter its term first, and
// two majorities have a server in common. So the leader, which has applied all
// it acknowledged, knows every write that was acknowledged before.
// (Ongaro's thesis, section 6.4.)
//
// raft.VerifyLeader promises the same and does not quite hold it: it also counts
// answers of followers that were on their way when it was called. A leader that
// slept finds such answers in its sockets when it wakes.

// vote is a server's answer when it is asked for its term.
type vote struct {
	ID   string
	Term uint64
}

// round is one time of asking. All reads that come before it begins share it.
type round struct {
	done chan struct{}
	term uint64 // that a majority confirmed; 0: none
}

// quorum holds the round that has not begun.
type quorum struct {
	mu     sync.Mutex
	next   *round
	kick   chan struct{}
	prompt []string // who answered the last round; askQuorum's own
}

// hedge is how long those asked first may take before all others are asked too.
const hedge = 50 * time.Millisecond

func (q *quorum) join() *round {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.next == nil {
		q.next = &round{done: make(chan struct{})}
	}
	select {
	case q.kick <- struct{}{}:
	default:
	}
	return q.next
}

func (q *quorum) take() *round {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := q.next
	q.next = nil
	return r
}

// confirm returns nil if a majority confirmed, after it was called, that this
// server leads, in the tenure that the channel ended belongs to.
func (s *Server) confirm(ctx context.Context, ended <-chan struct{}) error {
	r := s.quorum.join()
	select {
	case <-r.done:
	case <-ended:
	case <-s.ctx.Done():
	case <-ctx.Done():
		return fault.Wrap(fault.Unknown, ctx.Err())
	}
	if isClosed(r.done) && r.term != 0 {
		if term, now := s.tenure.now(); now == ended && term == r.term {
			return nil
		}
	}
	return fault.New(fault.NotLeader, "%w", consensus.ErrNotLeader)
}

// askQuorum runs the rounds.
func (s *Server) askQuorum() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.quorum.kick:
		}
		if r := s.quorum.take(); r != nil {
			r.term = s.confirmTerm()
			close(r.done)
		}
	}
}

// confirmTerm returns the term that this server leads in if a majority is not
// beyond it, else 0. As many as are needed are asked first, the others if these
// do not answer soon.
func (s *Server) confirmTerm() uint64 {
	term, ended := s.tenure.now()
	others, needed, err := s.electorate()
	if term == 0 || err != nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	votes := make(chan vote, len(others)) // of those who refuse: without ID
	asked := 0
	ask := func(n int) {
		for ; asked < min(n, len(others)); asked++ {
			m := others[asked]
			asking.Go(func() {
				v, err := rpc.Call[vote](ctx, s.client, m.Address, methodTerm, nothing{})
				if err != nil || v.ID != m.ID || v.Term > term {
					v = vote{}
				}
				votes <- v
			})
		}
	}
	ask(needed)
	late := time.NewTimer(hedge)
	defer late.Stop()
	var yes []string
	for no := 0; len(yes) < needed; {
		select {
		case v := <-votes:
			if v.ID != "" {
				yes = append(yes, v.ID)
				continue
			}
			if no++; no > len(others)-needed {
				return 0
			}
			ask(asked + 1)
		case <-late.C:
			ask(len(others))
		case <-ended:
			return 0
		}
	}
	s.quorum.prompt = yes
	return term
}

// electorate is whom to ask, those who answered last first, and how many of them
// make a majority together with this server.
func (s *Server) electorate() (others []consensus.Server, needed int, err error) {
	group, err := s.raft.Servers()
	voters, self := 0, 0
	for _, m := range group {
		switch {
		case !m.Voter:
			continue
		case m.ID == s.config.NodeID:
			self = 1
		case slices.Contains(s.quorum.prompt, m.ID):
			others = slices.Insert(others, 0, m)
		default:
			others = append(others, m)
		}
		voters++
	}
	return others, voters/2 + 1 - self, err
}

// term answers a leader that asks whether it is still one.
func (s *Server) term(context.Context, nothing) (vote, error) {
	return vote{s.config.NodeID, s.raft.Status().Term}, nil
}
