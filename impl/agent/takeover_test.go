package agent_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/config"
)

// holders lists the nodes that have instances of a service, and the nodes there are.
func holders(c *capi.Client, service string) string {
	instances, _, err := c.Catalog().Service(service, "", nil)
	nodes, _, nerr := c.Catalog().Nodes(nil)
	if err != nil || nerr != nil {
		return fmt.Sprint(err, nerr)
	}
	var with, all []string
	for _, i := range instances {
		with = append(with, i.Node)
	}
	for _, n := range nodes {
		all = append(all, n.Node)
	}
	return strings.Join(with, " ") + " of " + strings.Join(all, " ")
}

func named(name, id string) func(*config.Config) {
	return func(c *config.Config) { c.NodeName, c.NodeID = name, id }
}

// stays holds that something is so, and for how long.
func (w world) stays(limit time.Duration, c *capi.Client, want string) {
	w.Helper()
	w.eventually(time.Minute, func() error {
		if got := holders(c, "web"); got != want {
			return fmt.Errorf("%s; want %s", got, want)
		}
		return nil
	})
	nodes, _, err := c.Catalog().Nodes(nil)
	if err != nil {
		w.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < limit; time.Sleep(7 * time.Second) {
		if got := holders(c, "web"); got != want {
			w.Fatalf("after %v: %s; want %s", time.Since(start), got, want)
		}
	}
	after, _, err := c.Catalog().Nodes(nil)
	for i := range after {
		if err == nil && after[i].CreateIndex != nodes[i].CreateIndex {
			w.Errorf("%s was taken out meanwhile and came again", after[i].Node)
		}
	}
}

const web = `{"Name": "web", "Port": 80}`

// TestAnAgentThatIsRenamedTakesItsServicesWithIt keeps its data directory, and so
// its ID.
func TestAnAgentThatIsRenamedTakesItsServicesWithIt(t *testing.T) {
	inWorld(t, func(w world) {
		machines, servers := w.servers(1)
		defer w.close(servers[0])
		c := machines[0].client(servers[0])
		m := w.machine(9)
		a := m.start(joined(1, false), named("old", ""))
		m.ready(a)
		m.want(a, "PUT", "/v1/agent/service/register", web, "")
		w.stays(time.Minute, c, "old of m1 old")
		w.close(a)
		a = m.start(joined(1, false), named("new", ""))
		defer w.close(a)
		w.stays(20*time.Minute, c, "new of m1 new")
	})
}

// TestACopyOfAnAgentLeavesTheOtherItsNodeWhileThatLives starts two with one ID.
func TestACopyOfAnAgentLeavesTheOtherItsNodeWhileThatLives(t *testing.T) {
	const id = "0c0c0c0c-0c0c-0c0c-0c0c-0c0c0c0c0c0c"
	inWorld(t, func(w world) {
		machines, servers := w.servers(1)
		defer w.close(servers[0])
		c := machines[0].client(servers[0])
		first, second := w.machine(8), w.machine(9)
		a := first.start(joined(1, false), named("original", id))
		first.ready(a)
		first.want(a, "PUT", "/v1/agent/service/register", web, "")
		w.stays(time.Minute, c, "original of m1 original")
		b := second.start(joined(1, false), named("copy", id))
		defer w.close(b)
		second.ready(b)
		second.want(b, "PUT", "/v1/agent/service/register", web, "")
		w.stays(20*time.Minute, c, "original of m1 original")
		w.close(a)
		w.eventually(5*time.Minute, func() error {
			if got := holders(c, "web"); got != "copy of copy m1" {
				return fmt.Errorf("after the original died: %s", got)
			}
			return nil
		})
		w.stays(20*time.Minute, c, "copy of copy m1")
	})
}

// TestAnAgentThatWasRebuiltTakesItsName has another ID on a new disk.
func TestAnAgentThatWasRebuiltTakesItsName(t *testing.T) {
	inWorld(t, func(w world) {
		machines, servers := w.servers(1)
		defer w.close(servers[0])
		c := machines[0].client(servers[0])
		m := w.machine(9)
		a := m.start(joined(1, false))
		m.ready(a)
		m.want(a, "PUT", "/v1/agent/service/register", web, "")
		w.stays(time.Minute, c, "m9 of m1 m9")
		w.close(a)
		m = w.machine(9)
		a = m.start(joined(1, false))
		defer w.close(a)
		id := m.self(a).Config.NodeID
		w.eventually(5*time.Minute, func() error {
			n, _, err := c.Catalog().Node("m9", nil)
			if err == nil && (n == nil || n.Node.ID != id || len(n.Services) != 0) {
				err = fmt.Errorf("%+v; want the ID %s and no services of its past", n, id)
			}
			return err
		})
		m.want(a, "PUT", "/v1/agent/service/register", web, "")
		w.stays(20*time.Minute, c, "m9 of m1 m9")
	})
}
