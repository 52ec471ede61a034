package definition_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl"

	"tribune/impl/api"
	"tribune/impl/definition"
)

var want = api.ServiceDefinition{
	ID: "web-1", Name: "web", Tags: []string{"a", "b"}, Address: "10.0.0.1", Port: 80, EnableTagOverride: true,
	Meta: map[string]string{"version": "2", "My_Key": "kept"}, Weights: &api.Weights{Passing: 5, Warning: 1},
	TaggedAddresses: map[string]api.ServiceAddress{"lan": {Address: "10.0.0.2", Port: 81}},
	Checks: []api.CheckDefinition{
		{CheckID: "up", HTTP: "http://localhost/", Interval: 10 * time.Second, Header: map[string][]string{"X-A": {"1", "2"}}, TLSSkipVerify: true},
		{Name: "script", ScriptArgs: []string{"sh", "-c", "true"}, Interval: time.Minute, DeregisterCriticalServiceAfter: time.Hour},
	},
}

func TestAServiceIsTheSameInHCLAndInBothSpellingsOfJSON(t *testing.T) {
	for name, text := range map[string]string{
		"hcl": `id = "web-1"
			name = "web"
			tags = ["a", "b"]
			address = "10.0.0.1"
			port = 80
			enable_tag_override = true
			meta { version = "2", My_Key = "kept" }
			weights { passing = 5, warning = 1 }
			tagged_addresses { lan { address = "10.0.0.2", port = 81 } }
			check { id = "up", http = "http://localhost/", interval = "10s", header { X-A = ["1", "2"] }, tls_skip_verify = true }
			check { name = "script", args = ["sh", "-c", "true"], interval = "1m", deregister_critical_service_after = "1h" }
			connect { sidecar_service {} }`,
		"files": `{"id": "web-1", "name": "web", "tags": ["a", "b"], "address": "10.0.0.1", "port": 80, "enable_tag_override": true,
			"meta": {"version": "2", "My_Key": "kept"}, "weights": {"passing": 5, "warning": 1},
			"tagged_addresses": {"lan": {"address": "10.0.0.2", "port": 81}},
			"checks": [{"id": "up", "http": "http://localhost/", "interval": "10s", "header": {"X-A": ["1", "2"]}, "tls_skip_verify": true},
			{"name": "script", "args": ["sh", "-c", "true"], "interval": "1m", "deregister_critical_service_after": "1h"}]}`,
		"api": `{"ID": "web-1", "Name": "web", "Tags": ["a", "b"], "Address": "10.0.0.1", "Port": 80, "EnableTagOverride": true, "Kind": "",
			"Meta": {"version": "2", "My_Key": "kept"}, "Weights": {"Passing": 5, "Warning": 1},
			"TaggedAddresses": {"lan": {"Address": "10.0.0.2", "Port": 81}}, "Connect": {"SidecarService": {}},
			"Checks": [{"CheckID": "up", "HTTP": "http://localhost/", "Interval": "10s", "Header": {"X-A": ["1", "2"]}, "TLSSkipVerify": true},
			{"Name": "script", "Args": ["sh", "-c", "true"], "Interval": 60000000000, "DeregisterCriticalServiceAfter": "1h"}]}`,
	} {
		var tree map[string]any
		err, from := json.Unmarshal([]byte(text), &tree), definition.File
		switch name {
		case "hcl":
			err = hcl.Decode(&tree, text)
		case "api":
			from = definition.Body
		}
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := definition.Service(tree, from)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		`{"Port": "80"}`:                                      "'Port' expected type 'int'",
		`{"Kind": "connect-proxy"}`:                           "service mesh",
		`{"Check": {"Interval": "soon"}}`:                     `"soon" is not a duration`,
		`{"Check": {"TTL": 30}}`:                              "30 is not a duration",
		`{"Checks": [{"Interval": "1s"}, {"Interval": 2.5}]}`: "2.5 is not a duration",
		`{"Check": {"DockerContainerID": "x"}}`:               "Docker",
		`{"Checks": [1]}`:                                     "1 is not an object",
		`{"Check": {"Interval": "1s", "Inter_vl": 1}}`:        `Check: unknown key "Inter_vl"`,
		`{"Weights": {"Passing": 1, "warn": 1}}`:              `unknown key "Weights.warn"`,
		`{"b_2": 1, "a_1": 1}`:                                `unknown key "a_1"`,
	} {
		var tree map[string]any
		if err := json.Unmarshal([]byte(text), &tree); err != nil {
			t.Fatal(err)
		}
		if _, err := definition.Service(tree, definition.File); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}

func TestWhatNobodyKnowsInABodyIsNamedInConsulsWords(t *testing.T) {
	for text, want := range map[string]string{
		`{"Name": "web", "Cheks": []}`:                                  `json: unknown field "Cheks"`,
		`{"Name": "web", "Checks": [{"TTL": "1s"}, {"Time_To": "1s"}]}`: `Checks: json: unknown field "Time_To"`,
		`{"Name": "web", "Weights": {"Passing": 1, "Warn": 1}}`:         `json: unknown field "Weights.Warn"`,
		`{"Name": "web", "Kind": "", "Ports": [{"Port": 1}], "AI": {}, "SocketPath": "/s", "Locality": {}, "Partition": "default",
			"Check": {"Name": "c", "ExposedPort": 1, "Shell": "sh", "Namespace": "default"}}`: "",
	} {
		var tree map[string]any
		if err := json.Unmarshal([]byte(text), &tree); err != nil {
			t.Fatal(err)
		}
		d, err := definition.Service(tree, definition.Body)
		if want == "" && (err != nil || d.Name != "web") || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %+v, %v; want %q", text, d, err, want)
		}
	}
}

// TestAnEmptyCheckOfABodyIsNone: clients write all fields that a service may have. One in a
// list, or in a file, is a mistake, which is found when it is to run.
func TestAnEmptyCheckOfABodyIsNone(t *testing.T) {
	for _, c := range []struct {
		text   string
		from   definition.Source
		checks int
	}{
		{`{"Check": {}}`, definition.Body, 0}, {`{"Check": null}`, definition.Body, 0}, {`{"Check": {"TTL": ""}}`, definition.Body, 0},
		{`{"Check": {"TTL": "10s"}}`, definition.Body, 1}, {`{"Checks": [{}]}`, definition.Body, 1}, {`{"check": {}}`, definition.File, 1},
	} {
		var tree map[string]any
		if err := json.Unmarshal([]byte(c.text), &tree); err != nil {
			t.Fatal(err)
		}
		if d, err := definition.Service(tree, c.from); err != nil || len(d.Checks) != c.checks {
			t.Errorf("%s: %+v, %v; want %d checks", c.text, d.Checks, err, c.checks)
		}
	}
}

func TestAWeightThatAFileLeavesOutIsOne(t *testing.T) {
	for text, want := range map[string][2]api.Weights{ // in a file, in a body
		`{"weights": {"passing": 5}}`:               {{Passing: 5, Warning: 1}, {Passing: 5}},
		`{"weights": {"warning": 0}}`:               {{Passing: 1}, {}},
		`{"weights": {"passing": 5, "warning": 0}}`: {{Passing: 5}, {Passing: 5}},
	} {
		var tree map[string]any
		if err := json.Unmarshal([]byte(text), &tree); err != nil {
			t.Fatal(err)
		}
		for i, from := range []definition.Source{definition.File, definition.Body} {
			if d, err := definition.Service(tree, from); err != nil || d.Weights == nil || *d.Weights != want[i] {
				t.Errorf("%s from %d: %+v, %v; want %+v", text, from, d.Weights, err, want[i])
			}
		}
	}
	var tree map[string]any
	err := hcl.Decode(&tree, "weights { passing = 5 }")
	if d, derr := definition.Service(tree, definition.File); err != nil || derr != nil || *d.Weights != (api.Weights{Passing: 5, Warning: 1}) {
		t.Errorf("%+v, %v, %v", d.Weights, err, derr)
	}
}
