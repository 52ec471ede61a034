package httpapi_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"

	"tribune/impl/api"
	"tribune/impl/httpapi"
)

// asked is a catalog that remembers from where the last answer was to be near.
type asked struct {
	httpapi.Catalog
	from api.Source
}

func (a *asked) Nodes(_ context.Context, r api.CatalogRequest) (api.List[api.Node], error) {
	a.from = r.Source
	return api.List[api.Node]{}, nil
}

func TestNearNamesANodeOrTheAgentOrTheClient(t *testing.T) {
	for _, c := range []struct {
		query, from, forwarded string
		want                   api.Source
	}{
		{"", "192.0.2.1:5", "", api.Source{IP: "192.0.2.1"}},
		{"?near=n1", "192.0.2.1:5", "", api.Source{Node: "n1", IP: "192.0.2.1"}},
		{"?near=_agent", "192.0.2.1:5", "", api.Source{Node: "s1", IP: "192.0.2.1"}},
		{"?near=_ip", "192.0.2.1:5", "", api.Source{Node: api.NearIP, IP: "192.0.2.1"}},
		{"?near=_ip", "192.0.2.1:5", "192.0.2.7, 192.0.2.8", api.Source{Node: api.NearIP, IP: "192.0.2.7"}},
		{"?near=_ip", "192.0.2.1:5", "unknown", api.Source{Node: api.NearIP, IP: "192.0.2.1"}},
		{"?near=_ip", "[::ffff:192.0.2.1]:5", "", api.Source{Node: api.NearIP, IP: "192.0.2.1"}},
		{"?near=_ip", "@", "", api.Source{Node: api.NearIP}},
	} {
		var a asked
		h := httpapi.New(httpapi.Config{Catalog: &a, Agent: &fake{}, Logger: slog.New(slog.DiscardHandler)})
		r := httptest.NewRequest("GET", "/v1/catalog/nodes"+c.query, nil)
		r.RemoteAddr = c.from
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if a.from != c.want {
			t.Errorf("%s from %s, forwarded for %q: %+v, want %+v", c.query, c.from, c.forwarded, a.from, c.want)
		}
	}
}
