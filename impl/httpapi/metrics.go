package httpapi

import (
	"io"
	"net/http"
	"strings"

	"tribune/impl/metrics"
)

// metricsFace shows the agent's figures.
type metricsFace struct{ Metrics *metrics.Registry }

// endpoints is its part of the table.
func (s metricsFace) endpoints() []endpoint {
	return []endpoint{{"/v1/agent/metrics", []string{"GET"}, s.metrics}}
}

// metrics answers in Prometheus' form if that is asked for, also by Prometheus'
// own Accept header, and else in Consul's JSON.
func (s metricsFace) metrics(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.URL.Query().Get("format") != "prometheus" && !strings.Contains(r.Header.Get("Accept"), "application/openmetrics-text") {
		return s.Metrics.Summary()
	}
	var text strings.Builder
	if err := s.Metrics.WriteText(&text); err != nil {
		return nil, err
	}
	w.Header().Set("Content-Type", metrics.TextType)
	_, _ = io.WriteString(w, text.String()) // the client went away, if it cannot be told
	return nil, nil
}

// label is an endpoint's path as Consul's metrics have it: "v1_kv_" is /v1/kv/ with
// whatever follows.
func label(path string) string { return strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "_") }
