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
	err     error
	refuse  bool
}

var meta = api.QueryMeta{Index: 42, KnownLeader: true, LastContact: 15 * time.Millisecond, ConsistencyLevel: "stale"}

func (f *fake) KVGet(_ context.Context, r api.KVRequest) (api.KVResponse, error) {
	f.get = r
	return api.KVResponse{Entries: f.entries, QueryMeta: meta}, f.err
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

func (f *fake) Self() api.AgentSelf {
	return api.AgentSelf{Config: api.AgentConfig{NodeName: "s1", Datacenter: "dc1", Server: true}}
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

func do(f *fake, method, target, body string) *http.Response {
	h := httpapi.New(httpapi.Config{KV: f, Status: f, Agent: f, Logger: slog.New(slog.DiscardHandler), MaxValueSize: 10})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w.Result()
}

func TestRequestsGetTheAnswersOfConsul(t *testing.T) {
	entry := api.DirEntry{Key: "a", Value: []byte("hello"), Flags: 3, RaftIndex: api.RaftIndex{CreateIndex: 7, ModifyIndex: 9}}
	empty := api.DirEntry{Key: "b", Value: []byte{}}
	for _, c := range []struct {
		name, method, target, body string
		fake                       fake
		status                     int
		want                       string
	}{
		{"an entry", "GET", "/v1/kv/a", "", fake{entries: []api.DirEntry{entry}}, 200, `[{"LockIndex":0,"Key":"a","Flags":3,"Value":"aGVsbG8=","CreateIndex":7,"ModifyIndex":9}]`},
		{"an empty value is null", "GET", "/v1/kv/b", "", fake{entries: []api.DirEntry{empty}}, 200, `[{"LockIndex":0,"Key":"b","Flags":0,"Value":null,"CreateIndex":0,"ModifyIndex":0}]`},
		{"raw", "GET", "/v1/kv/a?raw", "", fake{entries: []api.DirEntry{entry}}, 200, "hello"},
		{"keys", "GET", "/v1/kv/a?keys", "", fake{entries: []api.DirEntry{entry, empty}}, 200, `["a","b"]`},
		{"absent", "GET", "/v1/kv/x", "", fake{}, 404, ""},
		{"no keys", "GET", "/v1/kv/x?keys", "", fake{}, 404, ""},
		{"no key name", "GET", "/v1/kv/", "", fake{}, 400, "Missing key name"},
		{"two modes", "GET", "/v1/kv/a?stale&consistent", "", fake{}, 400, "Cannot specify ?stale with ?consistent, conflicting semantics."},
		{"a bad index", "GET", "/v1/kv/a?index=x", "", fake{}, 400, "Invalid index"},
		{"a bad wait", "GET", "/v1/kv/a?wait=x", "", fake{}, 400, "Invalid wait time"},
		{"no leader", "GET", "/v1/kv/a", "", fake{err: fault.New(fault.NoLeader, fault.TextNoLeader)}, 500, "No cluster leader"},
		{"denied", "GET", "/v1/kv/a", "", fake{err: fault.New(fault.Denied, fault.TextPermissionDenied)}, 403, "Permission denied"},
		{"put", "PUT", "/v1/kv/a", "v", fake{}, 200, "true"},
		{"a CAS that is refused", "PUT", "/v1/kv/a?cas=3", "v", fake{refuse: true}, 200, "false"},
		{"a bad CAS", "PUT", "/v1/kv/a?cas=x", "v", fake{}, 400, "not a number"},
		{"flags that exclude each other", "PUT", "/v1/kv/a?cas=1&acquire=x", "v", fake{}, 400, "Conflicting flags: cas, acquire"},
		{"too large", "PUT", "/v1/kv/a", "12345678901", fake{}, 413, "Request body(11 bytes) too large, max size: 10 bytes."},
		{"delete", "DELETE", "/v1/kv/a", "", fake{}, 200, "true"},
		{"delete nothing named", "DELETE", "/v1/kv/", "", fake{}, 400, "Missing key name"},
		{"delete in two ways", "DELETE", "/v1/kv/a?recurse&cas=1", "", fake{}, 400, "Conflicting flags"},
		{"leader", "GET", "/v1/status/leader", "", fake{}, 200, `"10.0.0.1:8300"`},
		{"peers", "GET", "/v1/status/peers", "", fake{}, 200, `["10.0.0.1:8300","10.0.0.2:8300"]`},
		{"join", "PUT", "/v1/agent/join/10.0.0.9", "", fake{}, 200, ""},
		{"join nobody", "PUT", "/v1/agent/join/nowhere", "", fake{}, 500, "no answer"},
		{"leave", "PUT", "/v1/agent/leave", "", fake{}, 200, ""},
		{"force-leave", "PUT", "/v1/agent/force-leave/s2", "", fake{}, 200, ""},
		{"a method that is not allowed", "POST", "/v1/kv/a", "", fake{}, 405, "method POST not allowed"},
		{"a path that is not known", "GET", "/v1/nothing", "", fake{}, 404, "Invalid URL path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := do(&c.fake, c.method, c.target, c.body)
			b, _ := io.ReadAll(r.Body)
			if r.StatusCode != c.status || !strings.Contains(string(b), c.want) || c.want == "" && len(b) > 0 {
				t.Errorf("%d %q, want %d %q", r.StatusCode, b, c.status, c.want)
			}
		})
	}
}

func TestReadsCarryTheHeadersOfConsul(t *testing.T) {
	for _, f := range []*fake{{}, {entries: []api.DirEntry{{Key: "a"}}}} {
		h := do(f, "GET", "/v1/kv/a", "").Header
		for name, want := range map[string]string{
			"X-Consul-Index": "42", "X-Consul-KnownLeader": "true", "X-Consul-LastContact": "15",
			"X-Consul-Effective-Consistency": "stale", "X-Consul-Default-ACL-Policy": "allow", "Vary": "Accept-Encoding",
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
