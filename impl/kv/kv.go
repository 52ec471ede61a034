package kv

import (
	"bytes"
	"fmt"
	"strings"

	"tribune/impl/api"
	"tribune/impl/store"
)

// entry is a row of the table of entries; it is never changed once inserted.
type entry = api.DirEntry

// Apply carries out a write at a raft index and reports whether it took
// effect: only a check-and-set that finds another ModifyIndex does not, and a
// change of a lock that another holds. Whether the session of a lock exists is
// not known here. An error means that the request makes no sense; then nothing was changed.
func Apply(tx *store.Txn, index uint64, r api.KVApplyRequest) (bool, error) {
	op, e := r.Op, r.Entry
	if e.Key == "" && op != api.KVDeleteTree {
		return false, fmt.Errorf("kv: %s needs a key", op)
	}
	switch op {
	case api.KVSet:
		return true, set(tx, index, e)
	case api.KVCAS:
		return cas(tx, index, e)
	case api.KVDelete:
		return true, remove(tx, index, e.Key)
	case api.KVDeleteCAS:
		return removeCAS(tx, index, e)
	case api.KVDeleteTree:
		return true, removeTree(tx, index, e.Key)
	case api.KVLock:
		return acquire(tx, index, e, r.AsOf)
	case api.KVUnlock:
		return release(tx, index, e)
	}
	return false, fmt.Errorf("kv: unknown operation %q", op)
}

func find(tx *store.Txn, key string) (*entry, <-chan struct{}, error) {
	watch, row, err := tx.First(entries, "id", key)
	if err != nil {
		return nil, nil, fmt.Errorf("kv: looking for %q: %w", key, err)
	}
	e, _ := row.(*entry)
	return e, watch, nil
}

func set(tx *store.Txn, index uint64, e api.DirEntry) error {
	old, _, err := find(tx, e.Key)
	if err != nil {
		return err
	}
	e.CreateIndex, e.ModifyIndex = index, index
	e.LockIndex, e.Session = 0, ""
	if old != nil {
		e.CreateIndex, e.LockIndex, e.Session = old.CreateIndex, old.LockIndex, old.Session
		if old.Flags == e.Flags && bytes.Equal(old.Value, e.Value) {
			return nil
		}
	}
	if err := tx.Insert(entries, &e); err != nil {
		return fmt.Errorf("kv: setting %q: %w", e.Key, err)
	}
	return tx.SetIndex(entries, index)
}

func cas(tx *store.Txn, index uint64, e api.DirEntry) (bool, error) {
	old, _, err := find(tx, e.Key)
	if err != nil {
		return false, err
	}
	if old == nil && e.ModifyIndex != 0 || old != nil && old.ModifyIndex != e.ModifyIndex {
		return false, nil
	}
	return true, set(tx, index, e)
}

func remove(tx *store.Txn, index uint64, key string) error {
	old, _, err := find(tx, key)
	if err != nil || old == nil {
		return err
	}
	if err := tx.Delete(entries, old); err != nil {
		return fmt.Errorf("kv: deleting %q: %w", key, err)
	}
	return bury(tx, index, key)
}

// removeCAS follows Consul in taking a key that is gone already for deleted.
func removeCAS(tx *store.Txn, index uint64, e api.DirEntry) (bool, error) {
	old, _, err := find(tx, e.Key)
	if err != nil || old == nil || old.ModifyIndex != e.ModifyIndex {
		return old == nil, err
	}
	return true, remove(tx, index, e.Key)
}

func removeTree(tx *store.Txn, index uint64, prefix string) error {
	any, err := tx.DeletePrefix(entries, prefix)
	if err != nil {
		return fmt.Errorf("kv: deleting all of %q: %w", prefix, err)
	}
	if !any {
		return nil
	}
	// Tombstones under the prefix say nothing that the new one does not.
	if _, err := tx.DeletePrefix(tombstones, prefix); err != nil {
		return fmt.Errorf("kv: deleting all of %q: %w", prefix, err)
	}
	return bury(tx, index, prefix)
}

func bury(tx *store.Txn, index uint64, key string) error {
	if err := tx.Insert(tombstones, &tombstone{key, index}); err != nil {
		return fmt.Errorf("kv: tombstone of %q: %w", key, err)
	}
	if err := tx.SetIndex(tombstones, index); err != nil {
		return err
	}
	return tx.SetIndex(entries, index)
}

// Get returns the entry of a key, nil if there is none, with the index to wait
// on: the entry's ModifyIndex, or for an absent key that of the whole table.
// What must be watched is added to ws, which may be nil.
func Get(tx *store.Txn, ws store.WatchSet, key string) (uint64, *api.DirEntry, error) {
	e, watch, err := find(tx, key)
	if err != nil {
		return 0, nil, err
	}
	ws.Add(watch)
	if e != nil {
		return e.ModifyIndex, e, nil
	}
	index, err := tx.Index(entries, tombstones)
	return index, nil, err
}

// List returns the entries whose keys begin with prefix, sorted, with the index
// to wait on: the highest ModifyIndex or deletion under the prefix; where
// neither is known, or the prefix is empty, that of the whole table.
func List(tx *store.Txn, ws store.WatchSet, prefix string) (uint64, []api.DirEntry, error) {
	rows, err := tx.Get(entries, "id_prefix", prefix)
	if err != nil {
		return 0, nil, fmt.Errorf("kv: listing %q: %w", prefix, err)
	}
	ws.Add(rows.WatchCh())
	var found []api.DirEntry
	var highest uint64
	for row := rows.Next(); row != nil; row = rows.Next() {
		e := row.(*entry)
		found = append(found, *e)
		highest = max(highest, e.ModifyIndex)
	}
	table, err := tx.Index(entries, tombstones)
	if err != nil || prefix == "" {
		return table, found, err
	}
	deleted, err := deletedUnder(tx, prefix)
	if err != nil {
		return 0, nil, err
	}
	if highest = max(highest, deleted); highest != 0 {
		return highest, found, nil
	}
	return table, found, nil
}

func deletedUnder(tx *store.Txn, prefix string) (uint64, error) {
	rows, err := tx.Get(tombstones, "id_prefix", prefix)
	if err != nil {
		return 0, fmt.Errorf("kv: tombstones of %q: %w", prefix, err)
	}
	var highest uint64
	for row := rows.Next(); row != nil; row = rows.Next() {
		highest = max(highest, row.(*tombstone).Index)
	}
	return highest, nil
}

// Keys returns the keys that begin with prefix, sorted, each cut after the
// first separator that follows the prefix and then named once. An empty
// separator cuts nothing. The index is that of List.
func Keys(tx *store.Txn, ws store.WatchSet, prefix, separator string) (uint64, []string, error) {
	index, found, err := List(tx, ws, prefix)
	if err != nil {
		return 0, nil, err
	}
	var keys []string
	for _, e := range found {
		key := e.Key
		if separator != "" {
			if at := strings.Index(key[len(prefix):], separator); at >= 0 {
				key = key[:len(prefix)+at+len(separator)]
			}
		}
		if len(keys) == 0 || keys[len(keys)-1] != key {
			keys = append(keys, key)
		}
	}
	return index, keys, nil
}

// Count returns how many entries there are.
func Count(tx *store.Txn) (int, error) { return tx.Count(entries) }
