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

// arrival marks a request that another server forwarded. This server answers it
// as the leader or says that it does not lead, so that two servers that each
// take the other for the leader do not pass it to and fro.
type arrival struct{}

func arrived[Request, Answer any](f func(context.Context, Request) (Answer, error)) func(context.Context, Request) (Answer, error) {
	return func(ctx context.Context, r Request) (Answer, error) {
		return f(context.WithValue(ctx, arrival{}, true), r)
	}
}

// errand is a request on its way to the leader.
type errand struct {
	method  string
	request any
	// patience is how long the leader may take to answer; 0: as long as the
	// connection to it lives.
	patience time.Duration
	// renew, if not nil, makes the request one that can be sent once more: a blocking read
	// waits for what is left of its time.
	renew func()
	// again tells for which failures the request may be sent once more: a write
	// only when it surely was not done.
	again func(fault.Kind) bool
}

func untouched(k fault.Kind) bool {
	return k == fault.NoLeader || k == fault.NotLeader || k == fault.Unavailable
}

func unanswered(k fault.Kind) bool { return untouched(k) || k == fault.Unknown }

// forward brings a request to the leader: here asks this server, and is called
// only when it leads; else the leader gets the request as it is. While there is
// no leader the request is held.
func forward[Answer any](ctx context.Context, s *Server, e errand, here func(ended <-chan struct{}) (Answer, error)) (Answer, error) {
	start := time.Now()
	hold := start.Add(holdTimeout)
	for {
		began := time.Now()
		a, err := attempt(ctx, s, e, here)
		if err == nil {
			return a, nil
		}
		kind := fault.Of(err)
		if !e.again(kind) || ctx.Value(arrival{}) != nil {
			return a, err
		}
		if kind == fault.NotLeader {
			err = fault.New(fault.NoLeader, fault.TextNoLeader)
		}
		if time.Since(began) > holdTimeout && time.Since(start) < e.patience {
			hold = time.Now().Add(holdTimeout) // a blocking read: a leader held it until now
		}
		// Sixteenths, so that all who wait do not come back at once.
		pause := holdTimeout/16 + rand.N(holdTimeout/16)
		if time.Until(hold) < pause {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, err
		case <-s.ctx.Done():
			return a, err
		case <-time.After(pause):
		}
		if e.renew != nil {
			e.renew()
		}
	}
}

// attempt brings a request once to whom this server takes for the leader.
func attempt[Answer any](ctx context.Context, s *Server, e errand, here func(ended <-chan struct{}) (Answer, error)) (Answer, error) {
	var none Answer
	if ended, leads := s.leads(); leads {
		defer s.figures.took(e.method, time.Now())
		return here(ended)
	}
	if ctx.Value(arrival{}) != nil {
		return none, fault.New(fault.NotLeader, "this server does not lead")
	}
	id, address := s.raft.Leader()
	if address == "" || id == s.config.NodeID {
		return none, fault.New(fault.NoLeader, fault.TextNoLeader)
	}
	if e.patience > 0 {
		limited, cancel := context.WithTimeout(ctx, e.patience)
		defer cancel()
		ctx = limited
	}
	return rpc.Call[Answer](ctx, s.client, address, forwarded+e.method, e.request)
}

// checkDatacenter refuses requests for another datacenter.
func (s *Server) checkDatacenter(name string) error {
	if name == "" || name == s.config.Datacenter {
		return nil
	}
	return fault.New(fault.Internal, "%s", fault.TextNoPath)
}
