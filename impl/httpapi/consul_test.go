package httpapi_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/httpapi"
)

func TestKeysThatLookLikePathsOutOfAFolderAreRefusedIfTheyAreChecked(t *testing.T) {
	good := []string{"a", "a/b/", "con..fig", "..a/b..", "a...b", "a%20b", "a%25b", "foo:bar", "%C3%A7", "", "a//b", "baz%252Fqux", "a/%25zz"}
	bad := []string{"../a", "a/../b", "a/..", "..", "..%2F..%2Fetc%2Fpasswd", "a/%2E%2E/b", "%252e%252e%252fetc", "..%5Ca", "%20a", "a%20", "a/..%252fb"}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		for i, key := range append(good, bad...) {
			for _, check := range []bool{true, false} {
				var f fake
				h := httpapi.New(httpapi.Config{KV: &f, Logger: slog.New(slog.DiscardHandler), MaxValueSize: 10, CheckKeys: check})
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(method, "/v1/kv/"+key+"?recurse", nil))
				refused := w.Code == 500 && strings.HasPrefix(w.Body.String(), "invalid key name ")
				if want := check && i >= len(good); refused != want || want && (f.get.Recurse || f.applied.Op != "") {
					t.Errorf("%s %s, checked %t: %d %s", method, key, check, w.Code, w.Body)
				}
			}
		}
	}
}

// TestABodyOfUnknownLengthIsNotReadForEver: a client shall read the answer, which it
// does not while it sends, but it may not send for ever.
func TestABodyOfUnknownLengthIsNotReadForEver(t *testing.T) {
	h := httpapi.New(httpapi.Config{KV: &fake{}, Logger: slog.New(slog.DiscardHandler), MaxValueSize: 10})
	for size, want := range map[int]int{10: 200, 11: 413, 1000: 413, 20 << 20: 413} {
		body := strings.NewReader(strings.Repeat("x", size))
		w := httptest.NewRecorder()
		r := httptest.NewRequest("PUT", "/v1/kv/a", io.NopCloser(body))
		r.ContentLength = -1
		h.ServeHTTP(w, r)
		if w.Code != want || size-body.Len() > 9<<20 {
			t.Errorf("%d bytes: status %d, want %d; %d bytes were read", size, w.Code, want, size-body.Len())
		}
	}
}

func TestARefusedPutReachesNoStore(t *testing.T) {
	for _, query := range []string{"?cas", "?cas=x", "?flags=", "?cas=1&release=x", "?stale&consistent"} {
		var f fake
		do(&f, "PUT", "/v1/kv/a"+query, "v")
		if f.applied.Op != "" {
			t.Errorf("%s was applied as %+v", query, f.applied)
		}
	}
}

func TestTimesThatAreNotPositiveMeanTheDefault(t *testing.T) {
	for query, want := range map[string]api.QueryOptions{
		"?wait=-1s&index=5":  {MinQueryIndex: 5},
		"?wait=0s":           {},
		"?max_stale=0s":      {},
		"?max_stale=-5s":     {},
		"?max_stale=5s":      {AllowStale: true, MaxStaleDuration: 5 * time.Second},
		"?stale&max_stale=0": {AllowStale: true},
		"?index=&wait=":      {},
		"?leader":            {},
	} {
		var f fake
		do(&f, "GET", "/v1/kv/a"+query, "")
		if f.get.Key != "a" || f.get.QueryOptions != want {
			t.Errorf("%s asks %+v, want %+v", query, f.get.QueryOptions, want)
		}
	}
}

func TestBothSpellingsOfSeparatorAreHeard(t *testing.T) {
	for query, want := range map[string]string{"?keys&seperator=a": "a", "?keys&separator=b": "b", "?keys&seperator=a&separator=b": "b"} {
		var f fake
		do(&f, "GET", "/v1/kv/p"+query, "")
		if f.keys.Separator != want {
			t.Errorf("%s: %q, want %q", query, f.keys.Separator, want)
		}
	}
}

func TestTheTokenIsTakenFromTheParameterThenTheHeaders(t *testing.T) {
	ask := func(query string, headers ...string) string {
		var f fake
		h := httpapi.New(httpapi.Config{KV: &f, Logger: slog.New(slog.DiscardHandler)})
		r := httptest.NewRequest("GET", "/v1/kv/a"+query, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		return f.get.Token
	}
	for _, c := range []struct {
		query   string
		headers []string
		want    string
	}{
		{"", nil, ""},
		{"?token=a", []string{"X-Consul-Token", "b"}, "a"},
		{"", []string{"X-Consul-Token", "b", "Authorization", "Bearer c"}, "b"},
		{"", []string{"Authorization", "bearer  c d"}, "c"},
		{"", []string{"Authorization", "Basic c"}, ""},
		{"", []string{"Authorization", "Bearer"}, ""},
	} {
		if got := ask(c.query, c.headers...); got != c.want {
			t.Errorf("%q %q: %q, want %q", c.query, c.headers, got, c.want)
		}
	}
}

func TestACacheControlThatIsNoNumberIsRefused(t *testing.T) {
	for header, want := range map[string]int{"": 404, "max-age=30": 404, "no-cache, Max-Age=1, must-revalidate": 404, "max-age=30 stale-if-error=60": 404, "max-age=x": 400, "stale-if-error=": 400} {
		h := httpapi.New(httpapi.Config{KV: &fake{}, Logger: slog.New(slog.DiscardHandler)})
		r := httptest.NewRequest("GET", "/v1/kv/a", nil)
		r.Header.Set("Cache-Control", header)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d %s, want %d", header, w.Code, w.Body, want)
		}
	}
}

func TestEveryAnswerSaysWhatItIs(t *testing.T) {
	entry := []api.DirEntry{{Key: "a", Value: []byte("<script>")}}
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/v1/kv/a", "application/json"},
		{"GET", "/v1/kv/a?raw", "text/plain"},
		{"GET", "/v1/kv/?keys", "application/json"},
		{"PUT", "/v1/kv/a", "application/json"},
		{"GET", "/v1/status/leader", "application/json"},
		{"GET", "/v1/kv/", "text/plain; charset=utf-8"},
		{"POST", "/v1/kv/a", "text/plain; charset=utf-8"},
		{"GET", "/v1/nothing", "text/plain; charset=utf-8"},
	} {
		h := do(&fake{entries: entry}, c.method, c.target, "").Header
		if got := h.Get("Content-Type"); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.method, c.target, got, c.want)
		}
		if strings.HasPrefix(c.want, "text") && h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: a browser may guess what it is", c.method, c.target)
		}
	}
}

func TestTheIndexIsNeverZeroAndTheLastContactNeverNegative(t *testing.T) {
	h := do(&fake{meta: &api.QueryMeta{LastContact: -time.Second}}, "GET", "/v1/kv/a", "").Header
	if h.Get("X-Consul-Index") != "1" || h.Get("X-Consul-LastContact") != "0" || h.Values("X-Consul-Effective-Consistency") != nil {
		t.Errorf("%v", h)
	}
}

func TestAMissingSlashIsARedirectThatKeepsTheMethod(t *testing.T) {
	r := do(&fake{}, "PUT", "/v1/kv?cas=3", "")
	if got := r.Header.Get("Location"); r.StatusCode != http.StatusTemporaryRedirect || got != "/v1/kv/?cas=3" {
		t.Errorf("%d to %q", r.StatusCode, got)
	}
}

func TestAnUnknownMethodNamesThoseThatAreAllowed(t *testing.T) {
	for target, want := range map[string]string{
		"/v1/kv/a": "OPTIONS,GET,PUT,DELETE", "/v1/status/leader": "OPTIONS,GET", "/v1/agent/members": "OPTIONS,GET",
		"/v1/query/q/execute": "OPTIONS,GET", "/v1/query/q/explain": "OPTIONS,GET", "/v1/query/q": "OPTIONS,GET,PUT,DELETE", "/v1/query/execute": "OPTIONS,GET,PUT,DELETE",
		"/v1/agent/join/x": "OPTIONS,PUT", "/v1/agent/leave": "OPTIONS,PUT", "/v1/agent/force-leave/x": "OPTIONS,PUT",
	} {
		for method, status := range map[string]int{"PATCH": 405, "OPTIONS": 200} {
			r := do(&fake{}, method, target, "")
			if got := r.Header.Get("Allow"); got != want || r.StatusCode != status {
				t.Errorf("%s %s: %d, %q, want %d, %q", method, target, r.StatusCode, got, status, want)
			}
		}
	}
}

func TestAQueryIsExecutedAndExplainedByGETAlone(t *testing.T) {
	for _, method := range []string{"PUT", "DELETE"} {
		for _, target := range []string{"/v1/query/q/execute", "/v1/query/q/explain"} {
			w := put(method+" "+target, `{"Name": "q", "Service": {"Service": "s"}}`)
			if want := "method " + method + " not allowed"; w.Code != 405 || w.Body.String() != want || w.Header().Get("Allow") != "OPTIONS,GET" {
				t.Errorf("%s %s: %d %s, %q", method, target, w.Code, w.Body, w.Header().Get("Allow"))
			}
		}
	}
}

func TestPartsThatOnlyEnterpriseHasAreRefused(t *testing.T) {
	for _, c := range []struct {
		target, header, want string // want: the error
	}{
		{"/v1/kv/a?raw&ns=team", "", `Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature`},
		{"/v1/kv/a?raw&partition=east", "", `Invalid query parameter: "partition" - Partitions are a Consul Enterprise feature`},
		{"/v1/kv/a?raw", "X-Consul-Namespace", `Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature`},
		{"/v1/kv/a?raw&ns=default&partition=", "", ""},
	} {
		r := httptest.NewRequest("GET", c.target, nil)
		if c.header != "" {
			r.Header.Set(c.header, "team")
		}
		w := httptest.NewRecorder()
		f := &fake{}
		httpapi.New(httpapi.Config{KV: f, Logger: slog.New(slog.DiscardHandler)}).ServeHTTP(w, r)
		refused := w.Code == http.StatusBadRequest
		if refused != (c.want != "") || refused && w.Body.String() != c.want {
			t.Errorf("%s, %s: %d, %s; want %q", c.target, c.header, w.Code, w.Body, c.want)
		}
	}
}

func TestSelfHasTheShapeThatClientsReadFrom(t *testing.T) {
	var got map[string]map[string]any
	if err := json.NewDecoder(do(&fake{}, "GET", "/v1/agent/self", "").Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	for section, want := range map[string]string{
		"":       "Config Coord DebugConfig Member Meta Stats",
		"Config": "BuildDate Datacenter NodeID NodeName PrimaryDatacenter Revision Server SessionTTLMin Version",
		"Member": "Addr DelegateCur DelegateMax DelegateMin Name Port ProtocolCur ProtocolMax ProtocolMin Status Tags",
	} {
		var keys []string
		if section == "" {
			keys = slices.Sorted(maps.Keys(got))
		} else {
			keys = slices.Sorted(maps.Keys(got[section]))
		}
		if have := strings.Join(keys, " "); have != want {
			t.Errorf("%s has %s, want %s", section, have, want)
		}
	}
}
