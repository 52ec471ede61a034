// Package kv is the key/value store: its tables, and Consul's rules for
// changing and reading them within a store transaction (Consul API: KV Store).
//
// Every entry carries the raft indexes of its creation and last change. A
// deleted key leaves a tombstone with the index of its deletion, so that the
// index of a prefix never goes back while somebody may wait on it; tombstones
// are reaped later (Reap). A write that changes nothing does not move an
// entry's ModifyIndex, so it wakes nobody.
package kv

import (
	"github.com/hashicorp/go-memdb"
)

const (
	entries    = "kvs"
	tombstones = "tombstones"
	freedKeys  = "freed"
)

// tombstone remembers a deletion: of a key, or of all keys under a prefix.
type tombstone struct {
	Key   string
	Index uint64
}

// Tables returns the schema of the tables that the functions of this package
// work on.
func Tables() []*memdb.TableSchema {
	byKey := func() map[string]*memdb.IndexSchema {
		return map[string]*memdb.IndexSchema{
			"id": {Name: "id", Unique: true, AllowMissing: false, Indexer: keyIndex{}},
		}
	}
	rows := byKey()
	rows["session"] = heldBy()
	return []*memdb.TableSchema{
		{Name: entries, Indexes: rows},
		{Name: tombstones, Indexes: byKey()},
		{Name: freedKeys, Indexes: byKey()},
	}
}

// keyIndex orders rows by the bytes of their key. Unlike memdb's own index for
// strings it ends keys in no terminator, so any byte may occur in a key.
type keyIndex struct{}

func (keyIndex) FromObject(row any) (bool, []byte, error) {
	switch row := row.(type) {
	case *entry:
		return true, []byte(row.Key), nil
	case *tombstone:
		return true, []byte(row.Key), nil
	case *freed:
		return true, []byte(row.Key), nil
	}
	return false, nil, nil
}

func (keyIndex) FromArgs(args ...any) ([]byte, error) { return []byte(args[0].(string)), nil }

func (keyIndex) PrefixFromArgs(args ...any) ([]byte, error) { return []byte(args[0].(string)), nil }
