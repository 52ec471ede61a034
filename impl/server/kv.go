package server

import (
	"context"
	"errors"

	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/impl/fault"
	"tribune/impl/fsm"
	"tribune/impl/kv"
	"tribune/impl/rpc"
	"tribune/impl/store"
)

const (
	methodGet   = "KV.Get"
	methodKeys  = "KV.Keys"
	methodApply = "KV.Apply"
	methodPeers = "Status.Peers"
	methodChief = "Status.Leader"
)

// endpoints is the table of what other servers may ask.
func (s *Server) endpoints() []rpc.Method {
	return []rpc.Method{
		rpc.Handle(methodGet, s.KVGet),
		rpc.Handle(methodKeys, s.KVKeys),
		rpc.Handle(methodApply, s.KVApply),
		rpc.Handle(methodPeers, s.RaftPeers),
		rpc.Handle(methodChief, s.RaftLeader),
	}
}

// KVGet reads a key, or all keys under a prefix.
func (s *Server) KVGet(ctx context.Context, r api.KVRequest) (api.KVResponse, error) {
	return read(ctx, s, methodGet, r.QueryOptions, r, func(opts api.QueryOptions, ended <-chan struct{}) (api.KVResponse, error) {
		var a api.KVResponse
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, ws store.WatchSet) (index uint64, err error) {
			a.Entries = nil
			if r.Recurse {
				index, a.Entries, err = kv.List(tx, ws, r.Key)
				return index, err
			}
			index, entry, err := kv.Get(tx, ws, r.Key)
			if entry != nil {
				a.Entries = []api.DirEntry{*entry}
			}
			return index, err
		})
		return a, err
	})
}

// KVKeys lists keys under a prefix.
func (s *Server) KVKeys(ctx context.Context, r api.KVKeysRequest) (api.KVKeysResponse, error) {
	return read(ctx, s, methodKeys, r.QueryOptions, r, func(opts api.QueryOptions, ended <-chan struct{}) (api.KVKeysResponse, error) {
		var a api.KVKeysResponse
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, ws store.WatchSet) (index uint64, err error) {
			index, a.Keys, err = kv.Keys(tx, ws, r.Prefix, r.Separator)
			return index, err
		})
		return a, err
	})
}

// KVApply commits a write. An error of kind fault.Unknown or fault.Unavailable
// leaves open whether it took effect.
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
	return forward(ctx, s, methodApply, r, untouched, func(<-chan struct{}) (api.KVApplyResponse, error) {
		index, answer, err := s.commit(ctx, fsm.KVSType, r)
		if err != nil {
			return api.KVApplyResponse{}, err
		}
		ok, _ := answer.(bool)
		return api.KVApplyResponse{OK: ok, Index: index}, nil
	})
}

// commit has a command replicated and applied. An error that the state machine
// answered is fault.Invalid: it refused, and every server did.
func (s *Server) commit(ctx context.Context, t fsm.Type, request any) (uint64, any, error) {
	command, err := s.fsm.Encode(t, request)
	if err != nil {
		return 0, nil, err
	}
	index, answer, err := s.raft.Apply(ctx, command)
	switch {
	case errors.Is(err, consensus.ErrNotLeader):
		return 0, nil, fault.Wrap(fault.NotLeader, err)
	case err != nil:
		return 0, nil, fault.Wrap(fault.Unknown, err)
	}
	if refusal, ok := answer.(error); ok {
		return 0, nil, fault.Wrap(fault.Invalid, refusal)
	}
	return index, answer, nil
}
