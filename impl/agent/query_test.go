package agent_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/serf/coordinate"

	"tribune/impl/agent"
)

// web registers a node that has an instance of the service web, so many
// milliseconds away from where it would be nearest.
func (m machine) web(a *agent.Agent, node, address, status string, ms float64, tags ...string) {
	m.Helper()
	_, err := m.client(a).Catalog().Register(&capi.CatalogRegistration{
		Node: node, Address: address, Service: &capi.AgentService{Service: "web", Port: 80, Tags: tags},
		Check: &capi.AgentCheck{Node: node, CheckID: "up", ServiceID: "web", Status: status},
	}, nil)
	at := coordinate.NewCoordinate(coordinate.DefaultConfig())
	at.Vec[0] = ms / 1000
	if err == nil {
		_, err = m.client(a).Coordinate().Update(&capi.CoordinateEntry{Node: node, Coord: at}, nil)
	}
	if err != nil {
		m.Fatal(err)
	}
}

func nodesOf(r *capi.PreparedQueryExecuteResponse) string {
	var names []string
	for _, n := range r.Nodes {
		names = append(names, n.Node.Node)
	}
	return strings.Join(names, " ")
}

// TestTheOfficialClientUsesPreparedQueries tells the life of a query.
func TestTheOfficialClientUsesPreparedQueries(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		time.Sleep(time.Second) // the leader registers its own node
		m.web(a, "n1", "192.0.2.1", "passing", 1, "v1")
		m.web(a, "n2", "192.0.2.2", "warning", 9, "v2")
		m.web(a, "n3", "192.0.2.3", "passing", 4, "v2", "old")
		m.web(a, "n4", "10.0.0.1", "critical", 2)
		time.Sleep(6 * time.Second)
		c := m.client(a).PreparedQuery()
		session, _, err := m.client(a).Session().Create(nil, nil)
		if err != nil {
			w.Fatal(err)
		}
		q := &capi.PreparedQueryDefinition{Name: "the-web", Session: session, Service: capi.ServiceQuery{Service: "web", Near: "n1", Failover: capi.QueryFailoverOptions{NearestN: 2}}, DNS: capi.QueryDNSOptions{TTL: "7s"}}
		if q.ID, _, err = c.Create(q, nil); err != nil {
			w.Fatal(err)
		}
		if list, meta, err := c.List(nil); err != nil || len(list) != 1 || list[0].Name != "the-web" || list[0].Session != session || list[0].Service.Failover.NearestN != 2 || meta.LastIndex < 2 {
			w.Errorf("listed %+v, %+v, %v", list, meta, err)
		}
		r, _, err := c.Execute("the-WEB", nil)
		if err != nil || nodesOf(r) != "n1 n3 n2" || r.Service != "web" || r.Datacenter != "dc1" || r.DNS.TTL != "7s" || r.Failovers != 0 || r.Nodes[0].Service.Port != 80 || r.Nodes[0].Checks[0].Status != "passing" {
			w.Errorf("executed by name: %+v, %v", r, err)
		}
		if r, _, err := c.Execute(q.ID, &capi.QueryOptions{Near: "n2"}); err != nil || nodesOf(r) != "n2 n3 n1" {
			w.Errorf("executed by ID, near n2: %+v, %v", r, err)
		}
		q.Service.Tags, q.Service.OnlyPassing = []string{"V2", "!old"}, false
		if _, err := c.Update(q, nil); err != nil {
			w.Fatal(err)
		}
		if r, _, err := c.Execute(q.ID, nil); err != nil || nodesOf(r) != "n2" {
			w.Errorf("after the update: %+v, %v", r, err)
		}
		if found, _, err := c.Get(q.ID, nil); err != nil || len(found) != 1 || !slices.Equal(found[0].Service.Tags, q.Service.Tags) {
			w.Errorf("read %+v, %v", found, err)
		}
		if _, err := m.client(a).Session().Destroy(session, nil); err != nil {
			w.Fatal(err)
		}
		if r, _, err := c.Execute(q.ID, nil); err == nil || !strings.Contains(err.Error(), "404 (Query not found)") {
			w.Errorf("after its session: %+v, %v", r, err)
		}
		template := &capi.PreparedQueryDefinition{Name: "t-", Template: capi.QueryTemplate{Type: "name_prefix_match", Regexp: "^t-(.*)-(.*)$"}, Service: capi.ServiceQuery{Service: "${match(1)}", Tags: []string{"${match(2)}"}}}
		if template.ID, _, err = c.Create(template, nil); err != nil {
			w.Fatal(err)
		}
		if r, _, err := c.Execute("t-web-old", nil); err != nil || nodesOf(r) != "n3" || r.Service != "web" {
			w.Errorf("by a template: %+v, %v", r, err)
		}
		if _, err := c.Delete(template.ID, nil); err != nil {
			w.Error(err)
		}
		if list, _, err := c.List(nil); err != nil || len(list) != 0 {
			w.Errorf("after all were deleted: %+v, %v", list, err)
		}
	})
}

func TestPreparedQueriesInOtherSpellings(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		time.Sleep(time.Second) // the leader registers its own node
		create := func(body string) string {
			status, answer, err := m.ask(a, "POST", "/v1/query", body)
			if err != nil || status != 200 || !strings.HasPrefix(answer, `{"ID":"`) {
				w.Fatalf("%s: %d %s, %v", body, status, answer, err)
			}
			return strings.Split(answer, `"`)[3]
		}
		id := create(`{"name": "q", "service": {"service": "consul", "near": "_agent", "tags": ["!x"]}}`)
		template := create(`{"Template": {"Type": "name_prefix_match"}, "Service": {"Service": "${name.full}"}}`)
		for _, c := range []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"POST", "/v1/query", "{", 400, "Request decode failed: unexpected EOF"},
			{"POST", "/v1/query", "", 400, "Request decode failed: EOF"},
			{"POST", "/v1/query", `{"Name": "x"}`, 500, "Invalid prepared query: Must provide a Service name to query"},
			{"POST", "/v1/query", `{"ID": "x", "Name": "x"}`, 500, "ID must be empty when creating a new prepared query"},
			{"POST", "/v1/query", `{"Name": "Q", "Service": {"Service": "s"}}`, 500, "name 'Q' aliases an existing query name"},
			{"POST", "/v1/query", `{"Name": "x", "Session": "none", "Service": {"Service": "s"}}`, 500, `invalid session "none"`},
			{"POST", "/v1/query", `{"Name": "x", "Template": {"Type": "x"}, "Service": {"Service": "s"}}`, 500, "Bad Template.Type 'x'"},
			{"POST", "/v1/query?dc=far", `{"Name": "x", "Service": {"Service": "s"}}`, 500, "No path to datacenter"},
			{"PUT", "/v1/query", "", 405, "method PUT not allowed"},
			{"PUT", "/v1/query/none", `{"Name": "x", "Service": {"Service": "s"}}`, 500, "Cannot modify non-existent prepared query: 'none'"},
			{"DELETE", "/v1/query/none", "", 500, "Cannot modify non-existent prepared query: 'none'"},
			{"GET", "/v1/query/none", "", 404, "Query not found"},
			{"GET", "/v1/query/", "", 400, "Missing query ID"},
			{"GET", "/v1/query/" + template + "/execute", "", 500, "prepared query templates can only be resolved up by name, not by ID"},
			{"GET", "/v1/query/q/execute?limit=x", "", 500, `Bad limit: strconv.Atoi: parsing "x": invalid syntax`},
			{"GET", "/v1/query/q/execute?connect=x", "", 500, `Error parsing 'connect' value: strconv.ParseBool: parsing "x": invalid syntax`},
			{"GET", "/v1/query/q/execute?connect=true", "", 200, `{"Service":"consul","Nodes":[],"DNS":{"TTL":""},"Datacenter":"dc1","Failovers":0}`},
			{"GET", "/v1/query/none/execute", "", 200, `{"Service":"none","Nodes":[],"DNS":{"TTL":""},"Datacenter":"dc1","Failovers":0}`},
			{"DELETE", "/v1/query/" + template, "", 200, ""},
			{"GET", "/v1/query/none/execute", "", 404, "Query not found"},
			{"GET", "/v1/query/none/explain", "", 404, "Query not found"},
		} {
			if status, answer, err := m.ask(a, c.method, c.path, c.body); err != nil || status != c.status || answer != c.want {
				w.Errorf("%s %s %s: %d %q, %v; want %d %q", c.method, c.path, c.body, status, answer, err, c.status, c.want)
			}
		}
		shown := `"Name":"q","Session":"","Token":"","Template":{"Type":"","Regexp":"","RemoveEmptyTags":false},` +
			`"Service":{"Service":"consul","Failover":{"NearestN":0,"Datacenters":null},"OnlyPassing":false,"IgnoreCheckIDs":null,"Near":"_agent","Tags":["!x"],"NodeMeta":null,"ServiceMeta":null,"Connect":false},"DNS":{"TTL":""}`
		for path, want := range map[string]string{
			"/v1/query/" + id:           `[{"ID":"` + id + `",` + shown,
			"/v1/query/q/explain":       `{"Query":{"ID":"` + id + `",` + shown,
			"/v1/query/q/execute":       `"Tags":[],`,
			"/v1/query/" + id + "?dc=x": "No path to datacenter",
		} {
			if _, answer, err := m.ask(a, "GET", path, ""); err != nil || !strings.Contains(answer, want) {
				w.Errorf("%s: %s, %v; want %s", path, answer, err, want)
			}
		}
	})
}
