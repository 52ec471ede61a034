package httpapi_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/httpapi"
)

// fake answers what a test tells it to and remembers what it was asked.
type fake struct {
	get     api.KVRequest
	keys    api.KVKeysRequest
	applied api.KVApplyRequest
	entries []api.DirEntry
	meta    *api.QueryMeta // nil: that of the package
	err     error
	refuse  bool

	gathered bool // Self was asked
}

var meta = api.QueryMeta{Index: 42, KnownLeader: true, LastContact: 15 * time.Millisecond, ConsistencyLevel: "stale"}

func (f *fake) KVGet(_ context.Context, r api.KVRequest) (api.KVResponse, error) {
	f.get = r
	m := meta
	if f.meta != nil {
		m = *f.meta
	}
	return api.KVResponse{Entries: f.entries, QueryMeta: m}, f.err
}

func (f *fake) KVKeys(_ context.Context, r api.KVKeysRequest) (api.KVKeysResponse, error) {
	f.keys = r
	var keys []string
	for _, e := range f.entries {
		keys = append(keys, e.Key)
	}
	return api.KVKeysResponse{Keys: keys, QueryMeta: meta}, f.err
}

func (f *fake) KVApply(_ context.Context, r api.KVApplyRequest) (api.KVApplyResponse, error) {
	f.applied = r
	return api.KVApplyResponse{OK: !f.refuse}, f.err
}

func (f *fake) RaftLeader(context.Context, api.QueryOptions) (string, error) {
	return "10.0.0.1:8300", f.err
}

func (f *fake) RaftPeers(context.Context, api.QueryOptions) ([]string, error) {
	return []string{"10.0.0.2:8300", "10.0.0.1:8300"}, f.err
}

func (f *fake) Self() api.AgentSelf { f.gathered = true; return api.AgentSelf{Config: f.Identity()} }

func (f *fake) Identity() api.AgentConfig {
	return api.AgentConfig{NodeName: "s1", Datacenter: "dc1", Server: true}
}

func (f *fake) Members() []api.Member { return []api.Member{{Name: "s1", Status: 1}} }

func (f *fake) Join(_ context.Context, address string) error {
	if address == "nowhere" {
		return errors.New("joining nowhere: no answer")
	}
	return f.err
}

func (f *fake) ForceLeave(string, bool) error { return f.err }
func (f *fake) Leave(context.Context) error   { return f.err }
func (f *fake) Reload() error                 { return f.err }
func (f *fake) Host() api.AgentHost           { return api.AgentHost{} }
func (f *fake) SetToken(string, string) error { return f.err }
func (f *fake) Listen(string, bool) (<-chan string, func(), error) {
	return nil, func() {}, f.err
}

func do(f *fake, method, target, body string) *http.Response {
	h := httpapi.New(httpapi.Config{KV: f, Status: f, Agent: f, Logger: slog.New(slog.DiscardHandler), MaxValueSize: 10})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w.Result()
}

// exchange is a request and the answer that Consul gives: a status, and what the
// body holds; nothing means an empty body.
type exchange struct {
	name, method, target, body string
	fake                       fake
	status                     int
	want                       string
}

func answers(t *testing.T, exchanges ...exchange) {
	for _, c := range exchanges {
		t.Run(c.name, func(t *testing.T) {
			r := do(&c.fake, c.method, c.target, c.body)
			b, _ := io.ReadAll(r.Body)
			if r.StatusCode != c.status || !strings.Contains(string(b), c.want) || c.want == "" && len(b) > 0 {
				t.Errorf("%d %q, want %d %q", r.StatusCode, b, c.status, c.want)
			}
		})
	}
}

func TestReadsGetTheAnswersOfConsul(t *testing.T) {
	entry := api.DirEntry{Key: "a", Value: []byte("hello"), Flags: 3, RaftIndex: api.RaftIndex{CreateIndex: 7, ModifyIndex: 9}}
	empty := api.DirEntry{Key: "b", Value: []byte{}}
	answers(t, []exchange{
		{"an entry", "GET", "/v1/kv/a", "", fake{entries: []api.DirEntry{entry}}, 200, `[{"LockIndex":0,"Key":"a","Flags":3,"Value":"aGVsbG8=","CreateIndex":7,"ModifyIndex":9}]`},
		{"an empty value is null", "GET", "/v1/kv/b", "", fake{entries: []api.DirEntry{empty}}, 200, `[{"LockIndex":0,"Key":"b","Flags":0,"Value":null,"CreateIndex":0,"ModifyIndex":0}]`},
		{"raw", "GET", "/v1/kv/a?raw", "", fake{entries: []api.DirEntry{entry}}, 200, "hello"},
		{"keys", "GET", "/v1/kv/a?keys", "", fake{entries: []api.DirEntry{entry, empty}}, 200, `["a","b"]`},
		{"absent", "GET", "/v1/kv/x", "", fake{}, 404, ""},
		{"no keys", "GET", "/v1/kv/x?keys", "", fake{}, 404, ""},
		{"no keys at all", "GET", "/v1/kv/?keys", "", fake{}, 200, "[]"},
		{"nothing at all", "GET", "/v1/kv/?recurse", "", fake{}, 404, ""},
		{"raw of an absent key", "GET", "/v1/kv/x?raw", "", fake{}, 404, ""},
		{"raw says nothing about many", "GET", "/v1/kv/a?raw&recurse", "", fake{entries: []api.DirEntry{entry}}, 200, `[{"LockIndex":0,`},
		{"no key name", "GET", "/v1/kv/", "", fake{}, 400, "Missing key name"},
		{"two modes", "GET", "/v1/kv/a?stale&consistent", "", fake{}, 400, "Cannot specify ?stale with ?consistent, conflicting semantics."},
		{"a bad index", "GET", "/v1/kv/a?index=x", "", fake{}, 400, "Invalid index"},
		{"a negative index", "GET", "/v1/kv/a?index=-1", "", fake{}, 400, "Invalid index"},
		{"a bad wait", "GET", "/v1/kv/a?wait=x", "", fake{}, 400, "Invalid wait time"},
		{"a wait without a unit", "GET", "/v1/kv/a?wait=5", "", fake{}, 400, "Invalid wait time"},
		{"a bad max_stale", "GET", "/v1/kv/a?max_stale=x", "", fake{}, 400, `Invalid max_stale value "x"`},
		{"a max_stale that is consistent", "GET", "/v1/kv/a?max_stale=5s&consistent", "", fake{}, 400, "Cannot specify ?stale with ?consistent, conflicting semantics."},
		{"a query that is none", "GET", "/v1/kv/a?%zz", "", fake{}, 500, "cannot be decoded"},
		{"another datacenter", "GET", "/v1/kv/a?dc=x", "", fake{err: fault.New(fault.Internal, fault.TextNoPath)}, 500, "No path to datacenter"},
		{"no leader", "GET", "/v1/kv/a", "", fake{err: fault.New(fault.NoLeader, fault.TextNoLeader)}, 500, "No cluster leader"},
		{"denied", "GET", "/v1/kv/a", "", fake{err: fault.New(fault.Denied, fault.TextPermissionDenied)}, 403, "Permission denied"},
		{"a key that cannot be printed", "GET", "/v1/kv/a%00b", "", fake{}, 400, ""},
	}...)
}

func TestWritesGetTheAnswersOfConsul(t *testing.T) {
	answers(t, []exchange{
		{"put", "PUT", "/v1/kv/a", "v", fake{}, 200, "true"},
		{"a CAS that is refused", "PUT", "/v1/kv/a?cas=3", "v", fake{refuse: true}, 200, "false"},
		{"a bad CAS", "PUT", "/v1/kv/a?cas=x", "v", fake{}, 500, `strconv.ParseUint: parsing "x": invalid syntax`},
		{"a CAS without an index", "PUT", "/v1/kv/a?cas", "v", fake{}, 500, `strconv.ParseUint: parsing "": invalid syntax`},
		{"a negative CAS", "PUT", "/v1/kv/a?cas=-1", "v", fake{}, 500, `strconv.ParseUint: parsing "-1": invalid syntax`},
		{"bad flags", "PUT", "/v1/kv/a?flags=x", "v", fake{}, 500, `strconv.ParseUint: parsing "x": invalid syntax`},
		{"flags that are too many", "PUT", "/v1/kv/a?flags=18446744073709551616", "v", fake{}, 500, "value out of range"},
		{"flags that exclude each other", "PUT", "/v1/kv/a?cas=1&acquire=x", "v", fake{}, 400, "Conflicting flags: acquire=x&cas=1\n"},
		{"locks that exclude each other", "PUT", "/v1/kv/a?release=y&acquire=x", "v", fake{}, 400, "Conflicting flags: acquire=x&release=y\n"},
		{"put nothing named", "PUT", "/v1/kv/", "v", fake{}, 400, "Missing key name"},
		{"put with a bad index", "PUT", "/v1/kv/a?index=x", "v", fake{}, 400, "Invalid index"},
		{"too large", "PUT", "/v1/kv/a", "12345678901", fake{}, 413, "Request body(11 bytes) too large, max size: 10 bytes. Value exceeds 10 byte limit. See https://"},
		{"delete", "DELETE", "/v1/kv/a", "", fake{}, 200, "true"},
		{"delete nothing named", "DELETE", "/v1/kv/", "", fake{}, 400, "Missing key name"},
		{"delete in two ways", "DELETE", "/v1/kv/a?recurse&cas=1", "", fake{}, 400, "Conflicting flags: cas=1&recurse=\n"},
		{"delete with a bad CAS", "DELETE", "/v1/kv/a?cas=x", "", fake{}, 500, `strconv.ParseUint: parsing "x": invalid syntax`},
		{"a delete by CAS that is refused", "DELETE", "/v1/kv/a?cas=3", "", fake{refuse: true}, 200, "false"},
		{"delete everything", "DELETE", "/v1/kv/?recurse", "", fake{}, 200, "true"},
	}...)
}

func TestTheAgentGivesTheAnswersOfConsul(t *testing.T) {
	answers(t, []exchange{
		{"leader", "GET", "/v1/status/leader", "", fake{}, 200, `"10.0.0.1:8300"`},
		{"peers", "GET", "/v1/status/peers", "", fake{}, 200, `["10.0.0.1:8300","10.0.0.2:8300"]`},
		{"join", "PUT", "/v1/agent/join/10.0.0.9", "", fake{}, 200, ""},
		{"join nobody", "PUT", "/v1/agent/join/nowhere", "", fake{}, 500, "no answer"},
		{"leave", "PUT", "/v1/agent/leave", "", fake{}, 200, ""},
		{"force-leave", "PUT", "/v1/agent/force-leave/s2", "", fake{}, 200, ""},
		{"a method that is not allowed", "POST", "/v1/kv/a", "", fake{}, 405, "method POST not allowed"},
		{"members", "GET", "/v1/agent/members?segment=_all", "", fake{}, 200, `[{"Name":"s1"`},
		{"members that fulfil an expression", "GET", "/v1/agent/members?filter=Name==s1", "", fake{}, 200, `[{"Name":"s1"`},
		{"members of whom none fulfils an expression", "GET", "/v1/agent/members?filter=Name==s9", "", fake{}, 200, "[]"},
		{"members by an expression that is none", "GET", "/v1/agent/members?filter=Name==", "", fake{}, 400, "Failed to create boolean expression evaluator"},
		{"members of other datacenters", "GET", "/v1/agent/members?wan=1", "", fake{}, 200, "[]"},
		{"members of a segment", "GET", "/v1/agent/members?segment=x", "", fake{}, 500, "segments are not supported"},
		{"members of a segment of other datacenters", "GET", "/v1/agent/members?segment=x&wan=1", "", fake{}, 400, "Cannot provide a segment with wan=true"},
		{"join another datacenter", "PUT", "/v1/agent/join/10.0.0.9?wan=1", "", fake{}, 500, "WAN federation is not supported"},
		{"force-leave from other datacenters", "PUT", "/v1/agent/force-leave/s2?wan", "", fake{}, 500, "WAN federation is not supported"},
		{"force-leave of a stranger", "PUT", "/v1/agent/force-leave/x", "", fake{err: errors.New("agent: No node found with name 'x'")}, 500, "agent: No node found with name 'x'"},
		{"a GET that would leave", "GET", "/v1/agent/leave", "", fake{}, 405, "method GET not allowed"},
		{"a GET that would join", "GET", "/v1/agent/join/10.0.0.9", "", fake{}, 405, "method GET not allowed"},
		{"a GET that would touch a check", "GET", "/v1/agent/check/pass/a", "", fake{}, 405, "method GET not allowed"},
		{"a HEAD", "HEAD", "/v1/kv/a", "", fake{}, 405, "method HEAD not allowed"},
		{"a path that is not known", "GET", "/v1/nothing", "", fake{}, 404, "Invalid URL path: not a recognized HTTP API endpoint\n"},
		{"a path without a version", "GET", "/kv/a", "", fake{}, 404, "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n"},
		{"the root", "GET", "/", "", fake{}, 200, "Consul Agent"},
	}...)
}

func TestReadsCarryTheHeadersOfConsul(t *testing.T) {
	for _, f := range []*fake{{}, {entries: []api.DirEntry{{Key: "a"}}}} {
		h := do(f, "GET", "/v1/kv/a", "").Header
		for name, want := range map[string]string{
			"X-Consul-Index": "42", "X-Consul-KnownLeader": "true", "X-Consul-LastContact": "15",
			"X-Consul-Effective-Consistency": "stale", "X-Consul-Default-ACL-Policy": "allow", "Vary": "Accept-Encoding",
			"X-Consul-Query-Backend": "blocking-query",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
}

func TestKeysKeepEverySlashAndDot(t *testing.T) {
	for target, want := range map[string]string{
		"/v1/kv/a//b": "a//b", "/v1/kv/a/../b": "a/../b", "/v1/kv//a": "/a", "/v1/kv/a%2Fb%20c": "a/b c", "/v1/kv/a/./b/": "a/./b/",
		"/v1/kv/%2Fa": "/a", "/v1/kv/a%2F%2Fb": "a//b", "/v1/kv/a%252Fb": "a%2Fb", "/v1/kv/%C3%BCber/%E6%97%A5": "über/日", "/v1/kv/a+b": "a+b",
	} {
		var f fake
		do(&f, "GET", target, "")
		if f.get.Key != want {
			t.Errorf("%s asks for %q, want %q", target, f.get.Key, want)
		}
	}
}

func TestParametersReachTheStore(t *testing.T) {
	var f fake
	do(&f, "GET", "/v1/kv/p?recurse&index=7&wait=3s&consistent&dc=dc2", "")
	want := api.KVRequest{Key: "p", Recurse: true, QueryOptions: api.QueryOptions{Datacenter: "dc2", RequireConsistent: true, MinQueryIndex: 7, MaxQueryTime: 3 * time.Second}}
	if f.get != want {
		t.Errorf("%+v, want %+v", f.get, want)
	}
	do(&f, "GET", "/v1/kv/p?keys&separator=/&stale&max_stale=2s", "")
	if k := f.keys; k.Prefix != "p" || k.Separator != "/" || !k.AllowStale || k.MaxStaleDuration != 2*time.Second {
		t.Errorf("%+v", k)
	}
	do(&f, "PUT", "/v1/kv/p?flags=5&cas=0", "v")
	if a := f.applied; a.Op != api.KVCAS || a.Entry.Flags != 5 || string(a.Entry.Value) != "v" || a.Entry.ModifyIndex != 0 {
		t.Errorf("%+v", a)
	}
	do(&f, "DELETE", "/v1/kv/p?recurse", "")
	if f.applied.Op != api.KVDeleteTree || f.applied.Entry.Key != "p" {
		t.Errorf("%+v", f.applied)
	}
	do(&f, "DELETE", "/v1/kv/p?cas=9", "")
	if f.applied.Op != api.KVDeleteCAS || f.applied.Entry.ModifyIndex != 9 {
		t.Errorf("%+v", f.applied)
	}
}

func TestOptionsListsTheMethods(t *testing.T) {
	r := do(&fake{}, "OPTIONS", "/v1/kv/a", "")
	if got := r.Header.Get("Allow"); r.StatusCode != 200 || got != "OPTIONS,GET,PUT,DELETE" {
		t.Errorf("%d, Allow: %q", r.StatusCode, got)
	}
}

func TestPrettyIsIndented(t *testing.T) {
	b, _ := io.ReadAll(do(&fake{}, "GET", "/v1/status/peers?pretty", "").Body)
	if want := "[\n    \"10.0.0.1:8300\",\n    \"10.0.0.2:8300\"\n]\n"; string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
}

func TestAllThatAnAgentSaysOfItselfIsGatheredOnlyForWhoAsksForIt(t *testing.T) {
	for target, want := range map[string]bool{
		"GET /v1/agent/self": true, "GET /v1/agent/version": false, "GET /v1/catalog/datacenters": false, "GET /v1/catalog/nodes?near=_agent": false,
		"PUT /v1/session/create": false, "GET /v1/query/q/execute?near=_agent": false,
	} {
		f := &fake{}
		method, path, _ := strings.Cut(target, " ")
		h := httpapi.New(httpapi.Config{Catalog: backend{f}, Session: backend{f}, Query: backend{f}, Agent: f, Logger: slog.New(slog.DiscardHandler)})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if f.gathered != want || w.Code != 200 {
			t.Errorf("%s: gathered %t, want %t; status %d", target, f.gathered, want, w.Code)
		}
	}
}
