package server

import (
	"context"
	"net"
	"strconv"
	"time"

	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/impl/gossip"
	"tribune/impl/rpc"
)

// peer is a server of this datacenter as gossip sees it.
type peer struct {
	name    string
	id      string
	address string // of its server port
	expect  int
	status  int
}

// peers lists the servers of this datacenter among the members, this one
// included.
func (s *Server) peers() []peer {
	var found []peer
	for _, m := range s.pool.Members() {
		if p, ok := s.peer(m); ok {
			found = append(found, p)
		}
	}
	return found
}

func (s *Server) peer(m api.Member) (peer, bool) {
	if m.Tags["role"] != "consul" || m.Tags["dc"] != s.config.Datacenter || m.Tags["id"] == "" {
		return peer{}, false
	}
	expect, _ := strconv.Atoi(m.Tags["expect"]) // absent: joins a group that exists
	return peer{
		name: m.Name, id: m.Tags["id"], address: net.JoinHostPort(m.Addr, m.Tags["port"]), expect: expect, status: m.Status,
	}, true
}

const askTimeout = 5 * time.Second

// bootstrap makes the first raft group when it is time to and reports whether
// that question is settled: this server has a group, or is not to make one.
//
// As Consul does it: once as many servers as expected see each other, and each
// of them says that it has no group either, every one of them writes the same
// first configuration. A server that has one already settles it for the rest:
// its leader will add them.
func (s *Server) bootstrap() (settled bool) {
	if s.raft.HadState() || s.config.BootstrapExpect == 0 && !s.config.Bootstrap {
		return true
	}
	if servers, _, err := s.raft.Servers(); err == nil && len(servers) > 0 {
		return true // a leader found us
	}
	self := consensus.Server{ID: s.config.NodeID, Address: s.config.RPCAdvertise.String(), Voter: true}
	if s.config.Bootstrap || s.config.BootstrapExpect == 1 {
		return s.makeGroup([]consensus.Server{self})
	}
	var group []consensus.Server
	var others []peer
	for _, p := range s.peers() {
		if p.status != gossip.StatusAlive {
			continue
		}
		if p.expect != 0 && p.expect != s.config.BootstrapExpect {
			s.log.Error("bootstrap waits: a server expects another number of servers", "server", p.name, "its-expect", p.expect, "ours", s.config.BootstrapExpect)
			return false
		}
		group = append(group, consensus.Server{ID: p.id, Address: p.address, Voter: true})
		if p.id != s.config.NodeID {
			others = append(others, p)
		}
	}
	if len(group) < s.config.BootstrapExpect {
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
	return s.makeGroup(group)
}

// knowsGroup asks a server whether it has a raft group; ok is false when it
// does not answer.
func (s *Server) knowsGroup(p peer) (known, ok bool) {
	ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
	defer cancel()
	servers, err := rpc.Call[[]string](ctx, s.client, p.address, methodPeers, api.QueryOptions{AllowStale: true})
	if err != nil {
		s.log.Warn("bootstrap waits: a server does not answer", "server", p.name, "error", err)
		return false, false
	}
	return len(servers) > 0, true
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
