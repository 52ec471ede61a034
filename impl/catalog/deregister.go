package catalog

import (
	"fmt"

	"tribune/impl/api"
	"tribune/impl/store"
)

// Deregister carries out a removal at a raft index. What is not there is taken
// for removed.
func Deregister(tx *store.Txn, index uint64, r api.DeregisterRequest) error {
	switch {
	case r.ServiceID != "":
		row, err := first[instance](tx, services, "id", r.Node, r.ServiceID)
		if err != nil || row == nil {
			return err
		}
		return removeService(tx, index, row)
	case r.CheckID != "":
		row, err := first[api.HealthCheck](tx, checks, "id", r.Node, r.CheckID)
		if err != nil || row == nil {
			return err
		}
		return removeCheck(tx, index, row)
	}
	return removeNode(tx, index, r.Node)
}

func drop(tx *store.Txn, index uint64, table string, row any, moved ...string) error {
	if err := tx.Delete(table, row); err != nil {
		return fmt.Errorf("catalog: removing from %s: %w", table, err)
	}
	return move(tx, index, append(moved, table)...)
}

func removeCheck(tx *store.Txn, index uint64, c *api.HealthCheck) error {
	if err := drop(tx, index, checks, c, of(nodes, c.Node)); err != nil {
		return err
	}
	return concern(tx, index, *c)
}

func removeService(tx *store.Txn, index uint64, s *instance) error {
	own, err := all[api.HealthCheck](tx, checks, "service", s.Node, s.ID)
	if err != nil {
		return err
	}
	for _, c := range own {
		if err := removeCheck(tx, index, c); err != nil {
			return err
		}
	}
	if err := drop(tx, index, services, s, of(nodes, s.Node)); err != nil {
		return err
	}
	return bury(tx, index, s.Service)
}

func removeNode(tx *store.Txn, index uint64, name string) error {
	node, err := first[api.Node](tx, nodes, "id", name)
	if err != nil || node == nil {
		return err
	}
	own, err := all[instance](tx, services, "id_prefix", name)
	if err != nil {
		return err
	}
	for _, s := range own {
		if err := removeService(tx, index, s); err != nil {
			return err
		}
	}
	rest, err := all[api.HealthCheck](tx, checks, "id_prefix", name)
	if err != nil {
		return err
	}
	for _, c := range rest {
		if err := drop(tx, index, checks, c); err != nil {
			return err
		}
	}
	if err := drop(tx, index, nodes, node); err != nil {
		return err
	}
	if err := tx.DropIndex(of(nodes, name)); err != nil {
		return err
	}
	return move(tx, index, gone)
}
