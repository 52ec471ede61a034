package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/server"
)

// ill registers a service on an external node, whose check may be critical for four
// minutes.
func (w *world) ill(at int, node, status string) {
	w.Helper()
	c := api.HealthCheck{CheckID: "up", ServiceID: "web", Status: status}
	c.Definition.DeregisterCriticalServiceAfter = api.Duration(4 * time.Minute)
	r := api.RegisterRequest{Node: node, Address: "192.0.2.1", Service: &api.NodeService{Service: "web"}, Check: &c}
	if _, err := w.at(at).Register(w.Context(), r); err != nil {
		w.Fatal(err)
	}
}

// web lists the nodes on which there is the service.
func (w *world) web(at int) string {
	w.Helper()
	a, err := w.at(at).ServiceNodes(w.Context(), api.CatalogRequest{Service: "web", QueryOptions: consistent()})
	if err != nil {
		w.Fatal(err)
	}
	var list []string
	for _, i := range a.Items {
		list = append(list, i.Node)
	}
	return strings.Join(list, " ")
}

// TestAServiceThatOnlyTheCatalogKnowsGoesWhenItIsCriticalForTooLong changes the
// leader half-way: what the first one saw counts.
func TestAServiceThatOnlyTheCatalogKnowsGoesWhenItIsCriticalForTooLong(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		reaps := func(c *server.Config) { c.ReapServices = true }
		for i := 1; i <= 3; i++ {
			w.start(i, reaps)
		}
		w.join(2, 1)
		w.join(3, 1)
		at := w.leader()
		w.ill(at, "dead", api.HealthCritical)
		w.ill(at, "well", api.HealthPassing)
		w.ill(at, "flapping", api.HealthCritical)
		began := time.Now()
		time.Sleep(2 * time.Minute)
		w.ill(at, "flapping", api.HealthPassing)
		w.ill(at, "flapping", api.HealthCritical)
		w.close(at)
		at = w.leader()
		for time.Since(began) < 4*time.Minute-time.Second {
			if got := w.web(at); got != "dead flapping well" {
				w.Fatalf("after %v: %s", time.Since(began), got)
			}
			time.Sleep(5 * time.Second)
		}
		w.within(75*time.Second, "the dead service goes", func() bool { return w.web(at) == "flapping well" })
		if a, err := w.at(at).NodeServices(w.Context(), api.CatalogRequest{Node: "dead"}); err != nil || a.Node == nil {
			w.Errorf("its node is gone too: %+v, %v", a, err)
		}
		w.within(3*time.Minute, "the other dead service goes", func() bool { return w.web(at) == "well" })
		if took := time.Since(began); took < 6*time.Minute {
			w.Errorf("what flapped went after %v", took)
		}
		time.Sleep(10 * time.Minute)
		if got := w.web(at); got != "well" {
			w.Errorf("at last %s", got)
		}
	})
}

func TestServicesInTheCatalogAreLeftAloneUnlessTheServersAreToldOtherwise(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		w.ill(1, "dead", api.HealthCritical)
		time.Sleep(time.Hour)
		if got := w.web(1); got != "dead" {
			w.Errorf("%q", got)
		}
	})
}

// reads are those of checks, with the status that each finds of "up" on a node.
func (w *world) reads(at int, node, state string, effective bool) string {
	r := api.CatalogRequest{Node: node, Service: "web", State: state, Effective: effective}
	var found []string
	add := func(name string, checks []api.HealthCheck, err error) {
		for _, c := range checks {
			if c.CheckID == "up" && err == nil {
				found = append(found, name+" "+c.Status)
			}
		}
	}
	a, err := w.at(at).ChecksInState(w.Context(), r)
	add("state", a.Items, err)
	a, err = w.at(at).ServiceChecks(w.Context(), r)
	add("service", a.Items, err)
	a, err = w.at(at).NodeChecks(w.Context(), r)
	add("node", a.Items, err)
	h, err := w.at(at).HealthOfService(w.Context(), r)
	if err == nil && len(h.Items) == 1 {
		add("health", h.Items[0].Checks, nil)
	}
	return strings.Join(found, ", ")
}

// TestTheServicesOfADeadAgentAreEffectivelyCritical kills a server on which there is
// a service that passes.
func TestTheServicesOfADeadAgentAreEffectivelyCritical(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.registered(w.leader(), "s1")
		dies := w.follower()
		node := "s" + string(rune('0'+dies))
		w.within(time.Minute, node+" in the catalog", func() bool { return strings.Contains(w.state(w.leader()), node+"@") })
		_, err := w.at(w.leader()).Register(w.Context(), api.RegisterRequest{
			Node: node, SkipNodeUpdate: true, Service: &api.NodeService{Service: "web"},
			Check: &api.HealthCheck{CheckID: "up", ServiceID: "web", Status: api.HealthPassing, Output: "fine"},
		})
		if err != nil {
			w.Fatal(err)
		}
		at := w.leader()
		reads := func(state string, effective bool) string { return w.reads(at, node, state, effective) }
		const passing, critical = "state passing, service passing, node passing, health passing", "state critical, service critical, node critical, health critical"
		if got := reads("passing", true); got != passing {
			w.Errorf("while it lives: %s", got)
		}
		blocked := make(chan string, 1)
		index, err := w.at(at).ChecksInState(w.Context(), api.CatalogRequest{State: "passing", Effective: true})
		if err != nil {
			w.Fatal(err)
		}
		w.close(dies)
		at = w.leader()
		go func() {
			a, err := w.at(at).ChecksInState(w.Context(), api.CatalogRequest{State: "passing", Effective: true, QueryOptions: api.QueryOptions{MinQueryIndex: index.Index, MaxQueryTime: 5 * time.Minute}})
			if err != nil {
				w.Error(err)
			}
			found := ""
			for _, c := range a.Items {
				found += c.CheckID + " "
			}
			blocked <- found
		}()
		w.within(2*time.Minute, "its death in the catalog", func() bool { return strings.Contains(w.state(at), node+"@10.0.0."+node[1:]+" serfHealth=critical") })
		if got := reads("passing", false); got != passing {
			w.Errorf("as Consul tells it: %s", got)
		}
		if got := reads("critical", true); got != critical {
			w.Errorf("effectively: %s", got)
		}
		if got := reads("any", true); got != critical {
			w.Errorf("effectively, in any state: %s", got)
		}
		if got := reads("passing", true); strings.Contains(got, "state") {
			w.Errorf("it is effectively among those that pass: %s", got)
		}
		if found := <-blocked; strings.Contains(found, "up") {
			w.Errorf("who waited was told of %s", found)
		}
	})
}

func TestTheListOfServicesTakesAFilter(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		w.registered(1, "s1")
		for _, n := range []struct{ node, service, tag, rack string }{{"n1", "web", "v1", "a"}, {"n2", "web", "v2", "b"}, {"n3", "db", "v1", "b"}} {
			_, err := w.at(1).Register(w.Context(), api.RegisterRequest{Node: n.node, Address: "192.0.2.1", NodeMeta: map[string]string{"rack": n.rack}, Service: &api.NodeService{Service: n.service, Tags: []string{n.tag}}})
			if err != nil {
				w.Fatal(err)
			}
		}
		for filter, want := range map[string]string{
			`ServiceName == web`:                    "map[web:[v1 v2]]",
			`v1 in ServiceTags`:                     "map[db:[v1] web:[v1]]",
			`NodeMeta.rack == b and Node != n3`:     "map[web:[v2]]",
			`ServiceName matches "^(db|consul)$"`:   "map[consul:[] db:[v1]]",
			`ServicePort == 9`:                      "map[]",
			`ServiceMeta is empty and Node == "n3"`: "map[db:[v1]]",
		} {
			a, err := w.at(1).Services(w.Context(), api.CatalogRequest{QueryOptions: api.QueryOptions{Filter: filter}})
			if got := fmt.Sprint(a.Services); err != nil || got != want {
				w.Errorf("%s: %s, %v; want %s", filter, got, err, want)
			}
		}
		for filter, want := range map[string]string{"(": "Failed to create boolean expression evaluator", `Nothing == "1"`: "Nothing"} {
			if _, err := w.at(1).Services(w.Context(), api.CatalogRequest{QueryOptions: api.QueryOptions{Filter: filter}}); err == nil || !strings.Contains(err.Error(), want) {
				w.Errorf("%s: %v", filter, err)
			}
		}
	})
}
