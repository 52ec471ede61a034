package server

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"tribune/impl/api"
)

// TestTheLastCoordinateOfANodeIsSent compares what is taken with a map, as long as
// there is room.
func TestTheLastCoordinateOfANodeIsSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p places
		last := map[string]float64{}
		missed := 0
		for i := range rapid.IntRange(0, 3*placesBatch*placesBatches).Draw(t, "updates") {
			node := fmt.Sprint("n", rapid.IntRange(0, 2*placesBatch*placesBatches).Draw(t, "node"))
			if _, known := last[node]; known || len(last) < placesBatch*placesBatches {
				last[node] = float64(i)
			} else {
				missed++
			}
			p.add(api.NodeCoordinate{Node: node, Coord: &api.Coordinate{Height: float64(i)}})
		}
		batches, dropped := p.take()
		if dropped != missed || len(batches) > placesBatches {
			t.Fatalf("%d batches, and %d were dropped; want %d", len(batches), dropped, missed)
		}
		before := ""
		for _, b := range batches {
			if len(b) > placesBatch {
				t.Fatalf("a batch of %d", len(b))
			}
			for _, c := range b {
				if at, known := last[c.Node]; !known || c.Coord.Height != at || c.Node <= before {
					t.Fatalf("after %q comes %q at %v, want %v", before, c.Node, c.Coord.Height, at)
				}
				before = c.Node
				delete(last, c.Node)
			}
		}
		if len(last) > 0 {
			t.Fatalf("not sent: %v", last)
		}
		if again, _ := p.take(); len(again) > 0 {
			t.Fatalf("sent twice: %v", again)
		}
	})
}
