// Package fsm is the law: the one table from a replicated command to the rule
// that carries it out on the store, and the state's way into a snapshot and
// back. raft applies committed commands through it, in the same order on every
// server, so everything here is a function of the commands alone.
//
// A command is a byte that names its type, followed by its msgpack form. A type
// that a server does not know stops it, since going on would let its state
// drift from that of the others; unless the type carries IgnoreUnknown.
package fsm

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/coordinate"
	"tribune/impl/kv"
	"tribune/impl/pack"
	"tribune/impl/query"
	"tribune/impl/session"
	"tribune/impl/store"
)

// Type names a command. The numbers are part of the log's format.
type Type byte

// The commands.
const (
	RegisterType   Type = 0  // api.RegisterRequest; answers nil or error
	DeregisterType Type = 1  // api.DeregisterRequest; answers nil or error
	KVSType        Type = 2  // api.KVApplyRequest; answers bool or error
	SessionType    Type = 3  // api.SessionApplyRequest; answers nil or error
	QueryType      Type = 5  // api.QueryApplyRequest; answers nil or error
	TombstoneType  Type = 6  // ReapRequest; answers nil or error
	CoordinateType Type = 7  // api.CoordinateBatch; answers nil or error
	TxnType        Type = 8  // api.TxnRequest; answers api.TxnResponse or error
	SpellType      Type = 64 // api.SpellRequest; answers nil or error
)

// IgnoreUnknown, added to a type, lets servers that do not know it skip it.
const IgnoreUnknown Type = 128

// ReapRequest removes the tombstones of deletions at or below an index.
type ReapRequest struct {
	UpTo uint64
}

// rule carries out one command in a transaction and returns the answer.
type rule func(f *FSM, tx *store.Txn, index uint64, body []byte) any

// FSM is the replicated state machine. It implements raft.BatchingFSM.
type FSM struct {
	store  *store.Store
	handle *codec.MsgpackHandle
	coders *pack.Codec // with this handle
	rules  map[Type]rule
	log    *slog.Logger
	freed  func(key string, delay time.Duration)
	lost   []lostLock // by commands that are not committed to the store yet
}

// taken ends the lock-delay of a key that is locked again. A server that applies
// commands long after they were committed begins delays that are over.
func (f *FSM) taken(key string) { f.lost = append(f.lost, lostLock{key: key}) }

// lostLock is a key that lost its lock because a session ended, or one that was
// locked: then there is no delay.
type lostLock struct {
	key   string
	delay time.Duration
}

var _ raft.BatchingFSM = (*FSM)(nil)

// New returns a state machine with an empty store. It calls freed for each key
// that lost its lock because a session ended, with the session's lock-delay, and
// with zero for each that was locked. That
// is no part of the replicated state: how long the delay is still to last each
// server knows by its own clock.
func New(log *slog.Logger, freed func(key string, delay time.Duration)) (*FSM, error) {
	s, err := store.New(slices.Concat(catalog.Tables(), coordinate.Tables(), query.Tables(), session.Tables(), kv.Tables())...)
	if err != nil {
		return nil, err
	}
	h := newHandle()
	return &FSM{
		store: s, handle: h, coders: pack.New(h),
		rules: map[Type]rule{
			RegisterType: register, DeregisterType: deregister, KVSType: applyKVS, SessionType: applySession, TombstoneType: reapTombstones,
			CoordinateType: applyCoordinates, QueryType: applyQuery, SpellType: applySpells,
		},
		log: log, freed: freed,
	}, nil
}

// newHandle returns the msgpack form of commands and snapshots: with the keys of
// maps in order, so that equal states make equal snapshots.
func newHandle() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.Canonical = true
	return h
}

// Store is the state that the commands have made.
func (f *FSM) Store() *store.Store { return f.store }

// Encode returns the command of a type with its request.
func (f *FSM) Encode(t Type, request any) ([]byte, error) {
	body, err := f.coders.Encode(request)
	if err != nil {
		return nil, fmt.Errorf("encoding a command of type %d: %w", t, err)
	}
	return slices.Insert(body, 0, byte(t)), nil
}

func (f *FSM) decode(body []byte, request any) error {
	return f.coders.Decode(body, request)
}

func register(f *FSM, tx *store.Txn, index uint64, body []byte) any {
	var r api.RegisterRequest
	if err := f.decode(body, &r); err != nil {
		return fmt.Errorf("decoding a registration: %w", err)
	}
	touched, err := catalog.Register(tx, index, r)
	if err == nil {
		err = f.review(tx, index, touched...)
	}
	if err != nil {
		return err
	}
	return nil
}

func deregister(f *FSM, tx *store.Txn, index uint64, body []byte) any {
	var r api.DeregisterRequest
	if err := f.decode(body, &r); err != nil {
		return fmt.Errorf("decoding a deregistration: %w", err)
	}
	err := catalog.Deregister(tx, index, r)
	if err == nil {
		err = f.review(tx, index, r.Node)
	}
	if err != nil {
		return err
	}
	return nil
}

func applySpells(f *FSM, tx *store.Txn, index uint64, body []byte) any {
	var r api.SpellRequest
	if err := f.decode(body, &r); err != nil {
		return fmt.Errorf("decoding notes on checks: %w", err)
	}
	touched, err := catalog.Note(tx, index, r.Notes)
	if err == nil {
		err = f.review(tx, index, touched...)
	}
	if err != nil {
		return err
	}
	return nil
}

func applyKVS(f *FSM, tx *store.Txn, index uint64, body []byte) any {
	var r api.KVApplyRequest
	if err := f.decode(body, &r); err != nil {
		return fmt.Errorf("decoding a KV command: %w", err)
	}
	if r.Op == api.KVLock {
		if err := exists(tx, r.Entry.Session); err != nil {
			return err
		}
	}
	ok, err := kv.Apply(tx, index, r)
	if err != nil {
		return err
	}
	if ok && r.Op == api.KVLock {
		f.taken(r.Entry.Key)
	}
	return ok
}

func reapTombstones(f *FSM, tx *store.Txn, _ uint64, body []byte) any {
	var r ReapRequest
	if err := f.decode(body, &r); err != nil {
		return fmt.Errorf("decoding a tombstone command: %w", err)
	}
	if err := kv.Reap(tx, r.UpTo); err != nil {
		return err
	}
	return nil
}

// Apply implements raft.FSM.
func (f *FSM) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies committed entries in one store transaction: readers see
// all of a batch or nothing. Only commands that can fail half-way, transactions,
// have one of their own.
func (f *FSM) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	tx := f.store.Write()
	for i, l := range logs {
		switch {
		case l.Type != raft.LogCommand:
		case len(l.Data) > 0 && Type(l.Data[0])&^IgnoreUnknown == TxnType:
			f.commit(tx)
			answers[i] = f.applyTxn(l.Index, l.Data[1:])
			tx = f.store.Write()
		default:
			answers[i] = f.apply(tx, l)
		}
	}
	f.commit(tx)
	return answers
}

// commit makes changes visible, after it has told of the locks that were lost:
// whoever sees that a lock is free knows of the lock-delay.
func (f *FSM) commit(tx *store.Txn) {
	for _, l := range f.lost {
		f.freed(l.key, l.delay)
	}
	f.lost = nil
	tx.Commit()
}

func (f *FSM) apply(tx *store.Txn, l *raft.Log) any {
	if len(l.Data) == 0 {
		return fmt.Errorf("raft entry %d holds no command", l.Index)
	}
	t := Type(l.Data[0])
	apply := f.rules[t&^IgnoreUnknown]
	switch {
	case apply != nil:
		return apply(f, tx, l.Index, l.Data[1:])
	case t&IgnoreUnknown != 0:
		f.log.Warn("skipping a command of an unknown type, written by a newer version", "type", t&^IgnoreUnknown, "index", l.Index)
		return nil
	}
	panic(fmt.Sprintf("raft entry %d holds a command of unknown type %d, written by a newer version: this server must be upgraded", l.Index, t))
}

// Snapshot captures the state; raft writes it out while commands go on.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	return &snapshot{tx: f.store.Read(), handle: f.handle}, nil
}

// Restore replaces the state by that of a snapshot.
func (f *FSM) Restore(from io.ReadCloser) error {
	err := f.store.Restore(func(tx *store.Txn) error { return f.load(tx, from) })
	if cerr := from.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("restoring a snapshot: %w", err)
	}
	return nil
}
