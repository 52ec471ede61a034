package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/httpapi"
)

// events remembers what it was asked.
type events struct {
	asked string
	err   error
}

func (e *events) EventFire(_ context.Context, r api.EventFireRequest) (api.UserEvent, error) {
	e.asked = fmt.Sprintf("%s %q %s %s %s in %s as %s", r.Event.Name, r.Event.Payload, r.Event.NodeFilter, r.Event.ServiceFilter, r.Event.TagFilter, r.Datacenter, r.Token)
	r.Event.ID, r.Event.Version = "an-id", 1
	return r.Event, e.err
}

func (e *events) EventList(_ context.Context, r api.EventListRequest) (api.List[api.UserEvent], error) {
	e.asked = fmt.Sprintf("%s %s %s %s %d from %d for %v", r.Name, r.Node, r.Service, r.Tag, r.Since, r.MinQueryIndex, r.MaxQueryTime)
	return api.List[api.UserEvent]{Items: []api.UserEvent{}, QueryMeta: api.QueryMeta{Index: 7}}, e.err
}

func TestEventsGetTheAnswersOfConsul(t *testing.T) {
	fired := `{"ID":"an-id","Name":"deploy","Payload":%s,"NodeFilter":"%s","ServiceFilter":"","TagFilter":"","Version":1,"LTime":0}`
	for _, c := range []struct {
		method, target, body string
		err                  error
		status               int
		want, asked          string
	}{
		{"PUT", "/v1/event/fire/deploy", "", nil, 200, fmt.Sprintf(fired, "null", ""), `deploy ""    in  as `},
		{"PUT", "/v1/event/fire/deploy?node=a&dc=dc2&token=t", "v2", nil, 200, fmt.Sprintf(fired, `"djI="`, "a"), `deploy "v2" a   in dc2 as t`},
		{"PUT", "/v1/event/fire/a?service=s&tag=t", "", nil, 200, `"ServiceFilter":"s","TagFilter":"t"`, `a ""  s t in  as `},
		{"PUT", "/v1/event/fire/", "", nil, 400, "Missing name", ""},
		{"PUT", "/v1/event/fire/a", strings.Repeat("x", 513), nil, 413, "Request body too large, max size: 512 bytes", ""},
		{"PUT", "/v1/event/fire/a?node=(", "", fault.New(fault.Invalid, "Invalid node filter"), 400, "Invalid node filter", `a "" (   in  as `},
		{"PUT", "/v1/event/fire/a", "", fault.New(fault.TooLarge, "too large"), 413, "too large", `a ""    in  as `},
		{"GET", "/v1/event/fire/a", "", nil, 405, "method GET not allowed", ""},
		{"GET", "/v1/event/list", "", nil, 200, "[]", "    0 from 0 for 0s"},
		{"GET", "/v1/event/list?name=a&node=b&service=c&tag=d&since-ltime=5&index=18446744073709551615&wait=10s", "", nil, 200, "[]", "a b c d 5 from 18446744073709551615 for 10s"},
		{"GET", "/v1/event/list?since-ltime=x", "", nil, 400, "Invalid since-ltime", ""},
		{"GET", "/v1/event/list?index=x", "", nil, 400, "Invalid index", ""},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			e := &events{err: c.err}
			w := httptest.NewRecorder()
			httpapi.New(httpapi.Config{Events: e, Logger: slog.New(slog.DiscardHandler)}).ServeHTTP(w, httptest.NewRequest(c.method, c.target, strings.NewReader(c.body)))
			b, _ := io.ReadAll(w.Body)
			if w.Code != c.status || !strings.Contains(string(b), c.want) || e.asked != c.asked {
				t.Errorf("%d %s, asked %q; want %d %s, asked %q", w.Code, b, e.asked, c.status, c.want, c.asked)
			}
			if index := w.Header().Get("X-Consul-Index"); c.want == "[]" && index != "7" {
				t.Errorf("the index is %q", index)
			}
		})
	}
}
