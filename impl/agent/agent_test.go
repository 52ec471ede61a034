package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tribune/impl/agent"
	"tribune/impl/api"
	"tribune/impl/config"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a network, in a bubble.
type world struct {
	*testing.T
	net *hosttest.Network
}

// inWorld runs a test in a bubble, which fails if a goroutine is left in it.
func inWorld(t *testing.T, f func(w world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(world{t, hosttest.NewNetwork()})
		time.Sleep(time.Minute) // memberlist and raft do not wait for all that they started
	})
}

// machine is a host and its disk.
type machine struct {
	world
	host.Host
	disk *hosttest.Disk
	addr netip.Addr
}

func (w world) machine(i int) machine {
	disk, addr := hosttest.NewDisk(), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
	return machine{w, w.net.Host(fmt.Sprintf("m%d", i), addr, disk), disk, addr}
}

// config is that of a server that leads alone.
func (m machine) config(change ...func(*config.Config)) *config.Config {
	c := config.Default()
	c.DataDir, c.Server, c.BootstrapExpect, c.Raft.Multiplier = "/var/tribune", true, 1, 1
	for _, f := range change {
		f(c)
	}
	return c
}

func (m machine) new(change ...func(*config.Config)) (*agent.Agent, error) {
	return agent.New(m.Context(), m.config(change...), m, slog.New(slog.DiscardHandler))
}

// start starts an agent, which the test must close.
func (m machine) start(change ...func(*config.Config)) *agent.Agent {
	m.Helper()
	a, err := m.new(change...)
	if err != nil {
		m.Fatal(err)
	}
	return a
}

// breaks has an operation of the disk fail from now on.
func (m machine) breaks(op string, err error) {
	m.disk.Fail(func(o, _ string) error {
		if o == op {
			return err
		}
		return nil
	})
}

// ask sends a request to the HTTP API of an agent, from its own machine.
func (m machine) ask(a *agent.Agent, method, path, body string) (status int, answer string, err error) {
	c := http.Client{Transport: &http.Transport{DialContext: m.Network().Dial, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(m.Context(), method, "http://"+a.HTTPAddr()+path, strings.NewReader(body))
	if err != nil {
		m.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), errors.Join(err, resp.Body.Close())
}

func (m machine) want(a *agent.Agent, method, path, body, want string) {
	m.Helper()
	if status, got, err := m.ask(a, method, path, body); err != nil || status != http.StatusOK || got != want {
		m.Errorf("%s %s: %d %q, %v; want %q", method, path, status, got, err, want)
	}
}

// ready waits until the agent's cluster takes writes.
func (m machine) ready(a *agent.Agent) {
	m.Helper()
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		status, answer, err := m.ask(a, "PUT", "/v1/kv/ready", "")
		if status == http.StatusOK {
			return
		}
		if time.Since(start) > time.Minute {
			m.Fatalf("no write in a minute: %d %s, %v", status, answer, err)
		}
	}
}

func (m machine) self(a *agent.Agent) (self api.AgentSelf) {
	m.Helper()
	_, answer, err := m.ask(a, "GET", "/v1/agent/self", "")
	if err := errors.Join(err, json.Unmarshal([]byte(answer), &self)); err != nil {
		m.Fatal(err)
	}
	return self
}

func (w world) close(a *agent.Agent) {
	w.Helper()
	if err := a.Close(); err != nil {
		w.Error(err)
	}
}

func TestAnAgentAnswersAndIsTheSameAfterARestart(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		m.ready(a)
		m.want(a, "PUT", "/v1/kv/a", "one", "true")
		before := m.self(a)
		c := before.Config
		if c.NodeName != "m1" || !c.Server || c.Datacenter != "dc1" || c.Version != agent.Version || len(c.NodeID) != 36 {
			w.Errorf("it says of itself: %+v", c)
		}
		if before.Member.Name != "m1" || before.Member.Addr != m.addr.String() || before.Member.Port != 8301 {
			w.Errorf("it says of its membership: %+v", before.Member)
		}
		if a.HTTPAddr() != "10.0.0.1:8500" || a.Config().NodeID != c.NodeID {
			w.Errorf("HTTP at %s, configured %+v", a.HTTPAddr(), a.Config())
		}
		w.close(a)
		if _, _, err := m.ask(a, "GET", "/v1/kv/a?raw", ""); !errors.Is(err, syscall.ECONNREFUSED) {
			w.Errorf("a closed agent answers: %v", err)
		}
		w.close(a) // again: nothing happens

		a = m.start()
		m.ready(a)
		m.want(a, "GET", "/v1/kv/a?raw", "", "one")
		if after := m.self(a).Config; after != c {
			w.Errorf("it was %+v\nand is %+v", c, after)
		}
		w.close(a)
	})
}

func TestTheNodeIDIsTheOneConfiguredOrTheOneKept(t *testing.T) {
	const given = "AAAAAAAA-0000-4000-8000-00000000000B"
	inWorld(t, func(w world) {
		m := w.machine(1)
		id := func(change ...func(*config.Config)) string {
			a := m.start(change...)
			defer w.close(a)
			return a.Config().NodeID
		}
		made := id()
		if again := id(); again != made {
			w.Errorf("made %s, then %s", made, again)
		}
		if got := id(func(c *config.Config) { c.NodeID = given }); got != strings.ToLower(given) {
			w.Errorf("given %s, in effect %s", given, got)
		}
		if got := id(); got != strings.ToLower(given) {
			w.Errorf("given %s, kept %s", given, got)
		}
		shared := m.config()
		for i := 2; i <= 3; i++ {
			other := w.machine(i)
			a, err := agent.New(w.Context(), shared, other, slog.New(slog.DiscardHandler))
			if err != nil {
				w.Fatal(err)
			}
			if c := a.Config(); c.NodeID == made || c.NodeName != fmt.Sprint("m", i) {
				w.Errorf("another agent is %s, %s", c.NodeName, c.NodeID)
			}
			made = a.Config().NodeID
			w.close(a)
		}
	})
}

// idle reports what an agent that did not start left on its machine.
func (m machine) idle() {
	m.Helper()
	for _, port := range []string{"8300", "8301", "8500"} {
		if l, err := m.Network().Listen(m.Context(), "tcp", "0.0.0.0:"+port); err != nil {
			m.Errorf("it holds its TCP port: %v", err)
		} else if err := l.Close(); err != nil {
			m.Error(err)
		}
		if c, err := m.Network().ListenPacket(m.Context(), "udp", "0.0.0.0:"+port); err != nil {
			m.Errorf("it holds its UDP port: %v", err)
		} else if err := c.Close(); err != nil {
			m.Error(err)
		}
	}
	lock, err := m.FS().Lock("/var/tribune/lock")
	if err != nil {
		m.Errorf("it holds its lock: %v", err)
	} else if err := lock.Close(); err != nil {
		m.Error(err)
	}
	if n := m.net.Conns(m.addr); n > 0 {
		m.Errorf("%d streams are open", n)
	}
}

// refused starts an agent that must not start, and returns why, in one line.
func (m machine) refused(want string, change ...func(*config.Config)) error {
	m.Helper()
	a, err := m.new(change...)
	if err == nil {
		m.close(a)
		m.Fatalf("it started, want: %s", want)
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		m.Errorf("refused with: %v\nwant one line with: %s", err, want)
	}
	return err
}

func TestASecondAgentOnADataDirectoryIsRefused(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		first := m.start()
		m.ready(first)
		elsewhere := func(c *config.Config) { c.Ports = config.Ports{HTTP: 9500, Server: 9300, SerfLAN: 9301} }
		if err := m.refused("data_dir: lock /var/tribune/lock: ", elsewhere); !errors.Is(err, syscall.EWOULDBLOCK) {
			w.Error(err)
		}
		m.want(first, "PUT", "/v1/kv/a", "undisturbed", "true")
		w.close(first)
		second := m.start(elsewhere)
		m.ready(second)
		m.want(second, "GET", "/v1/kv/a?raw", "", "undisturbed")
		w.close(second)
	})
}

func TestAnAgentWhosePortIsTakenStartsNothing(t *testing.T) {
	for _, taken := range []struct{ network, port, want string }{
		{"tcp", "8500", "the HTTP API 127.0.0.1:8500: "}, {"tcp", "8300", "8300"}, {"tcp", "8301", "8301"}, {"udp", "8301", "8301"},
	} {
		t.Run(taken.network+" "+taken.port, func(t *testing.T) {
			inWorld(t, func(w world) {
				m := w.machine(1)
				var other io.Closer
				var err error
				if taken.network == "tcp" {
					other, err = m.Network().Listen(w.Context(), "tcp", "0.0.0.0:"+taken.port)
				} else {
					other, err = m.Network().ListenPacket(w.Context(), "udp", "0.0.0.0:"+taken.port)
				}
				if err != nil {
					w.Fatal(err)
				}
				if err := m.refused(taken.want); !errors.Is(err, syscall.EADDRINUSE) {
					w.Error(err)
				}
				if err := other.Close(); err != nil {
					w.Fatal(err)
				}
				m.idle()
				a := m.start()
				m.ready(a)
				w.close(a)
			})
		})
	}
}

func TestABadConfigurationTouchesNothing(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		for _, change := range []func(*config.Config){
			func(c *config.Config) { c.DataDir = "" },
			func(c *config.Config) { c.BindAddr = "nowhere" },
			func(c *config.Config) { c.Ports.HTTP = 70000 },
			func(c *config.Config) { c.Raft.Multiplier = 0 },
			func(c *config.Config) { c.LogLevel = "loud" },
		} {
			_ = m.refused(m.config(change).Validate().Error(), change)
		}
		if found, err := m.FS().ReadDir("/"); err != nil || len(found) > 0 {
			w.Errorf("on the disk: %v, %v", found, err)
		}
	})
}

func TestAnAgentThatCannotHaveItsDataDirectorySaysSo(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		for file, c := range map[string]struct{ content, want string }{
			"/var":                 {"a file where a directory must be", "data_dir: "},
			"/var/tribune/node-id": {"no ID", "node_id: /var/tribune/node-id is corrupt: "},
		} {
			if err := errors.Join(m.disk.MkdirAll(path.Dir(file), 0o700), host.ReplaceFile(m.disk, file, []byte(c.content))); err != nil {
				w.Fatal(err)
			}
			_ = m.refused(c.want)
			if err := m.disk.RemoveAll("/var"); err != nil {
				w.Fatal(err)
			}
		}
		_ = m.refused(`node_id: "me" is not a UUID`, func(c *config.Config) { c.NodeID = "me" })
		m.idle()
		m.breaks("create", syscall.ENOSPC)
		if err := m.disk.RemoveAll("/var"); err != nil {
			w.Fatal(err)
		}
		if err := m.refused("data_dir: "); !errors.Is(err, syscall.ENOSPC) {
			w.Error(err)
		}
	})
}

func TestAnAgentThatHasJoinedTakesWritesForTheCluster(t *testing.T) {
	inWorld(t, func(w world) {
		m, first := w.machine(2), w.machine(1)
		a := first.start()
		first.ready(a)
		b := m.start(func(c *config.Config) { c.Join.Retry, c.BootstrapExpect = []string{"10.0.0.1"}, 0 })
		m.ready(b)
		m.want(b, "PUT", "/v1/kv/a", "through the follower", "true")
		first.want(a, "GET", "/v1/kv/a?raw", "", "through the follower")
		w.close(b)
		w.close(a)
	})
}

func TestRetryJoinWaitsForSomebodyOrGivesUp(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(2)
		retry := func(most int) func(*config.Config) {
			return func(c *config.Config) {
				c.Join.Retry, c.Join.Max, c.Join.Interval, c.BootstrapExpect = []string{"10.0.0.1"}, most, 10*time.Second, 0
			}
		}
		b, start := m.start(retry(3)), time.Now()
		if err := b.Run(w.Context()); !errors.Is(err, agent.ErrNotJoined) || !strings.Contains(err.Error(), "after 3 attempts") {
			w.Errorf("nobody to join: %v", err)
		}
		if took := time.Since(start); took < 20*time.Second || took > 40*time.Second {
			w.Errorf("it gave up after %v", took)
		}

		b = m.start(retry(0))
		time.Sleep(time.Hour)
		first := w.machine(1)
		a := first.start()
		first.ready(a)
		time.Sleep(20 * time.Second)
		m.ready(b)
		if n := len(b.Server().Members()); n != 2 {
			w.Errorf("%d members", n)
		}
		w.close(b)
		w.close(a)

		b = m.start(retry(0)) // and is closed while it waits
		time.Sleep(time.Second)
		w.close(b)
	})
}

func TestWaitTellsWhyAnAgentEnds(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		m.ready(a)
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		if err := a.Run(ctx); err != nil {
			w.Errorf("it was stopped: %v", err)
		}
		m.idle()

		a = m.start()
		m.ready(a)
		m.want(a, "PUT", "/v1/agent/leave", "", "")
		if err := a.Run(w.Context()); err != nil {
			w.Errorf("it left: %v", err)
		}
		m.idle()
	})
}

func TestAnAgentWhoseDiskBreaksSaysSoAndEnds(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		m.ready(a)
		m.breaks("sync", syscall.EIO)
		if status, answer, err := m.ask(a, "PUT", "/v1/kv/a", "lost"); status == http.StatusOK {
			w.Errorf("acknowledged: %s, %v", answer, err)
		}
		if err := a.Wait(w.Context()); !errors.Is(err, syscall.EIO) {
			w.Errorf("its disk broke, and it ended with: %v", err)
		}
		m.disk.Fail(nil)
		w.close(a)
		a = m.start()
		m.ready(a)
		w.close(a)
	})
}

func TestAClosingAgentAnswersWhoeverWaitsForAChange(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		m.ready(a)
		m.want(a, "PUT", "/v1/kv/a", "one", "true")
		answered := make(chan string, 1)
		go func() {
			status, answer, err := m.ask(a, "GET", "/v1/kv/a?raw&wait=10m&index=1000", "")
			answered <- fmt.Sprint(status, " ", answer, " ", err)
		}()
		time.Sleep(time.Second)
		start := time.Now()
		w.close(a)
		if took := time.Since(start); took > 3*time.Second {
			w.Errorf("closing took %v", took)
		}
		if got := <-answered; got != "200 one <nil>" {
			w.Errorf("who waited was told: %s", got)
		}
	})
}
