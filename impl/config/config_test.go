package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/config"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

func load(t *testing.T, args ...string) (*config.Config, error) {
	t.Helper()
	return config.Load(host.Real().FS(), args)
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFlagsOverrideFilesAndFilesOverrideDefaults(t *testing.T) {
	hcl := file(t, "a.hcl", "node_name = \"from-file\"\nserver = true\nports { http = 1234, server = 2345 }\nretry_join = [\"a\"]\nretry_interval = \"5s\"\n")
	json := file(t, "b.json", `{"data_dir": "/d", "ports": {"http": 4321}, "retry_join": ["b"], "performance": {"raft_multiplier": 2}}`)
	c, err := load(t, "-node", "from-flag", "-config-file", hcl, "-config-file", json, "-retry-join", "c", "-bootstrap-expect", "3")
	if err != nil {
		t.Fatal(err)
	}
	if c.NodeName != "from-flag" || !c.Server || c.Ports.HTTP != 4321 || c.Ports.Server != 2345 || c.Ports.SerfLAN != 8301 ||
		c.DataDir != "/d" || c.Raft.Multiplier != 2 || c.Join.Interval != 5*time.Second || c.BootstrapExpect != 3 {
		t.Errorf("%+v", c)
	}
	if got := strings.Join(c.Join.Retry, ","); got != "c,a,b" {
		t.Errorf("lists add up, that of the flags first: %s", got)
	}
}

func TestDefinitionsOfAllFilesAddUp(t *testing.T) {
	hcl := file(t, "a.hcl", "service { name = \"web\" \n port = 80 }\nservice { name = \"db\" }\nnode_meta { rack = \"r1\" }\n")
	json := file(t, "b.json", `{"services": [{"name": "mail"}], "check": {"name": "disk", "args": ["df"], "interval": "1m"}, "node_meta": {"room": "7"}}`)
	c, err := load(t, "-data-dir", "/d", "-config-file", hcl, "-config-file", json, "-node-meta", "rack:r2")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range c.Services {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "web db mail" || len(c.Checks) != 1 || c.Checks[0].Interval != time.Minute {
		t.Errorf("services %s, checks %+v", got, c.Checks)
	}
	if c.NodeMeta["rack"] != "r2" || c.NodeMeta["room"] != "7" {
		t.Errorf("metadata %v", c.NodeMeta)
	}
}

func TestTheSettingsOfDNSAreConsuls(t *testing.T) {
	hcl := file(t, "a.hcl", `ports { dns = 53 }
domain = "example."
recursors = ["10.0.0.1", "10.0.0.2:54"]
dns_config {
  allow_stale = false
  node_ttl = "5s"
  service_ttl { "*" = "1s", "web*" = "10s" }
  recursor_strategy = "random"
  soa { min_ttl = 60 }
}`)
	c, err := load(t, "-data-dir", "/d", "-config-file", hcl, "-recursor", "10.0.0.3")
	if err != nil {
		t.Fatal(err)
	}
	d := c.DNS
	if c.Ports.DNS != 53 || c.Domain != "example." || strings.Join(d.Recursors, " ") != "10.0.0.3 10.0.0.1 10.0.0.2:54" || d.AllowStale || d.NodeTTL != 5*time.Second ||
		d.ServiceTTL["*"] != time.Second || d.ServiceTTL["web*"] != 10*time.Second || d.RecursorStrategy != "random" || d.SOA.MinTTL != 60 || d.SOA.Retry != 600 {
		t.Errorf("%+v", c)
	}
	for text, want := range map[string]string{
		`dns_config { service_ttl { web = "soon" } }`:    `line 1: dns_config.service_ttl: web: "soon" is not a duration`,
		`dns_config { service_ttl = 5 }`:                 "dns_config.service_ttl: 5 is not an object",
		`dns_config { soa { min_ttl = -1 } }`:            `dns_config.soa.min_ttl: "-1" is not a whole number`,
		`dns_config { recursor_strategy = "sometimes" }`: `dns_config: recursor_strategy: "sometimes" is neither`,
		`recursors = ["nowhere"]`:                        `dns_config: recursors: "nowhere" is neither an IP`,
		`dns_config { node_tll = "1s" }`:                 `unknown key "dns_config.node_tll"`,
	} {
		if _, err := load(t, "-data-dir", "/d", "-hcl", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}

func TestAClientLeavesWhenItIsStoppedAndAServerDoesNot(t *testing.T) {
	for _, c := range []struct {
		args string
		want config.Leave
	}{
		{"", config.Leave{OnTerminate: true}},
		{"-server", config.Leave{SkipOnInterrupt: true}},
		{"-hcl leave_on_terminate=false -hcl skip_leave_on_interrupt=true", config.Leave{SkipOnInterrupt: true}},
		{"-server -hcl leave_on_terminate=true -hcl skip_leave_on_interrupt=false", config.Leave{OnTerminate: true}},
	} {
		got, err := load(t, append([]string{"-data-dir", "/d"}, strings.Fields(c.args)...)...)
		if err != nil || got.Leave != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.args, got, err, c.want)
		}
	}
}

func TestADirectoryIsReadInTheOrderOfNamesAndOnlyItsSettings(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"2.json": `{"node_name": "two", "data_dir": "/d", "server": true}`, "1.hcl": `node_name = "one"`, "3.txt": "not settings",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := load(t, "-config-dir", dir)
	if err != nil || c.NodeName != "two" {
		t.Errorf("%+v, %v", c, err)
	}
}

// nonsense is what nobody can mean, and what is said about it.
type nonsense struct {
	name string
	args []string
	want string
}

func (n nonsense) check(t *testing.T) {
	t.Run(n.name, func(t *testing.T) {
		_, err := load(t, n.args...)
		if err == nil || !strings.Contains(err.Error(), n.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("the error is\n%v\nwant one line with %s", err, n.want)
		}
	})
}

func TestWhatMakesNoSenseIsOneLineThatNamesIt(t *testing.T) {
	for _, n := range []nonsense{
		{"no datacenter", []string{"-server", "-data-dir", "/d", "-datacenter", ""}, `datacenter: "" may hold only`},
		{"no data directory", []string{"-server"}, "data_dir cannot be empty"},
		{"no server", []string{"-data-dir", "/d", "-bootstrap-expect", "3"}, "give -server"},
		{"a service without a name", []string{"-data-dir", "/d", "-hcl", "service { port = 80 }"}, `service "": Missing service name`},
		{"a check with an interval of no unit", []string{"-data-dir", "/d", "-hcl", `service { name = "a", check { tcp = "b:1", interval = 10 } }`}, "10 is not a duration such as 30s"},
		{"a bad pair", []string{"-node-meta", "color"}, `"color" is not KEY:VALUE`},
		{"reserved metadata", []string{"-data-dir", "/d", "-node-meta", "consul-x:y"}, "node_meta: couldn't load metadata pair"},
		{"no address", []string{"-server", "-data-dir", "/d", "-bind", "here"}, `bind_addr: "here" is not an IP address`},
		{"no port", []string{"-server", "-data-dir", "/d", "-http-port", "70000"}, "ports.http: 70000 is not between"},
		{"less than no port", []string{"-server", "-data-dir", "/d", "-http-port", "-2"}, "ports.http: -2 is not between -1 and"},
		{"a bad datacenter", []string{"-server", "-data-dir", "/d", "-datacenter", "a b"}, "datacenter"},
		{"a bad duration", []string{"-retry-interval", "5"}, `"5" is not a duration`},
		{"both bootstraps", []string{"-server", "-data-dir", "/d", "-bootstrap", "-bootstrap-expect", "3"}, "exclude each other"},
		{"a level that does not exist", []string{"-server", "-data-dir", "/d", "-log-level", "loud"}, "log_level"},
		{"an argument too much", []string{"-server", "x"}, `unexpected argument "x"`},
		{"a file that is not there", []string{"-config-file", "/none"}, "/none"},
		{"a flag that does not exist", []string{"-servr"}, "flag provided but not defined: -servr"},
		{"an unknown key in a fragment", []string{"-hcl", "servr = true"}, `-hcl: line 1: unknown key "servr"`},
		{"a format of no known kind", []string{"-config-format", "yaml"}, `"yaml" is neither json nor hcl`},
		{"a multiplier beyond the limit", []string{"-server", "-data-dir", "/d", "-hcl", "performance { raft_multiplier = 11 }"}, "performance.raft_multiplier: 11 is not between 1 and 10"},
		{"fewer servers than none", []string{"-server", "-data-dir", "/d", "-bootstrap-expect", "-1"}, "bootstrap_expect: -1 is not between 0 and"},
		{"a client that bootstraps", []string{"-data-dir", "/d", "-bootstrap-expect", "3"}, "give -server"},
		{"all addresses as one's own", []string{"-server", "-data-dir", "/d", "-advertise", "[::]"}, `advertise_addr: "[::]" is no address`},
		{"a socket for an address", []string{"-server", "-data-dir", "/d", "-hcl", `addresses { http = "unix:///x" }`}, `addresses.http: "unix:///x" is not an IP address`},
		{"two addresses where one belongs", []string{"-server", "-data-dir", "/d", "-bind", "10.0.0.1 10.0.0.2"}, `bind_addr: "10.0.0.1 10.0.0.2" is not an IP address`},
		{"a name among addresses", []string{"-server", "-data-dir", "/d", "-client", "10.0.0.1 here"}, `client_addr: "here" is not an IP address`},
		{"too little patience with who failed", []string{"-data-dir", "/d", "-hcl", `reconnect_timeout = "7h"`}, "reconnect_timeout: 7h0m0s is less than 8h0m0s"},
		{"a rate of no number", []string{"-data-dir", "/d", "-hcl", `limits { rpc_rate = "NaN" }`}, `limits.rpc_rate: "NaN" is not a number`},
		{"a rate without a burst", []string{"-data-dir", "/d", "-hcl", `limits { rpc_rate = 5 rpc_max_burst = 0 }`}, "limits.rpc_max_burst: with 0"},
		{"no time to wait", []string{"-data-dir", "/d", "-default-query-time", "0s"}, "default_query_time: 0s is less than 1ms"},
		{"a least TTL beyond the greatest", []string{"-data-dir", "/d", "-hcl", `session_ttl_min = "25h"`}, "session_ttl_min: 25h0m0s is more than 24h"},
		{"fewer files of the log than none", []string{"-data-dir", "/d", "-log-rotate-max-files", "-2"}, "log_rotate_max_files: -2 is not between -1 and"},
		{"a name with a blank", []string{"-server", "-data-dir", "/d", "-node", "a b"}, `node_name: "a b"`},
		{"another primary datacenter", []string{"-server", "-data-dir", "/d", "-hcl", `primary_datacenter = "dc2"`}, `primary_datacenter: "dc2" is another`},
		{"no time between attempts", []string{"-server", "-data-dir", "/d", "-retry-interval", "0s"}, "retry_interval: 0s is no time to wait"},
		{"fewer attempts than none", []string{"-server", "-data-dir", "/d", "-retry-max", "-1"}, "retry_max: -1 is less than zero"},
		{"snapshots without a pause", []string{"-server", "-data-dir", "/d", "-hcl", `raft_snapshot_interval = "1ms"`}, "raft_snapshot_interval: 1ms is less than 5ms"},
		{"fewer logs than none", []string{"-server", "-data-dir", "/d", "-hcl", "raft_trailing_logs = -1"}, "raft_trailing_logs: -1 is less than zero"},
		{"one port for two", []string{"-server", "-data-dir", "/d", "-serf-lan-port", "8300"}, "ports.server and ports.serf_lan are both 8300"},
		{"values of no size", []string{"-server", "-data-dir", "/d", "-hcl", "limits { kv_max_value_size = 0 }"}, "limits.kv_max_value_size: 0 is not between 1 and"},
		{"agents that a cloud knows, by a flag", []string{"-server", "-data-dir", "/d", "-retry-join", "provider=gce"}, `flag -retry-join: "provider=gce": this version`},
	} {
		n.check(t)
	}
}

func TestWhatMakesNoSenseInAFileIsOneLineThatSaysWhere(t *testing.T) {
	for _, n := range []nonsense{
		{"a check with an unknown key", []string{"-config-file", file(t, "x.hcl", "server = true\ncheck {\n  name = \"a\"\n  htp = \"b\"\n}")}, "x.hcl: line 2: check: "},
		{"a check with a TTL of no unit", []string{"-config-file", file(t, "x.json", "{\n\"check\": {\"name\": \"a\", \"ttl\": 30}}")}, "x.json: line 2: check: "},
		{"an unknown key", []string{"-config-file", file(t, "x.hcl", "server = true\n\nservr = true")}, `x.hcl: line 3: unknown key "servr"`},
		{"an unknown key within", []string{"-config-file", file(t, "x.hcl", "ports {\n  http = 1\n  htp = 2\n}")}, `x.hcl: line 3: unknown key "ports.htp"`},
		{"an unknown key in JSON", []string{"-config-file", file(t, "x.json", "{\"ports\": {\n\"http\": 1,\n\"htp\": 2}}")}, `x.json: line 3: unknown key "ports.htp"`},
		{"a value for an object", []string{"-config-file", file(t, "x.hcl", "ports = 5")}, "x.hcl: line 1: ports: 5 is not an object"},
		{"a wrong type in HCL", []string{"-config-file", file(t, "x.hcl", "\nbootstrap_expect = \"three\"")}, `x.hcl: line 2: bootstrap_expect: "three" is not a whole number`},
		{"no HCL", []string{"-config-file", file(t, "x.hcl", "server = \n}")}, "x.hcl: At 2:1"},
		{"a file of no known kind", []string{"-config-file", file(t, "x.conf", "server = true")}, "x.conf: the name ends neither in .json nor in .hcl"},
		{"a wrong type", []string{"-config-file", file(t, "x.json", `{"ports": {"http": "many"}}`)}, `ports.http: "many" is not a whole number`},
		{"a list where none belongs", []string{"-config-file", file(t, "x.json", `{"node_name": ["a"]}`)}, "node_name: [a] is a list"},
		{"an object in a map of texts", []string{"-config-file", file(t, "x.json", "{\n\"node_meta\": {\"rack\": {\"row\": 1}}}")}, "x.json: line 2: node_meta: rack: map[row:1] is neither a string nor a number"},
		{"a list in a map of texts", []string{"-config-file", file(t, "x.hcl", "node_meta { rack = [1] }")}, "x.hcl: line 1: node_meta: rack: [1] is neither a string nor a number"},
		{"a list in a list of texts", []string{"-config-file", file(t, "x.json", "{\"retry_join\": [\n[\"a\"]]}")}, "x.json: line 1: retry_join: [a] is neither a string nor a number"},
		{"a list for a duration", []string{"-config-file", file(t, "x.json", `{"dns_config": {"service_ttl": {"web": ["1s"]}}}`)}, "x.json: line 1: dns_config.service_ttl: web: [1s] is neither"},
		{"an empty list where none belongs", []string{"-config-file", file(t, "x.json", `{"node_name": []}`)}, "x.json: line 1: node_name: [] is a list"},
		{"an empty list for an object", []string{"-config-file", file(t, "x.json", `{"ports": []}`)}, "x.json: line 1: ports: [] is not an object"},
		{"watches that are none", []string{"-config-file", file(t, "x.json", `{"watches": [1]}`)}, "x.json: line 1: watches: [1] is not a list of objects"},
		{"agents that a cloud knows", []string{"-config-file", file(t, "x.hcl", "server = true\nretry_join = [\"a\", \"provider=aws tag_key=b tag_value=c\"]")}, `x.hcl: line 2: retry_join: "provider=aws tag_key=b tag_value=c": this version of Tribune does not support Consul's cloud auto-join`},
		{"agents that a cloud knows, once", []string{"-config-file", file(t, "x.json", "{\"start_join\": [\"provider=k8s label_selector=x\"]}")}, `x.json: line 1: start_join: "provider=k8s label_selector=x": this version`},
		{"no JSON", []string{"-config-file", file(t, "x.json", "{\n\n,}")}, "x.json: line 3"},
	} {
		n.check(t)
	}
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte(`{"ports": {"http": 1}}`), true)
	f.Add([]byte("ports { http = 1 }\nretry_join = [\"a\"]"), false)
	f.Fuzz(func(t *testing.T, text []byte, isJSON bool) {
		_ = config.Default().Merge(text, isJSON) // must not panic
	})
}

func TestFilesAreReadAsTheFormatThatIsGiven(t *testing.T) {
	dir := filepath.Dir(file(t, "a.conf", `{"node_name": "x"}`))
	for _, args := range [][]string{
		{"-config-format", "json", "-config-dir", dir}, {"-config-file", dir, "-config-format", "json"}, {"-config-format=hcl", "-config-dir", dir},
	} {
		if c, err := load(t, append(args, "-server", "-data-dir", "/d")...); err != nil || c.NodeName != "x" {
			t.Errorf("%s: %+v, %v", args, c, err)
		}
	}
}

func TestLinksInADirectoryAreFollowedAndDirectoriesLeftOut(t *testing.T) {
	dir := t.TempDir() // as Kubernetes lays out a ConfigMap
	for name, text := range map[string]string{"..2024/a.json": `{"node_name": "x"}`, "..2024/sub.json/b.json": "", "c.json/d.json": ""} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(name, to string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..data", "..2024")
	link("a.json", "..data/a.json")
	link("sub.json", "..data/sub.json")
	for _, args := range [][]string{{"-config-dir", dir}, {"-config-dir", dir, "-config-format", "json"}} {
		if c, err := load(t, append(args, "-server", "-data-dir", "/d")...); err != nil || c.NodeName != "x" {
			t.Errorf("%s: %+v, %v", args, c, err)
		}
	}
	link("lost.json", "..data/none")
	if _, err := load(t, "-config-dir", dir); err == nil || !strings.Contains(err.Error(), "lost.json") {
		t.Error(err)
	}
}

func TestAFragmentOverridesFlagsAndFiles(t *testing.T) {
	c, err := load(t, "-hcl", `node_name = "c"`, "-node", "b", "-config-file", file(t, "a.hcl", `node_name = "a"`), "-server", "-data-dir", "/d")
	if err != nil || c.NodeName != "c" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAJSONNullSaysNothingAndAListOfObjectsIsTakenForItsObjects(t *testing.T) {
	c := config.Default()
	if err := c.Merge([]byte(`{"node_name": null, "retry_join": null, "ports": [{"http": 5}, {"server": 6}], "log_file": null,
		"start_join": [null, "a"], "node_meta": {"rack": null, "row": 7, "spare": true}, "dns_config": {"service_ttl": {"web": null}}}`), true); err != nil {
		t.Fatal(err)
	}
	if c.NodeName != "" || c.Ports.HTTP != 5 || c.Ports.Server != 6 || c.Warnings != nil || len(c.DNS.ServiceTTL) != 0 {
		t.Errorf("%+v", c)
	}
	if got := strings.Join(c.Join.Retry, ","); got != "a" || !reflect.DeepEqual(c.NodeMeta, map[string]string{"row": "7", "spare": "true"}) {
		t.Errorf("start_join %s, node_meta %v", got, c.NodeMeta)
	}
}

func TestAnEmptyListSaysNothing(t *testing.T) {
	for text, isJSON := range map[string]bool{
		`{"watches": [], "services": [], "checks": [], "retry_join": [], "node_meta": []}`: true,
		"watches = []\nservices = []\nchecks = []\nretry_join = []\nnode_meta = []":        false,
	} {
		c := config.Default()
		if err := c.Merge([]byte(text), isJSON); err != nil || len(c.Watches)+len(c.Services)+len(c.Checks)+len(c.Join.Retry)+len(c.NodeMeta) != 0 {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
}

func TestAddressesAndNamesAreTakenAsConsulTakesThem(t *testing.T) {
	c, err := load(t, "-server", "-data-dir", "/d", "-datacenter", "DC-East", "-node", " a ", "-bind", "[::]", "-client", "::1", "-log-level", "WARN",
		"-hcl", `primary_datacenter = "dc-east"`)
	if err != nil || c.Datacenter != "dc-east" || c.NodeName != "a" || c.BindAddr != "::" || c.ClientAddr != "::1" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestDefaultsAreThoseOfConsul(t *testing.T) {
	c := config.Default()
	got := []any{c.Datacenter, c.LogLevel, c.BindAddr, c.ClientAddr, c.Ports, c.Join.Interval, c.Join.Max, c.Leave, c.Raft, c.KVMaxValueSize, c.CleanDeadServers}
	want := []any{"dc1", "info", "0.0.0.0", "127.0.0.1", config.Ports{HTTP: 8500, DNS: 8600, Server: 8300, SerfLAN: 8301}, 30 * time.Second, 0,
		config.Leave{SkipOnInterrupt: true}, config.Raft{Multiplier: 5, SnapshotThreshold: 16384, SnapshotInterval: 30 * time.Second, TrailingLogs: 10240}, 524288, true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWaitsLimitsAndTheFileOfTheLogAreTaken(t *testing.T) {
	c, err := load(t, "-data-dir", "/d", "-rejoin", "-default-query-time", "30s", "-max-query-time", "2m", "-log-file", "/var/log/", "-log-rotate-bytes", "1000", "-auto-reload-config", "-hcl",
		`reconnect_timeout = "9h" session_ttl_min = "20s" log_rotate_duration = "1h" log_rotate_max_files = 3
		limits { rpc_rate = 2.5 rpc_max_burst = 7 rpc_client_timeout = "9s" txn_max_req_len = 600000 } autopilot { cleanup_dead_servers = false }`)
	if err != nil || c.Warnings != nil {
		t.Fatal(err, c.Warnings)
	}
	got := []any{c.Join.Again, c.Query, c.LogFile, c.AutoReload, c.ReconnectTimeout, c.SessionTTLMin, c.RPC, c.HTTP.MaxTxnLen, c.CleanDeadServers}
	want := []any{true, api.QueryTimes{Default: 30 * time.Second, Max: 2 * time.Minute}, config.LogFile{Name: "/var/log/", Bytes: 1000, Age: time.Hour, Others: 3}, true,
		9 * time.Hour, 20 * time.Second, config.RPC{Rate: 2.5, Burst: 7, Timeout: 9 * time.Second}, 600000, false}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestTemplatesBecomeTheAddressesOfTheMachine(t *testing.T) {
	network := hosttest.NewNetwork().Host("m", netip.MustParseAddr("10.0.0.7"), hosttest.NewDisk()).Network()
	c, err := load(t, "-data-dir", "/d", "-bind", "{{ GetPrivateIP }}", "-client", "127.0.0.1 {{ GetPrivateIP }}", "-retry-join", "{{ GetPrivateIP }}:8301",
		"-hcl", `addresses { dns = "::1 127.0.0.1" } retry_join = ["b", "{{ GetPrivateIP }} 10.0.0.9"] recursors = ["10.0.0.1", "{{ GetPrivateIP }} {{ GetPrivateIP }}:54"]`)
	if err != nil {
		t.Fatal(err)
	}
	given, recursors := c.Join.Retry, c.DNS.Recursors
	own := *c
	if err := own.Expand(network); err != nil {
		t.Fatal(err)
	}
	if own.BindAddr != "10.0.0.7" || own.ClientAddr != "127.0.0.1 10.0.0.7" || own.Addresses.DNS != "::1 127.0.0.1" {
		t.Errorf("%+v", own)
	}
	if got := strings.Join(own.Join.Retry, ","); got != "10.0.0.7:8301,b,10.0.0.7,10.0.0.9" {
		t.Errorf("retry_join %s", got)
	}
	if got := strings.Join(own.DNS.Recursors, ","); got != "10.0.0.1,10.0.0.7,10.0.0.7:54" {
		t.Errorf("recursors %s", got)
	}
	if given[0] != "{{ GetPrivateIP }}:8301" || recursors[1] != "{{ GetPrivateIP }} {{ GetPrivateIP }}:54" {
		t.Errorf("the configuration that it was made from says %q, %q", given, recursors)
	}
	for want, set := range map[string]func(*config.Config){
		`bind_addr: the template "{{ GetPublicIP }}": `:                           func(c *config.Config) { c.BindAddr = "{{ GetPublicIP }}" },
		`recursors: the template "{{ GetPublicIP }}": `:                           func(c *config.Config) { c.DNS.Recursors = []string{"{{ GetPublicIP }}"} },
		`dns_config: recursors: "10.0.0.7:dns" is neither an IP nor an IP with a`: func(c *config.Config) { c.DNS.Recursors = []string{"{{ GetPrivateIP }}:dns"} },
	} {
		other := *c
		set(&other)
		if err := other.Expand(network); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestAnOldNameOfRetryJoinIsTakenWithAWarning(t *testing.T) {
	c, err := load(t, "-data-dir", "/d", "-join", "10.0.0.1", "-retry-join", "10.0.0.2", "-hcl", `start_join = ["10.0.0.3"]`)
	if err != nil || !reflect.DeepEqual(c.Join.Retry, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}) || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "start_join (-join) is deprecated") {
		t.Errorf("%v, %v, %v", c.Join.Retry, c.Warnings, err)
	}
	if got := config.Default().Fixed(c); !slices.Contains(got, "retry_join") || slices.Contains(got, "start_join") {
		t.Errorf("what has changed is %v", got)
	}
}

func TestThatFilesHaveChangedIsSeen(t *testing.T) {
	name := file(t, "a.hcl", `node_name = "a"`)
	c, err := load(t, "-data-dir", "/d", "-config-file", name)
	if err != nil {
		t.Fatal(err)
	}
	if loaded, now, err := c.Files(); err != nil || loaded != now || now == "" {
		t.Errorf("%q, %q, %v", loaded, now, err)
	}
	if err := os.WriteFile(name, []byte(`node_name = "b"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if loaded, now, err := c.Files(); err != nil || loaded == now {
		t.Errorf("%q, %q, %v", loaded, now, err)
	}
}
