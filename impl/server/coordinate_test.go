package server_test

import (
	"math"
	"testing"
	"time"

	"tribune/impl/api"
)

func at(node string, ms float64) api.CoordinateUpdate {
	return api.CoordinateUpdate{NodeCoordinate: api.NodeCoordinate{Node: node, Coord: &api.Coordinate{Vec: []float64{ms / 1000, 0, 0, 0, 0, 0, 0, 0}}}}
}

// places reads how many milliseconds along the first axis each node is.
func (w *world) places(i int, o api.QueryOptions) map[string]float64 {
	w.Helper()
	a, err := w.at(i).CoordinateNodes(w.Context(), api.CoordinateRequest{QueryOptions: o})
	if err != nil {
		w.Fatal(err)
	}
	found := map[string]float64{}
	for _, c := range a.Items {
		found[c.Node] = math.Round(c.Coord.Vec[0] * 1000)
	}
	return found
}

// TestCoordinatesReachAllServersByWhicheverServer sends to a follower: the last
// one counts, unknown nodes do not.
func TestCoordinatesReachAllServersByWhicheverServer(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		f := w.servers[w.follower()]
		for _, u := range []api.CoordinateUpdate{at("s1", 1), at("nobody", 3), at("S2", 2), at("s1", 7)} {
			if _, err := f.CoordinateUpdate(w.Context(), u); err != nil {
				w.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		for i := 1; i <= 3; i++ {
			got := w.places(i, stale())
			if len(got) != 2 || got["s1"] != 7 || got["s2"] != 2 {
				w.Errorf("server %d has %v", i, got)
			}
		}
		w.equal(1, 2, 3)
	})
}

func TestANodeThatGoesTakesItsCoordinateWithIt(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		s := w.start(1)
		w.leader()
		for _, node := range []string{"a", "b"} {
			if _, err := s.Register(w.Context(), api.RegisterRequest{ID: id(100 + int(node[0])), Node: node, Address: "192.0.2.1"}); err != nil {
				w.Fatal(err)
			}
			if _, err := s.CoordinateUpdate(w.Context(), at(node, 1)); err != nil {
				w.Fatal(err)
			}
		}
		time.Sleep(6 * time.Second)
		if got := w.places(1, stale()); len(got) != 2 {
			w.Fatalf("%v", got)
		}
		if _, err := s.Deregister(w.Context(), api.DeregisterRequest{Node: "a"}); err != nil {
			w.Fatal(err)
		}
		if got := w.places(1, stale()); len(got) != 1 || got["b"] != 1 {
			w.Errorf("after the node went: %v", got)
		}
		// The node gets another name, under which nobody knows yet where it is.
		if _, err := s.Register(w.Context(), api.RegisterRequest{ID: id(100 + 'b'), Node: "c", Address: "192.0.2.1"}); err != nil {
			w.Fatal(err)
		}
		if got := w.places(1, stale()); len(got) != 0 {
			w.Errorf("after it got another name: %v", got)
		}
	})
}
