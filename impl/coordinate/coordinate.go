// Package coordinate keeps where nodes lie in a space in which distance is round
// trip time: its table, and the rules for changing and reading it within a store
// transaction (Consul API: Coordinates). Agents work their coordinates out from
// the probes of gossip (F. Dabek et al., "Vivaldi: A Decentralized Network
// Coordinate System", 2004); here they are only kept and compared.
//
// That a node is in the catalog is the affair of package fsm, where the two meet.
package coordinate

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/hashicorp/go-memdb"
	"github.com/hashicorp/serf/coordinate"

	"tribune/impl/api"
	"tribune/impl/store"
)

const (
	coordinates = "coordinates"
	gone        = "coordinates gone" // the index that stands in for that of a node without coordinates
)

// waited names the index of one node.
func waited(node string) string { return coordinates + "." + strings.ToLower(node) }

// row is a row of the table. None is changed once inserted.
type row struct {
	Key string
	api.NodeCoordinate
}

// of begins the keys of a node.
func of(node string) string { return node + "\x00" }

// Tables returns the schema of the table that the functions of this package work
// on.
func Tables() []*memdb.TableSchema {
	return []*memdb.TableSchema{{Name: coordinates, Indexes: map[string]*memdb.IndexSchema{
		"id": {Name: "id", Unique: true, Indexer: &memdb.StringFieldIndex{Field: "Key", Lowercase: true}},
	}}}
}

// Check returns why a coordinate cannot be: it must have as many dimensions as
// those of all agents, and all its numbers must be numbers. The texts are
// Consul's.
func Check(c *api.Coordinate) error {
	switch known := coordinate.NewCoordinate(coordinate.DefaultConfig()); {
	case c == nil || !(*coordinate.Coordinate)(c).IsValid():
		return errors.New("invalid coordinate")
	case !known.IsCompatibleWith((*coordinate.Coordinate)(c)):
		return errors.New("incompatible coordinate")
	}
	return nil
}

// Unknown is the distance from and to where nobody knows: farther than all
// others.
const Unknown = time.Duration(math.MaxInt64)

// Distance estimates the round trip time between two nodes of which these are all
// coordinates; they are compared within one segment.
func Distance(a, b []api.NodeCoordinate) time.Duration {
	for _, x := range a {
		for _, y := range b {
			if x.Segment != y.Segment || Check(x.Coord) != nil || Check(y.Coord) != nil {
				continue
			}
			d := (*coordinate.Coordinate)(x.Coord).DistanceTo((*coordinate.Coordinate)(y.Coord))
			if d < 0 { // more than a time.Duration can say
				return Unknown
			}
			return d
		}
	}
	return Unknown
}

// Put keeps the coordinate of a node.
func Put(tx *store.Txn, index uint64, c api.NodeCoordinate) error {
	if err := tx.Insert(coordinates, &row{of(c.Node) + c.Segment, c}); err != nil {
		return fmt.Errorf("coordinate: keeping that of %q: %w", c.Node, err)
	}
	if err := tx.SetIndex(waited(c.Node), index); err != nil {
		return err
	}
	return tx.SetIndex(coordinates, index)
}

// Forget removes the coordinates of a node.
func Forget(tx *store.Txn, index uint64, node string) error {
	found, err := list(tx, of(node))
	if err != nil || len(found) == 0 {
		return err
	}
	for _, c := range found {
		if err := tx.Delete(coordinates, &row{of(c.Node) + c.Segment, c}); err != nil {
			return fmt.Errorf("coordinate: forgetting that of %q: %w", node, err)
		}
	}
	if err := tx.DropIndex(waited(node)); err != nil {
		return err
	}
	if err := tx.SetIndex(gone, index); err != nil {
		return err
	}
	return tx.SetIndex(coordinates, index)
}

func list(tx *store.Txn, prefix string) ([]api.NodeCoordinate, error) {
	rows, err := tx.Get(coordinates, "id_prefix", prefix)
	if err != nil {
		return nil, fmt.Errorf("coordinate: %w", err)
	}
	var found []api.NodeCoordinate
	for r := rows.Next(); r != nil; r = rows.Next() {
		found = append(found, r.(*row).NodeCoordinate)
	}
	return found, nil
}

// Nodes lists the coordinates of all nodes, by name, with the index to wait on.
// What must be watched is added to ws.
func Nodes(tx *store.Txn, ws store.WatchSet) (uint64, []api.NodeCoordinate, error) {
	index, err := tx.Watch(ws, coordinates)
	if err != nil {
		return 0, nil, err
	}
	found, err := list(tx, "")
	return index, found, err
}

// Node is Nodes for one node. Who waits for it is not woken by others.
func Node(tx *store.Txn, ws store.WatchSet, node string) (uint64, []api.NodeCoordinate, error) {
	index, err := tx.Watch(ws, waited(node))
	if err == nil && index == 0 {
		index, err = tx.Index(gone)
	}
	if err != nil {
		return 0, nil, err
	}
	found, err := Find(tx, node)
	return index, found, err
}

// Find lists the coordinates of a node, with nothing to wait on.
func Find(tx *store.Txn, node string) ([]api.NodeCoordinate, error) { return list(tx, of(node)) }

// Dump is everything the table holds, sorted by node.
type Dump struct {
	Coordinates []api.NodeCoordinate
	Indexes     []uint64 // to wait on, of the node of each
	Index       uint64
	Gone        uint64
}

// Export returns what the table holds.
func Export(tx *store.Txn) (Dump, error) {
	index, found, err := Nodes(tx, nil)
	d := Dump{Coordinates: found, Index: index}
	for _, c := range found {
		if err == nil {
			index, err = tx.Index(waited(c.Node))
			d.Indexes = append(d.Indexes, index)
		}
	}
	if err == nil {
		d.Gone, err = tx.Index(gone)
	}
	return d, err
}

// Import fills an empty table with a Dump.
func Import(tx *store.Txn, d Dump) error {
	for i, c := range d.Coordinates {
		if i >= len(d.Indexes) {
			return fmt.Errorf("coordinate: %d coordinates and %d indexes", len(d.Coordinates), len(d.Indexes))
		}
		if err := Put(tx, d.Indexes[i], c); err != nil {
			return err
		}
	}
	if err := tx.SetIndex(gone, d.Gone); err != nil {
		return err
	}
	return tx.SetIndex(coordinates, d.Index)
}
