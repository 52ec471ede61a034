package agent_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"tribune/impl/agent"
	"tribune/impl/config"
)

// scrape reads the agent's metrics as Prometheus does.
func (m machine) scrape(a *agent.Agent) map[string]*dto.MetricFamily {
	m.Helper()
	status, answer, err := m.ask(a, "GET", "/v1/agent/metrics?format=prometheus", "")
	if err != nil || status != 200 {
		m.Fatalf("%d %s, %v", status, answer, err)
	}
	if strings.Contains(answer, "NaN") {
		m.Errorf("not all are numbers: %s", answer)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(answer))
	if err != nil {
		m.Fatal(err)
	}
	return families
}

// servesAndAsks has an agent do something of everything.
func (m machine) servesAndAsks(a *agent.Agent) {
	m.Helper()
	m.ready(a)
	for _, r := range []struct{ method, path, body string }{
		{"PUT", "/v1/kv/a", "1"}, {"PUT", "/v1/kv/b", "2"}, {"GET", "/v1/kv/a?consistent", ""}, {"GET", "/v1/kv/none?stale", ""},
		{"PUT", "/v1/catalog/register", `{"Node": "n", "Address": "10.9.9.9", "Service": {"Service": "web"}}`},
		{"PUT", "/v1/session/create", `{"TTL": "60s"}`},
	} {
		if _, answer, err := m.ask(a, r.method, r.path, r.body); err != nil {
			m.Fatalf("%s: %s, %v", r.path, answer, err)
		}
	}
}

func TestPrometheusReadsTheMetricsOfAServer(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		m.servesAndAsks(a)
		time.Sleep(2 * time.Second) // the leader registers its own node, and looks at the sessions
		families := m.scrape(a)
		for name, f := range families {
			if !model.LegacyValidation.IsValidMetricName(name) || !strings.HasPrefix(name, "consul_") || f.GetHelp() == "" {
				w.Errorf("%s: %s", name, f.GetHelp())
			}
		}
		for name, want := range map[string]float64{
			"consul_server_isLeader": 1, "consul_raft_peers": 1, "consul_members_servers": 1, "consul_members_clients": 0, "consul_session_ttl_active": 1,
			"consul_state_nodes": 2, "consul_state_services": 2, "consul_state_service_instances": 2, "consul_state_kv_entries": 3, "consul_version": 1,
			"consul_rpc_queries_blocking": 0,
		} {
			if f := families[name]; f == nil || f.GetType() != dto.MetricType_GAUGE || f.Metric[0].Gauge.GetValue() != want {
				w.Errorf("%s: %v, want %v", name, f, want)
			}
		}
		if f := families["consul_raft_state_leader"]; f.GetMetric()[0].GetCounter().GetValue() != 1 {
			w.Errorf("%v", f)
		}
		for _, name := range []string{"consul_kvs_apply", "consul_catalog_register", "consul_session_apply", "consul_rpc_consistentRead", "consul_raft_commitTime"} {
			if f := families[name]; f.GetType() != dto.MetricType_HISTOGRAM || f.Metric[0].Histogram.GetSampleCount() == 0 {
				w.Errorf("%s: %v", name, f)
			}
		}
		if again := m.scrape(a); !slices.Equal(slices.Sorted(maps.Keys(again)), slices.Sorted(maps.Keys(families))) {
			w.Error("other metrics the second time")
		}
		w.close(a)
	})
}

func TestTheOfficialClientReadsTheMetrics(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		m.servesAndAsks(a)
		info, err := m.client(a).Agent().Metrics()
		if err != nil {
			w.Fatal(err)
		}
		gauges, samples := map[string]float32{}, map[string]int{}
		for _, g := range info.Gauges {
			gauges[g.Name] = g.Value
		}
		for _, s := range info.Samples {
			samples[s.Name+s.Labels["method"]+s.Labels["path"]] = s.Count
		}
		if gauges["consul.runtime.num_goroutines"] < 10 || gauges["consul.raft.applied_index"] < 5 || gauges["consul.raft.last_index"] < 5 {
			w.Errorf("%v", gauges)
		}
		if samples["consul.kvs.apply"] != 3 || samples["consul.api.httpGETv1_kv_"] != 2 || samples["consul.api.httpPUTv1_catalog_register"] != 1 {
			w.Errorf("%v", samples)
		}
		if len(info.Counters) == 0 || info.Points == nil || info.Timestamp == "" {
			w.Errorf("%+v", info)
		}
		w.close(a)
	})
}

// TestTheDocumentListsAllMetrics holds the table in docs/metrics.md.
func TestTheDocumentListsAllMetrics(t *testing.T) {
	b, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := regexp.MustCompile("(?m)^\\| `consul_.*$").FindAllString(string(b), -1)
	inWorld(t, func(w world) {
		var rows []string
		both := map[string]string{}
		for i, where := range []string{"server", "client"} {
			a := w.machine(i + 1).start(func(c *config.Config) {
				if where == "client" {
					c.Server, c.BootstrapExpect = false, 0
				}
			})
			for _, d := range a.Metrics().Definitions() {
				row := fmt.Sprintf("| `%s` | %s | %s | %s", d.Prometheus(), d.Kind, strings.Join(d.Labels, ", "), d.Help)
				both[row] += where
			}
			w.close(a)
		}
		for row, where := range both {
			if where == "serverclient" {
				where = "all"
			}
			rows = append(rows, row+" | "+where+" |")
		}
		slices.Sort(rows)
		if !slices.Equal(rows, listed) {
			w.Errorf("docs/metrics.md must list:\n%s", strings.Join(rows, "\n"))
		}
	})
}
