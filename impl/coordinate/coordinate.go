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
	"time"

	"github.com/hashicorp/go-memdb"
	"github.com/hashicorp/serf/coordinate"

	"tribune/impl/api"
	"tribune/impl/store"
)

const coordinates = "coordinates"

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
	return read(tx, ws, "")
}

// Node is Nodes for one node.
func Node(tx *store.Txn, ws store.WatchSet, node string) (uint64, []api.NodeCoordinate, error) {
	return read(tx, ws, of(node))
}

func read(tx *store.Txn, ws store.WatchSet, prefix string) (uint64, []api.NodeCoordinate, error) {
	index, err := tx.Watch(ws, coordinates)
	if err != nil {
		return 0, nil, err
	}
	found, err := list(tx, prefix)
	return index, found, err
}

// Dump is everything the table holds, sorted by node.
type Dump struct {
	Coordinates []api.NodeCoordinate
	Index       uint64
}

// Export returns what the table holds.
func Export(tx *store.Txn) (Dump, error) {
	index, found, err := Nodes(tx, nil)
	return Dump{found, index}, err
}

// Import fills an empty table with a Dump.
func Import(tx *store.Txn, d Dump) error {
	for _, c := range d.Coordinates {
		if err := Put(tx, d.Index, c); err != nil {
			return err
		}
	}
	return tx.SetIndex(coordinates, d.Index)
}
