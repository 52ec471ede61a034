package server

import (
	"context"
	"math/rand/v2"
	"time"

	"tribune/impl/fault"
	"tribune/impl/rpc"
)

// holdTimeout is how long a request waits for a leader before it is refused
// (Consul: limits.rpc_hold_timeout).
const holdTimeout = 7 * time.Second

// forward brings a request to the leader: here asks this server, and is called
// only when it leads; else the leader gets the request as it is. While there is
// no leader the request is held. again tells for which failures it may be sent
// once more: a write only when it surely was not done.
func forward[Answer any](ctx context.Context, s *Server, method string, request any, again func(fault.Kind) bool, here func(ended <-chan struct{}) (Answer, error)) (Answer, error) {
	hold := time.Now().Add(holdTimeout)
	for {
		var a Answer
		err := fault.New(fault.NoLeader, fault.TextNoLeader)
		if ended, leads := s.leads(); leads {
			a, err = here(ended)
		} else if id, address := s.raft.Leader(); address != "" && id != s.config.NodeID {
			a, err = rpc.Call[Answer](ctx, s.client, address, method, request)
		}
		if err == nil {
			return a, nil
		}
		kind := fault.Of(err)
		if !again(kind) {
			return a, err
		}
		// Sixteenths, so that all who wait do not come back at once.
		pause := holdTimeout/16 + rand.N(holdTimeout/16)
		if time.Until(hold) < pause {
			if kind == fault.NotLeader {
				err = fault.New(fault.NoLeader, fault.TextNoLeader)
			}
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, err
		case <-s.ctx.Done():
			return a, err
		case <-time.After(pause):
		}
	}
}

func untouched(k fault.Kind) bool { return k == fault.NoLeader || k == fault.NotLeader }

func unanswered(k fault.Kind) bool { return untouched(k) || k == fault.Unavailable }

// checkDatacenter refuses requests for another datacenter.
func (s *Server) checkDatacenter(name string) error {
	if name == "" || name == s.config.Datacenter {
		return nil
	}
	return fault.New(fault.Invalid, "%s", fault.TextNoPath)
}
