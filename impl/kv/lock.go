package kv

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-memdb"

	"tribune/impl/api"
	"tribune/impl/store"
)

// errNoSession refuses a lock that nobody is to hold. Clients match on the text.
var errNoSession = errors.New("missing session")

// heldBy finds the entries that a session has locked.
func heldBy() *memdb.IndexSchema {
	return &memdb.IndexSchema{Name: "session", AllowMissing: true, Indexer: &memdb.StringFieldIndex{Field: "Session", Lowercase: true}}
}

// freed remembers that a key lost its lock to the end of a session. For how long
// it cannot be locked then is measured by the leader's clock and not here. But a
// leader that looked before the session ended has not seen that; so what it
// proposed then is refused.
type freed struct {
	Key   string
	Index uint64
	Delay time.Duration
}

// acquire has a session lock a key: false if another holds it, or lost it after
// asOf. Each time that it is locked anew its LockIndex grows by one. A holder that
// locks again what it has, with the same value and flags, changes nothing.
func acquire(tx *store.Txn, index uint64, e api.DirEntry, asOf uint64) (bool, error) {
	if e.Session == "" {
		return false, errNoSession
	}
	old, _, err := find(tx, e.Key)
	if err != nil {
		return false, err
	}
	_, row, err := tx.First(freedKeys, "id", e.Key)
	if err != nil {
		return false, fmt.Errorf("kv: lock-delay of %q: %w", e.Key, err)
	}
	lost, _ := row.(*freed)
	if lost != nil && lost.Index > asOf {
		return false, nil
	}
	e.CreateIndex, e.ModifyIndex, e.LockIndex = index, index, 1
	if old != nil {
		e.CreateIndex, e.LockIndex = old.CreateIndex, old.LockIndex
		switch old.Session {
		case e.Session:
		case "":
			e.LockIndex++
		default:
			return false, nil
		}
	}
	if lost != nil {
		if err := tx.Delete(freedKeys, lost); err != nil {
			return false, fmt.Errorf("kv: lock-delay of %q: %w", e.Key, err)
		}
	}
	if old != nil && old.Session == e.Session && old.Flags == e.Flags && bytes.Equal(old.Value, e.Value) {
		return true, nil
	}
	return true, replace(tx, index, e)
}

// release has a session give up a lock: false if it does not hold it.
func release(tx *store.Txn, index uint64, e api.DirEntry) (bool, error) {
	if e.Session == "" {
		return false, errNoSession
	}
	old, _, err := find(tx, e.Key)
	if err != nil || old == nil || old.Session != e.Session {
		return false, err
	}
	e.CreateIndex, e.ModifyIndex, e.LockIndex, e.Session = old.CreateIndex, index, old.LockIndex, ""
	return true, replace(tx, index, e)
}

func replace(tx *store.Txn, index uint64, e api.DirEntry) error {
	if err := tx.Insert(entries, &e); err != nil {
		return fmt.Errorf("kv: setting %q: %w", e.Key, err)
	}
	return tx.SetIndex(entries, index)
}

// EndLocks frees what a session that ended has locked, or deletes it if that is
// the session's behaviour, and returns the keys, sorted.
func EndLocks(tx *store.Txn, index uint64, s api.Session) ([]string, error) {
	rows, err := tx.Get(entries, "session", s.ID)
	if err != nil {
		return nil, fmt.Errorf("kv: locks of %q: %w", s.ID, err)
	}
	var held []*entry
	for row := rows.Next(); row != nil; row = rows.Next() {
		held = append(held, row.(*entry))
	}
	var keys []string
	for _, old := range held {
		keys = append(keys, old.Key)
		if s.LockDelay > 0 {
			if err := tx.Insert(freedKeys, &freed{old.Key, index, s.LockDelay}); err != nil {
				return nil, fmt.Errorf("kv: lock-delay of %q: %w", old.Key, err)
			}
		}
		if s.Behavior == api.SessionDelete {
			err = remove(tx, index, old.Key)
		} else {
			e := *old
			e.Session, e.ModifyIndex = "", index
			err = replace(tx, index, e)
		}
		if err != nil {
			return nil, err
		}
	}
	return keys, nil
}
