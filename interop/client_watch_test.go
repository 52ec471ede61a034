//go:build interop

package interop

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/api/watch"
	"github.com/hashicorp/go-hclog"
)

// watches is the story of the official client's watch plans. Each kind runs until it
// has told of a change that came after its first answer. Those of the service mesh
// have nothing to watch here.
func watches(t *testing.T, c cluster) {
	put := func(key string) error {
		_, err := c.server.KV().Put(&api.KVPair{Key: key, Value: []byte("v")}, nil)
		return err
	}
	own := c.client.Agent()
	ok(t, own.ServiceRegister(&api.AgentServiceRegistration{ID: "watched", Name: "watched", Check: &api.AgentServiceCheck{CheckID: "watched-up", TTL: "1h"}}))
	c.seen(t, "watched", api.HealthCritical)
	for _, w := range []struct {
		plan   map[string]any
		change func() error
		seen   func(any) bool
	}{
		{
			map[string]any{"type": "key", "key": "w/k"}, func() error { return put("w/k") },
			func(v any) bool { p, _ := v.(*api.KVPair); return p != nil && string(p.Value) == "v" },
		}, {
			map[string]any{"type": "keyprefix", "prefix": "w/", "stale": true}, func() error { return put("w/l") },
			func(v any) bool {
				return slices.ContainsFunc(v.(api.KVPairs), func(p *api.KVPair) bool { return p.Key == "w/l" })
			},
		}, {
			map[string]any{"type": "services"}, func() error { return own.ServiceRegister(&api.AgentServiceRegistration{Name: "new"}) },
			func(v any) bool { return v.(map[string][]string)["new"] != nil },
		}, {
			map[string]any{"type": "nodes"}, func() error {
				_, err := c.server.Catalog().Register(&api.CatalogRegistration{Node: "new", Address: "192.0.2.1"}, nil)
				return err
			},
			func(v any) bool {
				return slices.ContainsFunc(v.([]*api.Node), func(n *api.Node) bool { return n.Node == "new" })
			},
		}, {
			map[string]any{"type": "service", "service": "watched", "passingonly": true}, func() error { return own.UpdateTTL("watched-up", "", api.HealthPassing) },
			func(v any) bool { return len(v.([]*api.ServiceEntry)) == 1 },
		}, {
			map[string]any{"type": "checks", "service": "watched"}, func() error { return own.UpdateTTL("watched-up", "", api.HealthWarning) },
			func(v any) bool { return v.([]*api.HealthCheck)[0].Status == api.HealthWarning },
		}, {
			map[string]any{"type": "checks", "state": api.HealthCritical}, func() error { return own.UpdateTTL("watched-up", "", api.HealthCritical) },
			func(v any) bool { return len(v.([]*api.HealthCheck)) == 1 },
		}, {
			map[string]any{"type": "event", "name": "ping"}, func() error { _, _, err := c.server.Event().Fire(&api.UserEvent{Name: "ping"}, nil); return err },
			func(v any) bool { return len(v.([]*api.UserEvent)) == 1 },
		}, {
			map[string]any{"type": "agent_service", "service_id": "watched"},
			func() error {
				return own.ServiceRegister(&api.AgentServiceRegistration{ID: "watched", Name: "watched", Port: 9})
			},
			func(v any) bool { return v.(*api.AgentService).Port == 9 },
		},
	} {
		t.Run(fmt.Sprint(w.plan["type"]), func(t *testing.T) { follow(t, c.client, w.plan, w.change, w.seen) })
	}
	ok(t, own.ServiceDeregister("watched"))
	ok(t, own.ServiceDeregister("new"))
	deregister(t, c, "new")
}

// follow runs a plan, makes a change after its first answer, and waits until an
// answer shows it.
func follow(t *testing.T, a *agent, params map[string]any, change func() error, seen func(any) bool) {
	plan, err := watch.Parse(params)
	ok(t, err)
	answers, ended := make(chan any, 100), make(chan error, 1)
	plan.Handler = func(_ uint64, v any) { answers <- v }
	go func() { ended <- plan.RunWithClientAndHclog(a.Client, hclog.NewNullLogger()) }()
	defer func() {
		plan.Stop()
		if err := within(t, "the plan ends", ended); err != nil {
			t.Error(err)
		}
	}()
	if v := within(t, "the first answer", answers); seen(v) {
		t.Fatalf("seen before it happened: %+v", v)
	}
	ok(t, change())
	for !seen(within(t, "the change", answers)) {
	}
}
