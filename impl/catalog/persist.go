package catalog

import (
	"slices"

	"tribune/impl/api"
	"tribune/impl/store"
)

// Dump is everything the tables hold, sorted, and the indexes.
type Dump struct {
	Nodes    []api.Node
	Services []ServiceOf
	Checks   []api.HealthCheck
	Indexes  []Index
}

// ServiceOf is an instance of a service in a Dump.
type ServiceOf struct {
	Node string
	api.NodeService
}

// Index is an index in a Dump by its name.
type Index struct {
	Name  string
	Index uint64
}

// Export returns what the tables hold.
func Export(tx *store.Txn) (Dump, error) {
	ns, err := all[api.Node](tx, nodes, "id_prefix")
	if err != nil {
		return Dump{}, err
	}
	ss, err := all[instance](tx, services, "id_prefix")
	if err != nil {
		return Dump{}, err
	}
	cs, err := all[api.HealthCheck](tx, checks, "id_prefix")
	if err != nil {
		return Dump{}, err
	}
	d := Dump{Nodes: values(ns), Services: slices.Grow([]ServiceOf(nil), len(ss)), Checks: values(cs)}
	names := append(make([]string, 0, 5+len(ns)+len(ss)), nodes, services, checks, extinct, gone)
	for _, n := range ns {
		names = append(names, of(nodes, n.Node))
	}
	for _, s := range ss {
		d.Services = append(d.Services, ServiceOf(*s))
		names = append(names, of(services, s.Service))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	d.Indexes = make([]Index, 0, len(names))
	for _, name := range names {
		index, err := tx.Index(name)
		if err != nil {
			return Dump{}, err
		}
		d.Indexes = append(d.Indexes, Index{name, index})
	}
	return d, nil
}

// Import fills empty tables with a Dump.
func Import(tx *store.Txn, d Dump) error {
	for i := range d.Nodes {
		if err := put(tx, 0, nodes, &d.Nodes[i]); err != nil {
			return err
		}
	}
	for _, s := range d.Services {
		row := instance(s)
		if err := put(tx, 0, services, &row); err != nil {
			return err
		}
	}
	for i := range d.Checks {
		if err := put(tx, 0, checks, &d.Checks[i]); err != nil {
			return err
		}
	}
	for _, i := range d.Indexes {
		if err := move(tx, i.Index, i.Name); err != nil {
			return err
		}
	}
	return nil
}
