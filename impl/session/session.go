// Package session keeps sessions: its table, and Consul's rules for making,
// ending and reading them within a store transaction (Consul API: Sessions). What
// a session stands on, nodes and checks, and what stands on it, locks in the
// key/value store, are the affair of package fsm, where they meet.
package session

import (
	"fmt"

	"github.com/hashicorp/go-memdb"

	"tribune/impl/api"
	"tribune/impl/store"
)

const sessions = "sessions"

// Tables returns the schema of the table that the functions of this package work
// on. Rows are never changed once inserted.
func Tables() []*memdb.TableSchema {
	return []*memdb.TableSchema{{Name: sessions, Indexes: map[string]*memdb.IndexSchema{
		"id":   {Name: "id", Unique: true, Indexer: &memdb.StringFieldIndex{Field: "ID", Lowercase: true}},
		"node": {Name: "node", Indexer: &memdb.StringFieldIndex{Field: "Node", Lowercase: true}},
	}}}
}

// Create makes a session.
func Create(tx *store.Txn, index uint64, s api.Session) error {
	s.RaftIndex = api.RaftIndex{CreateIndex: index, ModifyIndex: index}
	if err := tx.Insert(sessions, &s); err != nil {
		return fmt.Errorf("session: creating %q: %w", s.ID, err)
	}
	return tx.SetIndex(sessions, index)
}

// End removes a session and returns it, nil if there was none.
func End(tx *store.Txn, index uint64, id string) (*api.Session, error) {
	s, err := Find(tx, id)
	if err != nil || s == nil {
		return nil, err
	}
	if err := tx.Delete(sessions, s); err != nil {
		return nil, fmt.Errorf("session: ending %q: %w", id, err)
	}
	return s, tx.SetIndex(sessions, index)
}

// Find returns a session, nil if there is none with the ID.
func Find(tx *store.Txn, id string) (*api.Session, error) {
	_, row, err := tx.First(sessions, "id", id)
	if err != nil {
		return nil, fmt.Errorf("session: looking for %q: %w", id, err)
	}
	s, _ := row.(*api.Session)
	return s, nil
}

// Index is the raft index of the last session that was made or ended.
func Index(tx *store.Txn) (uint64, error) { return tx.Index(sessions) }

// OfNode lists the sessions of a node, by ID.
func OfNode(tx *store.Txn, node string) ([]api.Session, error) { return list(tx, "node", node) }

// All lists all sessions, by ID.
func All(tx *store.Txn) ([]api.Session, error) { return list(tx, "id_prefix", "") }

func list(tx *store.Txn, by, arg string) ([]api.Session, error) {
	rows, err := tx.Get(sessions, by, arg)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	var found []api.Session
	for row := rows.Next(); row != nil; row = rows.Next() {
		found = append(found, *row.(*api.Session))
	}
	return found, nil
}

// Read answers a request for sessions, with the index to wait on. What must be
// watched is added to ws.
func Read(tx *store.Txn, ws store.WatchSet, r api.SessionRequest) (uint64, []api.Session, error) {
	index, err := tx.Watch(ws, sessions)
	if err != nil {
		return 0, nil, err
	}
	switch {
	case r.ID != "":
		s, err := Find(tx, r.ID)
		if err != nil || s == nil {
			return index, nil, err
		}
		return index, []api.Session{*s}, nil
	case r.Node != "":
		found, err := OfNode(tx, r.Node)
		return index, found, err
	}
	found, err := All(tx)
	return index, found, err
}

// Dump is everything the table holds, sorted by ID.
type Dump struct {
	Sessions []api.Session
	Index    uint64
}

// Export returns what the table holds.
func Export(tx *store.Txn) (Dump, error) {
	found, err := All(tx)
	if err != nil {
		return Dump{}, err
	}
	index, err := tx.Index(sessions)
	return Dump{found, index}, err
}

// Import fills an empty table with a Dump.
func Import(tx *store.Txn, d Dump) error {
	for i := range d.Sessions {
		if err := tx.Insert(sessions, &d.Sessions[i]); err != nil {
			return fmt.Errorf("session: restoring %q: %w", d.Sessions[i].ID, err)
		}
	}
	return tx.SetIndex(sessions, d.Index)
}
