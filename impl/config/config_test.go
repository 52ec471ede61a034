package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tribune/impl/config"
	"tribune/impl/host"
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
	if got := strings.Join(c.Join.Retry, ","); got != "a,b,c" {
		t.Errorf("lists add up in order: %s", got)
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

func TestWhatMakesNoSenseIsOneLineThatNamesIt(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no data directory", []string{"-server"}, "data_dir cannot be empty"},
		{"no server", []string{"-data-dir", "/d"}, "give -server"},
		{"no address", []string{"-server", "-data-dir", "/d", "-bind", "here"}, `bind_addr: "here" is not an IP address`},
		{"no port", []string{"-server", "-data-dir", "/d", "-http-port", "70000"}, "ports.http: 70000 is not between"},
		{"a bad datacenter", []string{"-server", "-data-dir", "/d", "-datacenter", "a b"}, "datacenter"},
		{"a bad duration", []string{"-retry-interval", "5"}, `"5" is not a duration`},
		{"both bootstraps", []string{"-server", "-data-dir", "/d", "-bootstrap", "-bootstrap-expect", "3"}, "exclude each other"},
		{"a level that does not exist", []string{"-server", "-data-dir", "/d", "-log-level", "loud"}, "log_level"},
		{"an argument too much", []string{"-server", "x"}, `unexpected argument "x"`},
		{"a file that is not there", []string{"-config-file", "/none"}, "/none"},
		{"an unknown key", []string{"-config-file", file(t, "x.hcl", "servr = true")}, `unknown key "servr"`},
		{"a wrong type", []string{"-config-file", file(t, "x.json", `{"ports": {"http": "many"}}`)}, `ports.http: "many" is not a whole number`},
		{"a list where none belongs", []string{"-config-file", file(t, "x.json", `{"node_name": ["a"]}`)}, "node_name: [a] is a list"},
		{"no JSON", []string{"-config-file", file(t, "x.json", "{\n\n,}")}, "x.json: line 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, c.args...)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is\n%v\nwant one line with %s", err, c.want)
			}
		})
	}
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte(`{"ports": {"http": 1}}`), true)
	f.Add([]byte("ports { http = 1 }\nretry_join = [\"a\"]"), false)
	f.Fuzz(func(t *testing.T, text []byte, isJSON bool) {
		_ = config.Default().Merge(text, isJSON) // must not panic
	})
}
