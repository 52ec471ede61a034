// Package query keeps prepared queries: their table, and Consul's rules for
// changing, finding and carrying them out within a store transaction (Consul API:
// Prepared Queries).
//
//   - query.go is the table, and how a name finds its query: by ID, by name, or
//     as the template with the longest name that it begins with. Case does not
//     matter.
//   - check.go says which queries make sense; template.go fills templates in.
//   - choose.go is which instances of a service a query finds.
//
// That a query ends with its session is the affair of package fsm, where the two
// meet.
package query

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/go-memdb"

	"tribune/impl/api"
	"tribune/impl/store"
)

const queries = "prepared-queries"

// row is a row of the table. None is changed once inserted.
type row struct {
	api.PreparedQuery
	match *regexp.Regexp // a template's, compiled; nil: none
}

// Tables returns the schema of the table that the functions of this package work
// on.
func Tables() []*memdb.TableSchema {
	return []*memdb.TableSchema{{Name: queries, Indexes: map[string]*memdb.IndexSchema{
		"id":       {Name: "id", Unique: true, Indexer: &memdb.StringFieldIndex{Field: "ID", Lowercase: true}},
		"name":     {Name: "name", Unique: true, AllowMissing: true, Indexer: &memdb.StringFieldIndex{Field: "Name", Lowercase: true}},
		"template": {Name: "template", Unique: true, AllowMissing: true, Indexer: beginning{}},
		"session":  {Name: "session", AllowMissing: true, Indexer: &memdb.StringFieldIndex{Field: "Session", Lowercase: true}},
	}}}
}

// beginning makes the keys of templates: "=" and the name in lower case, without
// an end, so that a key is a prefix of those of all names that begin with it.
type beginning struct{}

// FromObject implements memdb.SingleIndexer.
func (beginning) FromObject(r any) (bool, []byte, error) {
	q := r.(*row)
	return q.Template.Type != "", []byte("=" + strings.ToLower(q.Name)), nil
}

// FromArgs implements memdb.Indexer.
func (beginning) FromArgs(args ...any) ([]byte, error) {
	return []byte("=" + strings.ToLower(args[0].(string))), nil
}

// PrefixFromArgs implements memdb.PrefixIndexer.
func (b beginning) PrefixFromArgs(args ...any) ([]byte, error) { return b.FromArgs(args...) }

// Apply carries out a command at a raft index. An error means that it makes no
// sense in this state; then nothing was changed.
func Apply(tx *store.Txn, index uint64, r api.QueryApplyRequest) error {
	old, err := first(tx, "id", r.Query.ID)
	switch {
	case err != nil:
		return err
	case r.Op != api.QueryCreate && old == nil:
		return refuse("Cannot modify non-existent prepared query: '%s'", r.Query.ID)
	case r.Op == api.QueryDelete:
		return remove(tx, index, old)
	case r.Op != api.QueryCreate && r.Op != api.QueryUpdate:
		return fmt.Errorf("query: unknown operation %q", r.Op)
	}
	return put(tx, index, r.Query, old)
}

func put(tx *store.Txn, index uint64, q api.PreparedQuery, old *row) error {
	if err := taken(tx, q, old); err != nil {
		return err
	}
	match, err := compile(q)
	if err != nil {
		return err
	}
	q.RaftIndex = api.RaftIndex{CreateIndex: index, ModifyIndex: index}
	if old != nil {
		q.CreateIndex = old.CreateIndex
	}
	if err := tx.Insert(queries, &row{q, match}); err != nil {
		return fmt.Errorf("query: keeping %q: %w", q.ID, err)
	}
	return tx.SetIndex(queries, index)
}

// taken returns an error if what a query is to be found by finds another.
func taken(tx *store.Txn, q api.PreparedQuery, old *row) error {
	by, why := "name", refuse("name '%s' aliases an existing query name", q.Name)
	if q.Name == "" {
		by, why = "template", refuse("a query template with an empty name already exists")
	}
	if q.Name != "" || q.Template.Type != "" {
		other, err := first(tx, by, q.Name)
		if err != nil {
			return err
		}
		if other != nil && (old == nil || other.ID != old.ID) {
			return why
		}
	}
	other, err := first(tx, "id", q.Name)
	if err == nil && other != nil {
		err = refuse("name '%s' aliases an existing query ID", q.Name)
	}
	return err
}

func remove(tx *store.Txn, index uint64, q *row) error {
	if err := tx.Delete(queries, q); err != nil {
		return fmt.Errorf("query: deleting %q: %w", q.ID, err)
	}
	return tx.SetIndex(queries, index)
}

// EndSession deletes the queries of a session that ended.
func EndSession(tx *store.Txn, index uint64, session string) error {
	rows, err := list(tx, "session", session)
	if err != nil {
		return err
	}
	for _, q := range rows {
		if err := remove(tx, index, q); err != nil {
			return err
		}
	}
	return nil
}

func first(tx *store.Txn, by, arg string) (*row, error) {
	_, r, err := tx.First(queries, by, arg)
	if err != nil {
		return nil, fmt.Errorf("query: looking for %q: %w", arg, err)
	}
	q, _ := r.(*row)
	return q, nil
}

func list(tx *store.Txn, by, arg string) ([]*row, error) {
	rows, err := tx.Get(queries, by, arg)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	var found []*row
	for r := rows.Next(); r != nil; r = rows.Next() {
		found = append(found, r.(*row))
	}
	return found, nil
}

// Resolve returns the query that an ID or a name stands for, a template filled
// in; nil if there is none.
func Resolve(tx *store.Txn, idOrName string) (*api.PreparedQuery, error) {
	if idOrName == "" {
		return nil, nil
	}
	q, err := first(tx, "id", idOrName)
	if err != nil {
		return nil, err
	}
	if q != nil {
		if q.Template.Type != "" {
			return nil, refuse("prepared query templates can only be resolved up by name, not by ID")
		}
		return &q.PreparedQuery, nil
	}
	if q, err = first(tx, "name", idOrName); err != nil {
		return nil, err
	}
	if q == nil {
		r, err := tx.LongestPrefix(queries, "template", idOrName)
		if err != nil {
			return nil, fmt.Errorf("query: looking for a template for %q: %w", idOrName, err)
		}
		q, _ = r.(*row)
	}
	switch {
	case q == nil:
		return nil, nil
	case q.Template.Type == "":
		return &q.PreparedQuery, nil
	}
	filled, err := render(q.PreparedQuery, q.match, idOrName)
	return &filled, err
}

// Read answers a request for queries, by ID, with the index to wait on. What must
// be watched is added to ws.
func Read(tx *store.Txn, ws store.WatchSet, r api.QueryRequest) (uint64, []api.PreparedQuery, error) {
	index, err := tx.Watch(ws, queries)
	if err != nil {
		return 0, nil, err
	}
	var found []api.PreparedQuery
	if r.ID != "" {
		q, err := first(tx, "id", r.ID)
		if q != nil {
			found = append(found, q.PreparedQuery)
		}
		return index, found, err
	}
	rows, err := list(tx, "id_prefix", "")
	for _, q := range rows {
		found = append(found, q.PreparedQuery)
	}
	return index, found, err
}

// Dump is everything the table holds, sorted by ID.
type Dump struct {
	Queries []api.PreparedQuery
	Index   uint64
}

// Export returns what the table holds.
func Export(tx *store.Txn) (Dump, error) {
	index, found, err := Read(tx, nil, api.QueryRequest{})
	return Dump{found, index}, err
}

// Import fills an empty table with a Dump.
func Import(tx *store.Txn, d Dump) error {
	for _, q := range d.Queries {
		match, err := compile(q)
		if err == nil {
			err = tx.Insert(queries, &row{q, match})
		}
		if err != nil {
			return fmt.Errorf("query: restoring %q: %w", q.ID, err)
		}
	}
	return tx.SetIndex(queries, d.Index)
}
