//go:build interop

package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
)

// register puts a node into the catalog, with an instance of a service and its
// check unless their names are empty.
func register(t *testing.T, c cluster, node, address, service string, port int, status string, tags ...string) {
	t.Helper()
	r := &api.CatalogRegistration{Node: node, Address: address}
	if service != "" {
		r.Service = &api.AgentService{ID: service, Service: service, Port: port, Tags: tags}
	}
	if status != "" {
		r.Checks = api.HealthChecks{{Node: node, CheckID: service + "-up", Name: "up", ServiceID: service, Status: status}}
	}
	_, err := c.client.Catalog().Register(r, nil)
	ok(t, err)
}

// deregister takes nodes out of the catalog.
func deregister(t *testing.T, c cluster, nodes ...string) {
	t.Helper()
	for _, node := range nodes {
		_, err := c.client.Catalog().Deregister(&api.CatalogDeregistration{Node: node}, nil)
		ok(t, err)
	}
}

// catalog is the story of a node that something else looks after.
func catalog(t *testing.T, c cluster) {
	face := c.client.Catalog()
	_, err := face.Register(&api.CatalogRegistration{
		Node: "db1", Address: "192.0.2.7", NodeMeta: map[string]string{"rack": "r1"},
		Service: &api.AgentService{ID: "pg-1", Service: "pg", Tags: []string{"primary", "v15"}, Port: 5432, Weights: api.AgentWeights{Passing: 5, Warning: 2}},
	}, nil)
	ok(t, err)
	register(t, c, "db2", "192.0.2.8", "pg", 5433, "", "v15")
	defer deregister(t, c, "db1")
	if dcs, err := face.Datacenters(); err != nil || !slices.Equal(dcs, []string{"dc1"}) {
		t.Errorf("datacenters: %q, %v", dcs, err)
	}
	if nodes, _, err := face.Nodes(&api.QueryOptions{NodeMeta: map[string]string{"rack": "r1"}}); err != nil || len(nodes) != 1 || nodes[0].Node != "db1" {
		t.Errorf("nodes: %+v, %v", nodes, err)
	}
	if all, _, err := face.Services(nil); err != nil || !slices.Equal(all["pg"], []string{"primary", "v15"}) || all["consul"] == nil {
		t.Errorf("services: %q, %v", all, err)
	}
	if found, _, err := face.Service("pg", "primary", nil); err != nil || len(found) != 1 || found[0].ServicePort != 5432 || found[0].ServiceWeights.Passing != 5 {
		t.Errorf("a service by tag: %+v, %v", found, err)
	}
	if found, _, err := face.ServiceMultipleTags("pg", []string{"v15", "primary"}, nil); err != nil || len(found) != 1 {
		t.Errorf("a service by two tags: %+v, %v", found, err)
	}
	if found, _, err := face.Service("pg", "", &api.QueryOptions{Filter: "ServicePort == 5433"}); err != nil || len(found) != 1 || found[0].Node != "db2" {
		t.Errorf("a service by a filter: %+v, %v", found, err)
	}
	if node, _, err := face.Node("db1", nil); err != nil || node.Node.Address != "192.0.2.7" || node.Services["pg-1"].Port != 5432 {
		t.Errorf("a node: %+v, %v", node, err)
	}
	if list, _, err := face.NodeServiceList("db1", nil); err != nil || len(list.Services) != 1 || list.Services[0].ID != "pg-1" {
		t.Errorf("services of a node: %+v, %v", list, err)
	}
	_, meta, err := face.Service("pg", "", nil)
	ok(t, err)
	woken := make(chan string, 1)
	go func() {
		found, _, err := face.Service("pg", "", &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: patience})
		woken <- fmt.Sprint(len(found), err)
	}()
	deregister(t, c, "db2")
	if got := <-woken; got != "1 <nil>" {
		t.Errorf("whoever waited for the service got %s", got)
	}
}

// health is the story of how nodes and services do.
func health(t *testing.T, c cluster) {
	register(t, c, "h1", "192.0.2.1", "shop", 80, api.HealthPassing, "v1")
	register(t, c, "h2", "192.0.2.2", "shop", 80, api.HealthCritical, "v1", "v2")
	defer deregister(t, c, "h1", "h2")
	face := c.client.Health()
	if found, _, err := face.Service("shop", "", false, nil); err != nil || len(found) != 2 {
		t.Errorf("all instances: %+v, %v", found, err)
	}
	if found, _, err := face.Service("shop", "v1", true, nil); err != nil || len(found) != 1 || found[0].Node.Node != "h1" || found[0].Checks.AggregatedStatus() != api.HealthPassing {
		t.Errorf("healthy instances: %+v, %v", found, err)
	}
	if found, _, err := face.ServiceMultipleTags("shop", []string{"v1", "v2"}, false, nil); err != nil || len(found) != 1 || found[0].Node.Node != "h2" {
		t.Errorf("instances with two tags: %+v, %v", found, err)
	}
	if found, _, err := face.Node("h2", nil); err != nil || len(found) != 1 || found[0].Status != api.HealthCritical {
		t.Errorf("checks of a node: %+v, %v", found, err)
	}
	if found, _, err := face.Checks("shop", nil); err != nil || len(found) != 2 {
		t.Errorf("checks of a service: %+v, %v", found, err)
	}
	if found, _, err := face.State(api.HealthCritical, nil); err != nil || len(found) != 1 || found[0].Node != "h2" {
		t.Errorf("critical checks: %+v, %v", found, err)
	}
	if found, _, err := face.Service("consul", "", true, &api.QueryOptions{Filter: `Node.Node == "s1"`}); err != nil || len(found) != 1 {
		t.Errorf("servers: %+v, %v", found, err)
	}
}

// seen waits until the catalog, asked at the server, says of the instances of a
// service on the client agent that they do so, such as "passing critical".
func (c cluster) seen(t *testing.T, service, want string) {
	t.Helper()
	eventually(t, service+" is "+want, func() error {
		found, _, err := c.server.Health().Service(service, "", false, nil)
		var got []string
		for _, e := range found {
			got = append(got, e.Checks.AggregatedStatus())
		}
		if err == nil && strings.Join(got, " ") != want {
			err = fmt.Errorf("it is %q", got)
		}
		return err
	})
}

// services is the story of a service that its agent looks after.
func services(t *testing.T, c cluster) {
	own := c.client.Agent()
	ok(t, own.ServiceRegister(&api.AgentServiceRegistration{
		ID: "web-1", Name: "web", Port: 8080, Tags: []string{"v1"}, Meta: map[string]string{"team": "x"},
		Check: &api.AgentServiceCheck{CheckID: "web-alive", TTL: "1h"},
	}))
	c.seen(t, "web", api.HealthCritical)
	ok(t, own.UpdateTTL("web-alive", "fine", api.HealthPassing))
	c.seen(t, "web", api.HealthPassing)
	s, meta, err := own.Service("web-1", nil)
	if err != nil || s.Port != 8080 || s.Meta["team"] != "x" || s.ContentHash == "" {
		t.Errorf("the service: %+v, %v", s, err)
	}
	woken := make(chan string, 1)
	go func() {
		s, _, err := own.Service("web-1", &api.QueryOptions{WaitHash: meta.LastContentHash, WaitTime: patience})
		woken <- fmt.Sprint(s.Port, err)
	}()
	ok(t, own.ServiceRegister(&api.AgentServiceRegistration{ID: "web-1", Name: "web", Port: 8081, Check: &api.AgentServiceCheck{CheckID: "web-alive", TTL: "1h"}}))
	if got := <-woken; got != "8081 <nil>" {
		t.Errorf("whoever waited for the service got %s", got)
	}
	if all, err := own.ServicesWithFilter("Port == 8081"); err != nil || len(all) != 1 || all["web-1"] == nil {
		t.Errorf("services: %+v, %v", all, err)
	}
	if all, err := own.Services(); err != nil || len(all) != 1 {
		t.Errorf("services: %+v, %v", all, err)
	}
	ok(t, own.UpdateTTL("web-alive", "fine", api.HealthPassing))
	if status, info, err := own.AgentHealthServiceByID("web-1"); err != nil || status != api.HealthPassing || info.Service.Port != 8081 {
		t.Errorf("health by ID: %s, %+v, %v", status, info, err)
	}
	if status, infos, err := own.AgentHealthServiceByName("web"); err != nil || status != api.HealthPassing || len(infos) != 1 {
		t.Errorf("health by name: %s, %+v, %v", status, infos, err)
	}
	ok(t, own.ServiceDeregister("web-1"))
	c.seen(t, "web", "")
	if status, _, err := own.AgentHealthServiceByID("web-1"); err != nil || status != api.HealthCritical {
		t.Errorf("health of a service that is gone: %s, %v", status, err)
	}
}
