//go:build interop

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// tribune is the program under test, built once.
var tribune string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tribune-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tribune = filepath.Join(dir, "tribune")
	if out, err := exec.Command("go", "build", "-o", tribune, "../cmd/tribune").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience is how long anything may take; slow machines need some of it.
const patience = 60 * time.Second

// eventually tries until it succeeds; real processes take real time.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// ok ends a test at an error.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// need skips a test whose program is not installed.
func need(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed: apt-get install %s, or run `make interop` as root in a container", program, debianPackage)
	}
	return path
}

// built builds a program from its Go module, whose version a go.mod under tools
// fixes. The first time that takes minutes. Where it cannot be had, without a
// network for one, the test is skipped.
func built(t *testing.T, name, pkg string, flags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", append(append([]string{"build", "-o", binary}, flags...), pkg)...)
	build.Dir = filepath.Join("tools", name)
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("%s cannot be built here: %v\n%s", name, err, out)
	}
	return binary
}

// process is a program that runs until the test ends.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

// Write collects what the program prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// printed is what the program has printed up to now.
func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// start runs a program. When the test ends it is killed, and if the test failed,
// what it printed is shown.
func start(t *testing.T, program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.WaitDelay = time.Second // for children that keep its output open
	ok(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // it is killed, as a rule
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s printed:\n%s", strings.Join(p.cmd.Args, " "), p.printed())
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.ended
}

// freePorts asks the kernel for ports that are free now for TCP and for UDP.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ok(t, err)
		defer func() { _ = l.Close() }()
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil && tries < 100 {
			continue
		}
		ok(t, err)
		defer func() { _ = u.Close() }()
		ports = append(ports, port)
	}
	return ports
}

// agent is a process of ours with the official client for it.
type agent struct {
	*process
	*api.Client
	name            string
	http, dns, serf int    // ports
	file            string // of its configuration, which a test may write
}

// startAgent starts an agent on free ports. Some of its settings are HCL.
func startAgent(t *testing.T, l *ledger, name, settings string, flags ...string) *agent {
	t.Helper()
	ports, dir := freePorts(t, 4), t.TempDir()
	a := &agent{name: name, http: ports[0], dns: ports[1], serf: ports[2], file: filepath.Join(dir, "agent.hcl")}
	ok(t, os.WriteFile(a.file, []byte(settings), 0o600))
	a.process = start(t, tribune, append([]string{
		"agent", "-node", name, "-data-dir", filepath.Join(dir, "data"), "-config-file", a.file, "-bind", "127.0.0.1", "-log-level", "debug",
		"-http-port", fmt.Sprint(ports[0]), "-dns-port", fmt.Sprint(ports[1]), "-serf-lan-port", fmt.Sprint(ports[2]), "-server-port", fmt.Sprint(ports[3]),
	}, flags...)...)
	c := api.DefaultConfig()
	c.Address = a.address()
	c.HttpClient = &http.Client{Transport: l, Timeout: patience}
	var err error
	a.Client, err = api.NewClient(c)
	ok(t, err)
	return a
}

// address is where an agent's HTTP API is.
func (a *agent) address() string { return fmt.Sprintf("127.0.0.1:%d", a.http) }

// gossip is where other agents join it.
func (a *agent) gossip() string { return fmt.Sprintf("127.0.0.1:%d", a.serf) }

// cluster is what most tests stand on: a server, and a client agent.
type cluster struct {
	server, client *agent
	ledger         *ledger
}

// startCluster starts both, each with some settings, and waits until either sees
// both in good health.
func startCluster(t *testing.T, server, client string) cluster {
	t.Helper()
	l := &ledger{}
	s := startAgent(t, l, "s1", server+"\nperformance { raft_multiplier = 1 }\n", "-server", "-bootstrap-expect", "1")
	c := startAgent(t, l, "c1", client, "-retry-join", s.gossip(), "-retry-interval", "200ms")
	for _, a := range []*agent{s, c} {
		eventually(t, a.name+" sees both agents", func() error {
			checks, _, err := a.Health().State(api.HealthPassing, nil)
			if err == nil && len(checks) != 2 {
				err = fmt.Errorf("%d agents are healthy", len(checks))
			}
			return err
		})
	}
	return cluster{s, c, l}
}

// errNotYet is for polls that have no more to say.
var errNotYet = errors.New("not yet")
