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

// TestTheNearestComeFirst has nodes along a line, one of which nobody knows where
// it is.
func TestTheNearestComeFirst(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		s := w.start(1)
		w.leader()
		for _, n := range []struct {
			name, address string
			ms            float64
		}{{"a", "192.0.2.1", 1}, {"b", "192.0.2.2", 9}, {"c", "192.0.2.3", -1}, {"d", "192.0.2.4", 4}, {"e", "db.example", 6}} {
			_, err := s.Register(w.Context(), api.RegisterRequest{
				Node: n.name, Address: n.address, Service: &api.NodeService{Service: "web"},
				Check: &api.HealthCheck{CheckID: "up", ServiceID: "web", Status: api.HealthPassing},
			})
			if err == nil && n.ms > 0 {
				_, err = s.CoordinateUpdate(w.Context(), at(n.name, n.ms))
			}
			if err != nil {
				w.Fatal(err)
			}
		}
		time.Sleep(6 * time.Second)
		for _, c := range []struct {
			from api.Source
			want string
		}{
			{api.Source{}, "abcde"},
			{api.Source{Node: "a"}, "adebc"},
			{api.Source{Node: "B"}, "bedac"},
			{api.Source{Node: "d"}, "deabc"},
			{api.Source{Node: "c"}, "cabde"},
			{api.Source{Node: "nobody"}, "abcde"},
			{api.Source{Node: api.NearIP, IP: "192.0.2.2"}, "bedac"},
			{api.Source{Node: api.NearIP, IP: "192.0.2.3"}, "cabde"},
			{api.Source{Node: api.NearIP, IP: "192.0.2.77"}, "abcde"},
			{api.Source{Node: api.NearIP}, "abcde"},
		} {
			r := api.CatalogRequest{Service: "web", State: api.HealthPassing, Source: c.from, QueryOptions: api.QueryOptions{Filter: `Node != "s1"`}}
			nodes, err := s.Nodes(w.Context(), r)
			order(w, "nodes", c.from, nodes, err, c.want, func(n api.Node) string { return n.Node })
			instances, err := s.ServiceNodes(w.Context(), r)
			order(w, "instances", c.from, instances, err, c.want, func(i api.CatalogService) string { return i.Node })
			checks, err := s.ServiceChecks(w.Context(), r)
			order(w, "checks", c.from, checks, err, c.want, func(c api.HealthCheck) string { return c.Node })
			checks, err = s.ChecksInState(w.Context(), r)
			order(w, "checks in a state", c.from, checks, err, c.want, func(c api.HealthCheck) string { return c.Node })
			r.Filter = ""
			health, err := s.HealthOfService(w.Context(), r)
			order(w, "health", c.from, health, err, c.want, func(n api.CheckServiceNode) string { return n.Node.Node })
		}
	})
}

func order[Item any](w *world, what string, from api.Source, a api.List[Item], err error, want string, name func(Item) string) {
	w.Helper()
	got := ""
	for _, i := range a.Items {
		got += name(i)
	}
	if err != nil || got != want {
		w.Errorf("%s near %+v: %s, %v; want %s", what, from, got, err, want)
	}
}
