package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tribune/impl/consensus"
)

// removalTimeout is how long a server that leaves waits to be taken out of the
// raft group (Consul: raftRemoveGracePeriod).
const (
	removalTimeout = 5 * time.Second
	removalTick    = 100 * time.Millisecond
)

// Leave takes the server out of the raft group where that can be done, and
// tells the other agents that it goes for good. Close must follow.
//
// A leader hands leadership over first; if nobody takes it, it removes itself.
// Another server is removed by the leader, which sees it leave.
func (s *Server) Leave(ctx context.Context) error {
	present, servers, err := s.inGroup()
	if err != nil {
		return fmt.Errorf("leaving: %w", err)
	}
	if present && servers > 1 && s.raft.IsLeader() {
		if err := s.raft.TransferLeadership(); err != nil {
			s.log.Warn("leaving: leadership could not be handed over", "error", err)
			if err := s.raft.RemoveServer(s.config.NodeID); err != nil {
				s.log.Warn("leaving: this server could not take itself out of the raft group", "error", err)
			}
		}
	}
	if err := s.pool.Leave(); err != nil {
		return fmt.Errorf("leaving the gossip pool: %w", err)
	}
	if present && servers > 1 {
		s.awaitRemoval(ctx)
	}
	return nil
}

// inGroup reports whether this server is in the raft group, as far as it knows,
// and how many are.
func (s *Server) inGroup() (present bool, servers int, err error) {
	group, err := s.raft.Servers()
	present = slices.ContainsFunc(group, func(m consensus.Server) bool { return m.ID == s.config.NodeID })
	return present, len(group), err
}

// awaitRemoval waits until the leader has taken this server out of the group, so
// that it still takes part in the decision.
func (s *Server) awaitRemoval(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, removalTimeout)
	defer cancel()
	tick := time.NewTicker(removalTick)
	defer tick.Stop()
	for {
		if present, _, err := s.inGroup(); err != nil || !present {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.log.Warn("leaving: the leader has not taken this server out of the raft group in time; it will when it sees that it has left")
			return
		}
	}
}
