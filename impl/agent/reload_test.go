package agent_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"
	"github.com/miekg/dns"

	"tribune/impl/agent"
	"tribune/impl/config"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

// file writes a file on the machine's disk.
func (m machine) file(name, text string) {
	m.Helper()
	if err := host.MakeDir(m.FS(), "/etc", 0o755); err != nil {
		m.Fatal(err)
	}
	if err := host.ReplaceFile(m.FS(), name, []byte(text)); err != nil {
		m.Fatal(err)
	}
}

// startFrom starts an agent as the command line does, from a file; without a handler
// its log is lost.
func (m machine) startFrom(name string, log ...slog.Handler) *agent.Agent {
	m.Helper()
	c, err := config.Load(m.FS(), []string{"-server", "-bootstrap-expect", "1", "-data-dir", "/data", "-config-file", name})
	if err != nil {
		m.Fatal(err)
	}
	a, err := agent.New(m.Context(), c, m, slog.New(append(log, slog.DiscardHandler)[0]))
	if err != nil {
		m.Fatal(err)
	}
	return a
}

func TestAReloadTakesUpWhatTheFilesDefineNow(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		m.file("/etc/a.hcl", "service { name = \"web\"\n port = 80\n check { id = \"alive\"\n ttl = \"1h\" } }\nservice { name = \"old\" }")
		a := m.startFrom("/etc/a.hcl")
		m.ready(a)
		c := m.client(a)
		w.must(c.Agent().UpdateTTL("alive", "fine", "pass"))
		w.awaitHealth(time.Minute, c, "old", "m1=passing")
		w.awaitHealth(time.Minute, c, "web", "m1=passing")

		m.file("/etc/a.hcl", "service { name = \"web\"\n port = 81\n check { id = \"alive\"\n ttl = \"1h\" } }\nservice { name = \"new\" }\nnode_meta { x = \"y\" }\nreconnect_timeout = \"80h\"")
		lines, stop := make(chan string, 1000), make(chan struct{})
		logs, err := c.Agent().Monitor("warn", stop, nil)
		if err != nil {
			w.Fatal(err)
		}
		go func() {
			for line := range logs {
				lines <- line
			}
		}()
		w.must(c.Agent().Reload())
		w.awaitHealth(time.Second, c, "old", "")
		w.awaitHealth(time.Second, c, "new", "m1=passing")
		w.awaitHealth(time.Second, c, "web", "m1=passing") // nobody had to touch it again
		if s, _, err := c.Agent().Service("web", nil); err != nil || s.Port != 81 {
			w.Errorf("%+v, %v", s, err)
		}
		time.Sleep(time.Second)
		if nodes, _, err := c.Catalog().Nodes(&capi.QueryOptions{NodeMeta: map[string]string{"x": "y", "consul-network-segment": ""}}); err != nil || len(nodes) != 1 {
			w.Errorf("nodes with the new metadata: %v, %v", nodes, err)
		}
		if self, err := c.Agent().Self(); err != nil || self["Meta"]["x"] != "y" {
			w.Errorf("self: %v, %v", self["Meta"], err)
		}
		close(stop)
		if len(lines) != 1 || !strings.Contains(<-lines, "setting=reconnect_timeout") {
			w.Errorf("%d lines", len(lines))
		}

		m.file("/etc/a.hcl", "service { name = \"web\"\n port = \"eighty\" }")
		if err := c.Agent().Reload(); err == nil || !strings.Contains(err.Error(), "/etc/a.hcl: line 1: service: ") {
			w.Error(err)
		}
		w.awaitHealth(time.Second, c, "new", "m1=passing")
		w.close(a)
	})
}

func TestARecursorMayBeATemplateAlsoAtAReload(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		l, err := m.Network().Listen(m.Context(), "tcp", ":54")
		w.must(err)
		upstream := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
			_ = rw.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeNameError))
		})}
		go upstream.ActivateAndServe()
		const client = "client_addr = \"{{ GetPrivateIP }}\"\n"
		m.file("/etc/a.hcl", client+`recursors = ["{{ GetPrivateIP }}:55"]`)
		a := m.startFrom("/etc/a.hcl")
		if got := m.resolve(a, "example.com.", dns.TypeA); got.Rcode != dns.RcodeServerFailure {
			w.Errorf("of nobody: %v", got)
		}
		m.file("/etc/a.hcl", client+`recursors = ["{{ GetPrivateIP }}:55 {{ GetPrivateIP }}:54"]`)
		w.must(a.Reload())
		if got := m.resolve(a, "example.com.", dns.TypeA); got.Rcode != dns.RcodeNameError {
			w.Errorf("of the recursor: %v", got)
		}
		m.file("/etc/a.hcl", client+`recursors = ["{{ GetPublicIP }}"]`)
		if err := a.Reload(); err == nil || !strings.Contains(err.Error(), `recursors: the template "{{ GetPublicIP }}": `) {
			w.Error(err)
		}
		w.close(a)
		w.must(upstream.Shutdown())
	})
}

// TestAChangeWaitsUntilItIsUndone reloads again and again.
func TestAChangeWaitsUntilItIsUndone(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		m.file("/etc/a.hcl", `reconnect_timeout = "72h"`)
		var log hosttest.Output
		a := m.startFrom("/etc/a.hcl", slog.NewTextHandler(&log, nil))
		defer w.close(a)
		for _, c := range []struct {
			timeout string
			waits   bool
		}{{"73h", true}, {"73h", true}, {"74h", true}, {"72h", false}, {"72h", false}} {
			m.file("/etc/a.hcl", fmt.Sprintf("reconnect_timeout = %q", c.timeout))
			log.Reset()
			w.must(a.Reload())
			if waits := strings.Contains(log.String(), "setting=reconnect_timeout"); waits != c.waits {
				w.Errorf("with %s it is %v that a change waits:\n%s", c.timeout, waits, log.String())
			}
		}
	})
}

func TestAServerTakesSnapshotsAsAReloadSays(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		m.file("/etc/a.hcl", "")
		var log hosttest.Output
		a := m.startFrom("/etc/a.hcl", slog.NewTextHandler(&log, nil))
		defer w.close(a)
		m.ready(a)
		snapshots := func() int {
			entries, err := m.FS().ReadDir("/data/raft/snapshots")
			w.must(err)
			return len(entries)
		}
		for range 50 {
			m.want(a, "PUT", "/v1/kv/a", "x", "true")
		}
		time.Sleep(5 * time.Minute)
		if n := snapshots(); n > 0 {
			w.Errorf("%d snapshots before there was a reason", n)
		}
		m.file("/etc/a.hcl", "raft_snapshot_threshold = 40\nraft_snapshot_interval = \"5s\"\nraft_trailing_logs = 7")
		w.must(a.Reload())
		time.Sleep(time.Minute) // the look that was under way, and one more
		if n := snapshots(); n != 1 {
			w.Errorf("%d snapshots", n)
		}
		if strings.Contains(log.String(), "waits for the next start") {
			w.Error(log.String())
		}
	})
}

func TestTokensThatAreSetOutliveARestart(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		own := m.client(a).Agent()
		for _, set := range []func(string, *capi.WriteOptions) (*capi.WriteMeta, error){
			own.UpdateDefaultACLToken, own.UpdateAgentACLToken, own.UpdateAgentRecoveryACLToken, own.UpdateReplicationACLToken, own.UpdateDNSToken,
		} {
			if _, err := set("secret", nil); err != nil {
				w.Error(err)
			}
		}
		if status, answer, _ := m.ask(a, "PUT", "/v1/agent/token/none", `{"Token": "x"}`); status != 404 || answer != `Token "none" is unknown` {
			w.Errorf("%d %s", status, answer)
		}
		w.close(a)
		b, err := host.ReadFile(m.FS(), "/var/tribune/acl-tokens.json")
		if err != nil || strings.Count(string(b), "secret") != 5 {
			w.Errorf("%s, %v", b, err)
		}
		w.close(m.start())
	})
}

func TestAnAgentDescribesItsMachine(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		w.must(host.MakeDir(m.FS(), "/proc", 0o755))
		for name, text := range map[string]string{
			"meminfo": "MemTotal:  1000 kB\nMemFree: 100 kB\nMemAvailable: 250 kB\n", "cpuinfo": "processor\t: 0\nmodel name\t: X\ncpu MHz : 12.5\n\nprocessor : 1\n", "uptime": "71.5 2\n",
		} {
			w.must(host.ReplaceFile(m.FS(), "/proc/"+name, []byte(text)))
		}
		a := m.start()
		got, err := m.client(a).Agent().Host()
		if err != nil {
			w.Fatal(err)
		}
		memory, about := got["Memory"].(map[string]any), got["Host"].(map[string]any)
		if memory["total"] != 1024000.0 || memory["usedPercent"] != 75.0 || about["hostname"] != "m1" || about["uptime"] != 71.0 {
			w.Errorf("%v", got)
		}
		if s := fmt.Sprint(got["CPU"]); !strings.Contains(s, "mhz:12.5 modelName:X") || len(got["CPU"].([]any)) != 2 {
			w.Error(s)
		}
		w.close(a)
	})
}
