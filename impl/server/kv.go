package server

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"

	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/impl/fault"
	"tribune/impl/fsm"
	"tribune/impl/kv"
	"tribune/impl/session"
	"tribune/impl/store"
)

// KVGet reads a key, or all keys under a prefix.
func (s *Server) KVGet(ctx context.Context, r api.KVRequest) (api.KVResponse, error) {
	return read(ctx, s, api.MethodKVGet, &r.QueryOptions, &r, func(opts api.QueryOptions, ended <-chan struct{}) (api.KVResponse, error) {
		var a api.KVResponse
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, ws store.WatchSet) (index uint64, found bool, err error) {
			a.Entries = nil
			if r.Recurse {
				index, a.Entries, err = kv.List(tx, ws, r.Key)
				return index, len(a.Entries) > 0, err
			}
			index, entry, err := kv.Get(tx, ws, r.Key)
			if entry != nil {
				a.Entries = []api.DirEntry{*entry}
			}
			return index, entry != nil, err
		})
		return a, err
	})
}

// KVKeys lists keys under a prefix.
func (s *Server) KVKeys(ctx context.Context, r api.KVKeysRequest) (api.KVKeysResponse, error) {
	return read(ctx, s, api.MethodKVKeys, &r.QueryOptions, &r, func(opts api.QueryOptions, ended <-chan struct{}) (api.KVKeysResponse, error) {
		var a api.KVKeysResponse
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, ws store.WatchSet) (index uint64, found bool, err error) {
			index, a.Keys, err = kv.Keys(tx, ws, r.Prefix, r.Separator)
			return index, len(a.Keys) > 0, err
		})
		return a, err
	})
}

// KVApply commits a write. Only an error of kind fault.Unknown leaves open
// whether it took effect; with any other it did not.
func (s *Server) KVApply(ctx context.Context, r api.KVApplyRequest) (api.KVApplyResponse, error) {
	if err := s.checkDatacenter(r.Datacenter); err != nil {
		return api.KVApplyResponse{}, err
	}
	if r.Entry.Key == "" && r.Op != api.KVDeleteTree {
		return api.KVApplyResponse{}, fault.New(fault.Invalid, "Must provide key")
	}
	if n := len(r.Entry.Value); n > s.config.MaxValueSize {
		return api.KVApplyResponse{}, fault.New(fault.TooLarge, "Value exceeds %d byte limit", s.config.MaxValueSize)
	}
	e := errand{method: api.MethodKVApply, request: r, again: untouched}
	return forward(ctx, s, e, func(ended <-chan struct{}) (api.KVApplyResponse, error) {
		if r.Op == api.KVLock {
			var err error
			if r.AsOf, err = session.Index(s.fsm.Store().Read()); err != nil {
				return api.KVApplyResponse{}, err
			}
			if s.delays.active(r.Entry.Key) {
				return api.KVApplyResponse{}, s.confirm(ctx, ended) // or the lock may have gone on with another leader
			}
		}
		index, answer, err := s.commit(ctx, fsm.KVSType, r)
		if err != nil {
			return api.KVApplyResponse{}, err
		}
		ok, _ := answer.(bool)
		return api.KVApplyResponse{OK: ok, Index: index}, nil
	})
}

// enqueueTimeout is how long a command waits for a place in raft's queue.
const enqueueTimeout = 30 * time.Second

// commit has a command replicated and applied. An error that the state machine
// answered is fault.Internal, as a server's errors are in Consul: it refused, and
// every server did.
func (s *Server) commit(ctx context.Context, t fsm.Type, request any) (uint64, any, error) {
	command, err := s.fsm.Encode(t, request)
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, enqueueTimeout)
	defer cancel()
	done := s.watchStall()
	begun := time.Now()
	index, answer, err := s.raft.Apply(ctx, command)
	done()
	if err == nil {
		s.figures.applied.Inc()
		s.figures.commit.Took(time.Since(begun))
	}
	switch {
	case errors.Is(err, consensus.ErrNotLeader):
		return 0, nil, fault.Wrap(fault.NotLeader, err)
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return 0, nil, fault.Wrap(fault.Internal, err)
	case err != nil:
		return 0, nil, fault.Wrap(fault.Unknown, err)
	}
	if refusal, ok := answer.(error); ok {
		return 0, nil, fault.Wrap(fault.Internal, refusal)
	}
	return index, answer, nil
}
