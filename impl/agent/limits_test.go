package agent_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/config"
)

// TestAClientWithTooManyConnectionsIsToldSo has one that waits in blocking queries,
// as those do that meet the limit.
func TestAClientWithTooManyConnectionsIsToldSo(t *testing.T) {
	inWorld(t, func(w world) {
		m, far := w.machine(1), w.machine(2)
		m.file("/etc/a.hcl", "client_addr = \"0.0.0.0\"\nlimits { http_max_conns_per_client = 3 }")
		a := m.startFrom("/etc/a.hcl")
		defer w.close(a)
		transport := &http.Transport{DialContext: far.Network().Dial}
		defer transport.CloseIdleConnections()
		c, err := capi.NewClient(&capi.Config{Address: "10.0.0.1:8500", HttpClient: &http.Client{Transport: transport}})
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(10 * time.Second) // until there is a leader
		_, meta, err := c.KV().Get("key", nil)
		if err != nil {
			w.Fatal(err)
		}
		done := make(chan error)
		for range 3 {
			go func() {
				_, _, err := c.KV().Get("key", &capi.QueryOptions{WaitIndex: meta.LastIndex})
				done <- err
			}()
		}
		time.Sleep(time.Second)
		if _, _, err := c.KV().Get("key", nil); err == nil || !strings.Contains(err.Error(), "429") || !strings.Contains(err.Error(), "the agent allows 3") {
			w.Errorf("one too many: %v", err)
		}
		m.file("/etc/a.hcl", "client_addr = \"0.0.0.0\"\nlimits { http_max_conns_per_client = 4 }")
		if err := a.Reload(); err != nil {
			w.Fatal(err)
		}
		if _, err := c.KV().Put(&capi.KVPair{Key: "key"}, nil); err != nil {
			w.Errorf("after the limit was raised: %v", err)
		}
		for range 3 {
			if err := <-done; err != nil {
				w.Errorf("one that was there before: %v", err)
			}
		}
	})
}

func TestAValueThatIsTooLargeIsRefusedInWordsThatVaultKnows(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start(func(c *config.Config) { c.KVMaxValueSize = 10 })
		defer w.close(a)
		m.ready(a)
		c := m.client(a)
		value := []byte("12345678901")
		_, err := c.KV().Put(&capi.KVPair{Key: "key", Value: value}, nil)
		if err == nil || !strings.Contains(err.Error(), "413") || !strings.Contains(err.Error(), "Value exceeds 10 byte limit") {
			w.Errorf("%v", err)
		}
		_, _, _, err = c.Txn().Txn(capi.TxnOps{{KV: &capi.KVTxnOp{Verb: capi.KVSet, Key: "key", Value: value}}}, nil)
		if err == nil || !strings.Contains(err.Error(), "is too large") {
			w.Errorf("%v", err)
		}
		if _, err := c.KV().Put(&capi.KVPair{Key: "key", Value: value[1:]}, nil); err != nil {
			w.Errorf("of the size that is allowed: %v", err)
		}
	})
}

func TestSelfHasWhatToolsReadFromIt(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		defer w.close(a)
		self, err := m.client(a).Agent().Self()
		if err != nil {
			w.Fatal(err)
		}
		if got := self["Config"]["Datacenter"]; got != "dc1" { // Prometheus
			w.Errorf("%v", got)
		}
		if got := self["Config"]["SessionTTLMin"]; got != 1e10 { // Patroni, in nanoseconds
			w.Errorf("%v", got)
		}
		if got := self["Member"]["Addr"]; got != "10.0.0.1" { // Vault
			w.Errorf("%v", got)
		}
		telemetry, _ := self["DebugConfig"]["Telemetry"].(map[string]any) // Netdata
		if options, _ := telemetry["PrometheusOpts"].(map[string]any); telemetry["MetricsPrefix"] != "consul" || options["Expiration"] != "876000h0m0s" {
			w.Errorf("%v", telemetry)
		}
		for key, want := range map[string]any{"NodeName": "m1", "ServerMode": true, "HTTPPort": 8500.0, "SessionTTLMin": "10s", "RaftSnapshotInterval": "30s", "AdvertiseAddrLAN": "10.0.0.1"} {
			if got := self["DebugConfig"][key]; got != want {
				w.Errorf("DebugConfig.%s is %v, want %v", key, got, want)
			}
		}
	})
}
