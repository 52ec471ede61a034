package local_test

import (
	"strings"
	"testing"

	"tribune/impl/api"
	"tribune/impl/local"
)

func TestTheConfigurationIsTheNewerWord(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(api.ServiceDefinition{Name: "web", Port: 1}, false))
		filed := local.Definitions{Services: []api.ServiceDefinition{{Name: "web", Port: 2}}}
		a.restart(filed)
		if n := a.Services(); len(n) != 1 || n[0].Port != 2 {
			t.Errorf("%+v", n)
		}
		a.restart(local.Definitions{}) // what a file defined is not kept
		if n := a.Services(); len(n) != 0 {
			t.Errorf("%+v", n)
		}
		a.wrote("register web, register web, deregister web")
	})
}

func TestAReloadTouchesOnlyWhatIsDefinedOtherwise(t *testing.T) {
	inBubble(t, func(a *agent) {
		disk := api.CheckDefinition{Name: "disk", HTTP: "x"}
		a.restart(local.Definitions{
			Services: []api.ServiceDefinition{web(http("up"), http("old")), {Name: "db"}, {Name: "mail"}}, Checks: []api.CheckDefinition{disk, {Name: "cpu", HTTP: "x"}},
		})
		a.must(a.AddService(api.ServiceDefinition{Name: "api"}, false))
		a.UpdateCheck("up", api.HealthPassing, "fine")
		a.settle()
		a.catalog.took()
		a.probes.took()
		a.must(a.Reload(local.Definitions{
			Services: []api.ServiceDefinition{web(http("up"), http("new")), {Name: "db", Port: 1}}, Checks: []api.CheckDefinition{disk},
		}))
		a.wroteInAnyOrder("register db", "deregister mail", "deregister cpu", "register new critical", "deregister old")
		a.probed("start new, stop cpu, stop old")
		if got := a.summary(); got != "api[] db[] web1[new=critical up=passing] node[disk=critical]" {
			t.Error(got)
		}
		bad := local.Definitions{Services: []api.ServiceDefinition{{Name: "x"}, {Name: "y", Port: -1}}}
		if err := a.Reload(bad); err == nil || !strings.Contains(err.Error(), `service "y"`) {
			t.Error(err)
		}
		bad = local.Definitions{Services: []api.ServiceDefinition{web()}, Checks: []api.CheckDefinition{{Name: "lost", HTTP: "x", ServiceID: "db"}}}
		if err := a.Reload(bad); err == nil || !strings.Contains(err.Error(), `check "lost": ServiceID "db" does not exist`) {
			t.Error(err)
		}
		a.wrote("")
		if got := a.summary(); got != "api[] db[] web1[new=critical up=passing] node[disk=critical]" {
			t.Error(got)
		}
	})
}

func TestACheckThatAReloadRemovesLateIsRemovedFromTheCatalog(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.restart(local.Definitions{Checks: []api.CheckDefinition{{Name: "cpu", HTTP: "x"}}})
		a.catalog.took()
		a.probes.stops = a.settle // so all else that the reload changes is in the catalog by then
		a.must(a.Reload(local.Definitions{}))
		a.wrote("deregister cpu")
	})
}

func TestACheckOfTheConfigurationMayBeOfAServiceOnDisk(t *testing.T) {
	inBubble(t, func(a *agent) {
		a.must(a.AddService(web(), false))
		up := named("up")
		up.ServiceID = "web1"
		filed := local.Definitions{Checks: []api.CheckDefinition{up}}
		a.must(a.Reload(filed))
		a.restart(filed)
		if got := a.summary(); got != "web1[up=critical] node[]" {
			t.Error(got)
		}
	})
}

func TestAReloadLeavesTheChecksOfAServiceThatAreNotInItsDefinition(t *testing.T) {
	inBubble(t, func(a *agent) {
		of := func(c api.CheckDefinition) api.CheckDefinition {
			c.ServiceID = "web1"
			return c
		}
		filed := local.Definitions{Services: []api.ServiceDefinition{web(http("inside"))}, Checks: []api.CheckDefinition{of(named("beside")), of(named("old"))}}
		a.restart(filed)
		a.must(a.AddCheck(of(named("asked"))))
		for _, id := range []string{"inside", "beside", "asked"} {
			a.UpdateCheck(id, api.HealthPassing, "fine")
		}
		a.settle()
		a.catalog.took()
		a.probes.took()
		a.must(a.Reload(filed))
		a.wrote("")
		a.probed("")
		filed.Checks = filed.Checks[:1]
		a.must(a.Reload(filed))
		a.wrote("deregister old")
		if got := a.summary(); got != "web1[asked=passing beside=passing inside=passing] node[]" {
			t.Error(got)
		}
		// A check may move out of the definition and into it.
		a.must(a.Reload(local.Definitions{Services: []api.ServiceDefinition{web(named("beside"))}, Checks: []api.CheckDefinition{of(named("inside"))}}))
		if got := a.summary(); got != "web1[asked=passing beside=passing inside=passing] node[]" {
			t.Error(got)
		}
	})
}

func named(id string) api.CheckDefinition {
	c := http(id)
	c.Name = id
	return c
}
