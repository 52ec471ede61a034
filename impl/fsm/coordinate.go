package fsm

import (
	"fmt"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/coordinate"
	"tribune/impl/store"
)

// applyCoordinates keeps the coordinates of nodes that are in the catalog. A node
// that was deregistered meanwhile is no reason to lose the others.
func applyCoordinates(f *FSM, tx *store.Txn, index uint64, body []byte) any {
	var r api.CoordinateBatch
	if err := f.decode(body, &r); err != nil {
		return fmt.Errorf("decoding coordinates: %w", err)
	}
	for _, c := range r.Updates {
		node, err := catalog.Find(tx, c.Node)
		if err != nil {
			return err
		}
		if node == nil {
			continue
		}
		c.Node = node.Node
		if err := coordinate.Put(tx, index, c); err != nil {
			return err
		}
	}
	return nil
}

// settle forgets where a node is that is not in the catalog any more.
func settle(tx *store.Txn, index uint64, node string) error {
	n, err := catalog.Find(tx, node)
	if err != nil || n != nil {
		return err
	}
	return coordinate.Forget(tx, index, node)
}
