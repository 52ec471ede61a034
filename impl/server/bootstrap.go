package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tribune/impl/consensus"
	"tribune/impl/gossip"
	"tribune/impl/rpc"
)

const (
	askTimeout    = 5 * time.Second
	bootstrapWait = time.Second // before another attempt
)

// bootstrap makes the first raft group when it is time to and reports whether
// that question is settled: this server has a group, or is not to make one.
//
// As Consul does it: once as many servers as expected see each other, and each
// of them says that it has no group either, every one of them writes the same
// first configuration. A server that has one already settles it for the rest:
// its leader will add them.
func (s *Server) bootstrap() (settled bool) {
	c := s.config
	if s.raft.HadState() || c.BootstrapExpect == 0 && !c.Bootstrap {
		return true
	}
	if servers, err := s.raft.Servers(); err == nil && len(servers) > 0 {
		return true // a leader found us
	}
	expect := c.BootstrapExpect
	if c.Bootstrap {
		expect = 1
	}
	group, others, obstacle := founders(s.peers(), c.NodeID, expect)
	if obstacle != "" {
		s.log.Error("bootstrap waits: a server expects another number of servers", "server", obstacle, "ours", expect)
		return false
	}
	if len(group) < expect {
		return false
	}
	for _, p := range others {
		known, ok := s.knowsGroup(p)
		if !ok {
			return false
		}
		if known {
			s.log.Info("a raft group exists already; waiting to be added to it", "server", p.name)
			return true
		}
	}
	if !slices.ContainsFunc(group, func(m consensus.Server) bool { return m.ID == c.NodeID }) {
		return false // more servers than expected: the others begin, and add us
	}
	return s.makeGroup(group)
}

// founders returns who forms the first group among the servers seen: as many as
// are expected, those with the lowest identities, so that servers that see more
// than that choose the same; and whom to ask first. A server that expects
// another number is an obstacle.
func founders(seen []peer, self string, expect int) (group []consensus.Server, others []peer, obstacle string) {
	if expect == 1 {
		seen = slices.DeleteFunc(slices.Clone(seen), func(p peer) bool { return p.id != self })
	}
	for _, p := range seen {
		if p.status != gossip.StatusAlive {
			continue
		}
		if p.expect != 0 && p.expect != expect && p.id != self {
			return nil, nil, p.name
		}
		group = append(group, consensus.Server{ID: p.id, Address: p.address, Voter: true})
		if p.id != self {
			others = append(others, p)
		}
	}
	slices.SortFunc(group, func(a, b consensus.Server) int { return cmp.Compare(a.ID, b.ID) })
	return group[:min(len(group), max(expect, 1))], others, ""
}

// knowsGroup asks a server whether it has a raft group; ok is false when it
// does not answer.
func (s *Server) knowsGroup(p peer) (known, ok bool) {
	ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
	defer cancel()
	group, err := rpc.Call[[]consensus.Server](ctx, s.client, p.address, methodGroup, nothing{})
	if err != nil {
		s.log.Warn("bootstrap waits: a server does not answer", "server", p.name, "error", err)
		return false, false
	}
	return len(group) > 0, true
}

func (s *Server) makeGroup(group []consensus.Server) bool {
	if err := s.raft.Bootstrap(group); err != nil {
		// A leader was quicker: then there is a group.
		s.log.Warn("bootstrap failed", "error", err)
		return false
	}
	s.log.Info("made the first raft group", "servers", len(group))
	return true
}
