package local_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/host"
	"tribune/impl/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func web(checks ...api.CheckDefinition) api.ServiceDefinition {
	return api.ServiceDefinition{ID: "web1", Name: "web", Port: 80, Checks: checks}
}

func http(id string) api.CheckDefinition {
	return api.CheckDefinition{CheckID: id, HTTP: "http://localhost/", Interval: time.Second}
}

func ttl(id string) api.CheckDefinition { return api.CheckDefinition{CheckID: id, TTL: time.Minute} }

func TestWhatIsRegisteredIsInTheCatalogAtOnceTogetherWithItsChecks(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(http("up"), ttl("alive")), false))
		a.wrote("register web1 with alive critical with up critical")
		a.probed("start up, start alive")
		a.must(a.Touch("alive", api.HealthPassing, "fine"))
		a.wrote("register alive passing")
		a.must(a.AddCheck(api.CheckDefinition{Name: "disk", HTTP: "x", Status: api.HealthPassing}))
		a.wrote("register disk passing")
		a.must(a.RemoveCheck("disk"))
		a.wrote("deregister disk")
		a.must(a.RemoveService("web1"))
		a.wrote("deregister web1")
		a.probed("start disk, stop disk, stop alive, stop up")
	})
}

func TestRegisteringTheSameAgainChangesNothing(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(ttl("alive")), false))
		a.must(a.Touch("alive", api.HealthPassing, "fine"))
		a.settle()
		a.catalog.took()
		a.probes.took()
		a.must(a.AddService(web(ttl("alive")), true))
		a.wrote("")
		a.probed("")
		if c := a.Checks(); c[0].Status != api.HealthPassing || c[0].Output != "fine" {
			t.Errorf("%+v", c)
		}
	})
}

func TestAnotherDefinitionOfACheckKeepsItsStatus(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(ttl("alive")), false))
		a.must(a.Touch("alive", api.HealthPassing, "fine"))
		slower := ttl("alive")
		slower.TTL = time.Hour
		a.probes.took()
		a.must(a.AddService(web(slower), false))
		a.probed("stop alive, start alive")
		if c := a.Checks(); c[0].Status != api.HealthPassing {
			t.Errorf("%+v", c)
		}
	})
}

func TestChecksThatAreNotNamedAgainGoOnlyIfTheyAreToBeReplaced(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(ttl("one"), ttl("two")), false))
		a.must(a.ServiceMaintenance("web1", true, "", ""))
		a.must(a.AddService(web(ttl("one")), false))
		if n := len(a.Checks()); n != 3 {
			t.Errorf("%d checks", n)
		}
		a.must(a.AddService(web(ttl("one")), true))
		var ids []string
		for _, c := range a.Checks() {
			ids = append(ids, c.CheckID)
		}
		if got := strings.Join(ids, " "); got != "_service_maintenance:web1 one" {
			t.Error(got)
		}
	})
}

func TestOfTwoChecksWithOneIDTheLastCountsAlone(t *testing.T) {
	inBubble(t, func(a *agent) {
		first, last := http("up"), http("up")
		last.Interval = time.Hour
		a.must(a.AddService(web(first, named("other"), last), false))
		a.probed("start other, start up")
		if c := a.Checks(); len(c) != 2 || c[1].Interval != "1h0m0s" {
			t.Errorf("%+v", c)
		}
		a.must(a.RemoveService("web1"))
		a.probed("stop other, stop up")
	})
}

func TestIDsAndNamesThatADefinitionLeavesOutAreConsuls(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(api.ServiceDefinition{Name: "a", Checks: []api.CheckDefinition{{HTTP: "x"}}}, false))
		a.must(a.AddService(api.ServiceDefinition{Name: "b", ID: "b1", Check: &api.CheckDefinition{HTTP: "x"}, Checks: []api.CheckDefinition{{TTL: time.Minute}}}, false))
		var got []string
		for _, c := range a.Checks() {
			got = append(got, c.CheckID+"="+c.Name+"="+c.ServiceName+"="+c.Type)
		}
		if s := strings.Join(got, ", "); s != "service:a=Service 'a' check=a=http, service:b1:1=Service 'b' check=b=http, service:b1:2=Service 'b' check=b=ttl" {
			t.Error(s)
		}
	})
}

func TestWhatMakesNoSenseIsRefusedAndChangesNothing(t *testing.T) {
	inBubble(t, func(a *agent) {
		for _, c := range []struct {
			err  error
			kind fault.Kind
			text string
		}{
			{a.AddService(api.ServiceDefinition{}, false), fault.Invalid, "Missing service name"},
			{a.AddService(api.ServiceDefinition{Name: "a", Address: "0.0.0.0"}, false), fault.Invalid, "Invalid service address"},
			{a.AddService(api.ServiceDefinition{Name: "a", Port: 70000}, false), fault.Invalid, "Invalid service port"},
			{a.AddService(api.ServiceDefinition{Name: "a", Weights: &api.Weights{}}, false), fault.Invalid, "Passing must be greater than 0"},
			{a.AddService(api.ServiceDefinition{Name: "a", Meta: map[string]string{"consul-x": "y"}}, false), fault.Invalid, "reserved"},
			{a.AddService(web(http("a"), api.CheckDefinition{HTTP: "invalid"}), false), fault.Invalid, "Invalid check: that is no URL"},
			{a.AddService(web(api.CheckDefinition{Status: "good"}), false), fault.Invalid, "Bad check status"},
			{a.AddCheck(api.CheckDefinition{HTTP: "x"}), fault.Invalid, "Missing check name"},
			{a.AddCheck(api.CheckDefinition{Name: "x", HTTP: "x", ServiceID: "none"}), fault.NotFound, `ServiceID "none" does not exist`},
			{a.RemoveService("none"), fault.NotFound, `Unknown service ID "none"`},
			{a.RemoveCheck("none"), fault.NotFound, `Unknown check ID "none"`},
			{a.Touch("none", api.HealthPassing, ""), fault.NotFound, `Unknown check ID "none"`},
			{a.ServiceMaintenance("none", true, "", ""), fault.NotFound, `Unknown service ID "none"`},
		} {
			if c.err == nil || fault.Of(c.err) != c.kind || !strings.Contains(c.err.Error(), c.text) {
				t.Errorf("%v: %v; want %v: %s", fault.Of(c.err), c.err, c.kind, c.text)
			}
		}
		if len(a.Services())+len(a.Checks()) != 0 {
			t.Error(a.Services(), a.Checks())
		}
		a.wrote("")
		a.must(a.AddCheck(api.CheckDefinition{Name: "x", HTTP: "x"}))
		if err := a.Touch("x", api.HealthPassing, ""); err == nil || !strings.Contains(err.Error(), `CheckID "x" does not have associated TTL`) {
			t.Error(err)
		}
	})
}

func TestAFullDiskRefusesARegistration(t *testing.T) {
	inBubble(t, func(a *agent) {
		full := errors.New("no space left on device")
		a.disk.Fail(func(op, _ string) error {
			if op == "write" {
				return full
			}
			return nil
		})
		if err := a.AddService(web(ttl("alive")), false); !errors.Is(err, full) {
			t.Error(err)
		}
		a.wrote("")
		a.disk.Fail(nil)
		a.must(a.AddService(web(ttl("alive")), false))
		a.wrote("register web1 with alive critical")
	})
}

func TestMaintenanceIsACriticalCheckUntilItEnds(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(), false))
		a.must(a.ServiceMaintenance("web1", true, "upgrade", ""))
		a.must(a.ServiceMaintenance("web1", true, "again", ""))
		a.must(a.NodeMaintenance(true, "", ""))
		status := func() string {
			h := a.Health(func(n api.AgentService) bool { return n.ID == "web1" })
			return h[0].AggregatedStatus
		}
		if got := status(); got != api.HealthMaintenance {
			t.Error(got)
		}
		if c := a.Checks()[1]; c.Notes != "upgrade" || c.Status != api.HealthCritical || c.Type != "maintenance" {
			t.Errorf("%+v", c)
		}
		a.restart(local.Definitions{})
		if got := status(); got != api.HealthMaintenance {
			t.Errorf("after a restart: %s", got)
		}
		a.must(a.ServiceMaintenance("web1", false, "", ""))
		a.must(a.NodeMaintenance(false, "", ""))
		a.must(a.NodeMaintenance(false, "", ""))
		if got := status(); got != api.HealthPassing {
			t.Error(got)
		}
		a.probed("")
	})
}

func TestAnIPAddressIsATaggedOneOfItsFamily(t *testing.T) {
	at := func(address string) api.ServiceAddress { return api.ServiceAddress{Address: address, Port: 80} }
	elsewhere := map[string]api.ServiceAddress{"wan_ipv4": {Address: "192.0.2.1", Port: 8080}}
	for _, s := range []struct {
		address     string
		given, want map[string]api.ServiceAddress
	}{
		{"10.0.0.1", nil, map[string]api.ServiceAddress{"lan_ipv4": at("10.0.0.1"), "wan_ipv4": at("10.0.0.1")}},
		{"2001:db8::1", nil, map[string]api.ServiceAddress{"lan_ipv6": at("2001:db8::1"), "wan_ipv6": at("2001:db8::1")}},
		{"10.0.0.1", elsewhere, map[string]api.ServiceAddress{"lan_ipv4": at("10.0.0.1"), "wan_ipv4": {Address: "192.0.2.1", Port: 8080}}},
		{"web.example.com", nil, nil},
		{"", elsewhere, elsewhere},
	} {
		inBubble(t, func(a *agent) {
			a.must(a.AddService(api.ServiceDefinition{Name: "web", Address: s.address, Port: 80, TaggedAddresses: s.given}, false))
			if got := a.Services()[0].TaggedAddresses; !maps.Equal(got, s.want) {
				t.Errorf("%q, %v: %v; want %v", s.address, s.given, got, s.want)
			}
			a.restart(local.Definitions{})
			if got := a.Services()[0].TaggedAddresses; !maps.Equal(got, s.want) {
				t.Errorf("%q, %v, after a restart: %v; want %v", s.address, s.given, got, s.want)
			}
		})
	}
}

func TestRegistrationsOutliveAPowerFailure(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(ttl("alive"), http("up")), false))
		a.must(a.AddService(api.ServiceDefinition{Name: "gone"}, false))
		a.must(a.AddCheck(api.CheckDefinition{Name: "disk", HTTP: "x"}))
		a.must(a.RemoveService("gone"))
		a.stop()
		a.disk.PowerFailure(rand.New(rand.NewPCG(1, 1)))
		a.start(local.Definitions{})
		a.settle()
		if got := a.summary(); got != "web1[alive=critical up=critical] node[disk=critical]" {
			t.Error(got)
		}
	})
}

// A disk refuses one operation or another; what is tried again until it is done is
// done, whatever the power does.
func TestWhatWasRemovedInTheEndDoesNotComeBackAfterAPowerFailure(t *testing.T) {
	broken := errors.New("input/output error")
	for name, remove := range map[string]func(a *agent) error{
		"node[]":                      func(a *agent) error { return a.RemoveService("web1") },
		"web1[] node[]":               func(a *agent) error { return a.RemoveCheck("alive") },
		"web1[alive=critical] node[]": func(a *agent) error { return a.ServiceMaintenance("web1", false, "", "") },
	} {
		for n := range 40 {
			inBubble(t, func(a *agent) {
				a.must(a.AddService(web(ttl("alive")), false))
				a.must(a.Touch("alive", api.HealthCritical, ""))
				if strings.HasPrefix(name, "web1[alive") {
					a.must(a.ServiceMaintenance("web1", true, "", ""))
				}
				left := n / 5
				a.disk.Fail(func(string, string) error {
					if left--; left == -1 {
						return broken
					}
					return nil
				})
				if remove(a) != nil {
					a.must(remove(a))
				}
				a.disk.Fail(nil)
				a.stop()
				a.disk.PowerFailure(rand.New(rand.NewPCG(uint64(n), 1)))
				a.start(local.Definitions{})
				if got := a.summary(); got != name {
					t.Errorf("operation %d fails: %s; want %s", n/5, got, name)
				}
			})
		}
	}
}

// A disk refuses one operation of a removal, and then the power fails, at once or when the
// agent has started again. Without its checks the service would count as passing.
func TestAServiceThatComesBackAfterAPowerFailureHasItsChecks(t *testing.T) {
	broken := errors.New("input/output error")
	for n := range 64 {
		inBubble(t, func(a *agent) {
			a.must(a.AddService(web(ttl("alive"), http("up")), false))
			left := n % 8
			a.disk.Fail(func(string, string) error {
				if left--; left == -1 {
					return broken
				}
				return nil
			})
			_ = a.RemoveService("web1") // it may fail
			a.disk.Fail(nil)
			a.stop()
			if n < 32 {
				a.start(local.Definitions{})
				a.stop()
			}
			a.disk.PowerFailure(rand.New(rand.NewPCG(uint64(n), 1)))
			a.start(local.Definitions{})
			if got := a.summary(); got != "node[]" && got != "web1[alive=critical up=critical] node[]" {
				t.Errorf("try %d, operation %d fails: %s", n, n%8, got)
			}
		})
	}
}

func TestTheChecksOfAServiceWhoseFileCannotBeReadAreNotForgotten(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(http("up")), false))
		a.stop()
		files, err := a.disk.ReadDir("/data/services")
		a.must(err)
		name := "/data/services/" + files[0].Name()
		good, err := host.ReadFile(a.disk, name)
		a.must(err)
		for _, unreadable := range []string{`{"ID": "we`, `{"ID": "web1", "Port": -1}`} {
			a.must(host.ReplaceFile(a.disk, name, []byte(unreadable)))
			a.start(local.Definitions{})
			if got := a.summary(); got != "node[]" {
				t.Error(got)
			}
			a.stop()
		}
		a.must(host.ReplaceFile(a.disk, name, good))
		a.start(local.Definitions{})
		if got := a.summary(); got != "web1[up=critical] node[]" {
			t.Error(got)
		}
	})
}

func TestWhatATTLCheckFoundOutlivesARestartWithinTheTTL(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(ttl("alive")), false))
		a.must(a.Touch("alive", api.HealthPassing, "fine, and more than is kept"))
		for range 2 {
			if got := a.summary(); got != "web1[alive=passing] node[]" || a.Checks()[0].Output != "fine, an" {
				t.Error(got, a.Checks())
			}
			a.restart(local.Definitions{})
		}
		a.stop()
		time.Sleep(2 * time.Minute)
		a.start(local.Definitions{})
		if got := a.summary(); got != "web1[alive=critical] node[]" {
			t.Error(got)
		}
	})
}

func TestACheckOnDiskIsCriticalUntilItFindsSomething(t *testing.T) {
	inBubble(t, func(a *agent) {
		up := named("up")
		up.Status = api.HealthPassing
		a.must(a.AddCheck(up))
		a.restart(local.Definitions{Checks: []api.CheckDefinition{{Name: "filed", HTTP: "x", Status: api.HealthPassing}}})
		if got := a.summary(); got != "node[filed=passing up=critical]" {
			t.Error(got)
		}
		a.must(a.AddCheck(up)) // as before: it goes on
		a.probed("start filed, start up")
	})
}

// summary is what the agent has, in short.
func (a *agent) summary() string {
	parts := map[string][]string{"node": nil}
	var order []string
	for _, n := range a.Services() {
		order = append(order, n.ID)
	}
	for _, c := range a.Checks() {
		owner := c.ServiceID
		if owner == "" {
			owner = "node"
		}
		parts[owner] = append(parts[owner], c.CheckID+"="+c.Status)
	}
	var list []string
	for _, id := range append(order, "node") {
		list = append(list, fmt.Sprintf("%s%v", id, parts[id]))
	}
	return strings.Join(list, " ")
}
