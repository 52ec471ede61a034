//go:build interop

package interop

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/serf/coordinate"
)

func TestTheOfficialClientFindsEveryEndpoint(t *testing.T) {
	c := startCluster(t, "", "enable_script_checks = true")
	for _, area := range []struct {
		name  string
		story func(*testing.T, cluster)
	}{
		{"kv", keys}, {"reads", reads}, {"transactions", transactions}, {"catalog", catalog}, {"health", health},
		{"services", services}, {"checks", checks}, {"probes", probes}, {"maintenance", maintenance},
		{"sessions", sessions}, {"lock", lock}, {"semaphore", semaphore}, {"watches", watches},
		{"queries", queries}, {"coordinates", coordinates}, {"events", events}, {"agent", itself}, {"members", members},
	} {
		t.Run(area.name, func(t *testing.T) { area.story(t, c) })
	}
	if strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return // not all areas were run
	}
	if left := c.ledger.unused(endpoints(t)); len(left) > 0 {
		t.Errorf("no request has used these endpoints with success:\n%s", strings.Join(left, "\n"))
	}
}

// keys is the story of the KV store, told through the client agent.
func keys(t *testing.T, c cluster) {
	kv := c.client.KV()
	put := func(key, value string, flags uint64) {
		_, err := kv.Put(&api.KVPair{Key: key, Value: []byte(value), Flags: flags}, nil)
		ok(t, err)
	}
	put("site/a", "1", 42)
	put("site/b/c", "2", 0)
	put("other", "", 0)
	a, meta, err := kv.Get("site/a", nil)
	if err != nil || string(a.Value) != "1" || a.Flags != 42 || meta.LastIndex < a.ModifyIndex || !meta.KnownLeader {
		t.Errorf("get: %+v, %+v, %v", a, meta, err)
	}
	if none, _, err := kv.Get("site/none", nil); none != nil || err != nil {
		t.Errorf("get of no key: %+v, %v", none, err)
	}
	if all, _, err := kv.List("site/", nil); err != nil || len(all) != 2 || all[1].Key != "site/b/c" {
		t.Errorf("list: %+v, %v", all, err)
	}
	if folders, _, err := kv.Keys("site/", "/", nil); err != nil || !slices.Equal(folders, []string{"site/a", "site/b/"}) {
		t.Errorf("keys: %q, %v", folders, err)
	}
	stale := *a
	a.Value = []byte("3")
	if done, _, err := kv.CAS(a, nil); !done || err != nil {
		t.Errorf("CAS with the right index: %t, %v", done, err)
	}
	if done, _, err := kv.CAS(&stale, nil); done || err != nil {
		t.Errorf("CAS with an old index: %t, %v", done, err)
	}
	if done, _, err := kv.DeleteCAS(&stale, nil); done || err != nil {
		t.Errorf("delete by CAS with an old index: %t, %v", done, err)
	}
	_, err = kv.Put(&api.KVPair{Key: "big", Value: make([]byte, 512<<10+1)}, nil)
	if err == nil || !strings.Contains(err.Error(), "413") {
		t.Errorf("a value over 512 KB: %v", err)
	}
	_, err = kv.DeleteTree("site/", nil)
	ok(t, err)
	if left, _, err := kv.Keys("", "", nil); err != nil || !slices.Equal(left, []string{"other"}) {
		t.Errorf("after the tree was deleted: %q, %v", left, err)
	}
	_, err = kv.Delete("other", nil)
	ok(t, err)
}

// reads is the story of who answers, and of waiting for a change.
func reads(t *testing.T, c cluster) {
	kv := c.client.KV()
	_, err := c.server.KV().Put(&api.KVPair{Key: "r", Value: []byte("1")}, nil)
	ok(t, err)
	for _, o := range []*api.QueryOptions{nil, {RequireConsistent: true}, {AllowStale: true}, {Datacenter: "dc1"}} {
		if p, _, err := kv.Get("r", o); err != nil || p == nil || string(p.Value) != "1" {
			t.Errorf("%+v: %+v, %v", o, p, err)
		}
	}
	if _, _, err := kv.Get("r", &api.QueryOptions{Datacenter: "nowhere"}); err == nil || !strings.Contains(err.Error(), "No path to datacenter") {
		t.Errorf("another datacenter: %v", err)
	}
	_, meta, err := kv.Get("r", nil)
	ok(t, err)
	type answer struct {
		pair *api.KVPair
		err  error
	}
	woken := make(chan answer, 1)
	go func() {
		p, _, err := kv.Get("r", &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: patience})
		woken <- answer{p, err}
	}()
	if _, _, err := kv.Get("r", &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 100 * time.Millisecond}); err != nil {
		t.Error(err)
	}
	if len(woken) != 0 {
		t.Error("a blocking query ended though nothing changed")
	}
	_, err = c.server.KV().Put(&api.KVPair{Key: "r", Value: []byte("2")}, nil)
	ok(t, err)
	if a := <-woken; a.err != nil || string(a.pair.Value) != "2" {
		t.Errorf("a blocking query got %+v, %v", a.pair, a.err)
	}
}

// transactions is the story of several operations at once.
func transactions(t *testing.T, c cluster) {
	set := func(key string) *api.TxnOp {
		return &api.TxnOp{KV: &api.KVTxnOp{Verb: api.KVSet, Key: key, Value: []byte("v")}}
	}
	done, answer, _, err := c.client.Txn().Txn(api.TxnOps{
		set("t/1"), set("t/2"),
		{Node: &api.NodeTxnOp{Verb: api.NodeSet, Node: api.Node{Node: "txn", Address: "192.0.2.1"}}},
		{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: "txn", Service: api.AgentService{ID: "s", Service: "s", Port: 1}}},
		{Check: &api.CheckTxnOp{Verb: api.CheckSet, Check: api.HealthCheck{Node: "txn", CheckID: "up", Name: "up", Status: api.HealthPassing}}},
	}, nil)
	if !done || err != nil || len(answer.Results) != 5 {
		t.Errorf("%t, %+v, %v", done, answer, err)
	}
	done, answer, _, err = c.client.Txn().Txn(api.TxnOps{set("t/3"), {KV: &api.KVTxnOp{Verb: api.KVCheckNotExists, Key: "t/1"}}}, nil)
	if done || err != nil || len(answer.Errors) != 1 || answer.Errors[0].OpIndex != 1 {
		t.Errorf("one that must be rolled back: %t, %+v, %v", done, answer, err)
	}
	done, kvs, _, err := c.client.KV().Txn(api.KVTxnOps{{Verb: api.KVGetTree, Key: "t/"}, {Verb: api.KVDeleteTree, Key: "t/"}}, nil)
	if !done || err != nil || len(kvs.Results) != 2 {
		t.Errorf("after the rollback: %t, %+v, %v", done, kvs, err)
	}
	_, err = c.client.Catalog().Deregister(&api.CatalogDeregistration{Node: "txn"}, nil)
	ok(t, err)
}

// queries is the story of a prepared query and of a template.
func queries(t *testing.T, c cluster) {
	register(t, c, "q1", "192.0.2.1", "pq", 80, api.HealthPassing, "v1")
	register(t, c, "q2", "192.0.2.2", "pq", 80, api.HealthPassing, "v2")
	register(t, c, "q3", "192.0.2.3", "pq", 80, api.HealthCritical, "v2")
	defer deregister(t, c, "q1", "q2", "q3")
	prepared := c.client.PreparedQuery()
	q := &api.PreparedQueryDefinition{Name: "find-pq", Service: api.ServiceQuery{Service: "pq"}, DNS: api.QueryDNSOptions{TTL: "7s"}}
	var err error
	q.ID, _, err = prepared.Create(q, nil)
	ok(t, err)
	if r, _, err := prepared.Execute("find-pq", nil); err != nil || len(r.Nodes) != 2 || r.DNS.TTL != "7s" || r.Datacenter != "dc1" {
		t.Errorf("executed by name: %+v, %v", r, err)
	}
	q.Service.Tags = []string{"v2"}
	_, err = prepared.Update(q, nil)
	ok(t, err)
	if r, _, err := prepared.Execute(q.ID, nil); err != nil || len(r.Nodes) != 1 || r.Nodes[0].Node.Node != "q2" {
		t.Errorf("executed by ID: %+v, %v", r, err)
	}
	if found, _, err := prepared.Get(q.ID, nil); err != nil || len(found) != 1 || found[0].Service.Tags[0] != "v2" {
		t.Errorf("read: %+v, %v", found, err)
	}
	if all, _, err := prepared.List(nil); err != nil || len(all) != 1 || all[0].ID != q.ID {
		t.Errorf("listed: %+v, %v", all, err)
	}
	_, err = prepared.Delete(q.ID, nil)
	ok(t, err)
	template := &api.PreparedQueryDefinition{
		Name: "by-tag-", Template: api.QueryTemplate{Type: "name_prefix_match"},
		Service: api.ServiceQuery{Service: "pq", Tags: []string{"${name.suffix}"}},
	}
	template.ID, _, err = prepared.Create(template, nil)
	ok(t, err)
	if r, _, err := prepared.Execute("by-tag-v1", nil); err != nil || len(r.Nodes) != 1 || r.Nodes[0].Node.Node != "q1" {
		t.Errorf("executed by a template: %+v, %v", r, err)
	}
	var explained struct{ Query api.PreparedQueryDefinition }
	if _, err := c.client.Raw().Query("/v1/query/by-tag-v1/explain", &explained, nil); err != nil || explained.Query.Service.Tags[0] != "v1" {
		t.Errorf("explained: %+v, %v", explained, err)
	}
	_, err = prepared.Delete(template.ID, nil)
	ok(t, err)
}

// coordinates is the story of round trip times.
func coordinates(t *testing.T, c cluster) {
	for i, name := range []string{"near", "far"} {
		register(t, c, name, "192.0.2.1", "", 0, "")
		entry := &api.CoordinateEntry{Node: name, Coord: coordinate.NewCoordinate(coordinate.DefaultConfig())}
		entry.Coord.Vec[0] += float64(i) // seconds
		_, err := c.client.Coordinate().Update(entry, nil)
		ok(t, err)
	}
	defer deregister(t, c, "near", "far")
	eventually(t, "both nodes are located", func() error {
		all, _, err := c.client.Coordinate().Nodes(nil)
		located := map[string]bool{}
		for _, e := range all {
			located[e.Node] = true
		}
		if err == nil && !(located["near"] && located["far"]) {
			err = fmt.Errorf("located: %v", located)
		}
		return err
	})
	if far, _, err := c.client.Coordinate().Node("far", nil); err != nil || len(far) != 1 {
		t.Errorf("of a node: %+v, %v", far, err)
	}
	if dcs, err := c.client.Coordinate().Datacenters(); err != nil || len(dcs) != 1 || dcs[0].Datacenter != "dc1" {
		t.Errorf("of datacenters: %+v, %v", dcs, err)
	}
	nodes, _, err := c.client.Catalog().Nodes(&api.QueryOptions{Near: "far"})
	if err != nil || nodes[0].Node != "far" {
		t.Errorf("nodes near far: %+v, %v", nodes, err)
	}
}

// events is the story of an event that the other agent hears of.
func events(t *testing.T, c cluster) {
	id, _, err := c.server.Event().Fire(&api.UserEvent{Name: "deploy", Payload: []byte("v2"), NodeFilter: "^c"}, nil)
	ok(t, err)
	eventually(t, "the client agent has the event", func() error {
		heard, meta, err := c.client.Event().List("deploy", nil)
		if err == nil && (len(heard) != 1 || heard[0].ID != id || string(heard[0].Payload) != "v2" || meta.LastIndex != c.client.Event().IDToIndex(id)) {
			err = fmt.Errorf("%+v, %+v", heard, meta)
		}
		return err
	})
	if heard, _, err := c.server.Event().List("deploy", nil); err != nil || len(heard) != 0 {
		t.Errorf("the server, for which it was not meant, has %+v, %v", heard, err)
	}
}
