package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/impl/fault"
	"tribune/impl/store"
)

// readPatience is how long the leader may take to answer a read, apart from the
// time for which the read itself asks it to wait.
const readPatience = 5 * time.Second

// lookup reads from a consistent view, adds to ws what to watch, and returns the
// index of what it found and whether there was anything.
type lookup func(tx *store.Txn, ws store.WatchSet) (index uint64, found bool, err error)

// read answers a read that carries opts, which are a part of the request. Stale reads are
// answered here, others by the leader. The request is what the leader gets, local what is
// done there.
func read[Answer any](ctx context.Context, s *Server, method string, opts *api.QueryOptions, request any, local func(opts api.QueryOptions, ended <-chan struct{}) (Answer, error)) (Answer, error) {
	if err := s.checkDatacenter(opts.Datacenter); err != nil {
		var none Answer
		return none, err
	}
	e := errand{method: method, request: request, patience: readPatience, again: unanswered}
	if opts.MinQueryIndex > 0 {
		wait := s.config.Times.Query.Wait(opts.MaxQueryTime)
		until := time.Now().Add(wait)
		e.patience += wait + wait/16
		e.renew = func() { opts.WaitUntil(until) }
	}
	if opts.AllowStale {
		if answer, err := local(*opts, nil); !errors.Is(err, errTooStale) {
			return answer, err
		}
		if e.renew != nil {
			e.renew() // it may have waited until it was too old
		}
	}
	return forward(ctx, s, e, func(ended <-chan struct{}) (Answer, error) {
		return local(*opts, ended)
	})
}

// errTooStale says that this server's state is older than a stale read allows.
var errTooStale = errors.New("the state of this server is too old")

// unheard is the age that a server gives its state when it has not heard of a leader
// since it was started: older than anybody asks for who minds.
const unheard = 365 * 24 * time.Hour

// age is for how long at most this server's state may lack something that was
// acknowledged. It is 0 of a leader that a majority followed within its lease.
func (s *Server) age() time.Duration {
	leads, fresh := s.raft.IsLeader(), s.raft.Fresh()
	switch age := time.Since(fresh); {
	case fresh.IsZero():
		return unheard
	case leads && age <= s.raft.Lease():
		return 0
	default:
		return age
	}
}

// run executes q and, if opts ask for it, again until its index passes
// opts.MinQueryIndex or the time is up; it fills in meta. The channel ended, nil
// for a stale read, closes when this server may no longer answer as the leader.
func (s *Server) run(ctx context.Context, opts api.QueryOptions, ended <-chan struct{}, meta *api.QueryMeta, q lookup) error {
	wait := ctx
	s.figures.queries.Inc()
	blocks := opts.MinQueryIndex > 0
	if blocks {
		s.figures.blocking.Add(1)
		defer s.figures.blocking.Add(-1)
		most := s.config.Times.Query.Wait(opts.MaxQueryTime)
		limited, cancel := context.WithTimeout(ctx, most+rand.N(most/16+1))
		defer cancel()
		stop := context.AfterFunc(s.ctx, cancel)
		defer stop()
		wait = limited
	}
	after, absent := opts.MinQueryIndex, false
	for {
		age := time.Duration(0)
		if opts.AllowStale {
			age = s.age() // before the state is read, which can only be fresher
		}
		switch old := opts.MaxStaleDuration > 0 && age > opts.MaxStaleDuration; {
		case old && ended == nil:
			return errTooStale
		case ended != nil && (old || opts.RequireConsistent):
			if err := s.confirmed(ctx, ended); err != nil {
				return err
			}
		}
		abandoned := s.fsm.Store().Abandoned()
		ws := store.WatchSet{}
		index, found, err := q(s.fsm.Store().Read(), ws)
		if err != nil {
			return err
		}
		meta.Index = max(index, 1) // zero would make a client's next read return at once, for ever
		s.describe(opts, ended, age, meta)
		if !found && absent {
			after = max(after, meta.Index) // absent as before: it was something else that moved the index
		}
		absent = !found && meta.Index >= opts.MinQueryIndex // before, the client may have seen it since
		if !blocks || meta.Index > after {
			return nil
		}
		ws.Add(abandoned)
		ws.Add(ended)
		if s.fsm.Store().Wait(wait, ws) != nil {
			if s.ctx.Err() != nil && ctx.Value(arrival{}) != nil {
				return fault.New(fault.NotLeader, "this server is shutting down") // another can go on with it
			}
			if ended != nil {
				return nil // time is up: the answer is what it was
			}
			blocks = false // so it is here, but how old that is must be found out
			continue
		}
		if ended != nil && isClosed(ended) {
			return fault.New(fault.NotLeader, "%w", consensus.ErrNotLeader)
		}
		// A restored state may have lower indexes: tell what it is like.
		blocks = !isClosed(abandoned)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (s *Server) describe(opts api.QueryOptions, ended <-chan struct{}, age time.Duration, meta *api.QueryMeta) {
	_, address := s.raft.Leader()
	meta.KnownLeader = address != ""
	meta.LastContact = 0
	switch {
	case ended == nil:
		meta.ConsistencyLevel, meta.LastContact = "stale", age
	case opts.RequireConsistent:
		meta.ConsistencyLevel = "consistent"
	default:
		meta.ConsistencyLevel = "leader"
	}
}
