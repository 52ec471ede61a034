package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// verbs run against a cluster of one.
type verbs struct{ binary, address string }

// command is a verb that has not been started.
func (v verbs) command(args ...string) *exec.Cmd {
	cmd := exec.Command(v.binary, args...)
	cmd.Env = append(os.Environ(), "CONSUL_HTTP_ADDR="+v.address, "SHELL=/bin/sh")
	return cmd
}

// run runs a verb and returns its output, errors included, and its exit status.
func (v verbs) run(stdin string, args ...string) (string, int) {
	cmd := v.command(args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, _ := cmd.CombinedOutput() // the status tells
	return strings.TrimSpace(string(out)), cmd.ProcessState.ExitCode()
}

// single starts a cluster of one.
func single(t *testing.T) verbs {
	t.Helper()
	binary, dir, ports := build(t), t.TempDir(), freePorts(t, 3)
	fast := filepath.Join(dir, "fast.hcl")
	if err := os.WriteFile(fast, []byte("performance { raft_multiplier = 1 }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(binary, "agent", "-server", "-bootstrap-expect", "1", "-node", "solo", "-data-dir", filepath.Join(dir, "data"),
		"-bind", "127.0.0.1", "-http-port", fmt.Sprint(ports[0]), "-server-port", fmt.Sprint(ports[1]), "-serf-lan-port", fmt.Sprint(ports[2]), "-dns-port=-1",
		"-config-file", fast)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = agent.Process.Kill() // it may be gone already
		_ = agent.Wait()         // says how it ended
	})
	v := verbs{binary, fmt.Sprintf("127.0.0.1:%d", ports[0])}
	eventually(t, "the first write", func() error {
		if out, status := v.run("", "kv", "put", "ready"); status != 0 {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	return v
}

func TestTheVerbsDoWhatConsulsDo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	solo := single(t)
	data := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(data, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line, stdin string
		status      int
		want        string // contained in the output; with "=" in front, all of it
	}{
		{"kv put app/name web", "", 0, "=Success! Data written to: app/name"},
		{"kv get app/name", "", 0, "=web"},
		{"kv get -base64 app/name", "", 0, "=d2Vi"},
		{"kv get -detailed app/name", "", 0, "ModifyIndex"},
		{"kv get -consistent app/name", "", 0, "=web"},
		{"kv get -stale app/name", "", 0, "=web"},
		{"kv put app/file @" + data, "", 0, "Success!"},
		{"kv get app/file", "", 0, "=from a file"},
		{"kv put app/stdin -", "from stdin", 0, "Success!"},
		{"kv get app/stdin", "", 0, "=from stdin"},
		{"kv put -flags 7 app/flags x", "", 0, "Success!"},
		{"kv get -detailed app/flags", "", 0, "Flags            7"},
		{"kv put -cas -modify-index 1 app/name other", "", 1, "CAS failed"},
		{"kv put -cas app/new x", "", 0, "Success!"},
		{"kv get -keys app/", "", 0, "app/file\napp/flags\napp/name"},
		{"kv get -recurse app/n", "", 0, "=app/name:web\napp/new:x"},
		{"kv get app/none", "", 1, "No key exists at: app/none"},
		{"kv export app/n", "", 0, `"value": "d2Vi"`},
		{"kv import -", `[{"key":"in/a","flags":3,"value":"MQ=="}]`, 0, "=Imported: in/a"},
		{"kv get in/a", "", 0, "=1"},
		{"kv import -", "no JSON", 1, "Cannot unmarshal data"},
		{"kv delete app/new", "", 0, "=Success! Deleted key: app/new"},
		{"kv delete -recurse app/", "", 0, "=Success! Deleted keys with prefix: app/"},
		{"kv get -keys app/", "", 0, "="},
		{"kv get", "", 1, "Missing KEY argument"},
		{"members", "", 0, "solo"},
		{"members -status left", "", 2, "="},
		{"members -detailed", "", 0, "role=consul"},
		{"info", "", 0, "raft:"},
		{"version", "", 0, "Tribune v"},
		{"join 127.0.0.1:1", "", 1, "Failed to join any nodes"},
		{"force-leave nobody", "", 1, "No node found with name 'nobody'"},
		{"kv get -nosuchflag x", "", 1, "nosuchflag"},
		{"leave", "", 0, "=Graceful leave complete"},
	} {
		out, status := solo.run(c.stdin, strings.Fields(c.line)...)
		exact, isExact := strings.CutPrefix(c.want, "=")
		if status != c.status || isExact && out != exact || !isExact && !strings.Contains(out, c.want) {
			t.Errorf("tribune %s: status %d\n%s\nwant status %d and %s", c.line, status, out, c.status, c.want)
		}
	}
}
