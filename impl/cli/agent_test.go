package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tribune/impl/cli"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

// runAgent runs the verb agent on a host until a signal a minute later.
func runAgent(h host.Host, signal cli.Signal, args ...string) (status int, stdout, stderr string) {
	return runAgentWith(h, signal, nil, args...)
}

// runAgentWith is runAgent for one that is asked to load its configuration anew.
func runAgentWith(h host.Host, signal cli.Signal, hangups func() <-chan struct{}, args ...string) (status int, stdout, stderr string) {
	var out, complaints hosttest.Output
	got := cli.None
	status = cli.Run(cli.Env{Host: h, Stdout: &out, Stderr: &complaints, Hangups: hangups, Signals: func(ctx context.Context) (context.Context, func() cli.Signal) {
		ctx, stop := context.WithCancel(ctx)
		time.AfterFunc(time.Minute, func() {
			got = signal
			stop()
		})
		return ctx, func() cli.Signal { return got }
	}}, append([]string{"agent"}, args...))
	time.Sleep(2 * time.Minute) // memberlist and raft do not wait for all that they started
	return status, out.String(), complaints.String()
}

func TestAnAgentRunsUntilASignalAndLeavesIfItIsToldTo(t *testing.T) {
	for _, c := range []struct {
		settings string
		signal   cli.Signal
		leaves   bool
	}{
		{`{"enable_syslog": true}`, cli.Interrupt, false}, // a server stays a member
		{`{"enable_syslog": true}`, cli.Terminate, false},
		{`{"skip_leave_on_interrupt": false, "enable_syslog": true}`, cli.Interrupt, true},
		{`{"leave_on_terminate": true, "enable_syslog": true}`, cli.Terminate, true},
		{`{"leave_on_terminate": true, "enable_syslog": true}`, cli.Interrupt, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			disk := hosttest.NewDisk()
			h := hosttest.NewNetwork().Host("s1", netip.AddrFrom4([4]byte{10, 0, 0, 1}), disk)
			if err := host.ReplaceFile(disk, "/settings.json", []byte(c.settings)); err != nil {
				t.Fatal(err)
			}
			status, out, complaints := runAgent(h, c.signal, "-server", "-bootstrap", "-data-dir", "/data", "-config-file", "/settings.json", "-log-level", "warn")
			if status != 0 || complaints != "" {
				t.Errorf("%s, signal %d: status %d, %s", c.settings, c.signal, status, complaints)
			}
			id, err := host.ReadFile(disk, "/data/node-id")
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				"==> Starting Tribune agent...\n", "Node ID: '" + strings.TrimSpace(string(id)) + "'\n", "Node name: 's1'\n", "Datacenter: 'dc1'\n",
				"Server: true (Bootstrap: true)\n", "enable_syslog has no effect", "Client Addr: 127.0.0.1 (HTTP: 8500, DNS: 8600)\n", "Cluster Addr: 10.0.0.1 (Server: 8300, LAN: 8301)\n",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("%s\nwithout %s", out, want)
				}
			}
			if strings.Index(out, "enable_syslog") < strings.Index(out, "==> Log data") {
				t.Errorf("%s\nthe log begins before it is announced", out)
			}
			if !strings.HasSuffix(out, "==> Stopped.\n") || strings.Contains(out, "==> Gracefully leaving the cluster...\n") != c.leaves {
				t.Errorf("%s, signal %d: it ended with\n%s", c.settings, c.signal, out)
			}
		})
	}
}

// shared is a host with a directory /run in which an agent may write the file agent.pid,
// for all to read, and do nothing else.
type shared struct{ host.Host }

func (s shared) FS() host.FS { return sharedFS{s.Host.FS()} }

type sharedFS struct{ host.FS }

func (s sharedFS) OpenFile(name string, flag int, perm fs.FileMode) (host.File, error) {
	if path.Dir(name) == "/run" && (path.Base(name) != "agent.pid" || perm != 0o644) {
		return nil, fs.ErrPermission
	}
	return s.FS.OpenFile(name, flag, perm)
}

func (s sharedFS) Remove(name string) error {
	if path.Dir(name) == "/run" {
		return fs.ErrPermission
	}
	return s.FS.Remove(name)
}

func TestAnAgentListensWhereItIsToldAndSaysWhichProcessItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := hosttest.NewDisk()
		h := hosttest.NewNetwork().Host("s1", netip.AddrFrom4([4]byte{10, 0, 0, 1}), disk)
		time.AfterFunc(30*time.Second, func() {
			for address, want := range map[string]bool{"10.0.0.1:8500": true, "10.0.0.1:8600": true, "127.0.0.1:8500": false, "127.0.0.1:8600": false} {
				c, err := h.Network().Dial(t.Context(), "tcp", address)
				if (err == nil) != want {
					t.Errorf("%s: %v", address, err)
				}
				if err == nil {
					_ = c.Close()
				}
			}
			if b, err := host.ReadFile(disk, "/run/agent.pid"); err != nil || string(b) != fmt.Sprintln(os.Getpid()) {
				t.Errorf("the file of its process: %q, %v", b, err)
			}
		})
		if err := disk.MkdirAll("/run", 0o755); err != nil {
			t.Fatal(err)
		}
		status, _, complaints := runAgent(h, cli.Terminate, "-server", "-bootstrap", "-data-dir", "/data", "-pid-file", "/run/agent.pid",
			"-hcl", `addresses { http = "10.0.0.1" dns = "10.0.0.1" }`)
		if status != 0 || complaints != "" {
			t.Errorf("status %d, %s", status, complaints)
		}
		if left, err := disk.ReadDir("/run"); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		status, out, complaints := runAgent(shared{h}, cli.Terminate, "-server", "-bootstrap", "-data-dir", "/data", "-pid-file", "/run/agent.pid")
		b, err := host.ReadFile(disk, "/run/agent.pid")
		if status != 0 || complaints != "" || err != nil || string(b) != fmt.Sprintln(os.Getpid()) || !strings.Contains(out, "the pid_file cannot be removed") {
			t.Errorf("status %d, %s; the file of its process: %q, %v\n%s", status, complaints, b, err, out)
		}
		status, _, complaints = runAgent(h, cli.Terminate, "-server", "-bootstrap", "-data-dir", "/data", "-pid-file", "/none/agent.pid")
		if status != 1 || !strings.Contains(complaints, "Error! pid_file: ") {
			t.Errorf("status %d, %s", status, complaints)
		}
	})
}

func TestAnAgentThatCannotRunSaysWhyInOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := hosttest.NewDisk()
		h := hosttest.NewNetwork().Host("s1", netip.AddrFrom4([4]byte{10, 0, 0, 1}), disk)
		if err := host.ReplaceFile(disk, "/bad.json", []byte("{\n\"server\": 7x}")); err != nil {
			t.Fatal(err)
		}
		for line, want := range map[string]string{
			"":                                    "Error! data_dir cannot be empty: give -data-dir DIR\n",
			"-data-dir /data -bootstrap":          "Error! bootstrap and bootstrap_expect are for servers: give -server\n",
			"-nonsense":                           "Error! flag provided but not defined: -nonsense\n",
			"now":                                 "Error! unexpected argument \"now\"\n",
			"-config-file /none.json":             " /none.json: file does not exist\n",
			"-config-file /bad.json":              "Error! /bad.json: line 2: ",
			"-server -data-dir /data -bind here":  "Error! bind_addr: \"here\" is not an IP address\n",
			"-server -data-dir /bad.json":         "Error! data_dir: ",
			"-server -data-dir /d -http-port 1.5": "Error! invalid value \"1.5\" for flag -http-port: \"1.5\" is not a whole number\n",
		} {
			status, _, complaints := runAgent(h, cli.Terminate, strings.Fields(line)...)
			if status != 1 || !strings.HasPrefix(complaints, "Error! ") || !strings.Contains(complaints, want) || strings.Count(complaints, "\n") != 1 {
				t.Errorf("tribune agent %s: status %d\n%s\nwant %s", line, status, complaints, want)
			}
		}
	})
}

// busy is a machine that opens no port until one does not want it any more.
type busy struct{ host.Host }

func (b busy) Network() host.Network { return busyNetwork{b.Host.Network()} }

type busyNetwork struct{ host.Network }

func (busyNetwork) Listen(ctx context.Context, _, _ string) (net.Listener, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAnAgentThatIsStoppedBeforeItHasStartedIsNotInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hosttest.NewNetwork().Host("s1", netip.AddrFrom4([4]byte{10, 0, 0, 1}), hosttest.NewDisk())
		status, out, complaints := runAgent(busy{h}, cli.Interrupt, "-server", "-data-dir", "/data", "-log-level", "error")
		if status != 0 || complaints != "" || strings.Contains(out, "Log data") {
			t.Errorf("status %d\n%s\n%s", status, out, complaints)
		}
	})
}

// hangup asks once, d from now on, or at once.
func hangup(d time.Duration) func() <-chan struct{} {
	return func() <-chan struct{} {
		asked := make(chan struct{}, 1)
		time.AfterFunc(d, func() { asked <- struct{}{} })
		return asked
	}
}

func TestAHangupDuringTheStartIsAReloadAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := hosttest.NewDisk()
		h := hosttest.NewNetwork().Host("s1", netip.AddrFrom4([4]byte{10, 0, 0, 1}), disk)
		status, out, complaints := runAgentWith(h, cli.Terminate, func() <-chan struct{} {
			if _, err := disk.Stat("/data"); err == nil {
				t.Error("the agent starts before it listens to who hangs up")
			}
			return hangup(0)()
		}, "-server", "-bootstrap", "-data-dir", "/data")
		if status != 0 || complaints != "" || strings.Count(out, "==> Reloading configuration...\n") != 1 || strings.Count(out, "the configuration was reloaded") != 1 {
			t.Errorf("status %d, %s\n%s", status, complaints, out)
		}
	})
}

func TestALogInJSONIsAllThatAnAgentPrints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hosttest.NewNetwork().Host("s1", netip.AddrFrom4([4]byte{10, 0, 0, 1}), hosttest.NewDisk())
		status, out, complaints := runAgentWith(h, cli.Interrupt, hangup(time.Second), "-server", "-bootstrap", "-data-dir", "/data", "-log-json", "-hcl", "skip_leave_on_interrupt = false")
		if status != 0 || complaints != "" || !strings.Contains(out, "the configuration was reloaded") {
			t.Errorf("status %d, %s\n%s", status, complaints, out)
		}
		for line := range strings.Lines(out) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%q is no JSON", line)
			}
		}
	})
}

func TestAReloadThatFailsIsInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := hosttest.NewDisk()
		h := hosttest.NewNetwork().Host("s1", netip.AddrFrom4([4]byte{10, 0, 0, 1}), disk)
		write := func(text string) {
			if err := host.ReplaceFile(disk, "/settings.hcl", []byte(text)); err != nil {
				t.Error(err)
			}
		}
		write("")
		time.AfterFunc(time.Second, func() { write("server = 7x") })
		status, out, complaints := runAgentWith(h, cli.Terminate, hangup(2*time.Second),
			"-server", "-bootstrap", "-data-dir", "/data", "-config-file", "/settings.hcl", "-log-file", "/agent.log", "-log-level", "error")
		if status != 0 || complaints != "" {
			t.Errorf("status %d, %s", status, complaints)
		}
		file, err := host.ReadFile(disk, "/agent.log")
		if err != nil {
			t.Error(err)
		}
		for _, log := range []string{out, string(file)} {
			if !strings.Contains(log, "the configuration stays as it was") || !strings.Contains(log, "/settings.hcl") {
				t.Errorf("%s\ndoes not say why", log)
			}
		}
	})
}

func TestAnAgentToTryThingsOutHasNothingToWaitForAfterAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hosttest.NewNetwork().Host("s1", netip.AddrFrom4([4]byte{127, 0, 0, 1}), hosttest.NewDisk())
		status, out, complaints := runAgentWith(h, cli.Terminate, hangup(time.Second), "-dev", "-log-level", "info")
		if status != 0 || complaints != "" || !strings.Contains(out, "the configuration was reloaded") || strings.Contains(out, "waits for the next start") {
			t.Errorf("status %d, %s\n%s", status, complaints, out)
		}
	})
}

func TestAnAgentToTryThingsOutLeadsAtOnceAndLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := hosttest.NewDisk()
		h := hosttest.NewNetwork().Host("s1", netip.AddrFrom4([4]byte{127, 0, 0, 1}), disk)
		begun := time.Now()
		status, out, complaints := runAgent(h, cli.Terminate, "-dev", "-log-level", "info")
		if status != 0 || complaints != "" || !strings.Contains(out, "cluster leadership acquired") || strings.Contains(out, "level=WARN msg=\"bootstrap") {
			t.Errorf("status %d, %s\n%s", status, complaints, out)
		}
		if line := regexp.MustCompile(`time=(\S+) .*leadership acquired`).FindStringSubmatch(out); line != nil {
			leads, err := time.Parse(time.RFC3339, line[1])
			if took := leads.Sub(begun); err != nil || took > 300*time.Millisecond {
				t.Errorf("it leads after %v, %v; who tries things out does not wait", took, err)
			}
		}
		left, err := disk.ReadDir(os.TempDir())
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}
