// Package store is the MVCC tree in which the agent's state lives: tables on
// hashicorp/go-memdb, read through immutable snapshots, written by one
// transaction at a time, watched through sets of channels. It knows no domain:
// each trade (kv, later the catalog, sessions, ...) brings its tables and the
// rules over a transaction.
//
// Beside the trades' tables the store keeps one of its own, "index": the raft
// index of the last change of each table, or of a part of one that a trade gives
// a name, for blocking queries to wait on.
package store

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/hashicorp/go-memdb"
)

// WatchSet collects channels, one of which is closed when something that was
// read changes.
type WatchSet = memdb.WatchSet

// Iterator walks over the rows of a table in the order of an index.
type Iterator = memdb.ResultIterator

const indexTable = "index"

type tableIndex struct {
	Table string
	Index uint64
}

// Store holds the tables.
type Store struct {
	schema  *memdb.DBSchema
	state   atomic.Pointer[state]
	watched atomic.Int64
}

// state is what a Restore replaces in one step.
type state struct {
	db      *memdb.MemDB
	abandon chan struct{}
}

// New returns a store with the given tables, all empty. A wrong schema is an
// error.
func New(tables ...*memdb.TableSchema) (*Store, error) {
	s := &Store{schema: &memdb.DBSchema{Tables: map[string]*memdb.TableSchema{
		indexTable: {
			Name: indexTable,
			Indexes: map[string]*memdb.IndexSchema{
				"id": {Name: "id", Unique: true, Indexer: &memdb.StringFieldIndex{Field: "Table"}},
			},
		},
	}}}
	for _, t := range tables {
		if s.schema.Tables[t.Name] != nil {
			return nil, fmt.Errorf("store: two tables are named %q", t.Name)
		}
		s.schema.Tables[t.Name] = t
	}
	db, err := memdb.NewMemDB(s.schema)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s.state.Store(&state{db, make(chan struct{})})
	return s, nil
}

// Read returns a transaction on the state as it is now; it needs no Abort.
func (s *Store) Read() *Txn { return &Txn{s.state.Load().db.Txn(false)} }

// Write returns the transaction that changes the state; it must end with
// Commit or Abort, and a second one waits for that.
func (s *Store) Write() *Txn { return &Txn{s.state.Load().db.Txn(true)} }

// Abandoned is closed when Restore replaces the state: whoever watches rows of
// the old one would wait for ever.
func (s *Store) Abandoned() <-chan struct{} { return s.state.Load().abandon }

// Restore replaces the whole state by what fill inserts into an empty one. When
// fill fails the old state stays.
func (s *Store) Restore(fill func(*Txn) error) error {
	db, err := memdb.NewMemDB(s.schema)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	tx := &Txn{db.Txn(true)}
	if err := fill(tx); err != nil {
		tx.Abort()
		return err
	}
	tx.Commit()
	old := s.state.Swap(&state{db, make(chan struct{})})
	close(old.abandon)
	return nil
}

// Wait waits until one of the channels of ws closes, or ctx ends; then the error is
// that of ctx.
func (s *Store) Wait(ctx context.Context, ws WatchSet) error {
	n := int64(len(ws))
	s.watched.Add(n)
	defer s.watched.Add(-n)
	return ws.WatchCtx(ctx)
}

// Watched is the number of channels on which somebody waits now; one on which several
// do counts for each of them.
func (s *Store) Watched() int { return int(s.watched.Load()) }

// Txn is a transaction: a consistent view, with the writer's own changes.
type Txn struct {
	tx *memdb.Txn
}

// Commit makes the changes visible all at once and wakes their watchers.
func (t *Txn) Commit() { t.tx.Commit() }

// Abort drops the changes. After Commit it does nothing.
func (t *Txn) Abort() { t.tx.Abort() }

// First returns the first row that an index of a table finds, nil if there is
// none, and the channel that closes when that changes.
func (t *Txn) First(table, index string, args ...any) (<-chan struct{}, any, error) {
	return t.tx.FirstWatch(table, index, args...)
}

// Get iterates over the rows that an index of a table finds, in its order. An
// index name that ends in "_prefix" takes a prefix.
func (t *Txn) Get(table, index string, args ...any) (Iterator, error) {
	return t.tx.Get(table, index, args...)
}

// Count returns how many rows a table has, by walking over them.
func (t *Txn) Count(table string) (int, error) {
	rows, err := t.Get(table, "id")
	if err != nil {
		return 0, fmt.Errorf("store: counting %s: %w", table, err)
	}
	n := 0
	for rows.Next() != nil {
		n++
	}
	return n, nil
}

// LongestPrefix returns the row whose key in a unique index, among those that
// begin the key of the arguments, is longest, nil if there is none.
func (t *Txn) LongestPrefix(table, index string, args ...any) (any, error) {
	return t.tx.LongestPrefix(table, index+"_prefix", args...)
}

// Insert adds or replaces a row. The row must not be changed afterwards.
func (t *Txn) Insert(table string, row any) error { return t.tx.Insert(table, row) }

// Delete removes a row.
func (t *Txn) Delete(table string, row any) error { return t.tx.Delete(table, row) }

// DeletePrefix removes the rows whose index "id" begins with prefix and reports
// whether there were any.
func (t *Txn) DeletePrefix(table, prefix string) (bool, error) {
	return t.tx.DeletePrefix(table, "id_prefix", prefix)
}

// Index returns the highest raft index at which one of the tables changed.
func (t *Txn) Index(tables ...string) (uint64, error) { return t.Watch(nil, tables...) }

// Watch is Index, and adds to ws what closes when it changes. A name that has an
// index is watched for itself alone; waiting for one that has none may end for
// nothing.
func (t *Txn) Watch(ws WatchSet, tables ...string) (uint64, error) {
	var highest uint64
	for _, name := range tables {
		watch, row, err := t.First(indexTable, "id", name)
		if err != nil {
			return 0, fmt.Errorf("store: index of %s: %w", name, err)
		}
		ws.Add(watch)
		if row != nil {
			highest = max(highest, row.(*tableIndex).Index)
		}
	}
	return highest, nil
}

// DropIndex forgets the index of a table, or of whatever else was given one.
func (t *Txn) DropIndex(table string) error {
	if _, err := t.tx.DeleteAll(indexTable, "id", table); err != nil {
		return fmt.Errorf("store: index of %s: %w", table, err)
	}
	return nil
}

// SetIndex records that a table changed at a raft index; it never goes back.
func (t *Txn) SetIndex(table string, index uint64) error {
	now, err := t.Index(table)
	if err != nil || now >= index {
		return err
	}
	if err := t.tx.Insert(indexTable, &tableIndex{table, index}); err != nil {
		return fmt.Errorf("store: index of %s: %w", table, err)
	}
	return nil
}
