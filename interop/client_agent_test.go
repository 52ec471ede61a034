//go:build interop

package interop

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/serf/serf"
)

// itself is the story of what an agent tells about itself and takes from whoever
// runs it.
func itself(t *testing.T, c cluster) {
	own := c.client.Agent()
	self, err := own.Self()
	if err != nil || self["Config"]["Datacenter"] != "dc1" || self["Config"]["NodeName"] != "c1" || self["Config"]["Server"] != false {
		t.Errorf("self: %v, %v", self, err)
	}
	if name, err := own.NodeName(); err != nil || name != "c1" {
		t.Errorf("node name: %s, %v", name, err)
	}
	if host, err := own.Host(); err != nil || host["Host"] == nil {
		t.Errorf("host: %v, %v", host, err)
	}
	if version, err := own.Version(); err != nil || version["HumanVersion"] != self["Config"]["Version"] {
		t.Errorf("version: %v, %v", version, err)
	}
	if figures, err := own.Metrics(); err != nil || len(figures.Gauges) == 0 || len(figures.Counters) == 0 || len(figures.Samples) == 0 {
		t.Errorf("metrics: %+v, %v", figures, err)
	}
	if leader, err := c.client.Status().Leader(); err != nil || leader == "" {
		t.Errorf("leader: %q, %v", leader, err)
	}
	if peers, err := c.client.Status().Peers(); err != nil || len(peers) != 1 {
		t.Errorf("peers: %q, %v", peers, err)
	}
	_, err = own.UpdateDefaultACLToken("secret", nil)
	ok(t, err)

	stop := make(chan struct{})
	defer close(stop)
	lines, err := own.Monitor("info", stop, nil)
	ok(t, err)
	text, err := os.ReadFile(c.client.file)
	ok(t, err)
	ok(t, os.WriteFile(c.client.file, append(text, "\nservice { name = \"from-file\"\n port = 7 }\n"...), 0o600))
	ok(t, own.Reload())
	if s, _, err := own.Service("from-file", nil); err != nil || s.Port != 7 {
		t.Errorf("after a reload: %+v, %v", s, err)
	}
	eventually(t, "the log tells of the reload", func() error {
		select {
		case line := <-lines:
			if strings.Contains(line, "eload") {
				return nil
			}
			return fmt.Errorf("last line: %s", line)
		default:
			return errNotYet
		}
	})
	ok(t, own.ServiceDeregister("from-file"))
}

// members is the story of agents that come, leave and die.
func members(t *testing.T, c cluster) {
	status := func(name string, want serf.MemberStatus) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s is %v", name, want), func() error {
			all, err := c.server.Agent().Members(false)
			for _, m := range all {
				if m.Name == name {
					if serf.MemberStatus(m.Status) == want {
						return nil
					}
					return fmt.Errorf("%s is %v", name, serf.MemberStatus(m.Status))
				}
			}
			if err == nil {
				err = fmt.Errorf("%s is no member of %d", name, len(all))
			}
			return err
		})
	}
	guest, doomed := startAgent(t, c.ledger, "guest", ""), startAgent(t, c.ledger, "doomed", "")
	for _, a := range []*agent{guest, doomed} {
		eventually(t, a.name+" joins", func() error { return a.Agent().Join(c.server.gossip(), false) })
		status(a.name, serf.StatusAlive)
	}
	if wan, err := c.client.Agent().Members(true); err != nil || len(wan) != 0 {
		t.Errorf("members of other datacenters: %+v, %v", wan, err)
	}
	ok(t, guest.Agent().Leave())
	status("guest", serf.StatusLeft)
	<-guest.ended
	doomed.kill()
	status("doomed", serf.StatusFailed)
	ok(t, c.client.Agent().ForceLeave("doomed"))
	status("doomed", serf.StatusLeft)
	eventually(t, "the catalog has forgotten both", func() error {
		nodes, _, err := c.client.Catalog().Nodes(nil)
		for _, n := range nodes {
			if n.Node == "guest" || n.Node == "doomed" {
				err = fmt.Errorf("%s is still there", n.Node)
			}
		}
		return err
	})
	if all, err := c.client.Agent().MembersOpts(api.MembersOpts{Segment: api.AllSegments}); err != nil || len(all) < 2 {
		t.Errorf("members of all segments: %+v, %v", all, err)
	}
}
