package kv

import (
	"fmt"
	"time"

	"tribune/impl/api"
	"tribune/impl/store"
)

// Reap removes the tombstones of deletions up to and at a raft index, and what is
// remembered of locks that were lost until then. Whoever waits on a prefix since
// before may be woken once for nothing.
func Reap(tx *store.Txn, upTo uint64) error {
	if err := reap(tx, tombstones, func(row any) bool { return row.(*tombstone).Index <= upTo }); err != nil {
		return err
	}
	return reap(tx, freedKeys, func(row any) bool { return row.(*freed).Index <= upTo })
}

func reap(tx *store.Txn, table string, due func(row any) bool) error {
	rows, err := tx.Get(table, "id_prefix", "")
	if err != nil {
		return fmt.Errorf("kv: reaping %s: %w", table, err)
	}
	var old []any
	for row := rows.Next(); row != nil; row = rows.Next() {
		if due(row) {
			old = append(old, row)
		}
	}
	for _, row := range old {
		if err := tx.Delete(table, row); err != nil {
			return fmt.Errorf("kv: reaping %s: %w", table, err)
		}
	}
	return nil
}

// LastReapable is the index of the latest deletion or lost lock that is remembered,
// zero if none is.
func LastReapable(tx *store.Txn) (uint64, error) {
	last, err := deletedUnder(tx, "")
	if err != nil {
		return 0, err
	}
	rows, err := tx.Get(freedKeys, "id_prefix", "")
	if err != nil {
		return 0, fmt.Errorf("kv: lock-delays: %w", err)
	}
	for row := rows.Next(); row != nil; row = rows.Next() {
		last = max(last, row.(*freed).Index)
	}
	return last, nil
}

// Dump is everything the tables hold, sorted by key.
type Dump struct {
	Entries    []api.DirEntry
	Tombstones []Tombstone
	Freed      []Freed
	Index      uint64 // of the table of entries
	Deletions  uint64 // of the table of tombstones
}

// Tombstone is a deletion in a Dump.
type Tombstone struct {
	Key   string
	Index uint64
}

// Freed is a lock in a Dump that was lost to the end of a session.
type Freed struct {
	Key   string
	Index uint64
	Delay time.Duration // the session's lock-delay
}

// Export returns what the tables hold.
func Export(tx *store.Txn) (Dump, error) {
	var d Dump
	var err error
	if _, d.Entries, err = List(tx, nil, ""); err != nil {
		return Dump{}, err
	}
	rows, err := tx.Get(tombstones, "id_prefix", "")
	if err != nil {
		return Dump{}, fmt.Errorf("kv: %w", err)
	}
	for row := rows.Next(); row != nil; row = rows.Next() {
		d.Tombstones = append(d.Tombstones, Tombstone(*row.(*tombstone)))
	}
	if rows, err = tx.Get(freedKeys, "id_prefix", ""); err != nil {
		return Dump{}, fmt.Errorf("kv: %w", err)
	}
	for row := rows.Next(); row != nil; row = rows.Next() {
		d.Freed = append(d.Freed, Freed(*row.(*freed)))
	}
	if d.Index, err = tx.Index(entries); err != nil {
		return Dump{}, err
	}
	d.Deletions, err = tx.Index(tombstones)
	return d, err
}

// Import fills empty tables with a Dump.
func Import(tx *store.Txn, d Dump) error {
	for i := range d.Entries {
		if err := tx.Insert(entries, &d.Entries[i]); err != nil {
			return fmt.Errorf("kv: restoring %q: %w", d.Entries[i].Key, err)
		}
	}
	for _, t := range d.Tombstones {
		row := tombstone(t)
		if err := tx.Insert(tombstones, &row); err != nil {
			return fmt.Errorf("kv: restoring the tombstone of %q: %w", t.Key, err)
		}
	}
	for _, f := range d.Freed {
		row := freed(f)
		if err := tx.Insert(freedKeys, &row); err != nil {
			return fmt.Errorf("kv: restoring the lock-delay of %q: %w", f.Key, err)
		}
	}
	if err := tx.SetIndex(entries, d.Index); err != nil {
		return err
	}
	return tx.SetIndex(tombstones, d.Deletions)
}
