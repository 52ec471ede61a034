package server_test

import (
	"fmt"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// found executes a query and names the nodes that it found.
func (w *world) found(i int, r api.QueryExecuteRequest) string {
	w.Helper()
	a, err := w.at(i).QueryExecute(w.Context(), r)
	if err != nil {
		w.Fatal(err)
	}
	names := ""
	for _, n := range a.Nodes {
		names += n.Node.Node
	}
	return names
}

// TestQueriesAreTheSameOnAllServers creates one through a follower and executes it
// in all ways.
func TestQueriesAreTheSameOnAllServers(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		f := w.follower()
		s := w.servers[f]
		for i, ms := range []float64{1, 9, 4} {
			node := string(rune('a' + i))
			_, err := s.Register(w.Context(), api.RegisterRequest{Node: node, Address: fmt.Sprint("192.0.2.", i), Service: &api.NodeService{Service: "web"}})
			if err == nil {
				_, err = s.CoordinateUpdate(w.Context(), at(node, ms))
			}
			if err != nil {
				w.Fatal(err)
			}
		}
		created, err := s.QueryApply(w.Context(), api.QueryApplyRequest{Op: api.QueryCreate, Query: api.PreparedQuery{Name: "q", Service: api.ServiceQuery{Service: "web", Near: api.NearIP}}})
		if err != nil || len(created.ID) != 36 {
			w.Fatalf("%+v, %v", created, err)
		}
		time.Sleep(10 * time.Second)
		for i := 1; i <= 3; i++ {
			for _, c := range []struct {
				r    api.QueryExecuteRequest
				want string
			}{
				{api.QueryExecuteRequest{QueryIDOrName: "q", Source: api.Source{IP: "192.0.2.1"}}, "bca"},
				{api.QueryExecuteRequest{QueryIDOrName: created.ID, Source: api.Source{IP: "192.0.2.0"}}, "acb"},
				{api.QueryExecuteRequest{QueryIDOrName: "q", Source: api.Source{Node: api.NearAgent}, Agent: "c"}, "cab"},
				{api.QueryExecuteRequest{QueryIDOrName: "q", Source: api.Source{Node: "c"}, Limit: 2}, "ca"},
				{api.QueryExecuteRequest{QueryIDOrName: "q", Source: api.Source{Node: "c"}, Limit: 9}, "cab"},
				{api.QueryExecuteRequest{QueryIDOrName: "q", Source: api.Source{Node: "c"}, QueryOptions: stale()}, "cab"},
				{api.QueryExecuteRequest{QueryIDOrName: "q", Source: api.Source{Node: "c"}, QueryOptions: consistent()}, "cab"},
			} {
				if got := w.found(i, c.r); got != c.want {
					w.Errorf("server %d, %+v: %s, want %s", i, c.r, got, c.want)
				}
			}
			if _, err := w.servers[i].QueryExecute(w.Context(), api.QueryExecuteRequest{QueryIDOrName: "none"}); fault.Of(err) != fault.NotFound {
				w.Errorf("server %d: %v", i, err)
			}
		}
		w.equal(1, 2, 3)
	})
}

func TestWithoutASourceTheOrderIsRandom(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		s := w.start(1)
		w.leader()
		for _, node := range []string{"a", "b", "c"} {
			if _, err := s.Register(w.Context(), api.RegisterRequest{Node: node, Address: "192.0.2.1", Service: &api.NodeService{Service: "web"}}); err != nil {
				w.Fatal(err)
			}
		}
		if _, err := s.QueryApply(w.Context(), api.QueryApplyRequest{Op: api.QueryCreate, Query: api.PreparedQuery{Name: "q", Service: api.ServiceQuery{Service: "web"}}}); err != nil {
			w.Fatal(err)
		}
		orders := map[string]bool{}
		for range 1000 { // that one of the 6 orders never comes has a chance of 1e-78
			orders[w.found(1, api.QueryExecuteRequest{QueryIDOrName: "q"})] = true
		}
		if len(orders) != 6 || !orders["abc"] || !orders["cba"] {
			w.Errorf("%v", orders)
		}
	})
}
