package httpapi_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"tribune/impl/api"
	"tribune/impl/httpapi"
)

// ailing has one service in several states of health.
type ailing struct {
	locals
	states []string
}

func (a ailing) Health(func(api.AgentService) bool) (all []api.AgentServiceHealth) {
	for _, s := range a.states {
		all = append(all, api.AgentServiceHealth{AggregatedStatus: s})
	}
	return all
}

func TestTheHealthOfAServiceIsAStatusAReasonAndATextForWhoWantsOne(t *testing.T) {
	for _, c := range []struct {
		states, path, accept string
		status               int
		reason, body         string
	}{
		{"passing", "id/web", "", 200, "passing", `{"AggregatedStatus":"passing",`},
		{"passing", "id/web", "text/plain;q=0.9, */*", 200, "passing", "passing"},
		{"passing", "id/web", "application/json, text/plain", 200, "passing", `{"Agg`},
		{"passing", "id/web?format=text", "application/json", 200, "passing", "passing"},
		{"passing", "id/web?pretty", "", 200, "passing", "{\n    \"AggregatedStatus\": \"passing\","},
		{"passing warning", "name/web", "text/plain", 429, "warning", "warning"},
		{"warning maintenance passing", "name/web", "", 503, "maintenance", "[{"},
		{"", "id/web", "text/plain", 404, "ServiceId web not found", "ServiceId web not found"},
		{"", "name/web", "", 404, "ServiceName web Not Found", "[]"},
	} {
		l := ailing{locals{backend{&fake{}}}, strings.Fields(c.states)}
		r := httptest.NewRequest("GET", "/v1/agent/health/service/"+c.path, nil)
		r.Header.Set("Accept", c.accept)
		w := httptest.NewRecorder()
		httpapi.New(httpapi.Config{Local: l, Logger: slog.New(slog.DiscardHandler)}).ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("X-Consul-Reason") != c.reason || !strings.HasPrefix(w.Body.String(), c.body) {
			t.Errorf("%q, %s, %s: %d, %q, %s; want %d, %q, %s", c.states, c.path, c.accept, w.Code, w.Header().Get("X-Consul-Reason"), w.Body, c.status, c.reason, c.body)
		}
	}
}
