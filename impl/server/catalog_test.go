package server_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/server"
)

// state says what the catalog of a server holds of members: each node with its
// serfHealth, and its services.
func (w *world) state(i int) string {
	w.Helper()
	nodes, err := w.at(i).Nodes(w.Context(), api.CatalogRequest{QueryOptions: stale()})
	if err != nil {
		w.Fatal(err)
	}
	var lines []string
	for _, n := range nodes.Items {
		line := n.Node + "@" + n.Address
		checks, err := w.at(i).NodeChecks(w.Context(), api.CatalogRequest{Node: n.Node, QueryOptions: stale()})
		if err != nil {
			w.Fatal(err)
		}
		for _, c := range checks.Items {
			line += " " + c.CheckID + "=" + c.Status
		}
		services, err := w.at(i).NodeServices(w.Context(), api.CatalogRequest{Node: n.Node, QueryOptions: stale()})
		if err != nil {
			w.Fatal(err)
		}
		for _, s := range services.Services {
			line += fmt.Sprintf(" %s:%d", s.Service, s.Port)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (w *world) catalogBecomes(i int, want ...string) {
	w.Helper()
	var got string
	for start := time.Now(); time.Since(start) < 2*time.Minute; time.Sleep(100 * time.Millisecond) {
		if got = w.state(i); got == strings.Join(want, "\n") {
			return
		}
	}
	w.Fatalf("the catalog of server %d is\n%s\nwant\n%s", i, got, strings.Join(want, "\n"))
}

// TestTheLeaderKeepsMembersInTheCatalog follows a server through its life, with a
// change of the leader in between.
func TestTheLeaderKeepsMembersInTheCatalog(t *testing.T) {
	const alive, failed = " serfHealth=passing consul:8300", " serfHealth=critical consul:8300"
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.catalogBecomes(1, "s1@10.0.0.1"+alive, "s2@10.0.0.2"+alive, "s3@10.0.0.3"+alive)
		fails := w.leader()
		w.close(fails)
		other := w.leader()
		var want []string
		for i := 1; i <= 3; i++ {
			line := fmt.Sprintf("s%d@10.0.0.%d", i, i)
			if i == fails {
				want = append(want, line+failed)
			} else {
				want = append(want, line+alive)
			}
		}
		w.catalogBecomes(other, want...)
		w.start(fails)
		w.join(fails, other)
		w.catalogBecomes(other, "s1@10.0.0.1"+alive, "s2@10.0.0.2"+alive, "s3@10.0.0.3"+alive)
		leaves := w.follower()
		if err := w.servers[leaves].Leave(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.close(leaves)
		want = nil
		for i := 1; i <= 3; i++ {
			if i != leaves {
				want = append(want, fmt.Sprintf("s%d@10.0.0.%d", i, i)+alive)
			}
		}
		w.catalogBecomes(w.leader(), want...)
	})
}

// TestAMemberWithAnotherIDTakesItsNameInTheCatalog has a server come back with an
// empty disk before anybody took it for failed.
func TestAMemberWithAnotherIDTakesItsNameInTheCatalog(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		const alive = " serfHealth=passing consul:8300"
		w.catalogBecomes(1, "s1@10.0.0.1"+alive, "s2@10.0.0.2"+alive, "s3@10.0.0.3"+alive)
		back := w.follower()
		w.close(back)
		w.start(back, func(c *server.Config) { c.NodeID, c.DataDir = id(9), w.T.TempDir() })
		w.join(back, w.leader(back))
		w.within(3*time.Minute, "the new ID in the catalog", func() bool {
			a, err := w.at(w.leader()).NodeServices(w.Context(), api.CatalogRequest{Node: fmt.Sprintf("s%d", back)})
			return err == nil && a.Node != nil && a.Node.ID == id(9) && len(a.Services) == 1
		})
	})
}

// TestAMemberThatLeftTakesNobodyAlongWhoHasItsNameInOtherCapitals has an agent come
// back under a name that is another one to gossip alone.
func TestAMemberThatLeftTakesNobodyAlongWhoHasItsNameInOtherCapitals(t *testing.T) {
	for name, with := range map[string]string{"with its ID": id(3), "with another ID": id(9)} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				w.cluster(3)
				const alive = " serfHealth=passing consul:8300"
				w.catalogBecomes(1, "s1@10.0.0.1"+alive, "s2@10.0.0.2"+alive, "s3@10.0.0.3"+alive)
				if err := w.servers[3].Leave(w.Context()); err != nil {
					w.Fatal(err)
				}
				w.close(3)
				w.start(3, func(c *server.Config) { c.NodeName, c.NodeID, c.DataDir = "S3", with, w.T.TempDir() })
				w.join(3, w.leader(3))
				w.catalogBecomes(1, "S3@10.0.0.3"+alive, "s1@10.0.0.1"+alive, "s2@10.0.0.2"+alive)
				at := w.leader()
				web := api.RegisterRequest{Node: "S3", SkipNodeUpdate: true, Service: &api.NodeService{Service: "web", Port: 80}}
				if _, err := w.servers[at].Register(w.Context(), web); err != nil {
					w.Fatal(err)
				}
				time.Sleep(5 * time.Minute)
				w.catalogBecomes(1, "S3@10.0.0.3"+alive+" web:80", "s1@10.0.0.1"+alive, "s2@10.0.0.2"+alive)
			})
		})
	}
}

// TestTwoAgentsWhoseNamesDifferInCapitalsAloneLeaveEachOtherAlone looks at the log of
// the leader as well: it tells of them once.
func TestTwoAgentsWhoseNamesDifferInCapitalsAloneLeaveEachOtherAlone(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		var said strings.Builder
		s := w.start(1, func(c *server.Config) { c.Logger = slog.New(slog.NewTextHandler(&said, nil)) })
		w.leader()
		w.start(2, func(c *server.Config) { c.NodeName, c.BootstrapExpect = "db", 0 })
		w.join(2, 1)
		const alive = " serfHealth=passing consul:8300"
		w.catalogBecomes(1, "db@10.0.0.2"+alive, "s1@10.0.0.1"+alive)
		if _, err := s.Register(w.Context(), api.RegisterRequest{Node: "db", SkipNodeUpdate: true, Service: &api.NodeService{Service: "web", Port: 80}}); err != nil {
			w.Fatal(err)
		}
		w.start(3, func(c *server.Config) { c.NodeName, c.BootstrapExpect = "DB", 0 })
		w.join(3, 1)
		time.Sleep(5 * time.Minute)
		w.catalogBecomes(1, "db@10.0.0.2"+alive+" web:80", "s1@10.0.0.1"+alive)
		if n := strings.Count(said.String(), "stays out of the catalog"); n != 1 {
			w.Errorf("told %d times:\n%s", n, said.String())
		}
	})
}

func TestRegistrationsAreForwardedAndRefusedAsByConsul(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		at := w.follower()
		web := api.RegisterRequest{Node: "ext", Address: "192.0.2.1", Service: &api.NodeService{Service: "web", Port: 80}, Checks: []api.HealthCheck{{Name: "ping", Status: "passing", ServiceID: "web"}}}
		for _, c := range []struct {
			name string
			r    api.RegisterRequest
			want string
		}{
			{"whole", web, ""},
			{"no node", api.RegisterRequest{Address: "192.0.2.1"}, "Must provide node"},
			{"no address", api.RegisterRequest{Node: "x"}, "Must provide address if SkipNodeUpdate is not set"},
			{"a service without a name", api.RegisterRequest{Node: "x", Address: "a", Service: &api.NodeService{ID: "i"}}, "Must provide service name with ID"},
			{"a check of a service that is not there", api.RegisterRequest{Node: "x", Address: "a", Check: &api.HealthCheck{Name: "c", ServiceID: "none"}}, "Missing service registration"},
			{"a check of another node", api.RegisterRequest{Node: "x", Address: "a", Check: &api.HealthCheck{Name: "c", Node: "ext"}}, `check node "ext" does not match node "x"`},
			{"an unknown status", api.RegisterRequest{Node: "x", Address: "a", Check: &api.HealthCheck{Name: "c", Status: "fine"}}, `"fine" is not a status`},
		} {
			_, err := w.servers[at].Register(w.Context(), c.r)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				w.Errorf("%s: %v, want %q", c.name, err, c.want)
			}
		}
		found, err := w.servers[at].HealthOfService(w.Context(), api.CatalogRequest{Service: "web", Passing: true, QueryOptions: consistent()})
		if err != nil || len(found.Items) != 1 || found.Items[0].Node.Datacenter != "dc1" || found.Items[0].Checks[0].CheckID != "ping" {
			w.Errorf("%+v, %v", found, err)
		}
		o := consistent()
		o.Filter = `Node.Address == "192.0.2.1" and Service.Port != 80`
		if found, err := w.servers[at].HealthOfService(w.Context(), api.CatalogRequest{Service: "web", QueryOptions: o}); err != nil || len(found.Items) != 0 {
			w.Errorf("filtered: %+v, %v", found, err)
		}
		o.Filter = "nonsense ("
		if _, err := w.servers[at].HealthOfService(w.Context(), api.CatalogRequest{Service: "web", QueryOptions: o}); err == nil || !strings.Contains(err.Error(), "Failed to create boolean expression evaluator") {
			w.Errorf("nonsense: %v", err)
		}
		if _, err := w.servers[at].Deregister(w.Context(), api.DeregisterRequest{Node: "EXT"}); err != nil {
			w.Error(err)
		}
		w.equal(1, 2, 3)
		if s := w.state(at); strings.Contains(s, "ext@") {
			w.Errorf("after its removal:\n%s", s)
		}
	})
}

// A leader that has just started knows no members yet. That must cost nobody what
// the catalog has (scenario services, seed 22).
func TestALeaderDoesNotForgetNodesThatItNeverMet(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		s := w.start(1)
		w.leader()
		status := func() string {
			a, err := s.NodeChecks(w.Context(), api.CatalogRequest{Node: "stranger"})
			if err != nil || len(a.Items) != 1 {
				return fmt.Sprint(len(a.Items), " checks, ", err)
			}
			return a.Items[0].Status
		}
		r := api.RegisterRequest{Node: "stranger", Address: "10.0.0.9", Check: &api.HealthCheck{CheckID: api.SerfCheckID, Name: api.SerfCheckName, Status: api.HealthPassing}}
		if _, err := s.Register(w.Context(), r); err != nil {
			w.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		if got := status(); got != api.HealthPassing {
			w.Errorf("soon after the start: %s", got)
		}
		time.Sleep(90 * time.Second)
		if got := status(); got != api.HealthCritical {
			w.Errorf("when it has not turned up: %s", got)
		}
	})
}
