package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tribune/impl/cli"
	"tribune/impl/host"
)

func TestValidateSaysWhetherAnAgentCouldRunWithTheFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good := write("good.hcl", "data_dir = \"/d\"\nservice { name = \"web\"\n check { tcp = \"x:1\"\n interval = \"1s\" } }")
	idle := write("idle.json", `{"data_dir": "/d", "services": [{"name": "web", "check": {"http": "http://x"}}]}`)
	for _, c := range []struct {
		args   string
		status int
		out    string
	}{
		{good, 0, "Configuration is valid!\n"},
		{"-quiet " + good, 0, ""},
		{idle, 1, `Error! config validation failed: service "web": Invalid check: Interval must be > 0`},
		{write("none.hcl", "bogus = 1"), 1, `none.hcl: line 1: unknown key "bogus"`},
		{"", 1, "must specify at least one config file or directory"},
		{filepath.Join(dir, "missing"), 1, "no such file"},
	} {
		var out bytes.Buffer
		status := cli.Run(cli.Env{Host: host.Real(), Stdout: &out, Stderr: &out}, append([]string{"validate"}, strings.Fields(c.args)...))
		if status != c.status || !strings.Contains(out.String(), c.out) || c.out == "" && out.Len() > 0 {
			t.Errorf("validate %s: %d %q; want %d %q", c.args, status, out.String(), c.status, c.out)
		}
	}
}
