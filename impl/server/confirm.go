package server

import (
	"context"
	"sync"

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
	mu   sync.Mutex
	next *round
	kick chan struct{}
}

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
// beyond it, else 0.
func (s *Server) confirmTerm() uint64 {
	term, ended := s.tenure.now()
	group, _, err := s.raft.Servers()
	if term == 0 || err != nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	votes := make(chan bool, len(group))
	voters, yes, no := 0, 0, 0
	for _, m := range group {
		switch {
		case !m.Voter:
			continue
		case m.ID == s.config.NodeID:
			yes++
		default:
			asking.Go(func() {
				v, err := rpc.Call[vote](ctx, s.client, m.Address, methodTerm, nothing{})
				votes <- err == nil && v.ID == m.ID && v.Term <= term
			})
		}
		voters++
	}
	for need := voters/2 + 1; yes < need; {
		select {
		case v := <-votes:
			if v {
				yes++
			} else if no++; no > voters-need {
				return 0
			}
		case <-ended:
			return 0
		}
	}
	return term
}

// term answers a leader that asks whether it is still one.
func (s *Server) term(context.Context, nothing) (vote, error) {
	return vote{s.config.NodeID, s.raft.Status().Term}, nil
}
