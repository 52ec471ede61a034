package main_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"tribune/impl/host/hosttest"
)

// build builds the program once for a test.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tribune")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// process is a server of a real cluster on loopback.
type process struct {
	binary, name, dir string
	http, rpc, serf   int
	join              string
	cmd               *exec.Cmd
	log               hosttest.Output
}

func (p *process) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(p.binary, "agent", "-server", "-bootstrap-expect", "3", "-node", p.name, "-data-dir", p.dir,
		"-bind", "127.0.0.1", "-http-port", fmt.Sprint(p.http), "-server-port", fmt.Sprint(p.rpc), "-serf-lan-port", fmt.Sprint(p.serf), "-dns-port=-1",
		"-retry-join", p.join, "-retry-interval", "500ms", "-config-file", filepath.Join(filepath.Dir(p.dir), "fast.hcl"))
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	_ = p.cmd.Wait()         // says that it was killed
}

func (p *process) client(t *testing.T) *api.Client {
	t.Helper()
	c := api.DefaultNonPooledConfig()
	c.Address = fmt.Sprintf("127.0.0.1:%d", p.http)
	client, err := api.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// freePorts asks the kernel for ports that are free now.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func cluster(t *testing.T) []*process {
	t.Helper()
	binary, dir, ports := build(t), t.TempDir(), freePorts(t, 9)
	if err := os.WriteFile(filepath.Join(dir, "fast.hcl"), []byte("performance { raft_multiplier = 1 }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []*process
	for i := range 3 {
		p := &process{
			binary: binary, name: fmt.Sprintf("s%d", i+1), dir: filepath.Join(dir, fmt.Sprintf("s%d", i+1)),
			http: ports[3*i], rpc: ports[3*i+1], serf: ports[3*i+2], join: fmt.Sprintf("127.0.0.1:%d", ports[2]),
		}
		p.start(t)
		t.Cleanup(func() {
			p.kill()
			if t.Failed() {
				t.Logf("%s:\n%s", p.name, p.log.String())
			}
		})
		all = append(all, p)
	}
	return all
}

// eventually tries until it succeeds; real processes take real time.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// leader returns the server that the others say leads.
func leader(t *testing.T, all []*process) *process {
	t.Helper()
	var found *process
	eventually(t, "a leader", func() error {
		for _, p := range all {
			address, err := p.client(t).Status().Leader()
			if err != nil {
				continue
			}
			for _, q := range all {
				if address == fmt.Sprintf("127.0.0.1:%d", q.rpc) {
					found = q
					return nil
				}
			}
		}
		return fmt.Errorf("nobody knows one")
	})
	return found
}

func TestRealServersKeepEveryAcknowledgedWriteWhenTheLeaderIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	all := cluster(t)
	eventually(t, "the first write", func() error {
		_, err := all[0].client(t).KV().Put(&api.KVPair{Key: "first", Value: []byte("x")}, nil)
		return err
	})
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var acknowledged []string
	var writers sync.WaitGroup
	for i, p := range all {
		client := p.client(t)
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("k/%d/%d", i, n)
				limited, cancel := context.WithTimeout(ctx, 2*time.Second)
				_, err := client.KV().Put(&api.KVPair{Key: key, Value: []byte(key)}, (&api.WriteOptions{}).WithContext(limited))
				cancel()
				if err == nil {
					mu.Lock()
					acknowledged = append(acknowledged, key)
					mu.Unlock()
				} else {
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	count := func(n int) func() error {
		return func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(acknowledged) < n {
				return fmt.Errorf("%d of %d", len(acknowledged), n)
			}
			return nil
		}
	}
	eventually(t, "writes before the leader is killed", count(200))
	killed := leader(t, all)
	killed.kill()
	mu.Lock()
	before := len(acknowledged)
	mu.Unlock()
	eventually(t, "writes after the leader was killed", count(before+200))
	killed.start(t)
	stop()
	writers.Wait()
	for _, p := range all { // all of them, at once
		p.kill()
	}
	for _, p := range all {
		p.start(t)
	}
	var keys []string
	eventually(t, "a consistent read after all were killed", func() error {
		var err error
		keys, _, err = all[0].client(t).KV().Keys("k/", "", &api.QueryOptions{RequireConsistent: true})
		return err
	})
	for _, key := range acknowledged {
		if !slices.Contains(keys, key) {
			t.Errorf("%s was acknowledged and is lost", key)
		}
	}
	t.Logf("%d acknowledged writes, all there", len(acknowledged))
}

func TestBadInputIsOneLineAndStatusOne(t *testing.T) {
	binary, dir := build(t), t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := fmt.Sprint(taken.Addr().(*net.TCPAddr).Port)
	file := filepath.Join(dir, "file")
	bad := filepath.Join(dir, "bad.json")
	corrupt := filepath.Join(dir, "corrupt")
	for name, text := range map[string]string{file: "", bad: "{\n \"serverr\": true\n}", filepath.Join(corrupt, "raft", "wal", "meta.json"): "tribune raft meta 1 crc32c=00000000\n{}"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ports := freePorts(t, 3)
	good := []string{"-server", "-bind", "127.0.0.1", "-bootstrap-expect", "1",
		"-http-port", fmt.Sprint(ports[0]), "-server-port", fmt.Sprint(ports[1]), "-serf-lan-port", fmt.Sprint(ports[2]), "-dns-port=-1"}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"an unknown flag", []string{"-servr"}, "-servr"},
		{"a bad value", []string{"-server", "-data-dir", dir, "-bootstrap-expect", "three"}, `"three" is not a whole number`},
		{"no data directory", []string{"-server"}, "data_dir cannot be empty"},
		{"a data directory that is a file", append(good, "-data-dir", file), "data_dir"},
		{"an unknown key in a file", []string{"-config-file", bad}, `unknown key "serverr"`},
		{"a port in use", append(good, "-data-dir", filepath.Join(dir, "d"), "-http-port", port), "address already in use"},
		{"a corrupt log", append(good, "-data-dir", corrupt), "meta.json is corrupt: its checksum does not match"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, append([]string{"agent"}, c.args...)...)
			var complaints bytes.Buffer
			cmd.Stderr = &complaints
			err := cmd.Run()
			if cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("exit status %d: %v", cmd.ProcessState.ExitCode(), err)
			}
			text := strings.TrimSpace(complaints.String())
			if !strings.Contains(text, c.want) || strings.Contains(text, "\n") {
				t.Errorf("it says\n%s\nwant one line with %s", text, c.want)
			}
		})
	}
}
