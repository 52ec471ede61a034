package server

import (
	"context"
	"math/rand/v2"
	"time"

	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/impl/fault"
	"tribune/impl/store"
)

// A blocking query waits defaultWait unless it says how long, at most maxWait,
// and up to a sixteenth longer, so that clients that began together do not
// return together (Consul API: Blocking Queries).
const (
	defaultWait = 5 * time.Minute
	maxWait     = 10 * time.Minute
)

// query reads from a consistent view, adds to ws what to watch, and returns the
// index of what it found.
type query func(tx *store.Txn, ws store.WatchSet) (uint64, error)

// read answers a read that carries opts. Stale reads are answered here, others
// by the leader. The request is what the leader gets, run what is done there.
func read[Answer any](ctx context.Context, s *Server, method string, opts api.QueryOptions, request any, local func(opts api.QueryOptions, ended <-chan struct{}) (Answer, error)) (Answer, error) {
	if err := s.checkDatacenter(opts.Datacenter); err != nil {
		var none Answer
		return none, err
	}
	if opts.AllowStale && s.freshEnough(opts.MaxStaleDuration) {
		return local(opts, nil)
	}
	return forward(ctx, s, method, request, unanswered, func(ended <-chan struct{}) (Answer, error) {
		return local(opts, ended)
	})
}

// freshEnough reports whether this server heard from the leader within limit;
// zero is no limit.
func (s *Server) freshEnough(limit time.Duration) bool {
	return limit <= 0 || s.raft.IsLeader() || time.Since(s.raft.LastContact()) <= limit
}

// run executes q until its index passes opts.MinQueryIndex or the time is up,
// and fills in meta. The channel ended, nil for a stale read, closes when this
// server may no longer answer as the leader.
func (s *Server) run(ctx context.Context, opts api.QueryOptions, ended <-chan struct{}, meta *api.QueryMeta, q query) error {
	wait, cancel := context.WithTimeout(ctx, waitFor(opts))
	defer cancel()
	stop := context.AfterFunc(s.ctx, cancel)
	defer stop()
	for {
		if opts.RequireConsistent && ended != nil {
			if err := s.raft.VerifyLeader(); err != nil {
				return fault.New(fault.NotLeader, "%w", err)
			}
		}
		ws := store.WatchSet{}
		ws.Add(s.fsm.Store().Abandoned())
		index, err := q(s.fsm.Store().Read(), ws)
		if err != nil {
			return err
		}
		meta.Index = max(index, 1) // zero would make a client's next read return at once, for ever
		s.describe(opts, ended, meta)
		if opts.MinQueryIndex == 0 || meta.Index > opts.MinQueryIndex {
			return nil
		}
		ws.Add(ended)
		if ws.WatchCtx(wait) != nil {
			return nil // time is up: the answer is what it was
		}
		if ended != nil && isClosed(ended) {
			return fault.New(fault.NotLeader, "%w", consensus.ErrNotLeader)
		}
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

func waitFor(opts api.QueryOptions) time.Duration {
	d := opts.MaxQueryTime
	if d <= 0 {
		d = defaultWait
	}
	d = min(d, maxWait)
	return d + rand.N(d/16+1)
}

func (s *Server) describe(opts api.QueryOptions, ended <-chan struct{}, meta *api.QueryMeta) {
	_, address := s.raft.Leader()
	meta.KnownLeader = address != ""
	meta.LastContact = 0
	switch {
	case ended == nil:
		meta.ConsistencyLevel = "stale"
		if last := s.raft.LastContact(); !s.raft.IsLeader() && !last.IsZero() {
			meta.LastContact = time.Since(last)
		}
	case opts.RequireConsistent:
		meta.ConsistencyLevel = "consistent"
	default:
		meta.ConsistencyLevel = "leader"
	}
}
