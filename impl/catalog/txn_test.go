package catalog_test

import (
	"strings"
	"testing"

	"tribune/impl/api"
	"tribune/impl/catalog"
)

// Nothing but the deletion of a node deletes one, also in commands that were written
// before IDs were asked for.
func TestAStepThatNamesNoServiceAndNoCheckDeletesNothing(t *testing.T) {
	for _, op := range []api.TxnOp{
		{Service: &api.TxnServiceOp{Verb: api.TxnDelete, Node: "n"}},
		{Check: &api.TxnCheckOp{Verb: api.TxnDelete, Check: api.HealthCheck{Node: "n"}}},
	} {
		s := newStore(t)
		if err := register(s, 5, api.RegisterRequest{Node: "n", Address: "10.0.0.1", Service: &api.NodeService{Service: "web"}}); err != nil {
			t.Fatal(err)
		}
		tx := s.Write()
		if _, _, err := catalog.Step(tx, 6, op); err != nil {
			t.Error(err)
		}
		tx.Commit()
		_, node, services, err := catalog.Node(s.Read(), nil, "n")
		if err != nil || node == nil || len(services) != 1 {
			t.Errorf("%+v: %v, %v, %v", op, node, services, err)
		}
	}
}

// TestANodeIsComparedByItsName: an ID says what the node gets.
func TestANodeIsComparedByItsName(t *testing.T) {
	const id = "5c8b1f0a-2d3e-4f5a-8b9c-0d1e2f3a4b5c"
	for _, c := range []struct {
		verb    string
		node    api.Node
		refused bool
	}{
		{api.TxnCAS, api.Node{Node: "other", ID: id, Address: "2"}, true},
		{api.TxnCAS, api.Node{Node: "other", ID: id, Address: "2", RaftIndex: api.RaftIndex{ModifyIndex: 6}}, false},
		{api.TxnDeleteCAS, api.Node{Node: "other", ID: "a", RaftIndex: api.RaftIndex{ModifyIndex: 5}}, true},
		{api.TxnDeleteCAS, api.Node{Node: "other", ID: "a", RaftIndex: api.RaftIndex{ModifyIndex: 6}}, false},
	} {
		s := newStore(t)
		for i, n := range []api.RegisterRequest{{Node: "own", ID: "a", Address: "1"}, {Node: "other", Address: "1"}} {
			if err := register(s, uint64(i+5), n); err != nil {
				t.Fatal(err)
			}
		}
		tx := s.Write()
		_, _, err := catalog.Step(tx, 7, api.TxnOp{Node: &api.TxnNodeOp{Verb: c.verb, Node: c.node}})
		tx.Abort()
		if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "index is stale") {
			t.Errorf("%s %+v: %v", c.verb, c.node, err)
		}
	}
}
