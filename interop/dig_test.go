//go:build interop

package interop

import (
	"cmp"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/miekg/dns"
)

// dug is what dig shows of an answer. Records are as dig writes them, with single
// spaces, in alphabetical order.
type dug struct {
	status, flags, transport      string
	answer, authority, additional []string
	raw                           string
}

// dig asks the DNS server on a port of loopback.
func dig(t *testing.T, port int, args ...string) dug {
	t.Helper()
	args = append([]string{"@127.0.0.1", "-p", fmt.Sprint(port), "+time=5", "+tries=3"}, args...)
	out, err := exec.Command("dig", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("dig %q: %v\n%s", args, err, out)
	}
	d := dug{raw: string(out)}
	sections := map[string]*[]string{"ANSWER": &d.answer, "AUTHORITY": &d.authority, "ADDITIONAL": &d.additional, "": new([]string)}
	into := sections[""]
	for line := range strings.Lines(d.raw) {
		line = strings.TrimSpace(line)
		if _, rest, found := strings.Cut(line, ", status: "); found {
			d.status, _, _ = strings.Cut(rest, ",")
		}
		if rest, found := strings.CutPrefix(line, ";; flags: "); found {
			d.flags, _, _ = strings.Cut(rest, ";")
		}
		if _, rest, found := strings.Cut(line, ") ("); found && strings.HasPrefix(line, ";; SERVER: ") {
			d.transport = strings.TrimSuffix(rest, ")")
		}
		if section, found := strings.CutSuffix(line, " SECTION:"); found {
			into = cmp.Or(sections[strings.TrimPrefix(section, ";; ")], sections[""])
		} else if line != "" && !strings.HasPrefix(line, ";") {
			*into = append(*into, strings.Join(strings.Fields(line), " "))
		}
	}
	for _, s := range sections {
		slices.Sort(*s)
	}
	return d
}

// dnsCluster starts agents that dig asks. The client agent sends names of other
// domains nowhere, the server to a recursor.
func dnsCluster(t *testing.T) cluster {
	t.Helper()
	settings := `dns_config { node_ttl = "5s"
		service_ttl { "*" = "7s" }
		enable_truncate = true
		soa { min_ttl = 30 } }
		`
	c := startCluster(t, settings+fmt.Sprintf("recursors = [%q]", recursor(t)), settings)
	for _, r := range []*api.CatalogRegistration{
		{Node: "web1", Address: "10.1.0.1", NodeMeta: map[string]string{"rack": "r1"}, Service: &api.AgentService{Service: "web", Port: 8081, Tags: []string{"primary", "v1"}}},
		{Node: "web2", Address: "10.1.0.2", Service: &api.AgentService{Service: "web", Port: 8082, Tags: []string{"v1"}, Weights: api.AgentWeights{Passing: 3, Warning: 1}}},
		{Node: "web3", Address: "10.1.0.3", Service: &api.AgentService{Service: "web", Port: 8083}, Checks: api.HealthChecks{{Node: "web3", CheckID: "up", ServiceID: "web", Status: api.HealthCritical}}},
		{Node: "six", Address: "2001:db8::6", Service: &api.AgentService{Service: "mail", Port: 25}},
		{Node: "web1", Address: "10.1.0.1", Service: &api.AgentService{Service: "db", Port: 5432, Address: "10.9.0.1"}, SkipNodeUpdate: true},
		{Node: "cloud", Address: "10.1.0.4", Service: &api.AgentService{Service: "cdn", Port: 443, Address: "cdn.example.org"}},
	} {
		_, err := c.client.Catalog().Register(r, nil)
		ok(t, err)
	}
	for i := range 100 {
		register(t, c, fmt.Sprintf("many%02d", i), fmt.Sprintf("10.2.0.%d", i), "many", 1000+i, "")
	}
	_, _, err := c.client.PreparedQuery().Create(&api.PreparedQueryDefinition{
		Name: "any-web", Service: api.ServiceQuery{Service: "web", Tags: []string{"primary"}}, DNS: api.QueryDNSOptions{TTL: "9s"},
	}, nil)
	ok(t, err)
	return c
}

// recursor starts a DNS server that knows example.org, and returns its address.
func recursor(t *testing.T) string {
	t.Helper()
	at := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true
		if name := q.Question[0].Name; !dns.IsSubDomain("example.org.", name) {
			m.Rcode = dns.RcodeNameError
		} else if q.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 99)}}
		}
		_ = w.WriteMsg(m) // whoever asked has a limit of its own
	})
	for _, network := range []string{"udp", "tcp"} {
		started := make(chan struct{})
		s := &dns.Server{Addr: at, Net: network, Handler: answer, NotifyStartedFunc: func() { close(started) }}
		ended := make(chan error, 1)
		go func() { ended <- s.ListenAndServe() }()
		within(t, "the recursor starts", started)
		t.Cleanup(func() {
			ok(t, s.Shutdown())
			ok(t, <-ended)
		})
	}
	return at
}

func TestDigFindsEveryFormOfName(t *testing.T) {
	need(t, "dig", "dnsutils")
	c := dnsCluster(t)
	web1, web2, rack := "web1.node.dc1.consul. 7 IN A 10.1.0.1", "web2.node.dc1.consul. 7 IN A 10.1.0.2", `web1.node.dc1.consul. 7 IN TXT "rack=r1"`
	for _, q := range []struct {
		args       string
		answer     []string
		additional []string
	}{
		{"web.service.consul", []string{"web.service.consul. 7 IN A 10.1.0.1", "web.service.consul. 7 IN A 10.1.0.2"}, nil},
		{"web.service.dc1.consul A", []string{"web.service.dc1.consul. 7 IN A 10.1.0.1", "web.service.dc1.consul. 7 IN A 10.1.0.2"}, nil},
		{"web.service.dc1.dc.consul +tcp", []string{"web.service.dc1.dc.consul. 7 IN A 10.1.0.1", "web.service.dc1.dc.consul. 7 IN A 10.1.0.2"}, nil},
		{"primary.web.service.consul", []string{"primary.web.service.consul. 7 IN A 10.1.0.1"}, nil},
		{"WEB.Service.CONSUL +noedns", []string{"WEB.Service.CONSUL. 7 IN A 10.1.0.1", "WEB.Service.CONSUL. 7 IN A 10.1.0.2"}, nil},
		{"web.service.consul SRV", []string{"web.service.consul. 7 IN SRV 1 1 8081 web1.node.dc1.consul.", "web.service.consul. 7 IN SRV 1 3 8082 web2.node.dc1.consul."}, []string{web1, rack, web2}},
		{"_web._primary.service.consul SRV", []string{"_web._primary.service.consul. 7 IN SRV 1 1 8081 web1.node.dc1.consul."}, []string{web1, rack}},
		{"_web._tcp.consul SRV +tcp", []string{"_web._tcp.consul. 7 IN SRV 1 1 8081 web1.node.dc1.consul.", "_web._tcp.consul. 7 IN SRV 1 3 8082 web2.node.dc1.consul."}, []string{web1, rack, web2}},
		{"db.service.consul SRV", []string{"db.service.consul. 7 IN SRV 1 1 5432 0a090001.addr.dc1.consul."}, []string{"0a090001.addr.dc1.consul. 7 IN A 10.9.0.1", rack}},
		{"mail.service.consul AAAA", []string{"mail.service.consul. 7 IN AAAA 2001:db8::6"}, nil},
		{"mail.service.consul ANY", []string{"mail.service.consul. 7 IN AAAA 2001:db8::6"}, nil},
		{"cdn.service.consul", []string{"cdn.service.consul. 7 IN CNAME cdn.example.org."}, nil},
		{"web1.node.consul", []string{"web1.node.consul. 5 IN A 10.1.0.1"}, []string{`web1.node.consul. 5 IN TXT "rack=r1"`}},
		{"web1.node.dc1.consul TXT", []string{`web1.node.dc1.consul. 5 IN TXT "rack=r1"`}, nil},
		{"web1.node.consul ANY", []string{"web1.node.consul. 5 IN A 10.1.0.1", `web1.node.consul. 5 IN TXT "rack=r1"`}, nil},
		{"six.node.consul AAAA", []string{"six.node.consul. 5 IN AAAA 2001:db8::6"}, nil},
		{"0a090001.addr.consul", []string{"0a090001.addr.consul. 5 IN A 10.9.0.1"}, nil},
		{"20010db8000000000000000000000006.addr.dc1.consul AAAA", []string{"20010db8000000000000000000000006.addr.dc1.consul. 5 IN AAAA 2001:db8::6"}, nil},
		{"any-web.query.consul", []string{"any-web.query.consul. 9 IN A 10.1.0.1"}, nil},
		{"any-web.query.consul +subnet=192.0.2.0/24", []string{"any-web.query.consul. 9 IN A 10.1.0.1"}, nil},
		{"_any-web._tcp.query.consul SRV", []string{"_any-web._tcp.query.consul. 9 IN SRV 1 1 8081 web1.node.dc1.consul."}, []string{"web1.node.dc1.consul. 9 IN A 10.1.0.1", `web1.node.dc1.consul. 9 IN TXT "rack=r1"`}},
		{"consul NS", []string{"consul. 5 IN NS s1.node.dc1.consul."}, []string{"s1.node.dc1.consul. 5 IN A 127.0.0.1"}},
		{"-x 10.1.0.2", []string{"2.0.1.10.in-addr.arpa. 0 IN PTR web2.node.dc1.consul."}, nil},
		{"-x 10.9.0.1", []string{"1.0.9.10.in-addr.arpa. 0 IN PTR db.service.dc1.consul."}, nil},
		{"-x 2001:db8::6", []string{"6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 0 IN PTR six.node.dc1.consul."}, nil},
	} {
		d := dig(t, c.client.dns, strings.Fields(q.args)...)
		transport := "UDP"
		if strings.Contains(q.args, "+tcp") || strings.HasSuffix(q.args, " ANY") { // dig asks for ANY by TCP
			transport = "TCP"
		}
		if d.status != "NOERROR" || d.flags != "qr aa rd" || d.transport != transport || !slices.Equal(d.answer, q.answer) || !slices.Equal(d.additional, q.additional) {
			t.Errorf("dig %s: want the answer %q with %q\n%s", q.args, q.answer, q.additional, d.raw)
		}
	}
	t.Run("nothing", func(t *testing.T) { digNothing(t, c) })
	t.Run("sizes", func(t *testing.T) { digSizes(t, c) })
	t.Run("recursor", func(t *testing.T) { digRecursor(t, c) })
}

// digNothing asks for what there is not: a name that is unknown, one that has no
// record of the type, one of another domain.
func digNothing(t *testing.T, c cluster) {
	for args, status := range map[string]string{
		"nothing.service.consul":    "NXDOMAIN",
		"old.web.service.consul":    "NXDOMAIN",
		"nothing.node.consul":       "NXDOMAIN",
		"nothing.query.consul":      "NXDOMAIN",
		"zz.addr.consul":            "NXDOMAIN",
		"web.service.dc9.consul":    "NXDOMAIN",
		"nothing.consul":            "NXDOMAIN",
		"web.service.consul AAAA":   "NOERROR",
		"six.node.consul A":         "NOERROR",
		"web.service.consul MX":     "NOERROR",
		"service.consul":            "NOERROR",
		"www.example.org":           "REFUSED",
		"-x 192.0.2.200":            "REFUSED",
		"web.service.consul CH TXT": "REFUSED",
	} {
		d := dig(t, c.client.dns, strings.Fields(args)...)
		soa := len(d.authority) == 1 && strings.HasPrefix(d.authority[0], "consul. 30 IN SOA ns.consul. hostmaster.consul. ")
		if d.status != status || len(d.answer) > 0 || soa != (status != "REFUSED") {
			t.Errorf("dig %s: want %s\n%s", args, status, d.raw)
		}
	}
	d := dig(t, c.client.dns, "consul", "SOA")
	if len(d.answer) != 1 || !strings.HasSuffix(d.answer[0], " 3600 600 86400 30") || !slices.Equal(d.authority, []string{"consul. 5 IN NS s1.node.dc1.consul."}) {
		t.Errorf("SOA:\n%s", d.raw)
	}
}

// digSizes asks for more than fits into a datagram.
func digSizes(t *testing.T, c cluster) {
	for _, q := range []struct {
		args, flags, transport string
		least, most            int // answers
	}{
		{"many.service.consul", "qr aa rd", "TCP", 100, 100}, // dig asks again, of itself
		{"many.service.consul +tcp", "qr aa rd", "TCP", 100, 100},
		{"many.service.consul SRV +tcp", "qr aa rd", "TCP", 100, 100},
		{"many.service.consul +noedns +ignore", "qr aa tc rd", "UDP", 3, 3},
		{"many.service.consul +bufsize=512 +ignore", "qr aa tc rd", "UDP", 3, 3},
		{"many.service.consul +bufsize=1232 +ignore", "qr aa tc rd", "UDP", 50, 75},
		{"many.service.consul +bufsize=4096 +ignore", "qr aa rd", "UDP", 100, 100},
		{"many.service.consul SRV +bufsize=4096 +ignore", "qr aa tc rd", "UDP", 30, 99},
	} {
		d := dig(t, c.client.dns, strings.Fields(q.args)...)
		if d.status != "NOERROR" || d.flags != q.flags || d.transport != q.transport || len(d.answer) < q.least || len(d.answer) > q.most {
			t.Errorf("dig %s: %d answers; want %d to %d, %s by %s\n%s", q.args, len(d.answer), q.least, q.most, q.flags, q.transport, d.raw)
		}
		if targets := len(d.additional); strings.Contains(q.args, "SRV") && targets != len(d.answer) {
			t.Errorf("dig %s: %d answers with the addresses of %d", q.args, len(d.answer), targets)
		}
	}
}

// digRecursor asks the agent that has a recursor for names of other domains.
func digRecursor(t *testing.T, c cluster) {
	for _, q := range []struct {
		args, status string
		answer       []string
	}{
		{"www.example.org", "NOERROR", []string{"www.example.org. 60 IN A 192.0.2.99"}},
		{"www.example.org +tcp", "NOERROR", []string{"www.example.org. 60 IN A 192.0.2.99"}},
		{"www.example.com", "NXDOMAIN", nil},
		{"cdn.service.consul", "NOERROR", []string{"cdn.example.org. 7 IN A 192.0.2.99", "cdn.service.consul. 7 IN CNAME cdn.example.org."}},
		{"-x 10.1.0.1", "NOERROR", []string{"1.0.1.10.in-addr.arpa. 0 IN PTR web1.node.dc1.consul."}},
	} {
		d := dig(t, c.server.dns, strings.Fields(q.args)...)
		if d.status != q.status || !strings.Contains(d.flags, "ra") || !slices.Equal(d.answer, q.answer) {
			t.Errorf("dig %s: want %s %q\n%s", q.args, q.status, q.answer, d.raw)
		}
	}
}
