// Package catalog is the catalog of nodes, services and checks: its tables, and
// Consul's rules for changing and reading them within a store transaction
// (Consul API: Catalog, Health).
//
// Names of nodes and services and IDs are found whatever their case, and shown
// as they were written.
//
// What blocking queries wait on are raft indexes that have names: one for all
// nodes, all services and all checks, and one for each node and each service.
// The index of a service moves when one of its instances changes, or the node or
// a check of one; so a wait on a service is not woken by another. When its last
// instance goes its index is forgotten, and that of "extinct" stands in, which
// moves whenever a service goes; for a node that is "gone".
package catalog

import (
	"bytes"
	"strings"

	"github.com/hashicorp/go-memdb"

	"tribune/impl/api"
)

const (
	nodes    = "nodes"
	services = "services"
	checks   = "checks"
	extinct  = "extinct"
	gone     = "gone"
)

// of names the index of one node or one service.
func of(table, name string) string { return table + "." + strings.ToLower(name) }

// instance is a row of the table of services. No row is changed once inserted.
type instance struct {
	Node string
	api.NodeService
}

// Tables returns the schema of the tables that the functions of this package
// work on.
func Tables() []*memdb.TableSchema {
	return []*memdb.TableSchema{
		{Name: nodes, Indexes: map[string]*memdb.IndexSchema{
			"id":   unique(func(row any) []string { return []string{row.(*api.Node).Node} }),
			"uuid": {Name: "uuid", AllowMissing: true, Indexer: begun{func(row any) []string { return given(row.(*api.Node).ID) }}},
		}},
		{Name: services, Indexes: map[string]*memdb.IndexSchema{
			"id":   unique(func(row any) []string { i := row.(*instance); return []string{i.Node, i.ID} }),
			"name": shared("name", func(row any) []string { return []string{row.(*instance).Service} }),
		}},
		{Name: checks, Indexes: map[string]*memdb.IndexSchema{
			"id":      unique(func(row any) []string { c := row.(*api.HealthCheck); return []string{c.Node, c.CheckID} }),
			"service": shared("service", func(row any) []string { c := row.(*api.HealthCheck); return []string{c.Node, c.ServiceID} }),
			"name":    shared("name", func(row any) []string { return given(row.(*api.HealthCheck).ServiceName) }),
			"state":   shared("state", func(row any) []string { return []string{row.(*api.HealthCheck).Status} }),
		}},
	}
}

// given returns a key of one part, or none if it is empty.
func given(part string) []string {
	if part == "" {
		return nil
	}
	return []string{part}
}

func unique(k key) *memdb.IndexSchema {
	return &memdb.IndexSchema{Name: "id", Unique: true, Indexer: k}
}

func shared(name string, k key) *memdb.IndexSchema {
	return &memdb.IndexSchema{Name: name, AllowMissing: true, Indexer: k}
}

// key makes the key of a row, of several parts, each in lower case and ended by
// a zero, so that the first ones are a prefix. No part means no key.
type key func(row any) []string

// FromObject implements memdb.SingleIndexer.
func (k key) FromObject(row any) (bool, []byte, error) {
	parts := k(row)
	return len(parts) > 0, join(parts), nil
}

// FromArgs implements memdb.Indexer.
func (k key) FromArgs(args ...any) ([]byte, error) {
	parts := make([]string, 0, 2) // no key has more
	for _, a := range args {
		parts = append(parts, a.(string))
	}
	return join(parts), nil
}

// PrefixFromArgs implements memdb.PrefixIndexer, for whole parts.
func (k key) PrefixFromArgs(args ...any) ([]byte, error) { return k.FromArgs(args...) }

// begun is a key whose last part may be a beginning where a prefix is asked for.
type begun struct{ key }

// PrefixFromArgs implements memdb.PrefixIndexer.
func (b begun) PrefixFromArgs(args ...any) ([]byte, error) {
	whole, err := b.FromArgs(args...)
	return bytes.TrimSuffix(whole, []byte{0}), err
}

func join(parts []string) []byte {
	size := len(parts)
	for _, p := range parts {
		size += len(p)
	}
	b := make([]byte, 0, size)
	for _, p := range parts {
		b = append(append(b, strings.ToLower(p)...), 0)
	}
	return b
}
