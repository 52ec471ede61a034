package agent_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/agent"
	"tribune/impl/api"
	"tribune/impl/config"
)

// joined is a configuration of an agent that joins the machines 1 to n.
func joined(n int, server bool) func(*config.Config) {
	return func(c *config.Config) {
		c.Server, c.BootstrapExpect = server, 0
		if server {
			c.BootstrapExpect = n
		}
		for i := range n {
			c.Join.Retry = append(c.Join.Retry, fmt.Sprintf("10.0.0.%d", i+1))
		}
		c.Join.Interval = time.Second
	}
}

// servers starts a cluster of n, which the caller must close.
func (w world) servers(n int) (machines []machine, agents []*agent.Agent) {
	w.Helper()
	for i := range n {
		m := w.machine(i + 1)
		machines = append(machines, m)
		agents = append(agents, m.start(joined(n, true)))
	}
	return machines, agents
}

// eventually waits until f has nothing to complain about any more.
func (w world) eventually(limit time.Duration, f func() error) {
	w.Helper()
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Since(start) > limit {
			w.Fatalf("after %v: %v", limit, err)
		}
	}
}

// health returns how the instances of a service do, as an agent says.
func health(c *capi.Client, service string) (string, error) {
	found, _, err := c.Health().Service(service, "", false, nil)
	var list []string
	for _, e := range found {
		list = append(list, e.Node.Node+"="+e.Checks.AggregatedStatus())
	}
	return strings.Join(list, " "), err
}

func (w world) awaitHealth(limit time.Duration, c *capi.Client, service, want string) {
	w.Helper()
	w.eventually(limit, func() error {
		got, err := health(c, service)
		if err == nil && got != want {
			err = fmt.Errorf("%s: %s; want %s", service, got, want)
		}
		return err
	})
}

func TestAClientAgentDoesAllThatAServerDoes(t *testing.T) {
	inWorld(t, func(w world) {
		_, servers := w.servers(1)
		m := w.machine(9)
		a := m.start(joined(1, false))
		m.ready(a)
		c := m.client(a)
		if self, err := c.Agent().Self(); err != nil || self["Config"]["Server"] != false || self["Stats"]["consul"].(map[string]any)["known_servers"] != "1" {
			w.Errorf("%v, %v", self, err)
		}
		if _, err := c.KV().Put(&capi.KVPair{Key: "k", Value: []byte("v")}, nil); err != nil {
			w.Error(err)
		}
		if p, _, err := c.KV().Get("k", &capi.QueryOptions{AllowStale: true}); err != nil || string(p.Value) != "v" {
			w.Errorf("%+v, %v", p, err)
		}
		if keys, _, err := c.KV().Keys("", "", nil); err != nil || strings.Join(keys, " ") != "k ready" {
			w.Errorf("%v, %v", keys, err)
		}
		if leader, err := c.Status().Leader(); err != nil || leader != "10.0.0.1:8300" {
			w.Errorf("%s, %v", leader, err)
		}
		if peers, err := c.Status().Peers(); err != nil || len(peers) != 1 {
			w.Errorf("%s, %v", peers, err)
		}
		w.eventually(10*time.Second, func() error {
			_, _, err := c.Session().Create(&capi.SessionEntry{}, nil) // of this node, once the leader knows that it lives
			return err
		})
		ok, answer, _, err := c.Txn().Txn(capi.TxnOps{{KV: &capi.KVTxnOp{Verb: capi.KVSet, Key: "t", Value: []byte("1")}}}, nil)
		if !ok || err != nil || len(answer.Results) != 1 {
			w.Errorf("%t, %+v, %v", ok, answer, err)
		}
		time.Sleep(5 * time.Second) // the agents are in the catalog, and nothing changes any more
		nodes, meta, err := c.Catalog().Nodes(nil)
		if err != nil || len(nodes) != 2 || nodes[1].Node != "m9" || nodes[1].Meta["consul-version"] != agent.Version {
			w.Errorf("%+v, %v", nodes, err)
		}
		began := time.Now()
		if _, _, err := c.Catalog().Nodes(&capi.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 20 * time.Second}); err != nil || time.Since(began) < 20*time.Second {
			w.Errorf("a blocking query took %v, %v", time.Since(began), err)
		}
		if members, err := c.Agent().Members(false); err != nil || len(members) != 2 || members[1].Tags["role"] != "node" {
			w.Errorf("%+v, %v", members, err)
		}
		if err := a.Leave(w.Context()); err != nil {
			w.Error(err)
		}
		w.close(a)
		w.eventually(10*time.Second, func() error {
			nodes, _, err := w.machine(1).client(servers[0]).Catalog().Nodes(nil)
			if err == nil && len(nodes) != 1 {
				err = fmt.Errorf("the catalog has %d nodes", len(nodes))
			}
			return err
		})
		w.close(servers[0])
	})
}

func TestAnAgentThatLeavesDoesNotWriteItselfBackIntoTheCatalog(t *testing.T) {
	inWorld(t, func(w world) {
		_, servers := w.servers(1)
		m := w.machine(9)
		a := m.start(joined(1, false))
		m.ready(a)
		if err := a.Local().AddService(api.ServiceDefinition{Name: "web", Checks: []api.CheckDefinition{{CheckID: "alive", TTL: time.Hour}}}, false); err != nil {
			w.Fatal(err)
		}
		c := w.machine(1).client(servers[0])
		nodes := func(want int) error {
			nodes, _, err := c.Catalog().Nodes(nil)
			if err == nil && len(nodes) != want {
				err = fmt.Errorf("the catalog has %d nodes", len(nodes))
			}
			return err
		}
		w.eventually(10*time.Second, func() error { return nodes(2) })
		left := make(chan error)
		go func() { left <- a.Leave(w.Context()) }()
		w.eventually(10*time.Second, func() error { return nodes(1) })
		a.Local().UpdateCheck("alive", api.HealthPassing, "")
		time.Sleep(time.Second)
		if err := nodes(1); err != nil {
			w.Error(err)
		}
		if err := <-left; err != nil {
			w.Error(err)
		}
		w.close(a)
		w.close(servers[0])
	})
}

func TestAClientAgentGoesOnWhenAServerDies(t *testing.T) {
	inWorld(t, func(w world) {
		machines, servers := w.servers(3)
		m := w.machine(9)
		a := m.start(joined(3, false))
		m.ready(a)
		for i := range servers {
			w.net.Cut(machines[i].addr) // it is silent from now on
			began := time.Now()
			w.eventually(time.Minute, func() error {
				_, _, err := m.client(a).KV().Get("ready", nil)
				return err
			})
			w.Logf("without %d: %v", i+1, time.Since(began))
			w.net.Mend(machines[i].addr)
			w.eventually(time.Minute, func() error {
				if peers := servers[(i+1)%3].Members(); peers[i].Status != 1 {
					return fmt.Errorf("%+v", peers[i])
				}
				return nil
			})
		}
		w.close(a)
		for _, s := range servers {
			w.close(s)
		}
	})
}

func TestAClientAgentWithoutServersSaysSo(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(9)
		a := m.start(func(c *config.Config) { c.Server, c.BootstrapExpect = false, 0 })
		began := time.Now()
		status, answer, err := m.ask(a, "GET", "/v1/kv/x", "")
		if status != http.StatusInternalServerError || answer != "No known Consul servers" || err != nil {
			w.Errorf("%d %q, %v", status, answer, err)
		}
		if took := time.Since(began); took < 6*time.Second || took > 8*time.Second {
			w.Errorf("it took %v", took)
		}
		w.close(a)
	})
}

// page starts a server on port 7000 of a machine that answers with a status.
func (m machine) page(status *int) *http.Server {
	m.Helper()
	l, err := m.Network().Listen(m.Context(), "tcp", ":7000")
	if err != nil {
		m.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(*status) })}
	go func() { _ = s.Serve(l) }()
	return s
}

func (w world) must(err error) {
	w.Helper()
	if err != nil {
		w.Error(err)
	}
}

// registered is a server, and a client agent that has a service with two checks.
func (w world) registered(f func(m machine, own *capi.Agent, remote *capi.Client, status *int)) {
	_, servers := w.servers(1)
	m := w.machine(9)
	a := m.start(joined(1, false))
	m.ready(a)
	status := http.StatusOK
	page := m.page(&status)
	own := m.client(a).Agent()
	w.must(own.ServiceRegister(&capi.AgentServiceRegistration{
		ID: "web1", Name: "web", Tags: []string{"v1"}, Port: 7000, Meta: map[string]string{"a": "b"}, Weights: &capi.AgentWeights{Passing: 3, Warning: 1},
		TaggedAddresses: map[string]capi.ServiceAddress{"lan": {Address: "10.0.0.9", Port: 7000}},
		Checks: capi.AgentServiceChecks{
			{CheckID: "up", HTTP: "http://10.0.0.9:7000/", Interval: "5s", Timeout: "1s"}, {CheckID: "alive", TTL: "30s", Status: "passing"},
		},
	}))
	remote := w.machine(1).client(servers[0])
	w.awaitHealth(10*time.Second, remote, "web", "m9=passing")
	f(m, own, remote, &status)
	w.must(page.Close())
	w.close(a)
	w.close(servers[0])
}

func TestWhatChecksFindIsInTheCatalogOfAllAtOnce(t *testing.T) {
	inWorld(t, func(w world) {
		w.registered(func(_ machine, own *capi.Agent, remote *capi.Client, status *int) {
			*status = http.StatusTooManyRequests
			w.awaitHealth(10*time.Second, remote, "web", "m9=warning")
			*status = http.StatusInternalServerError
			w.awaitHealth(10*time.Second, remote, "web", "m9=critical")
			*status = http.StatusOK
			w.awaitHealth(10*time.Second, remote, "web", "m9=passing")
			time.Sleep(30 * time.Second)
			w.awaitHealth(time.Second, remote, "web", "m9=critical") // its TTL is over
			w.must(own.UpdateTTL("alive", "well", "pass"))
			w.awaitHealth(time.Second, remote, "web", "m9=passing")
			w.must(own.EnableServiceMaintenance("web1", "why"))
			w.awaitHealth(time.Second, remote, "web", "m9=maintenance")
			w.must(own.DisableServiceMaintenance("web1"))
			w.must(own.EnableNodeMaintenance("why"))
			w.awaitHealth(time.Second, remote, "web", "m9=maintenance")
			w.must(own.DisableNodeMaintenance())
			w.awaitHealth(time.Second, remote, "web", "m9=passing")
			w.must(own.ServiceDeregister("web1"))
			w.awaitHealth(time.Second, remote, "web", "")
		})
	})
}

func TestTheCatalogHasHeardOfAChangeWhenItIsAnswered(t *testing.T) {
	inWorld(t, func(w world) {
		_, servers := w.servers(1)
		defer w.close(servers[0])
		m := w.machine(2)
		a := m.start(joined(1, false))
		defer w.close(a)
		m.ready(a)
		for _, c := range []struct {
			path, body string
			shows      string
		}{
			{"service/register", `{"Name": "web", "Check": {"CheckID": "c", "TTL": "1h"}}`, `"CheckID":"c","Name":"Service 'web' check","Status":"critical"`},
			{"check/pass/c", "", `"CheckID":"c","Name":"Service 'web' check","Status":"passing"`},
			{"check/update/c", `{"Status": "warning"}`, `"CheckID":"c","Name":"Service 'web' check","Status":"warning"`},
			{"check/register", `{"Name": "n", "TTL": "1h", "Status": "passing"}`, `"CheckID":"n"`},
			{"service/maintenance/web?enable=true", "", `"CheckID":"_service_maintenance:web"`},
			{"check/deregister/c", "", `"CheckID":"n"`},
			{"service/deregister/web", "", `[]`},
		} {
			m.want(a, "PUT", "/v1/agent/"+c.path, c.body, "")
			_, answer, err := m.ask(a, "GET", "/v1/health/service/web", "")
			if err != nil || !strings.Contains(answer, c.shows) || strings.HasPrefix(c.path, "check/deregister") && strings.Contains(answer, `"c"`) {
				w.Errorf("after %s: %s, %v; want %s", c.path, answer, err, c.shows)
			}
			if c.path == "check/register" {
				if status, answer, err := m.ask(a, "PUT", "/v1/session/create", `{"NodeChecks": ["n"]}`); err != nil || status != http.StatusOK {
					w.Errorf("a session on the check: %d %s, %v", status, answer, err)
				}
			}
		}
	})
}

func TestTheOfficialClientReadsServicesAndChecksOfItsAgent(t *testing.T) {
	inWorld(t, func(w world) {
		w.registered(func(_ machine, own *capi.Agent, _ *capi.Client, _ *int) {
			s, _, err := own.Service("web1", nil)
			if err != nil || s.Service != "web" || s.Weights.Passing != 3 || s.ContentHash == "" || s.TaggedAddresses["lan"].Port != 7000 {
				w.Errorf("%+v, %v", s, err)
			}
			began := time.Now()
			again, _, err := own.Service("web1", &capi.QueryOptions{WaitHash: s.ContentHash, WaitTime: 20 * time.Second})
			if err != nil || again.ContentHash != s.ContentHash || time.Since(began) < 20*time.Second {
				w.Errorf("a wait for another hash: %+v, %v after %v", again, err, time.Since(began))
			}
			if s, err := own.ServicesWithFilter(`"v1" in Tags`); err != nil || len(s) != 1 {
				w.Errorf("%+v, %v", s, err)
			}
			if s, err := own.ServicesWithFilter(`"v2" in Tags`); err != nil || len(s) != 0 {
				w.Errorf("%+v, %v", s, err)
			}
			w.must(own.UpdateTTL("alive", "well", "pass"))
			if s, info, err := own.AgentHealthServiceByID("web1"); err != nil || s != "passing" || info.Service.ID != "web1" {
				w.Errorf("%s, %+v, %v", s, info, err)
			}
			if s, _, err := own.AgentHealthServiceByName("none"); err != nil || s != "critical" {
				w.Errorf("%s, %v", s, err)
			}
			check := &capi.AgentCheckRegistration{ID: "tcp", Name: "tcp", ServiceID: "web1", AgentServiceCheck: capi.AgentServiceCheck{TCP: "10.0.0.9:7000", Interval: "2s"}}
			w.must(own.CheckRegister(check))
			if all, err := own.Checks(); err != nil || len(all) != 3 || all["tcp"].Type != "tcp" || all["tcp"].ServiceName != "web" {
				w.Errorf("%+v, %v", all, err)
			}
			w.must(own.CheckDeregister("tcp"))
			if all, err := own.Checks(); err != nil || len(all) != 2 {
				w.Errorf("%+v, %v", all, err)
			}
		})
	})
}

func TestABadRegistrationGetsConsulsStatusAndChangesNothing(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		for _, c := range []struct {
			path, body string
			status     int
			text       string
		}{
			{"service/register", `{`, 400, "Request decode failed"},
			{"service/register", `[]`, 400, "Request decode failed"},
			{"service/register", `{}`, 400, "Missing service name"},
			{"service/register", `{"Name": 5}`, 400, "Request decode failed"},
			{"service/register", `{"Name": "a", "Port": "80"}`, 400, "Request decode failed"},
			{"service/register", `{"Name": "a", "Check": {"TTL": "soon"}}`, 400, "not a duration"},
			{"service/register", `{"Name": "a", "Check": {"HTTP": "http://x"}}`, 400, "Interval must be > 0"},
			{"service/register", `{"Name": "a", "Check": {"Args": ["true"], "Interval": "1s"}}`, 400, "Scripts are disabled on this agent"},
			{"service/register", `{"Name": "a", "Kind": "mesh-gateway"}`, 400, "service mesh"},
			{"service/deregister/", ``, 400, "Missing service ID"},
			{"service/deregister/none", ``, 404, `Unknown service ID "none"`},
			{"service/maintenance/none", ``, 400, "Missing value for enable"},
			{"service/maintenance/none?enable=perhaps", ``, 400, "Invalid value for enable"},
			{"service/maintenance/none?enable=true", ``, 404, `Unknown service ID "none"`},
			{"check/register", `{"TTL": "1m"}`, 400, "Missing check name"},
			{"check/register", `{"Name": "a", "TTL": "1m", "Status": "fine"}`, 400, "Bad check status"},
			{"check/register", `{"Name": "a", "TTL": "1m", "ServiceID": "none"}`, 404, `ServiceID "none" does not exist`},
			{"check/deregister/none", ``, 404, `Unknown check ID "none"`},
			{"check/pass/none", ``, 404, `Unknown check ID "none"`},
			{"check/update/none", `{"Status": "fine"}`, 400, "Invalid check status: 'fine'"},
			{"maintenance", ``, 400, "Missing value for enable"},
		} {
			status, got, err := m.ask(a, "PUT", "/v1/agent/"+c.path, c.body)
			if status != c.status || !strings.Contains(got, c.text) || err != nil {
				w.Errorf("%s %.80s: %d %q, %v; want %d %q", c.path, c.body, status, got, err, c.status, c.text)
			}
		}
		m.want(a, "GET", "/v1/agent/services", "", "{}")
		m.want(a, "GET", "/v1/agent/checks", "", "{}")
		w.close(a)
	})
}
