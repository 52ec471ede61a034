package agent_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"
	"github.com/miekg/dns"

	"tribune/impl/agent"
	"tribune/impl/config"
	"tribune/impl/host"
)

func TestTheHTTPAPIAndDNSListenAtAllTheirAddresses(t *testing.T) {
	c := config.Default()
	c.DataDir, c.Server, c.Bootstrap = t.TempDir(), true, true
	c.BindAddr, c.ClientAddr = "127.0.0.151", "127.0.0.151 127.0.0.152"
	c.Addresses.DNS = "127.0.0.152 127.0.0.153"
	a, err := agent.New(t.Context(), c, host.Real(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"127.0.0.151", "127.0.0.152"} {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := client.Get("http://" + address + ":8500/v1/agent/members")
		if err != nil {
			t.Error(err)
			continue
		}
		if r.StatusCode != http.StatusOK || r.Body.Close() != nil {
			t.Errorf("%s: %s", address, r.Status)
		}
	}
	for _, address := range []string{"127.0.0.152", "127.0.0.153"} {
		for _, network := range []string{"udp", "tcp"} {
			client := dns.Client{Net: network}
			if _, _, err := client.Exchange(new(dns.Msg).SetQuestion("none.service.consul.", dns.TypeA), address+":8600"); err != nil {
				t.Error(err)
			}
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestWithoutTheHTTPAPIAnAgentDoesAllElse(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		const without = "ports { http = -1 }\nclient_addr = \"0.0.0.0\"\n"
		m.file("/etc/a.hcl", without+"service { name = \"web\" }")
		a := m.startFrom("/etc/a.hcl")
		if conn, err := m.Network().Dial(m.Context(), "tcp", "10.0.0.1:8500"); a.HTTPAddr() != "" || err == nil {
			w.Errorf("listens at %q, %v, %v", a.HTTPAddr(), conn, err)
		}
		knows := func(service string) func() error {
			return func() error {
				if got := m.resolve(a, service+".service.consul.", dns.TypeA); len(got.Answer) != 1 {
					return fmt.Errorf("%v", got)
				}
				return nil
			}
		}
		w.eventually(time.Minute, knows("web"))
		m.file("/etc/a.hcl", without+"service { name = \"db\" }")
		w.must(a.Reload())
		w.eventually(time.Minute, knows("db"))
		m.file("/etc/a.hcl", watchedKey)
		if err := a.Reload(); err == nil || !strings.HasSuffix(err.Error(), "this one was started without: ports.http was -1") {
			w.Error(err)
		}
		w.must(knows("db")())
		w.close(a)
		_ = m.refused("watches: the agent follows them through its HTTP API, and ports.http is -1", func(c *config.Config) {
			c.Ports.HTTP, c.Watches = -1, []map[string]any{{"type": "key", "key": "k", "args": []any{"x"}}}
		})
		m.idle()
	})
}

func TestATemplateIsTheAgentsAddress(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(3)
		a := m.start(func(c *config.Config) { c.BindAddr, c.ClientAddr = "{{ GetPrivateIP }}", "{{ GetPrivateIP }}" })
		if a.Advertise() != "10.0.0.3" || a.Config().ClientAddr != "10.0.0.3" {
			w.Errorf("%s, %s", a.Advertise(), a.Config().ClientAddr)
		}
		w.close(a)
		_ = m.refused(`bind_addr: the template "{{ GetPublicIP }}": `, func(c *config.Config) { c.BindAddr = "{{ GetPublicIP }}" })
		m.idle()
	})
}

func TestScriptsThatTheStartDidNotAllowWaitForTheNext(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		m.file("/etc/a.hcl", "")
		a := m.startFrom("/etc/a.hcl")
		m.file("/etc/a.hcl", `enable_local_script_checks = true check { id = "disk" name = "disk" args = ["df"] interval = "1m" }`)
		err := a.Reload()
		if err == nil || !strings.Contains(err.Error(), `check "disk" is a script: enable_script_checks and enable_local_script_checks take effect when the agent starts`) || strings.Contains(err.Error(), "to enable") {
			w.Error(err)
		}
		w.close(a)
	})
}

func TestFilesThatChangeAreTakenUpIfThatIsWanted(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		m.file("/etc/a.hcl", "auto_reload_config = true")
		a := m.startFrom("/etc/a.hcl")
		m.ready(a)
		c := m.client(a)
		has := func(id string) bool {
			services, err := c.Agent().Services()
			w.must(err)
			return services[id] != nil
		}
		lines, stop := make(chan string, 1000), make(chan struct{})
		logs, err := c.Agent().Monitor("error", stop, nil)
		w.must(err)
		go func() {
			for line := range logs {
				lines <- line
			}
		}()
		time.Sleep(time.Minute)
		m.file("/etc/a.hcl", "auto_reload_config = true\nservice { name = \"web\" }")
		time.Sleep(5 * time.Second)
		if !has("web") {
			w.Error("the new service is not there")
		}
		m.file("/etc/a.hcl", "auto_reload_config = true\nservice {")
		time.Sleep(time.Minute)
		if !has("web") {
			w.Error("a file that makes no sense took the service away")
		}
		m.file("/etc/a.hcl", "auto_reload_config = true\nservice { name = \"mail\" }")
		time.Sleep(5 * time.Second)
		if has("web") || !has("mail") {
			w.Error("the file that makes sense again was not taken up")
		}
		close(stop)
		said := 0
		for range len(lines) {
			if line := <-lines; strings.Contains(line, "the configuration stays as it was") {
				said++
			}
		}
		if said != 1 {
			w.Errorf("that a file makes no sense was said %d times", said)
		}
		w.close(a)
	})
}

func TestReadsWaitAsLongAsTheSettingsSay(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start(func(c *config.Config) { c.Query.Default, c.Query.Max = 16*time.Second, 32*time.Second })
		m.ready(a)
		m.want(a, "PUT", "/v1/agent/service/register", `{"Name": "web"}`, "")
		time.Sleep(time.Minute)
		service, _, err := m.client(a).Agent().Service("web", nil)
		w.must(err)
		for _, path := range []string{"/v1/kv/ready?index=1000000", "/v1/event/list?index=1", "/v1/agent/service/web?hash=" + service.ContentHash} {
			for wait, want := range map[string]time.Duration{"": 16 * time.Second, "&wait=1s": time.Second, "&wait=1h": 32 * time.Second} {
				began := time.Now()
				status, _, err := m.ask(a, "GET", path+wait, "")
				if took := time.Since(began); err != nil || status != http.StatusOK || took < want || took > want+want/16+time.Second/10 {
					w.Errorf("%s%s: %d after %v, %v; want %v", path, wait, status, took, err, want)
				}
			}
		}
		w.close(a)
	})
}

func TestAClientSendsNoMoreRequestsThanItMay(t *testing.T) {
	inWorld(t, func(w world) {
		_, servers := w.servers(1)
		m := w.machine(9)
		a := m.start(joined(1, false), func(c *config.Config) { c.RPC.Rate, c.RPC.Burst = 1, 5 })
		m.ready(a)
		time.Sleep(time.Minute)
		var refused, answered int
		for range 10 {
			switch status, answer, err := m.ask(a, "GET", "/v1/kv/ready", ""); {
			case err == nil && status == http.StatusOK:
				answered++
			case err == nil && status == http.StatusTooManyRequests && answer == "RPC rate limit exceeded":
				refused++
			default:
				w.Errorf("%d %s, %v", status, answer, err)
			}
		}
		if answered == 0 || answered > 6 || refused == 0 {
			w.Errorf("%d were answered and %d refused", answered, refused)
		}
		time.Sleep(3 * time.Second)
		if status, answer, err := m.ask(a, "GET", "/v1/kv/ready", ""); status != http.StatusOK {
			w.Errorf("%d %s, %v", status, answer, err)
		}
		w.close(a)
		w.close(servers[0])
	})
}

func TestASessionHasAtLeastTheTTLOfTheSettings(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start(func(c *config.Config) { c.SessionTTLMin = time.Minute })
		m.ready(a)
		time.Sleep(10 * time.Second)
		c := m.client(a)
		if _, _, err := c.Session().Create(&capi.SessionEntry{TTL: "59s"}, nil); err == nil || !strings.Contains(err.Error(), "must be between [1m0s=24h0m0s]") {
			w.Error(err)
		}
		_, _, err := c.Session().Create(&capi.SessionEntry{TTL: "1m"}, nil)
		w.must(err)
		if got := m.self(a).Config.SessionTTLMin; got != time.Minute {
			w.Errorf("self says %v", got)
		}
		w.close(a)
	})
}

func TestTheHealthOfAnUnknownServiceIsCriticalAndNotFound(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		for path, want := range map[string]string{
			"/v1/agent/health/service/id/none":               `{"AggregatedStatus":"critical","Service":null,"Checks":null}`,
			"/v1/agent/health/service/id/none?format=text":   "ServiceId none not found",
			"/v1/agent/health/service/name/none":             "[]",
			"/v1/agent/health/service/name/none?format=text": "ServiceName none Not Found",
		} {
			if status, answer, err := m.ask(a, "GET", path, ""); err != nil || status != http.StatusNotFound || strings.TrimSpace(answer) != want {
				w.Errorf("%s: %d %q, %v; want 404 %q", path, status, answer, err, want)
			}
		}
		if status, info, err := m.client(a).Agent().AgentHealthServiceByID("none"); err != nil || status != "critical" || info != nil {
			w.Errorf("%s, %v, %v", status, info, err)
		}
		w.close(a)
	})
}

// resolve asks an agent's DNS over a stream.
func (m machine) resolve(a *agent.Agent, name string, kind uint16) *dns.Msg {
	m.Helper()
	conn, err := m.Network().Dial(m.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(a.Advertise()), 8600).String())
	if err != nil {
		m.Fatal(err)
	}
	d := dns.Conn{Conn: conn}
	w := m.world
	w.must(d.WriteMsg(new(dns.Msg).SetQuestion(name, kind)))
	answer, err := d.ReadMsg()
	w.must(err)
	w.must(d.Close())
	return answer
}

// TestWithoutALeaderDNSAnswersStaleOrFails has two servers of three fail: what was true
// is answered, or nothing, but never that there is nothing.
func TestWithoutALeaderDNSAnswersStaleOrFails(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*config.Config)
		want int
	}{
		{"by default", func(*config.Config) {}, dns.RcodeSuccess},
		{"only the leader", func(c *config.Config) { c.DNS.AllowStale = false }, dns.RcodeServerFailure},
		{"too stale", func(c *config.Config) { c.DNS.MaxStale = time.Second }, dns.RcodeServerFailure},
	} {
		inWorld(t, func(w world) {
			var machines []machine
			var agents []*agent.Agent
			for i := 1; i <= 3; i++ {
				machines = append(machines, w.machine(i))
				agents = append(agents, machines[i-1].start(joined(3, true), c.set))
			}
			m, a := machines[0], agents[0]
			m.ready(a)
			w.must(m.client(a).Agent().ServiceRegister(&capi.AgentServiceRegistration{Name: "web", Port: 80}))
			w.awaitHealth(time.Minute, m.client(a), "web", "m1=passing")
			time.Sleep(time.Minute)
			questions := map[string]uint16{"web.service.consul.": dns.TypeA, "_web._tcp.service.consul.": dns.TypeSRV, "m1.node.consul.": dns.TypeA, "consul.": dns.TypeSOA}
			for name, kind := range questions {
				if got := m.resolve(a, name, kind); got.Rcode != dns.RcodeSuccess || len(got.Answer) == 0 {
					w.Errorf("%s, with a leader: %v", c.name, got)
				}
			}
			w.close(agents[1])
			w.close(agents[2])
			time.Sleep(time.Minute)
			if leader, err := m.client(a).Status().Leader(); err == nil && leader != "" {
				w.Errorf("%s leads", leader)
			}
			questions["consul."] = dns.TypeNS
			for name, kind := range questions {
				got := m.resolve(a, name, kind)
				if got.Rcode != c.want || (len(got.Answer) > 0) != (c.want == dns.RcodeSuccess) {
					w.Errorf("%s: %v", c.name, got)
				}
			}
			if got := m.resolve(a, "consul.", dns.TypeSOA); got.Rcode != c.want {
				w.Errorf("%s: %v", c.name, got)
			}
			if got := m.resolve(a, "none.service.consul.", dns.TypeA); c.want == dns.RcodeServerFailure && got.Rcode != c.want {
				w.Errorf("%s: %v", c.name, got)
			}
			w.close(a)
		})
	}
}
