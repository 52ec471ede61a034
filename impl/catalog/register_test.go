package catalog_test

import (
	"testing"

	"tribune/impl/api"
	"tribune/impl/catalog"
)

// Whoever registers a node changes no other, and an ID is the same in other capitals.
func TestARegistrationIsOfOneNode(t *testing.T) {
	s := newStore(t)
	both := []api.RegisterRequest{
		{Node: "a", ID: "x", Address: "10.0.0.1", Service: &api.NodeService{Service: "web"}},
		{Node: "b", ID: "y", Address: "10.0.0.2", Service: &api.NodeService{Service: "web"}},
	}
	for i, r := range both {
		if err := register(s, uint64(5+i), r); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		r    api.RegisterRequest
		want string
	}{
		{api.RegisterRequest{Node: "a", Address: "10.0.0.1", Check: &api.HealthCheck{Node: "b", CheckID: "k"}}, `check node "b" does not match node "a"`},
		{api.RegisterRequest{Node: "a", Address: "10.0.0.1", Checks: []api.HealthCheck{{CheckID: "k"}, {Node: "b", CheckID: "k", ServiceID: "web"}}}, `check node "b" does not match node "a"`},
		{api.RegisterRequest{Node: "A", ID: "X", Address: "10.0.0.1", Check: &api.HealthCheck{Node: "a", CheckID: "k", ServiceID: "web"}}, ""},
	} {
		err := register(s, 9, c.r)
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%+v: %v, want %q", c.r, err, c.want)
		}
	}
	_, nodes, err := catalog.Nodes(s.Read(), nil, nil)
	if err != nil || len(nodes) != 2 || nodes[0].ID != "x" || nodes[0].Node != "A" || nodes[0].CreateIndex != 5 {
		t.Errorf("%+v, %v", nodes, err)
	}
	_, checks, err := catalog.ChecksInState(s.Read(), nil, api.HealthAny, nil)
	if err != nil || len(checks) != 1 || checks[0].Node != "A" || checks[0].ServiceName != "web" {
		t.Errorf("%+v, %v", checks, err)
	}
}

func TestANodeKeepsItsNameWhileItLives(t *testing.T) {
	alive := func(status string) *api.HealthCheck {
		return &api.HealthCheck{CheckID: api.SerfCheckID, Status: status}
	}
	node := func(name, id string, check *api.HealthCheck) api.RegisterRequest {
		return api.RegisterRequest{Node: name, ID: id, Address: "10.0.0.1", Check: check}
	}
	for _, c := range []struct {
		name          string
		first, second api.RegisterRequest
		want          string
	}{
		{"the same again", node("a", "1", alive("passing")), node("A", "1", nil), ""},
		{"another ID while it lives", node("a", "1", alive("passing")), node("A", "2", nil), "Node name A is reserved by node 1 with name a (10.0.0.1)"},
		{"another ID when it is down", node("a", "1", alive("critical")), node("a", "2", nil), ""},
		{"another ID, of a node without gossip", node("a", "1", nil), node("a", "2", nil), ""},
		{"an ID for a node that had none", node("a", "", alive("passing")), node("a", "2", nil), ""},
		{"no ID for a node that has one", node("a", "1", alive("passing")), node("a", "", nil), ""},
		{"another name", node("a", "1", nil), node("b", "1", nil), ""},
		{"another name while it lives", node("a", "1", alive("passing")), node("b", "1", nil), "Node ID 1 is in use by node a (10.0.0.1), which lives; b needs an ID of its own"},
		{"another name when it is down", node("a", "1", alive("critical")), node("b", "1", nil), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			if err := register(s, 5, c.first); err != nil {
				t.Fatal(err)
			}
			err := register(s, 6, c.second)
			if c.want != "" {
				if err == nil || err.Error() != c.want {
					t.Errorf("%v, want %s", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, found, err := catalog.Nodes(s.Read(), nil, nil)
			if err != nil || len(found) != 1 || found[0].Node != c.second.Node || found[0].CreateIndex != 5 {
				t.Errorf("%+v, %v", found, err)
			}
		})
	}
}
