package server

import (
	"context"
	"runtime"
	"strconv"

	"tribune/impl/api"
	"tribune/impl/consensus"
)

// RaftLeader returns the address of the leader's server port, empty if none is
// known.
func (s *Server) RaftLeader(_ context.Context, o api.QueryOptions) (string, error) {
	if err := s.checkDatacenter(o.Datacenter); err != nil {
		return "", err
	}
	_, address := s.raft.Leader()
	return address, nil
}

// RaftPeers returns the addresses of the servers in the raft group as far as
// this server knows it.
func (s *Server) RaftPeers(_ context.Context, o api.QueryOptions) ([]string, error) {
	if err := s.checkDatacenter(o.Datacenter); err != nil {
		return nil, err
	}
	servers, err := s.raft.Servers()
	if err != nil {
		return nil, err
	}
	peers := []string{}
	for _, m := range servers {
		peers = append(peers, m.Address)
	}
	return peers, nil
}

// group is the raft group as this server knows it, for other servers.
func (s *Server) group(context.Context, nothing) ([]consensus.Server, error) {
	servers, err := s.raft.Servers()
	return servers, err
}

// Stats are figures for people, in sections, as `consul info` shows them.
func (s *Server) Stats() map[string]map[string]string {
	_, leads := s.leads()
	_, leader := s.raft.Leader()
	return map[string]map[string]string{
		"build": {"prerelease": "", "revision": "", "version": s.config.Build, "version_metadata": ""},
		"consul": {
			"server": "true", "leader": strconv.FormatBool(leads), "leader_addr": leader,
			"bootstrap":         strconv.FormatBool(s.config.Bootstrap || s.config.BootstrapExpect == 1),
			"known_datacenters": "1",
			"known_servers":     strconv.Itoa(len(s.peers())),
		},
		"raft":     s.raft.Stats(),
		"serf_lan": s.pool.Stats(),
		"runtime": {
			"arch": runtime.GOARCH, "os": runtime.GOOS, "version": runtime.Version(),
			"goroutines": strconv.Itoa(runtime.NumGoroutine()), "cpu_count": strconv.Itoa(runtime.NumCPU()),
			"max_procs": strconv.Itoa(runtime.GOMAXPROCS(0)),
		},
	}
}

// Advertise is the address at which other agents reach this one.
func (s *Server) Advertise() string { return s.config.RPCAdvertise.Addr().String() }
