package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzRequest holds what every answer is, whatever was asked and whatever goes wrong
// behind the API: no panic, a status, valid JSON if it says so, and a text with every
// error, which a client or a person can do something about.
func FuzzRequest(f *testing.F) {
	for _, s := range []struct{ method, target, body string }{
		{"GET", "/v1/kv/a?recurse&keys&separator=/&index=1&wait=1s", ""},
		{"PUT", "/v1/kv/a?cas=1&flags=2&acquire=x", "v"},
		{"DELETE", "/v1/kv/?recurse", ""},
		{"PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Service":{"Service":"web","Tags":null},"Check":{"Name":"c","Definition":{"Interval":"10s","Timeout":5}}}`},
		{"GET", "/v1/catalog/services?filter=ServiceName==web&node-meta=a:b", ""},
		{"GET", "/v1/health/service/web?passing=1&effective&near=_ip&tag=a&tag=b", ""},
		{"GET", "/v1/health/state/any?effective=perhaps", ""},
		{"PUT", "/v1/session/create", `{"LockDelay":"15s","TTL":"10s","Behavior":"delete"}`},
		{"PUT", "/v1/txn", `[{"KV":{"Verb":"set","Key":"a","Value":"dg=="}},{"Check":{"Verb":"get","Check":{"Node":"n"}}}]`},
		{"PUT", "/v1/coordinate/update", `{"Node":"n","Coord":{"Vec":[1,2],"Error":1.5}}`},
		{"POST", "/v1/query", `{"Name":"q","Service":{"Service":"web","Failover":{"NearestN":3}},"DNS":{"TTL":"10s"}}`},
		{"GET", "/v1/query/q/execute?limit=3&connect=true", ""},
		{"PUT", "/v1/agent/service/register?replace-existing-checks", `{"Name":"web","Checks":[{"TTL":"10s"},{"HTTP":"http://a","Interval":"1s","Header":{"a":["b"]}}],"Weights":{"Passing":3}}`},
		{"PUT", "/v1/agent/check/register", `{"Name":"c","TCP":"a:1","Interval":"10s","deregister_critical_service_after":"1m"}`},
		{"PUT", "/v1/agent/check/update/c", `{"Status":"passing","Output":"x"}`},
		{"PUT", "/v1/agent/maintenance?enable=true&reason=x", ""},
		{"GET", "/v1/agent/service/web?hash=h&wait=1s", ""},
		{"GET", "/v1/agent/services?filter=Port==80", ""},
		{"GET", "/v1/agent/health/service/id/web?format=text", ""},
		{"GET", "/v1/agent/monitor?loglevel=debug&logjson=1", ""},
		{"PUT", "/v1/agent/token/default", `{"Token":"x"}`},
		{"PUT", "/v1/event/fire/deploy?node=a&service=b&tag=c", "payload"},
		{"GET", "/v1/event/list?since-ltime=5&name=x", ""},
		{"OPTIONS", "/v1/status/leader?pretty", ""},
		{"GET", "/v1/nothing?a=%zz", ""},
	} {
		for outcome := range failures() {
			f.Add(s.method, s.target, s.body, byte(outcome))
		}
	}
	f.Fuzz(func(t *testing.T, method, target, body string, outcome byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return // net/http answers it
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // nothing waits
		r := (&http.Request{Method: method, URL: u, Header: http.Header{}, Body: http.NoBody, RemoteAddr: "192.0.2.1:1", ContentLength: int64(len(body))}).WithContext(ctx)
		r.Body = struct {
			*strings.Reader
			nothingToClose
		}{strings.NewReader(body), nothingToClose{}}
		w := httptest.NewRecorder()
		handler(failures()[int(outcome)%len(failures())]).ServeHTTP(w, r)
		if w.Code < 200 || w.Code > 599 {
			t.Errorf("status %d", w.Code)
		}
		if w.Code >= 500 && strings.TrimSpace(w.Body.String()) == "" {
			t.Errorf("status %d without a word", w.Code)
		}
		if w.Header().Get("Content-Type") == "application/json" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("not JSON: %q", w.Body)
		}
	})
}

type nothingToClose struct{}

func (nothingToClose) Close() error { return nil }
