package local_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/host/hosttest"
	"tribune/impl/local"

	"pgregory.net/rapid"
)

func TestWhatSomebodyChangesInTheCatalogIsPutRight(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(ttl("alive")), false))
		a.must(a.AddService(api.ServiceDefinition{Name: "db", Tags: []string{"a"}, EnableTagOverride: true}, false))
		a.settle()
		behind := func(r api.RegisterRequest) {
			r.Node, r.Address = node, "10.0.0.1"
			if _, err := a.catalog.Register(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := a.catalog.Deregister(t.Context(), api.DeregisterRequest{Node: node, ServiceID: "web1"}); err != nil {
			t.Fatal(err)
		}
		behind(api.RegisterRequest{Service: &api.NodeService{ID: "stray", Service: "stray"}, SkipNodeUpdate: true})
		behind(api.RegisterRequest{Check: &api.HealthCheck{CheckID: "lost", Name: "lost"}, SkipNodeUpdate: true})
		behind(api.RegisterRequest{Check: &api.HealthCheck{CheckID: api.SerfCheckID, Name: "x"}, Service: &api.NodeService{ID: "consul", Service: "consul"}, SkipNodeUpdate: true})
		behind(api.RegisterRequest{Service: &api.NodeService{ID: "db", Service: "db", Tags: []string{"b"}, EnableTagOverride: true, Weights: api.Weights{Passing: 1, Warning: 1}}})
		a.catalog.took()
		time.Sleep(2 * time.Minute)
		// (The node lost its metadata in the last registration.)
		a.wrote("deregister stray, register web1 with alive critical, deregister lost")
		if n := a.Services(); n[0].ID != "db" || !slices.Equal(n[0].Tags, []string{"b"}) {
			t.Errorf("%+v", n)
		}
		time.Sleep(2 * time.Minute)
		a.wrote("")
		if !a.InSync() {
			t.Error("the agent does not know that all is well")
		}
	})
}

func TestAServiceThatIsNotToBeUsedInAWarningIsWrittenOnce(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(api.ServiceDefinition{Name: "web", Weights: &api.Weights{Passing: 5}}, false))
		a.wrote("register web")
		time.Sleep(10 * time.Minute)
		a.wrote("")
	})
}

// An agent that starts has everything to write, and must not choose what to begin
// with by chance.
func TestAnAgentThatStartsLooksBeforeItWrites(t *testing.T) {
	db := api.ServiceDefinition{Name: "db", Tags: []string{"a"}, EnableTagOverride: true}
	for range 20 {
		inBubble(t, func(a *agent) {
			a.must(a.AddService(db, false))
			a.settle()
			r := api.RegisterRequest{Node: node, SkipNodeUpdate: true, Service: &api.NodeService{ID: "db", Service: "db", Tags: []string{"b"}, EnableTagOverride: true}}
			if _, err := a.catalog.Register(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			a.restart(local.Definitions{Checks: []api.CheckDefinition{named("up")}})
			if n := a.Services(); !slices.Equal(n[0].Tags, []string{"b"}) {
				t.Errorf("%+v", n)
			}
		})
	}
}

func TestAServiceGoesBackWithItsChecksIntoACatalogThatLostTheNode(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(ttl("alive")), false))
		a.settle()
		if _, err := a.catalog.Deregister(t.Context(), api.DeregisterRequest{Node: node}); err != nil {
			t.Fatal(err)
		}
		a.catalog.took()
		moved := web(ttl("alive"))
		moved.Port = 81
		a.must(a.AddService(moved, false))
		a.wrote("register web1 with alive critical")
	})
}

func TestACheckTakesItsServiceBackWithItsOtherChecksIntoACatalogThatLostTheNode(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(http("up"), ttl("alive")), false))
		a.settle()
		if _, err := a.catalog.Deregister(t.Context(), api.DeregisterRequest{Node: node}); err != nil {
			t.Fatal(err)
		}
		a.must(a.Touch("alive", api.HealthPassing, ""))
		a.settle()
		found, err := a.catalog.NodeChecks(t.Context(), api.CatalogRequest{Node: node})
		if err != nil || len(found.Items) != 2 || !a.InSync() {
			t.Errorf("%+v, %v", found.Items, err)
		}
	})
}

func TestAFailureIsRepairedSoonAfterItEnds(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.catalog.fail(fault.New(fault.NoLeader, "No cluster leader"))
		a.must(a.AddService(web(ttl("alive")), false))
		time.Sleep(time.Minute)
		a.must(a.Touch("alive", api.HealthPassing, ""))
		a.wrote("")
		if a.InSync() {
			t.Error("the agent believes that all is well")
		}
		a.catalog.fail(nil)
		time.Sleep(17 * time.Second)
		a.wrote("register web1 with alive passing")
	})
}

func TestWhoeverFlushesWaitsUntilTheCatalogHasHeard(t *testing.T) {
	inBubble(t, func(a *agent) {
		took := func() time.Duration {
			begin := time.Now()
			a.Flush(a.Context())
			return time.Since(begin)
		}
		a.catalog.slow = time.Second
		a.must(a.AddService(web(ttl("alive")), false))
		a.settle()
		a.must(a.AddCheck(api.CheckDefinition{Name: "x", TTL: time.Minute})) // while the service is written
		took()
		if got := a.catalog.took(); got != "register web1 with alive critical, register x critical" {
			t.Errorf("it waited for: %s", got)
		}
		if d := took(); d != 0 {
			t.Errorf("it waited %v for nothing", d)
		}
		a.catalog.fail(fault.New(fault.NoLeader, "No cluster leader"))
		a.must(a.RemoveCheck("x"))
		if d := took(); d > 10*time.Second {
			t.Errorf("it waited %v for a catalog that takes nothing", d)
		}
		a.catalog.fail(nil)
		took()
		a.catalog.slow = time.Minute
		a.must(a.RemoveService("web1"))
		if d := took(); d != 10*time.Second {
			t.Errorf("it waited %v for a catalog that does not answer", d)
		}
		a.StopSync()
		if d := took(); d != 0 {
			t.Errorf("it waited %v when nobody writes any more", d)
		}
	})
}

func TestWhatGoesWhileItIsBeingWrittenGoes(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.catalog.slow = time.Second
		a.must(a.AddService(web(ttl("alive")), false))
		time.Sleep(time.Second / 2)
		a.must(a.RemoveService("web1"))
		time.Sleep(10 * time.Second)
		a.wrote("register web1 with alive critical, deregister web1")
		a.must(a.AddCheck(api.CheckDefinition{Name: "x", TTL: time.Minute}))
		time.Sleep(time.Second / 2)
		a.must(a.RemoveCheck("x"))
		time.Sleep(10 * time.Second)
		a.wrote("register x critical, deregister x")
	})
}

// A registration may stick on its way, until its service has gone from the agent and the
// catalog has been asked for services, but not yet for checks.
func TestAServiceThatComesLateIsNotInTheCatalogWithoutItsCheck(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.settle()
		a.catalog.took()
		a.catalog.late = func() {
			a.catalog.late = nil
			r := api.RegisterRequest{
				Node: node, SkipNodeUpdate: true, Service: &api.NodeService{ID: "web1", Service: "web"},
				Check: &api.HealthCheck{Node: node, CheckID: "alive", ServiceID: "web1", Status: api.HealthCritical},
			}
			if _, err := a.catalog.Register(t.Context(), r); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(2 * time.Minute)
		a.wrote("register alive critical, deregister web1alive")
		if found, err := a.catalog.NodeServices(t.Context(), api.CatalogRequest{Node: node}); err != nil || len(found.Services) > 0 {
			t.Errorf("%+v, %v", found.Services, err)
		}
	})
}

func TestADeniedRegistrationDoesNotHoldUpOthersAndIsTriedAgainAtTheNextLook(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.catalog.fail(fault.New(fault.Denied, "Permission denied"))
		a.must(a.AddService(web(), false))
		a.settle()
		a.catalog.fail(nil)
		time.Sleep(20 * time.Second)
		a.wrote("")
		time.Sleep(2 * time.Minute)
		a.wrote("register web1")
	})
}

func TestTheCatalogMayLagBehindInWhatACheckPrints(t *testing.T) {
	lagging(t, func(a *agent) {
		a.must(a.AddService(web(http("up")), false))
		a.UpdateCheck("up", api.HealthPassing, "1")
		a.settle()
		a.catalog.took()
		for i := range 140 {
			a.UpdateCheck("up", api.HealthPassing, fmt.Sprint(i))
			time.Sleep(time.Second)
		}
		a.wrote("")
		time.Sleep(8 * time.Minute)
		a.wrote("register up passing")
		a.UpdateCheck("up", api.HealthCritical, "down")
		a.wrote("register up critical")
	})
}

// lagging is inBubble for an agent whose catalog may lag behind in outputs.
func lagging(t *testing.T, f func(a *agent)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &agent{T: t, catalog: newShared(t), disk: hosttest.NewDisk(), delay: 5 * time.Minute}
		a.start(local.Definitions{})
		defer a.stop()
		f(a)
	})
}

func TestTheCatalogHearsInTheEndWhatACheckPrints(t *testing.T) {
	lagging(t, func(a *agent) {
		printed := func() string {
			found, err := a.catalog.NodeChecks(t.Context(), api.CatalogRequest{Node: node})
			if err != nil || len(found.Items) != 1 {
				t.Fatalf("%+v, %v", found.Items, err)
			}
			return found.Items[0].Output
		}
		a.must(a.AddService(web(http("up")), false))
		a.UpdateCheck("up", api.HealthPassing, "old")
		a.settle()
		a.UpdateCheck("up", api.HealthPassing, "new")
		a.settle()
		a.catalog.fail(fault.New(fault.NoLeader, "No cluster leader"))
		time.Sleep(10 * time.Minute) // in which it was due
		if a.InSync() {
			t.Error("the agent believes that all is well")
		}
		a.catalog.fail(nil)
		time.Sleep(2 * time.Minute)
		if got := printed(); got != "new" || !a.InSync() {
			t.Errorf("the catalog has %q", got)
		}
		// Somebody else's word does not stay either.
		c := api.HealthCheck{CheckID: "up", Name: "Service 'web' check", ServiceID: "web1", Type: "http", Interval: "1s", Status: api.HealthPassing, Output: "forged"}
		if _, err := a.catalog.Register(t.Context(), api.RegisterRequest{Node: node, SkipNodeUpdate: true, Check: &c}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if got := printed(); got != "new" {
			t.Errorf("the catalog has %q", got)
		}
	})
}

func TestTheNodesMetadataAndWhatIsKeptOfOutputsMayChange(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.SetNodeMeta(map[string]string{"a": "b"}) // what it was
		a.wrote("")
		a.SetNodeMeta(map[string]string{"a": "c"})
		a.wrote("register node")
		remote, err := a.catalog.NodeServices(t.Context(), api.CatalogRequest{Node: node})
		if err != nil || remote.Node.Meta["a"] != "c" || a.Node().Meta["a"] != "c" {
			t.Errorf("the catalog has %+v, %v; the agent %+v", remote.Node, err, a.Node())
		}
		a.must(a.AddCheck(api.CheckDefinition{Name: "up", HTTP: "x"}))
		for _, discard := range []bool{false, true, false} {
			a.SetDiscardOutput(discard)
			a.UpdateCheck("up", api.HealthPassing, "noise")
			if got := a.Checks()[0].Output; (got == "") != discard {
				t.Errorf("discard %t: %q", discard, got)
			}
		}
		time.Sleep(2 * time.Minute)
		a.catalog.took()
		time.Sleep(5 * time.Minute)
		a.wrote("")
	})
}

func TestAServiceThatIsCriticalForTooLongIsDeregistered(t *testing.T) {
	inBubble(t, func(a *agent) {
		c := ttl("alive")
		c.DeregisterCriticalServiceAfter = 10 * time.Minute
		a.must(a.AddService(web(c), false))
		time.Sleep(9 * time.Minute)
		a.must(a.Touch("alive", api.HealthPassing, ""))
		a.must(a.Touch("alive", api.HealthCritical, ""))
		time.Sleep(9 * time.Minute)
		if len(a.Services()) != 1 {
			t.Fatal("it went too soon")
		}
		time.Sleep(2 * time.Minute)
		if len(a.Services()) != 0 {
			t.Error("it stays")
		}
		a.catalog.took()
	})
}

// step is something that happens to an agent, or behind its back.
type step struct {
	what   string
	id     string
	number int
}

func steps() *rapid.Generator[[]step] {
	return rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
		return step{
			what:   rapid.SampledFrom([]string{"add", "remove", "find", "uncheck", "restart", "stray", "lose", "fail", "mend", "pause", "wait"}).Draw(rt, "what"),
			id:     rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "id"),
			number: rapid.IntRange(0, 2).Draw(rt, "number"),
		}
	}), 1, 40)
}

// model is what should be registered.
type model struct {
	services map[string]int    // ports
	checks   map[string]string // statuses
}

// do does a step to the agent and to the model.
func (m model) do(a *agent, s step) error {
	c := "of-" + s.id
	ctx := context.Background()
	switch s.what {
	case "add":
		m.services[s.id] = s.number
		if m.checks[c] == "" {
			m.checks[c] = api.HealthCritical
		}
		return a.AddService(api.ServiceDefinition{Name: s.id, Port: s.number, Check: &api.CheckDefinition{CheckID: c, TTL: time.Hour}}, false)
	case "remove":
		_, there := m.services[s.id]
		delete(m.services, s.id)
		delete(m.checks, c)
		if err := a.RemoveService(s.id); (err == nil) != there {
			return fmt.Errorf("removing %s: %w", s.id, err)
		}
	case "find":
		status := []string{api.HealthPassing, api.HealthWarning, api.HealthCritical}[s.number]
		a.UpdateCheck(c, status, "")
		if m.checks[c] != "" {
			m.checks[c] = status
		}
	case "uncheck":
		there := m.checks[c] != ""
		delete(m.checks, c)
		if err := a.RemoveCheck(c); (err == nil) != there {
			return fmt.Errorf("removing %s: %w", c, err)
		}
	case "restart":
		a.stop()
		a.start(local.Definitions{})
		for c := range m.checks {
			m.checks[c] = api.HealthCritical // nobody touched it
		}
	case "stray":
		n := []string{"a", "b", "x"}[s.number]
		_, _ = a.catalog.Register(ctx, api.RegisterRequest{Node: node, Address: "10.9.9.9", Service: &api.NodeService{ID: n, Service: "stray"}, Check: &api.HealthCheck{CheckID: "of-" + n, ServiceID: n}})
	case "lose":
		_, _ = a.catalog.Deregister(ctx, api.DeregisterRequest{Node: node, ServiceID: []string{"", "a", "b"}[s.number]})
	case "fail":
		a.catalog.fail(fault.New(fault.NoLeader, "No cluster leader"))
	case "mend":
		a.catalog.fail(nil)
	case "pause": // in the middle of a write
		time.Sleep(time.Duration(s.number*5) * time.Millisecond)
	case "wait":
		time.Sleep(time.Duration(s.number*30) * time.Second)
	}
	return nil
}

// syncWithin is the longest time until the catalog has been looked through.
const syncWithin = time.Minute + time.Minute/16 + 2*time.Second

// TestAntiEntropyEndsInEquality is anti-entropy against a model: whatever happens
// to the agent and behind its back, some time later the catalog says what was
// registered here, and nothing else.
func TestAntiEntropyEndsInEquality(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		happens := steps().Draw(rt, "steps")
		var failure error
		synctest.Test(t, func(t *testing.T) {
			a := &agent{T: t, catalog: newShared(t), disk: hosttest.NewDisk()}
			a.catalog.slow = 7 * time.Millisecond
			a.start(local.Definitions{})
			defer func() { a.stop() }()
			m := model{map[string]int{}, map[string]string{}}
			for _, s := range happens {
				if failure = m.do(a, s); failure != nil {
					return
				}
			}
			a.catalog.fail(nil)
			time.Sleep(syncWithin)
			failure = m.compare(a)
		})
		if failure != nil {
			rt.Fatal(failure)
		}
	})
}

func (m model) compare(a *agent) error {
	ctx := context.Background()
	remote, err := a.catalog.NodeServices(ctx, api.CatalogRequest{Node: node})
	found, err2 := a.catalog.NodeChecks(ctx, api.CatalogRequest{Node: node})
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	services, checks := map[string]int{}, map[string]string{}
	for _, n := range remote.Services {
		services[n.ID] = n.Port
	}
	for _, c := range found.Items {
		checks[c.CheckID] = c.Status
	}
	if remote.Node == nil || remote.Node.Address != "10.0.0.1" || !maps.Equal(services, m.services) || !maps.Equal(checks, m.checks) {
		return fmt.Errorf("the catalog has %+v, %v and %v\nthe agent has %v and %v", remote.Node, services, checks, m.services, m.checks)
	}
	if !a.InSync() {
		return errors.New("the agent does not know that all is well")
	}
	return nil
}
