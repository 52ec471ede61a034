//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/consul/api"
)

// scraping has Prometheus find by itself what is tagged for it.
const scraping = `global: {scrape_interval: 1s}
scrape_configs:
  - job_name: consul
    consul_sd_configs:
      - {server: %q, tags: [metrics], refresh_interval: 1s}
`

// target is one of Prometheus's /api/v1/targets.
type target struct {
	DiscoveredLabels map[string]string
	Health           string // "up" once it was scraped
}

// targets asks Prometheus what it scrapes.
func targets(address string) ([]target, error) {
	c := http.Client{Timeout: patience}
	r, err := c.Get("http://" + address + "/api/v1/targets?state=active")
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Body.Close() }()
	var answer struct {
		Data struct{ ActiveTargets []target }
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Status, err)
	}
	return answer.Data.ActiveTargets, nil
}

func TestPrometheusFindsWhatIsRegistered(t *testing.T) {
	// Debian's package leaves Consul's discovery out; here all others are left out.
	program := built(t, "prometheus", "github.com/prometheus/prometheus/cmd/prometheus", "-tags", "remove_all_sd,enable_consul_sd")
	c := startCluster(t, "", `node_meta { rack = "r1" }`)
	var ports []int
	for range 2 {
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "app_up 1\n") // Prometheus asks again
		}))
		defer app.Close()
		ports = append(ports, app.Listener.Addr().(*net.TCPAddr).Port)
	}

	dir, address := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	file := filepath.Join(dir, "prometheus.yml")
	ok(t, os.WriteFile(file, fmt.Appendf(nil, scraping, c.client.address()), 0o600))
	start(t, program, "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address)
	finds := func(when string, want ...string) {
		t.Helper()
		eventually(t, when, func() error {
			all, err := targets(address)
			var got []string
			for _, a := range all {
				got = append(got, a.DiscoveredLabels["__meta_consul_service_id"]+" "+a.Health)
			}
			slices.Sort(got)
			if err == nil && !slices.Equal(got, want) {
				err = fmt.Errorf("targets %q; want %q", got, want)
			}
			return err
		})
	}
	own := c.client.Agent()
	app1 := &api.AgentServiceRegistration{
		ID: "app-1", Name: "app", Address: "127.0.0.1", Port: ports[0], Tags: []string{"v1", "metrics"}, Meta: map[string]string{"team": "x"},
		Check: &api.AgentServiceCheck{CheckID: "app-1", TTL: "1h", Status: api.HealthPassing},
	}
	ok(t, own.ServiceRegister(app1))
	ok(t, own.ServiceRegister(&api.AgentServiceRegistration{ID: "quiet-1", Name: "quiet", Address: "127.0.0.1", Port: ports[0]}))
	finds("the tagged service is registered", "app-1 up")
	app2 := *app1
	app2.ID, app2.Port, app2.Check = "app-2", ports[1], nil
	ok(t, own.ServiceRegister(&app2))
	finds("a second instance is registered", "app-1 up", "app-2 up")
	ok(t, own.ServiceDeregister("app-2"))
	finds("the second is gone", "app-1 up")

	all, err := targets(address)
	ok(t, err)
	for label, want := range map[string]string{
		"address": "127.0.0.1", "dc": "dc1", "health": "passing", "metadata_rack": "r1", "node": "c1", "service": "app", "service_address": "127.0.0.1",
		"service_id": "app-1", "service_metadata_team": "x", "service_port": fmt.Sprint(ports[0]), "tagged_address_lan": "127.0.0.1", "tags": ",v1,metrics,",
	} {
		if got := all[0].DiscoveredLabels["__meta_consul_"+label]; got != want {
			t.Errorf("label %s: %q; want %q", label, got, want)
		}
	}
	ok(t, own.ServiceDeregister("app-1"))
	finds("the last one is gone")
}
