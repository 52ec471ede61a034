package agent_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/agent"
	"tribune/impl/api"
)

// client returns Consul's official client of an agent, on the agent's machine.
func (m machine) client(a *agent.Agent) *capi.Client {
	m.Helper()
	c := capi.DefaultConfig()
	c.Address = a.HTTPAddr()
	c.HttpClient = &http.Client{Transport: &http.Transport{DialContext: m.Network().Dial, DisableKeepAlives: true}}
	client, err := capi.NewClient(c)
	if err != nil {
		m.Fatal(err)
	}
	return client
}

// TestTheOfficialClientUsesTheCatalog tells the life of an external node with two
// services.
func TestTheOfficialClientUsesTheCatalog(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		c := m.client(a)
		catalog, health := c.Catalog(), c.Health()
		if dcs, err := catalog.Datacenters(); err != nil || !slices.Equal(dcs, []string{"dc1"}) {
			w.Errorf("datacenters: %v, %v", dcs, err)
		}
		_, err := catalog.Register(&capi.CatalogRegistration{
			ID: "c0ffee00-0000-0000-0000-000000000001", Node: "db1", Address: "192.0.2.7", NodeMeta: map[string]string{"rack": "r1"}, TaggedAddresses: map[string]string{"lan": "192.0.2.7"},
			Service: &capi.AgentService{ID: "pg-1", Service: "pg", Tags: []string{"primary", "v15"}, Port: 5432, Meta: map[string]string{"v": "15"}, Weights: capi.AgentWeights{Passing: 5, Warning: 2}},
			Checks:  capi.HealthChecks{{Node: "db1", CheckID: "pg-up", Name: "up", Status: "passing", ServiceID: "pg-1", Output: "ok"}, {Node: "db1", CheckID: "disk", Name: "disk", Status: "warning"}},
		}, nil)
		if err != nil {
			w.Fatal(err)
		}
		nodes, meta, err := catalog.Nodes(&capi.QueryOptions{NodeMeta: map[string]string{"rack": "r1"}})
		if err != nil || len(nodes) != 1 || nodes[0].Node != "db1" || nodes[0].TaggedAddresses["lan"] != "192.0.2.7" || meta.LastIndex == 0 {
			w.Errorf("nodes: %+v, %+v, %v", nodes, meta, err)
		}
		services, _, err := catalog.Services(nil)
		if err != nil || !slices.Equal(services["pg"], []string{"primary", "v15"}) || services["consul"] == nil {
			w.Errorf("services: %v, %v", services, err)
		}
		instances, _, err := catalog.ServiceMultipleTags("pg", []string{"v15", "PRIMARY"}, nil)
		if err != nil || len(instances) != 1 || instances[0].ServicePort != 5432 || instances[0].ServiceWeights.Passing != 5 || instances[0].NodeMeta["rack"] != "r1" || instances[0].Datacenter != "dc1" {
			w.Errorf("instances: %+v, %v", instances, err)
		}
		for _, name := range []string{"DB1", "c0ffee00-0000-0000-0000-000000000001", "C0FFEE"} {
			node, _, err := catalog.Node(name, nil)
			if err != nil || node == nil || node.Node.Address != "192.0.2.7" || node.Services["pg-1"].Meta["v"] != "15" {
				w.Errorf("node %s: %+v, %v", name, node, err)
			}
			list, _, err := catalog.NodeServiceList(name, nil)
			if err != nil || len(list.Services) != 1 || list.Services[0].ID != "pg-1" {
				w.Errorf("services of node %s: %+v, %v", name, list, err)
			}
		}
		if node, _, err := catalog.Node("nobody", nil); node != nil || err != nil {
			w.Errorf("a node that is not there: %+v, %v", node, err)
		}
		for what, read := range map[string]func() (int, error){
			"checks of a node":           func() (int, error) { l, _, err := health.Node("db1", nil); return len(l), err },
			"checks of a service":        func() (int, error) { l, _, err := health.Checks("pg", nil); return len(l) + 1, err },
			"checks that warn":           func() (int, error) { l, _, err := health.State("warning", nil); return len(l) + 1, err },
			"all of its checks":          func() (int, error) { l, _, err := health.State("any", nil); return len(l) - 1, err }, // and serfHealth
			"instances":                  func() (int, error) { l, _, err := health.Service("pg", "", false, nil); return len(l[0].Checks), err },
			"instances that do not pass": func() (int, error) { l, _, err := health.Service("pg", "", true, nil); return len(l) + 2, err },
		} {
			if n, err := read(); n != 2 || err != nil {
				w.Errorf("%s: %d, %v", what, n, err)
			}
		}
		filtered, _, err := health.Service("pg", "", false, &capi.QueryOptions{Filter: `Service.Meta.v == "15" and primary in Service.Tags`})
		if err != nil || len(filtered) != 1 {
			w.Errorf("filtered: %+v, %v", filtered, err)
		}
		if _, err := catalog.Deregister(&capi.CatalogDeregistration{Node: "db1", ServiceID: "pg-1"}, nil); err != nil {
			w.Error(err)
		}
		if left, _, err := health.Node("db1", nil); err != nil || len(left) != 1 {
			w.Errorf("checks after the service went: %+v, %v", left, err)
		}
	})
}

// TestAWaitOnAServiceIsNotWokenByAnother waits for one service while another
// changes, and then for its own change.
func TestAWaitOnAServiceIsNotWokenByAnother(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		c := m.client(a)
		register := func(service, tag string) {
			if _, err := c.Catalog().Register(&capi.CatalogRegistration{Node: "n-" + service, Address: "192.0.2.1", Service: &capi.AgentService{Service: service, Tags: []string{tag}}}, nil); err != nil {
				w.Fatal(err)
			}
		}
		register("web", "1")
		register("db", "1")
		_, meta, err := c.Health().Service("web", "", false, nil)
		if err != nil {
			w.Fatal(err)
		}
		began := time.Now()
		go func() {
			time.Sleep(5 * time.Second)
			register("db", "2")
			time.Sleep(5 * time.Second)
			register("web", "2")
		}()
		found, after, err := c.Health().Service("web", "", false, &capi.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Minute})
		if waited := time.Since(began); err != nil || waited < 9*time.Second || waited > 11*time.Second || after.LastIndex <= meta.LastIndex || found[0].Service.Tags[0] != "2" {
			w.Errorf("after %v: %+v, %v", waited, after, err)
		}
	})
}

func TestRegistrationsThatCannotBeReadAreRefused(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		for _, c := range []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"PUT", "/v1/catalog/register", "{", 400, "Request decode failed: "},
			{"PUT", "/v1/catalog/register", `{"Node": 7}`, 400, "Request decode failed: "},
			{"PUT", "/v1/catalog/register", `{"Node": "a"}`, 500, "Must provide address if SkipNodeUpdate is not set"},
			{"PUT", "/v1/catalog/register", `{"Datacenter": "moon", "Node": "a", "Address": "b"}`, 500, "No path to datacenter"},
			{"PUT", "/v1/catalog/register", `{"x": "` + strings.Repeat("y", 4<<20) + `"}`, 413, "Request body too large"},
			{"PUT", "/v1/catalog/deregister", `{}`, 500, "Must provide node"},
			{"GET", "/v1/catalog/register", "", 405, "method GET not allowed"},
			{"GET", "/v1/catalog/service/", "", 400, "Missing service name"},
			{"GET", "/v1/catalog/node/", "", 400, "Missing node name"},
			{"GET", "/v1/health/service/web?passing=maybe", "", 400, "Invalid value for ?passing"},
			{"GET", "/v1/catalog/nodes?filter=Color==red", "", 400, `Failed to create boolean expression evaluator: Selector "Color" is not valid`},
			{"GET", "/v1/health/service/nobody?filter=Color==red", "", 400, `Failed to create boolean expression evaluator: Selector "Color" is not valid`},
			{"GET", "/v1/catalog/service/consul?filter=ServiceKind!=%22%22", "", 200, "[]"},
			{"GET", "/v1/health/service/consul?filter=Service.Kind!=%22%22", "", 200, "[]"},
			{"GET", "/v1/catalog/node-services/m1?filter=Kind!=%22%22+or+Service==consul", "", 200, `{"Node":{"ID":`},
			{"GET", "/v1/agent/checks?filter=Color==red", "", 400, `Failed to create boolean expression evaluator: Selector "Color" is not valid`},
			{"GET", "/v1/catalog/nodes?filter=(", "", 400, "Failed to create boolean expression evaluator"},
			{"GET", "/v1/catalog/service/none", "", 200, "[]"},
			{"GET", "/v1/catalog/node/none", "", 200, "null"},
			{"GET", "/v1/health/state/any?node-meta=a:b", "", 200, "[]"},
		} {
			status, answer, err := m.ask(a, c.method, c.path, c.body)
			if err != nil || status != c.status || !strings.HasPrefix(answer, c.want) {
				w.Errorf("%s %s: %d %.100q, %v; want %d %q", c.method, c.path, status, answer, err, c.status, c.want)
			}
		}
	})
}

// TestTheOfficialClientReadsHowACheckIsCarriedOut registers a check that something
// else carries out, and asks for the effective status of those of a dead agent.
func TestTheOfficialClientReadsHowACheckIsCarriedOut(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		c := m.client(a)
		want := capi.HealthCheckDefinition{
			HTTP: "http://db/health", Header: map[string][]string{"A": {"b"}}, Method: "PUT", TLSSkipVerify: true,
			IntervalDuration: 10 * time.Second, TimeoutDuration: time.Second, DeregisterCriticalServiceAfterDuration: time.Hour,
		}
		_, err := c.Catalog().Register(&capi.CatalogRegistration{
			Node: "db1", Address: "192.0.2.7", Service: &capi.AgentService{Service: "pg"},
			Checks: capi.HealthChecks{{CheckID: "up", Name: "up", Status: "passing", ServiceID: "pg", Definition: want}, {CheckID: api.SerfCheckID, Status: "critical"}},
		}, nil)
		if err != nil {
			w.Fatal(err)
		}
		checks, _, err := c.Health().Checks("pg", nil)
		if err != nil || len(checks) != 1 {
			w.Fatalf("%+v, %v", checks, err)
		}
		got := checks[0].Definition
		if got.HTTP != want.HTTP || got.Header["A"][0] != "b" || got.Method != "PUT" || !got.TLSSkipVerify ||
			got.IntervalDuration != want.IntervalDuration || got.TimeoutDuration != want.TimeoutDuration || got.DeregisterCriticalServiceAfterDuration != time.Hour {
			w.Errorf("%+v, want %+v", got, want)
		}
		for query, status := range map[string]string{"": "passing", "?effective": "critical", "?effective=false": "passing", "?effective=1": "critical"} {
			for _, path := range []string{"checks/pg", "service/pg", "node/db1"} {
				_, answer, err := m.ask(a, "GET", "/v1/health/"+path+query, "")
				if i := strings.Index(answer, `"CheckID":"up"`); err != nil || i < 0 || !strings.Contains(answer[i:], `"Name":"up","Status":"`+status+`"`) {
					w.Errorf("%s%s: %s, %v; want %s", path, query, answer, err, status)
				}
			}
		}
	})
}
