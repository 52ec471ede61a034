package cli_test

import (
	"os"
	"path/filepath"
	"testing"
)

func TestEventFiresAndPrintsTheID(t *testing.T) {
	done := []string{`200 {"ID":"an-id"}`}
	checkAll(t, []use{
		{line: "event -name deploy", answers: done, asked: []string{"PUT /v1/event/fire/deploy"}, stdout: "Event ID: an-id\n"},
		{line: "event -name=deploy -node=^web -service=web -tag=v1 -datacenter=dc2 -token=t payload", answers: done,
			asked: []string{"PUT /v1/event/fire/deploy?dc=dc2&node=%5Eweb&service=web&tag=v1 as t payload"}, stdout: "Event ID: an-id\n"},
		{line: "event -name a b c", status: 1, stderr: "Error! Too many arguments (expected 1, got 2)\n"},
		{line: "event", status: 1, stderr: "Error! Event name is required\n"},
		{line: "event -name a -node (", status: 1, stderr: "Error! Failed to compile node filter expression: "},
		{line: "event -name a -service (", status: 1, stderr: "Error! Failed to compile service filter expression: "},
		{line: "event -name a -service s -tag (", status: 1, stderr: "Error! Failed to compile tag filter expression: "},
		{line: "event -name a -tag t", status: 1, stderr: "Error! Cannot provide tag filter without service filter\n"},
		{line: "event -name a", answers: []string{"413 too large"}, asked: []string{"PUT /v1/event/fire/a"}, status: 1, stderr: "Error! Firing event: Unexpected response code: 413 (too large)"},
	})
}

func TestMaintChangesAndTellsWhatIsInMaintenance(t *testing.T) {
	checks := `200 {"serfHealth":{"CheckID":"serfHealth"},
"_service_maintenance:web":{"CheckID":"_service_maintenance:web","Node":"n1","ServiceID":"web","Notes":"upgrade"},
"_node_maintenance":{"CheckID":"_node_maintenance","Node":"n1","Notes":"disk"}}`
	checkAll(t, []use{
		{line: "maint", answers: []string{checks}, asked: []string{"GET /v1/agent/checks"}, stdout: "Node:\n  Name:   n1\n  Reason: disk\n\nService:\n  ID:     web\n  Reason: upgrade\n\n"},
		{line: "maint", answers: []string{`200 {}`}, asked: []string{"GET /v1/agent/checks"}},
		{line: "maint -enable -reason disk", asked: []string{"PUT /v1/agent/maintenance?enable=true&reason=disk"}, stdout: "Node maintenance is now enabled\n"},
		{line: "maint -disable", asked: []string{"PUT /v1/agent/maintenance?enable=false"}, stdout: "Node maintenance is now disabled\n"},
		{line: "maint -enable -service web", asked: []string{"PUT /v1/agent/service/maintenance/web?enable=true&reason="}, stdout: "Service maintenance is now enabled for \"web\"\n"},
		{line: "maint -disable -service web", asked: []string{"PUT /v1/agent/service/maintenance/web?enable=false"}, stdout: "Service maintenance is now disabled for \"web\"\n"},
		{line: "maint -enable -disable", status: 1, stderr: "Error! Only one of -enable or -disable may be provided\n"},
		{line: "maint -reason x", status: 1, stderr: "Error! Reason may only be provided with -enable\n"},
		{line: "maint -disable -reason x", status: 1, stderr: "Error! Reason may only be provided with -enable\n"},
		{line: "maint -service web", status: 1, stderr: "Error! Service requires either -enable or -disable\n"},
		{line: "maint now", status: 1, stderr: "Error! Too many arguments (expected 0, got 1)\n"},
		{line: "maint -enable -service none", answers: []string{"404 Unknown service"}, asked: []string{"PUT /v1/agent/service/maintenance/none?enable=true&reason="}, status: 1, stderr: "404 (Unknown service)"},
	})
}

func TestMonitorPrintsUntilTheAgentEnds(t *testing.T) {
	ended := "Error! Remote side ended the monitor"
	checkAll(t, []use{
		{line: "monitor", answers: []string{"200 one\n\ntwo\n"}, asked: []string{"GET /v1/agent/monitor?loglevel=INFO"}, stdout: "one\n \ntwo\n", status: 1, stderr: ended},
		{line: "monitor -log-level debug -log-json", answers: []string{"200 {}\n"}, asked: []string{"GET /v1/agent/monitor?logjson=true&loglevel=debug"}, stdout: "{}\n", status: 1, stderr: ended},
		{line: "monitor -log-level loud", answers: []string{"400 Unknown log level: loud"}, asked: []string{"GET /v1/agent/monitor?loglevel=loud"}, status: 1, stderr: "Error! Starting monitor: Unexpected response code: 400 (Unknown log level: loud)"},
		{line: "monitor now", status: 1, stderr: "Error! Too many arguments (expected 0, got 1)\n"},
	})
}

func TestReloadTellsTheAgentTo(t *testing.T) {
	asked := []string{"PUT /v1/agent/reload"}
	checkAll(t, []use{
		{line: "reload", asked: asked, stdout: "Configuration reload triggered\n"},
		{line: "reload", answers: []string{"500 line 3: no"}, asked: asked, status: 1, stderr: "Error! Reloading: Unexpected response code: 500 (line 3: no)"},
		{line: "reload now", status: 1, stderr: "Error! Too many arguments (expected 0, got 1)\n"},
	})
}

func TestServicesAreRegisteredAsOptionsOrFilesSay(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"one.json": `{"service": {"name": "web", "tags": ["a"], "check": {"args": ["true"], "interval": "10s", "DeregisterCriticalServiceAfter": "90m"}}}`,
		"two.hcl": `services {
			id = "web-1"
			name = "web"
			port = 80
			enable_tag_override = true
			meta { rack = "r1" }
			tagged_addresses { lan { address = "10.0.0.1" port = 81 } }
			weights { passing = 5 warning = 1 }
			checks = [{ id = "up" http = "http://localhost" tls_skip_verify = true header { x-a = ["b"] } }]
		}
		services { name = "db" }`,
		"unknown.json": `{"service": {"name": "web", "prot": 1}}`,
		"agent.json":   `{"datacenter": "dc1", "check": {"name": "disk", "ttl": "1m"}, "service": {"name": "db"}}`,
		"agent.hcl":    "server = true\nservices { name = \"db\" }",
		"wrong.json":   "{\"datacenter\": \"dc1\",\n\"service\": {\"name\": \"web\", \"port\": \"http\"}}",
		"setting.hcl":  "service { name = \"web\" }\ndatacentre = \"dc1\"",
		"empty.json":   `{}`,
		"noname.hcl":   `service { port = 1 }`,
		"broken.hcl":   `service {`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	asks := func(bodies ...string) (all []string) {
		for _, b := range bodies {
			all = append(all, "PUT /v1/agent/service/register "+b+"\n")
		}
		return all
	}
	web := `{"Name":"web","Tags":["a"],"Check":{"ScriptArgs":["true"],"Interval":"10s","DeregisterCriticalServiceAfter":"90m"},"Checks":null}`
	web1 := `{"ID":"web-1","Name":"web","Port":80,"TaggedAddresses":{"lan":{"Address":"10.0.0.1","Port":81}},"EnableTagOverride":true,"Meta":{"rack":"r1"},"Weights":{"Passing":5,"Warning":1},"Check":null,` +
		`"Checks":[{"CheckID":"up","HTTP":"http://localhost","Header":{"x-a":["b"]},"TLSSkipVerify":true}]}`
	const db = `{"Name":"db","Check":null,"Checks":null}`
	checkAll(t, []use{
		{line: "services register -name web", asked: asks(`{"Name":"web","Check":null,"Checks":null}`), stdout: "Registered service: web\n"},
		{line: "services register -name web -id w1 -address 10.0.0.1 -port 80 -tag a -tag b -meta k=v=w -meta l= -tagged-address lan=10.0.0.2:81 -tagged-address wan=example.com",
			asked:  asks(`{"ID":"w1","Name":"web","Tags":["a","b"],"Port":80,"Address":"10.0.0.1","TaggedAddresses":{"lan":{"Address":"10.0.0.2","Port":81},"wan":{"Address":"example.com","Port":0}},"Meta":{"k":"v=w","l":""},"Check":null,"Checks":null}`),
			stdout: "Registered service: web\n"},
		{line: "services register " + dir + "/one.json " + dir + "/two.hcl", asked: asks(web, web1, db), stdout: "Registered service: web\nRegistered service: web\nRegistered service: db\n"},
		{line: "services register " + dir + "/agent.json " + dir + "/agent.hcl", asked: asks(db, db), stdout: "Registered service: db\nRegistered service: db\n"},
		{line: "services register " + dir + "/unknown.json", status: 1, stderr: "Error! Definitions in " + dir + "/unknown.json: line 1: service: unknown key \"prot\"\n"},
		{line: "services register " + dir + "/wrong.json", status: 1, stderr: "wrong.json: line 2: service: 'Port' "},
		{line: "services register " + dir + "/setting.hcl", status: 1, stderr: "Error! Definitions in " + dir + "/setting.hcl: line 2: unknown key \"datacentre\"\n"},
		{line: "services register " + dir + "/empty.json", status: 1, stderr: "Error! Definitions in " + dir + "/empty.json: it defines no service\n"},
		{line: "services register " + dir + "/noname.hcl", status: 1, stderr: "noname.hcl: a service has no name\n"},
		{line: "services register " + dir + "/broken.hcl", status: 1, stderr: "broken.hcl: "},
		{line: "services register " + dir + "/none.hcl", status: 1, stderr: "none.hcl: no such file"},
		{line: "services register -name web " + dir + "/one.json", status: 1, stderr: "Error! Options that describe a service cannot be given with files\n"},
		{line: "services register", status: 1, stderr: "Error! Service registration requires -name or a file\n"},
		{line: "services register -name web -meta k", status: 1, stderr: `"k" is not KEY=VALUE`},
		{line: "services register -name web -tagged-address lan=a:b", status: 1, stderr: `"b" is no port`},
		{line: "services register -name web", answers: []string{"400 no"}, asked: asks(`{"Name":"web","Check":null,"Checks":null}`), status: 1, stderr: "Error! Registering service \"web\": "},

		{line: "services deregister -id w1", asked: []string{"PUT /v1/agent/service/deregister/w1"}, stdout: "Deregistered service: w1\n"},
		{line: "services deregister " + dir + "/two.hcl", asked: []string{"PUT /v1/agent/service/deregister/web-1", "PUT /v1/agent/service/deregister/db"}, stdout: "Deregistered service: web-1\nDeregistered service: db\n"},
		{line: "services deregister", status: 1, stderr: "Error! Service deregistration requires either -id or files\n"},
		{line: "services deregister -id a " + dir + "/two.hcl", status: 1, stderr: "Error! Service deregistration requires either -id or files\n"},
		{line: "services deregister -id none", answers: []string{"404 Unknown service ID"}, asked: []string{"PUT /v1/agent/service/deregister/none"}, status: 1, stderr: "404 (Unknown service ID)"},
	})
}
