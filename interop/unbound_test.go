//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
)

// resolving is a resolver's configuration with all that makes it a strict one: names
// in random case, no more of a name than each server needs, and nothing asked below
// a name that does not exist. The last lines say how it comes to .consul.
const resolving = `server:
  interface: 127.0.0.1
  port: %d
  do-daemonize: no
  username: ""
  chroot: ""
  directory: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  module-config: "iterator"
  do-not-query-localhost: no
  use-caps-for-id: yes
  qname-minimisation: yes
  harden-below-nxdomain: yes
%s:
  name: "consul"
  %s: 127.0.0.1@%d
`

// resolver starts unbound, with a zone of some kind for .consul, and returns its port.
func resolver(t *testing.T, program, zone, address string, port int) int {
	t.Helper()
	file, own := filepath.Join(t.TempDir(), "unbound.conf"), freePorts(t, 1)[0]
	ok(t, os.WriteFile(file, fmt.Appendf(nil, resolving, own, zone, address, port), 0o600))
	p := start(t, program, "-d", "-c", file)
	eventually(t, "unbound starts", func() error {
		if !strings.Contains(p.printed(), "start of service") {
			return errNotYet
		}
		return nil
	})
	return own
}

// asked counts the queries of a type for a name that came to an agent.
func (a *agent) asked(name, rrtype string) int {
	n := 0
	for line := range strings.Lines(strings.ToLower(a.printed())) {
		if strings.Contains(line, "dns query answered") && strings.Contains(line, "name="+name+". type="+rrtype+" ") {
			n++
		}
	}
	return n
}

func TestUnboundKeepsWhatThereIsNotAsLongAsTheSOASays(t *testing.T) {
	need(t, "dig", "dnsutils")
	program := need(t, "unbound", "unbound")
	c := startCluster(t, "dns_config { soa { min_ttl = 1 } }", "dns_config { soa { min_ttl = 3600 } }")
	register(t, c, "web1", "10.1.0.1", "web", 80, "", "v1")
	stub := resolver(t, program, "stub-zone", "stub-addr", c.client.dns)
	forward := resolver(t, program, "forward-zone", "forward-addr", c.server.dns)
	for _, port := range []int{stub, forward} {
		// That there is no AAAA record must not hide the A record, nor one name
		// that does not exist another.
		for _, q := range []struct {
			args, status string
			answer       []string
		}{
			{"web.service.consul AAAA", "NOERROR", nil},
			{"none.service.consul A", "NXDOMAIN", nil},
			{"none.node.consul A", "NXDOMAIN", nil},
			{"web.service.consul A", "NOERROR", []string{"web.service.consul. 0 IN A 10.1.0.1"}},
			{"v1.web.service.consul A", "NOERROR", []string{"v1.web.service.consul. 0 IN A 10.1.0.1"}},
			{"web.service.dc1.consul A", "NOERROR", []string{"web.service.dc1.consul. 0 IN A 10.1.0.1"}},
			{"web1.node.dc1.consul A", "NOERROR", []string{"web1.node.dc1.consul. 0 IN A 10.1.0.1"}},
			{"_web._tcp.service.consul SRV", "NOERROR", []string{"_web._tcp.service.consul. 0 IN SRV 1 1 80 web1.node.dc1.consul."}},
		} {
			if d := dig(t, port, strings.Fields(q.args)...); d.status != q.status || !slices.Equal(d.answer, q.answer) {
				t.Errorf("dig %s by way of unbound: want %s %q\n%s", q.args, q.status, q.answer, d.raw)
			}
		}
	}
	before := c.client.asked("web.service.consul", "aaaa")
	for range 20 {
		dig(t, stub, "web.service.consul", "AAAA")
	}
	if after := c.client.asked("web.service.consul", "aaaa"); before == 0 || after != before {
		t.Errorf("20 questions for what unbound knows not to be there made %d of %d at the agent", after-before, after)
	}

	register(t, c, "web2", "2001:db8::2", "web", 80, "")
	register(t, c, "none", "10.1.0.3", "none", 80, "")
	for _, name := range []string{"none.service.consul A", "web.service.consul AAAA"} {
		args := strings.Fields(name)
		eventually(t, name+" is there after a second", func() error {
			if d := dig(t, forward, args...); len(d.answer) != 1 {
				return fmt.Errorf("unbound says %s %q", d.status, d.answer)
			}
			return nil
		})
		if d := dig(t, c.client.dns, args...); len(d.answer) != 1 {
			t.Errorf("the agent on %s:\n%s", name, d.raw)
		}
		if d := dig(t, stub, args...); len(d.answer) != 0 {
			t.Errorf("unbound forgot within an hour that there is no %s:\n%s", name, d.raw)
		}
	}
	_, err := c.client.Catalog().Deregister(&api.CatalogDeregistration{Node: "web1"}, nil)
	ok(t, err)
	if d := dig(t, stub, "web.service.consul", "A"); len(d.answer) != 0 {
		t.Errorf("an answer with a TTL of 0 was kept:\n%s", d.raw)
	}
}
