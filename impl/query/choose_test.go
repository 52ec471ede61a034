package query_test

import (
	"testing"

	"tribune/impl/api"
	"tribune/impl/query"
)

func TestAQueryFindsInstancesByHealthTagsAndMetadata(t *testing.T) {
	instance := func(name, status, rack, version string, tags ...string) api.CheckServiceNode {
		return api.CheckServiceNode{
			Node:    &api.Node{Node: name, Meta: map[string]string{"rack": rack}},
			Service: &api.NodeService{Service: "web", Tags: tags, Meta: map[string]string{"version": version}},
			Checks:  []api.HealthCheck{{CheckID: "up", Status: api.HealthPassing}, {CheckID: "load", Status: status}},
		}
	}
	all := []api.CheckServiceNode{
		instance("a", api.HealthPassing, "r1", "1", "primary"),
		instance("b", api.HealthWarning, "r1", "2", "Primary", "old"),
		instance("c", api.HealthCritical, "r2", "1"),
		instance("d", api.HealthPassing, "r2", "2", "old"),
	}
	for _, c := range []struct {
		what string
		q    api.ServiceQuery
		want string
	}{
		{"what is not critical", api.ServiceQuery{}, "abd"},
		{"what passes", api.ServiceQuery{OnlyPassing: true}, "ad"},
		{"but for one check", api.ServiceQuery{IgnoreCheckIDs: []string{"load"}}, "abcd"},
		{"what passes but for one check", api.ServiceQuery{OnlyPassing: true, IgnoreCheckIDs: []string{"load"}}, "abcd"},
		{"but for another check", api.ServiceQuery{IgnoreCheckIDs: []string{"up"}}, "abd"},
		{"with a tag", api.ServiceQuery{Tags: []string{"PRIMARY"}}, "ab"},
		{"without a tag", api.ServiceQuery{Tags: []string{"!Old"}}, "a"},
		{"with one and without another", api.ServiceQuery{Tags: []string{"primary", "!old"}}, "a"},
		{"with an empty tag", api.ServiceQuery{Tags: []string{""}}, ""},
		{"on nodes of a kind", api.ServiceQuery{NodeMeta: map[string]string{"rack": "r1"}}, "ab"},
		{"of a kind", api.ServiceQuery{ServiceMeta: map[string]string{"version": "2"}}, "bd"},
		{"with metadata that none has", api.ServiceQuery{NodeMeta: map[string]string{"none": ""}}, ""},
		{"in the mesh", api.ServiceQuery{Connect: true}, ""},
	} {
		got := ""
		for _, i := range query.Choose(c.q, all) {
			got += i.Node.Node
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
