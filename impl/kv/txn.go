package kv

import (
	"fmt"

	"tribune/impl/api"
	"tribune/impl/store"
)

// failure is why an operation of a transaction failed. The texts are Consul's.
type failure string

func (f failure) Error() string { return string(f) }

func failed(format string, args ...any) error { return failure(fmt.Sprintf(format, args...)) }

// Step carries out an operation of a transaction at a raft index and returns the
// entries that it found or made; what it made without the value. After an error
// the transaction must be dropped. Whether the session of a lock exists is not
// known here.
func Step(tx *store.Txn, index uint64, op api.TxnKVOp, asOf uint64) ([]api.DirEntry, error) {
	switch op.Verb {
	case api.TxnGet, api.TxnGetOrEmpty, api.TxnGetTree:
		return look(tx, op)
	case api.TxnCheckIndex, api.TxnCheckSession, api.TxnCheckNotExists:
		return check(tx, op)
	}
	verbs := map[string]api.KVOp{
		api.TxnSet: api.KVSet, api.TxnCAS: api.KVCAS, api.TxnLock: api.KVLock, api.TxnUnlock: api.KVUnlock,
		api.TxnDelete: api.KVDelete, api.TxnDeleteCAS: api.KVDeleteCAS, api.TxnDeleteTree: api.KVDeleteTree,
	}
	write, known := verbs[op.Verb]
	if !known {
		return nil, failed("unknown KV verb %q", op.Verb)
	}
	ok, err := Apply(tx, index, api.KVApplyRequest{Op: write, AsOf: asOf, Entry: api.DirEntry{
		Key: op.Key, Value: op.Value, Flags: op.Flags, Session: op.Session, RaftIndex: api.RaftIndex{ModifyIndex: op.Index},
	}})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, refused(write, op.Key)
	}
	switch write {
	case api.KVDelete, api.KVDeleteCAS, api.KVDeleteTree:
		return nil, nil
	}
	e, _, err := find(tx, op.Key)
	if err != nil {
		return nil, err
	}
	return []api.DirEntry{bare(*e)}, nil
}

func bare(e api.DirEntry) api.DirEntry {
	e.Value = nil
	return e
}

func refused(op api.KVOp, key string) error {
	switch op {
	case api.KVLock:
		return failed("failed to lock key %q, lock is already held", key)
	case api.KVUnlock:
		return failed("failed to unlock key %q, lock isn't held, or is held by another session", key)
	case api.KVDeleteCAS:
		return failed("failed to delete key %q, index is stale", key)
	}
	return failed("failed to set key %q, index is stale", key)
}

func look(tx *store.Txn, op api.TxnKVOp) ([]api.DirEntry, error) {
	if op.Verb == api.TxnGetTree {
		_, found, err := List(tx, nil, op.Key)
		return found, err
	}
	e, _, err := find(tx, op.Key)
	switch {
	case err != nil:
		return nil, err
	case e != nil:
		return []api.DirEntry{*e}, nil
	case op.Verb == api.TxnGetOrEmpty:
		return []api.DirEntry{{Key: op.Key}}, nil
	}
	return nil, failed("key %q doesn't exist", op.Key)
}

func check(tx *store.Txn, op api.TxnKVOp) ([]api.DirEntry, error) {
	e, _, err := find(tx, op.Key)
	switch {
	case err != nil:
		return nil, err
	case op.Verb == api.TxnCheckNotExists && e != nil:
		return nil, failed("key %q exists", op.Key)
	case op.Verb == api.TxnCheckNotExists:
		return nil, nil
	case op.Verb == api.TxnCheckSession && e == nil:
		return nil, failed("failed to check session, key %q doesn't exist", op.Key)
	case op.Verb == api.TxnCheckSession && e.Session != op.Session:
		return nil, failed("failed session check for key %q, current session %q != %q", op.Key, e.Session, op.Session)
	case op.Verb == api.TxnCheckIndex && e == nil:
		return nil, failed("failed to check index, key %q doesn't exist", op.Key)
	case op.Verb == api.TxnCheckIndex && e.ModifyIndex != op.Index:
		return nil, failed("failed index check for key %q, current modify index %d != %d", op.Key, e.ModifyIndex, op.Index)
	}
	return []api.DirEntry{bare(*e)}, nil
}
