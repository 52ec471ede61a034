package agent_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/impl/agent"
	"tribune/impl/httpapi"
)

// input is a request that makes no sense, with the status that Consul gives and what
// the answer says was wrong with it.
type input struct {
	request, body string // "METHOD TARGET"
	status        int
	text          string
}

// inputs are at least one for every endpoint, if there is any way to ask it wrongly.
func inputs() []input {
	var all []input
	for _, r := range strings.Fields("PUT:/v1/catalog/register PUT:/v1/catalog/deregister PUT:/v1/session/create PUT:/v1/coordinate/update POST:/v1/query PUT:/v1/query/q PUT:/v1/agent/service/register PUT:/v1/agent/check/register PUT:/v1/agent/check/update/c PUT:/v1/agent/token/default") {
		r = strings.Replace(r, ":", " ", 1)
		for _, body := range []string{`{`, `[]`, `7`, `"x"`, "{\"Node\": \x01}", `{"Node": 1, "Name": 1, "Token": 1, "Status": 1, "Segment": 1}`} {
			all = append(all, input{r, body, 400, "Request decode failed: "})
		}
		all = append(all, input{r, `{"x": "` + strings.Repeat("y", 4<<20) + `"}`, 413, "Request body too large, max size: 4194304 bytes"})
	}
	for _, r := range strings.Fields("/v1/catalog/nodes /v1/catalog/services /v1/catalog/service/a /v1/catalog/node/a /v1/catalog/node-services/a /v1/health/node/a /v1/health/checks/a /v1/health/state/any /v1/health/service/a /v1/session/list /v1/session/info/a /v1/session/node/a /v1/coordinate/nodes /v1/coordinate/node/a /v1/coordinate/datacenters /v1/query /v1/query/q /v1/query/q/execute /v1/query/q/explain /v1/status/leader /v1/status/peers /v1/kv/a /v1/event/list /v1/agent/service/web") {
		for query, text := range map[string]string{
			"wait=soon": "Invalid wait time", "index=-1": "Invalid index", "stale&consistent": "Cannot specify ?stale with ?consistent",
			"max_stale=1": "Invalid max_stale value",
		} {
			all = append(all, input{"GET " + r + "?" + query, "", 400, text})
		}
		all = append(all, input{"GET " + r + "?a=%zz", "", 500, "the query cannot be decoded"})
	}
	for _, r := range strings.Fields("/v1/catalog/nodes /v1/catalog/services /v1/catalog/service/web /v1/catalog/node/m1 /v1/health/node/m1 /v1/health/checks/web /v1/health/state/any /v1/health/service/web /v1/agent/services /v1/agent/checks") {
		all = append(all, input{"GET " + r + "?filter=(", "", 400, "Failed to create boolean expression evaluator"})
	}
	return slices.Concat(all, namelessInputs(), catalogInputs(), storeInputs(), agentInputs())
}

// namelessInputs leave out what an endpoint is to be about.
func namelessInputs() []input {
	return []input{
		{"GET /v1/catalog/service/", "", 400, "Missing service name"},
		{"GET /v1/catalog/node/", "", 400, "Missing node name"},
		{"GET /v1/catalog/node-services/", "", 400, "Missing node name"},
		{"GET /v1/health/node/", "", 400, "Missing node name"},
		{"GET /v1/health/checks/", "", 400, "Missing service name"},
		{"GET /v1/health/state/", "", 400, "Missing check state"},
		{"GET /v1/health/service/", "", 400, "Missing service name"},
		{"PUT /v1/session/destroy/", "", 400, "Missing session"},
		{"PUT /v1/session/renew/", "", 400, "Missing session"},
		{"GET /v1/session/info/", "", 400, "Missing session"},
		{"GET /v1/session/node/", "", 400, "Missing node name"},
		{"GET /v1/coordinate/node/", "", 400, "Missing node name"},
		{"GET /v1/query/", "", 400, "Missing query ID"},
		{"DELETE /v1/query/", "", 400, "Missing query ID"},
		{"PUT /v1/event/fire/", "", 400, "Missing name"},
		{"GET /v1/kv/", "", 400, "Missing key name"},
		{"PUT /v1/kv/", "v", 400, "Missing key name"},
		{"DELETE /v1/kv/", "", 400, "Missing key name"},
		{"PUT /v1/agent/join/", "", 400, "Missing address to join"},
		{"PUT /v1/agent/force-leave/", "", 400, "Missing node name"},
		{"PUT /v1/agent/token/", "{}", 400, "Missing token type"},
		{"GET /v1/agent/service/", "", 400, "Missing service ID"},
		{"PUT /v1/agent/service/deregister/", "", 400, "Missing service ID"},
		{"PUT /v1/agent/service/maintenance/?enable=true", "", 400, "Missing service ID"},
		{"PUT /v1/agent/check/deregister/", "", 400, "Missing check ID"},
		{"PUT /v1/agent/check/pass/", "", 400, "Missing check ID"},
		{"PUT /v1/agent/check/warn/", "", 400, "Missing check ID"},
		{"PUT /v1/agent/check/fail/", "", 400, "Missing check ID"},
		{"PUT /v1/agent/check/update/", "{}", 400, "Missing check ID"},
		{"GET /v1/agent/health/service/id/", "", 400, "Missing serviceID"},
		{"GET /v1/agent/health/service/name/", "", 400, "Missing service Name"},
	}
}

// catalogInputs are about nodes, services, checks, coordinates and sessions.
func catalogInputs() []input {
	return []input{
		{"PUT /v1/catalog/register", `{}`, 500, "Must provide node"},
		{"PUT /v1/catalog/register", `{"Node": "a"}`, 500, "Must provide address if SkipNodeUpdate is not set"},
		{"PUT /v1/catalog/register", `{"Node": "a", "Address": "b", "ID": "7"}`, 500, "Bad node ID: "},
		{"PUT /v1/catalog/register", `{"Node": "a", "Address": "b", "Service": {"ID": "x"}}`, 500, "Must provide service name with ID"},
		{"PUT /v1/catalog/register", `{"Node": "a", "Address": "b", "Service": {"Service": "x", "Address": "0.0.0.0"}}`, 500, "Invalid service address"},
		{"PUT /v1/catalog/register", `{"Node": "a", "Address": "b", "Service": {"Service": "x", "Address": "::"}}`, 500, "Invalid service address"},
		{"PUT /v1/catalog/register", `{"Node": "a", "Address": "b", "Check": {}}`, 500, "Must provide a check ID or a name"},
		{"PUT /v1/catalog/register", `{"Node": "a", "Address": "b", "Check": {"Name": "c", "Status": "fine"}}`, 500, "is not a status"},
		{"PUT /v1/catalog/register", `{"Node": "a", "Address": "b", "Check": {"Name": "c", "ServiceID": "none"}}`, 500, "Missing service registration"},
		{"PUT /v1/catalog/register", `{"Node": "a", "Address": "b", "Check": {"Name": "c", "Node": "nowhere"}}`, 500, `check node "nowhere" does not match node "a"`},
		{"PUT /v1/catalog/register", `{"Node": "a", "Address": "b", "Check": {"Name": "c", "Definition": {"Interval": "soon"}}}`, 400, `invalid duration "soon"`},
		{"PUT /v1/catalog/register", `{"Node": "a", "Address": "b", "Service": {"Service": "x", "Port": "80"}}`, 400, "Request decode failed: "},
		{"PUT /v1/catalog/register?dc=moon", `{"Node": "a", "Address": "b"}`, 500, "No path to datacenter"},
		{"PUT /v1/catalog/deregister", `{}`, 500, "Must provide node"},
		{"PUT /v1/catalog/deregister", `{"Node": "m1", "SeviceID": "web"}`, 400, `json: unknown field "SeviceID"`},
		{"GET /v1/health/service/web?passing=maybe", "", 400, "Invalid value for ?passing"},
		{"GET /v1/health/service/web?effective=maybe", "", 400, "Invalid value for effective"},
		{"GET /v1/catalog/nodes?dc=moon", "", 500, "No path to datacenter"},
		{"GET /v1/catalog/node/nobody", "", 200, "null"},
		{"GET /v1/health/node/nobody", "", 200, "[]"},
		{"GET /v1/coordinate/node/nobody", "", 404, ""},
		{"PUT /v1/coordinate/update", `{}`, 500, "Must provide node"},
		{"PUT /v1/coordinate/update", `{"Node": "m1"}`, 500, "invalid coordinate"},
		{"PUT /v1/coordinate/update", `{"Node": "m1", "Coord": {"Vec": [1]}}`, 500, "incompatible coordinate"},
		{"PUT /v1/session/create", `{"Node": "nobody"}`, 500, "Missing node registration"},
		{"PUT /v1/session/create", `{"TTL": "1s"}`, 500, "must be between [10s=24h0m0s]"},
		{"PUT /v1/session/create", `{"TTL": "soon"}`, 500, "Session TTL 'soon' invalid"},
		{"PUT /v1/session/create", `{"LockDelay": "soon"}`, 400, `invalid duration "soon"`},
		{"PUT /v1/session/create", `{"Behavior": "explode"}`, 500, "Invalid Behavior setting 'explode'"},
		{"PUT /v1/session/create", `{"NodeChecks": ["none"]}`, 500, "Missing check 'none' registration"},
		{"PUT /v1/session/renew/none", "", 404, "Session id 'none' not found"},
		{"PUT /v1/session/destroy/none?dc=moon", "", 500, "No path to datacenter"},
	}
}

// storeInputs are about keys, transactions, prepared queries and events.
func storeInputs() []input {
	return []input{
		{"PUT /v1/kv/a?cas=x", "v", 500, `parsing "x": invalid syntax`},
		{"PUT /v1/kv/a?flags=-1", "v", 500, `parsing "-1": invalid syntax`},
		{"PUT /v1/kv/a?cas=1&acquire=x", "v", 400, "Conflicting flags: acquire=x&cas=1"},
		{"PUT /v1/kv/a?acquire=none", "v", 500, `invalid session "none"`},
		{"PUT /v1/kv/a?dc=moon", "v", 500, "No path to datacenter"},
		{"PUT /v1/kv/a/%2E%2E/b", "v", 500, "invalid key name"},
		{"PUT /v1/kv/%20a", "v", 500, "invalid key name"},
		{"PUT /v1/kv/a%00", "v", 400, ""},
		{"PUT /v1/kv/a", strings.Repeat("v", 512<<10+1), 413, "Request body(524289 bytes) too large, max size: 524288 bytes"},
		{"DELETE /v1/kv/a?recurse&cas=1", "", 400, "Conflicting flags: cas=1&recurse="},
		{"DELETE /v1/kv/a?cas=x", "", 500, `parsing "x": invalid syntax`},
		{"PUT /v1/txn", `{`, 400, "Failed to parse body: "},
		{"PUT /v1/txn", `{}`, 400, "Failed to parse body: "},
		{"PUT /v1/txn", `[{"KV": {"Verb": 1}}]`, 400, "Failed to parse body: "},
		{"PUT /v1/txn", `[{"KV": {"Verb": "explode", "Key": "a"}}]`, 409, `unknown KV verb`},
		{"PUT /v1/txn", `[{"KV": {"Verb": "set", "Key": "a", "Value": "dg=="}}, {"KV": {"Verb": "check-index", "Key": "a", "Index": 1}}]`, 409, "current modify index"},
		{"PUT /v1/txn", `[{}]`, 409, "no operation specified"},
		{"PUT /v1/txn", `[{"Node": {"Verb": "set", "Node": {"Node": "a", "Address": "b", "ID": "7"}}}]`, 409, "Bad node ID: "},
		{"PUT /v1/txn", `[{"Service": {"Verb": "set", "Node": "m1", "Service": {"Service": "x", "Address": "[::]"}}}]`, 409, "Invalid service address"},
		{"PUT /v1/txn", `[{"Service": {"Verb": "cas", "Node": "m1", "Service": {"Service": "x", "Address": "0.0.0.0"}}}]`, 409, "Invalid service address"},
		{"PUT /v1/txn", `[` + strings.Repeat(`{"KV":{"Verb":"set","Key":"a"}},`, 128) + `{}]`, 413, "Transaction contains too many operations (129 > 128)"},
		{"PUT /v1/txn", `[{"x": "` + strings.Repeat("y", 4<<20) + `"}]`, 413, "Request body too large"},
		{"POST /v1/query", `{"Name": "q", "Service": {}}`, 500, "Must provide a Service name to query"},
		{"POST /v1/query", `{"Service": {"Service": "web"}, "Session": "none"}`, 500, `invalid session "none"`},
		{"POST /v1/query", `{"Service": {"Service": "web"}}`, 500, "Must be bound to a session"},
		{"POST /v1/query", `{"Name": "q", "Service": {"Service": "web"}, "DNS": {"TTL": "soon"}}`, 500, "Bad DNS TTL 'soon'"},
		{"POST /v1/query", "", 400, "EOF"},
		{"PUT /v1/query/none", `{"Name": "q", "Service": {"Service": "web"}}`, 500, "Cannot modify non-existent prepared query: 'none'"},
		{"GET /v1/query/none", "", 404, "Query not found"},
		{"GET /v1/query/none/execute", "", 404, "Query not found"},
		{"GET /v1/query/none/explain", "", 404, "Query not found"},
		{"GET /v1/query/none/execute?limit=few", "", 500, "Bad limit: "},
		{"PUT /v1/event/fire/deploy", strings.Repeat("x", 513), 413, "Request body too large, max size: 512 bytes"},
		{"PUT /v1/event/fire/deploy?node=(", "", 400, "Invalid node filter: "},
		{"PUT /v1/event/fire/deploy?tag=a", "", 400, "Cannot provide tag filter without service filter"},
		{"GET /v1/event/list?since-ltime=x", "", 400, "Invalid since-ltime"},
	}
}

// agentInputs are about the agent and what is registered with it.
func agentInputs() []input {
	return []input{
		{"GET /v1/agent/members?segment=a&wan=1", "", 400, "Cannot provide a segment with wan=true"},
		{"GET /v1/agent/monitor?loglevel=loud", "", 400, "Unknown log level: loud"},
		{"GET /v1/agent/monitor?logjson=perhaps", "", 400, "Invalid value for logjson"},
		{"PUT /v1/agent/force-leave/nobody", "", 500, "No node found with name 'nobody'"},
		{"PUT /v1/agent/join/192.0.2.99", "", 500, "192.0.2.99"},
		{"PUT /v1/agent/token/unheard", `{"Token": "x"}`, 404, `Token "unheard" is unknown`},
		{"GET /v1/agent/service/none", "", 404, "unknown service ID: none"},
		{"PUT /v1/agent/service/register", `{}`, 400, "Missing service name"},
		{"PUT /v1/agent/service/register", `{"Name": "a", "Cheks": []}`, 400, `json: unknown field "Cheks"`},
		{"PUT /v1/agent/service/register", `{"Name": "a", "Port": 70000}`, 400, "Invalid service port 70000"},
		{"PUT /v1/agent/service/register", `{"Name": "a", "Address": "0.0.0.0"}`, 400, "Invalid service address"},
		{"PUT /v1/agent/service/register", `{"Name": "a", "Meta": {"a b": "c"}}`, 400, "key contains invalid characters"},
		{"PUT /v1/agent/service/register", `{"Name": "a", "Weights": {"Passing": 0}}`, 400, "Passing must be greater than 0"},
		{"PUT /v1/agent/service/register", `{"Name": "a", "Check": {"TTL": "soon"}}`, 400, "not a duration"},
		{"PUT /v1/agent/service/register", `{"Name": "a", "Check": {"HTTP": "http://x"}}`, 400, "Interval must be > 0"},
		{"PUT /v1/agent/service/register", `{"Name": "a", "Check": {"Args": ["true"], "Interval": "1s"}}`, 400, "Scripts are disabled on this agent"},
		{"PUT /v1/agent/service/register?replace-existing-checks=perhaps", `{"Name": "a"}`, 400, "Invalid value for replace-existing-checks"},
		{"PUT /v1/agent/service/deregister/none", "", 404, `Unknown service ID "none"`},
		{"PUT /v1/agent/service/maintenance/web", "", 400, "Missing value for enable"},
		{"PUT /v1/agent/service/maintenance/web?enable=perhaps", "", 400, "Invalid value for enable"},
		{"PUT /v1/agent/service/maintenance/none?enable=true", "", 404, `Unknown service ID "none"`},
		{"PUT /v1/agent/maintenance", "", 400, "Missing value for enable"},
		{"PUT /v1/agent/maintenance?enable=perhaps", "", 400, "Invalid value for enable"},
		{"PUT /v1/agent/check/register", `{"TTL": "1m"}`, 400, "Missing check name"},
		{"PUT /v1/agent/check/register", `{"Name": "a", "TTL": "1m", "Status": "fine"}`, 400, "Bad check status"},
		{"PUT /v1/agent/check/register", `{"Name": "a", "TTL": "1m", "ServiceID": "none"}`, 404, `ServiceID "none" does not exist`},
		{"PUT /v1/agent/check/register", `{"Name": "a", "TTL": "1m", "Interval": "1m", "TCP": "a:1"}`, 400, "Interval and TTL cannot both be specified"},
		{"PUT /v1/agent/check/deregister/none", "", 404, `Unknown check ID "none"`},
		{"PUT /v1/agent/check/pass/none", "", 404, `Unknown check ID "none"`},
		{"PUT /v1/agent/check/warn/none", "", 404, `Unknown check ID "none"`},
		{"PUT /v1/agent/check/fail/none", "", 404, `Unknown check ID "none"`},
		{"PUT /v1/agent/check/update/c", `{"Status": "fine"}`, 400, "Invalid check status: 'fine'"},
		{"PUT /v1/agent/check/update/none", `{"Status": "passing"}`, 404, `Unknown check ID "none"`},
		{"GET /v1/agent/health/service/id/none", "", 404, "critical"},
		{"GET /v1/agent/health/service/name/none", "", 404, "[]"},
	}
}

// unspoilable are the endpoints that take nothing which could be wrong.
var unspoilable = []string{
	"GET /v1/catalog/datacenters", "GET /v1/agent/self", "GET /v1/agent/host", "GET /v1/agent/metrics", "GET /v1/agent/version", "PUT /v1/agent/reload", "PUT /v1/agent/leave",
}

// everything is the replicated state, and what is registered with the agent.
func (m machine) everything(a *agent.Agent) string {
	m.Helper()
	digest, err := a.Server().StateDigest()
	if err != nil {
		m.Fatal(err)
	}
	return fmt.Sprint(digest, a.Local().Services(), a.Local().Checks())
}

// TestBadInputIsRefusedAsByConsulAndChangesNothing asks every endpoint wrongly.
func TestBadInputIsRefusedAsByConsulAndChangesNothing(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		m.ready(a)
		m.want(a, "PUT", "/v1/agent/service/register", `{"Name": "web", "Check": {"CheckID": "c", "TTL": "1h"}}`, "")
		w.eventually(30*time.Second, func() error {
			if !strings.Contains(fmt.Sprint(m.ask(a, "GET", "/v1/catalog/service/web", "")), "m1") {
				return errors.New("the service is not in the catalog")
			}
			return nil
		})
		left := httpapi.Paths()
		for _, c := range inputs() {
			method, target, _ := strings.Cut(c.request, " ")
			before := m.everything(a)
			status, got, err := m.ask(a, method, target, c.body)
			if status != c.status || !strings.Contains(got, c.text) || err != nil {
				w.Errorf("%s %.80s: %d %.200q, %v; want %d %q", c.request, c.body, status, got, err, c.status, c.text)
			}
			if m.everything(a) != before {
				w.Errorf("%s %.80s changed something", c.request, c.body)
			}
			path, _, _ := strings.Cut(c.request, "?")
			left = slices.DeleteFunc(left, func(served string) bool {
				return path == served || strings.HasSuffix(served, "/") && strings.HasPrefix(path, served)
			})
		}
		slices.Sort(left)
		if want := slices.Sorted(slices.Values(unspoilable)); !slices.Equal(left, want) {
			w.Errorf("not asked wrongly: %q; want %q", left, want)
		}
		for _, served := range httpapi.Paths() {
			_, path, _ := strings.Cut(served, " ")
			if status, got, err := m.ask(a, "PATCH", path, ""); status != 405 || got != "method PATCH not allowed" || err != nil {
				w.Errorf("PATCH %s: %d %q, %v", path, status, got, err)
			}
		}
	})
}
