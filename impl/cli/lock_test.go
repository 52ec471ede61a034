package cli_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/agent"
	"tribune/impl/cli"
	"tribune/impl/config"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

// home is an agent, and the machine that it and the verbs run on.
type home struct {
	*testing.T
	host.Host
	agent    *agent.Agent
	commands hosttest.Commands // what running a command does
}

const homeAddress = "10.0.0.1"

// atHome runs a test in a bubble with an agent that leads alone.
func atHome(t *testing.T, f func(h *home), change ...func(*config.Config)) {
	t.Helper()
	t.Setenv("CONSUL_HTTP_ADDR", homeAddress+":8500")
	t.Setenv("SHELL", "/bin/sh")
	synctest.Test(t, func(t *testing.T) {
		h := &home{T: t}
		h.Host = hosttest.NewNetwork().HostWith("m1", netip.MustParseAddr(homeAddress), hosttest.NewDisk(), func(ctx context.Context, c host.Command) (int, error) {
			return h.commands.Run(ctx, c)
		})
		c := config.Default()
		c.DataDir, c.Server, c.BootstrapExpect, c.Raft.Multiplier = "/data", true, 1, 1
		for _, f := range change {
			f(c)
		}
		var err error
		if h.agent, err = agent.New(t.Context(), c, h.Host, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // it leads, and has registered itself
		f(h)
		if err := h.agent.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Minute) // connections that nobody uses, memberlist and raft end
	})
}

func (h *home) client() *capi.Client {
	h.Helper()
	c := capi.DefaultConfig()
	c.HttpClient = &http.Client{Transport: &http.Transport{DialContext: h.Network().Dial, DisableKeepAlives: true}}
	client, err := capi.NewClient(c)
	if err != nil {
		h.Fatal(err)
	}
	return client
}

// run runs a verb, with a signal after some time, and a second one a second later; 0:
// never.
func (h *home) run(line string, signal time.Duration) (status int, stdout, stderr string) {
	var out, complaints hosttest.Output
	until := func(ctx context.Context) context.Context {
		if signal > 0 {
			stopped, stop := context.WithCancel(ctx)
			time.AfterFunc(signal, stop)
			ctx = stopped
		}
		return ctx
	}
	env := cli.Env{Host: h.Host, Stdin: strings.NewReader("the input"), Stdout: &out, Stderr: &complaints}
	env.Signals = func(ctx context.Context) (context.Context, func() cli.Signal) {
		return until(ctx), func() cli.Signal { return cli.Interrupt }
	}
	env.Stops = func(ctx context.Context) (stopped, hurried context.Context, release func()) {
		hurried, hurry := context.WithCancel(ctx)
		if signal > 0 {
			time.AfterFunc(signal+time.Second, hurry)
		}
		return until(ctx), hurried, hurry
	}
	status = cli.Run(env, strings.Fields(line))
	return status, out.String(), complaints.String()
}

// sessions are those that live.
func (h *home) sessions() int {
	h.Helper()
	l, _, err := h.client().Session().List(nil)
	if err != nil {
		h.Fatal(err)
	}
	return len(l)
}

// endSession ends the only one that lives.
func (h *home) endSession() {
	l, _, err := h.client().Session().List(nil)
	if err != nil || len(l) != 1 {
		h.Errorf("%+v, %v", l, err)
		return
	}
	if _, err := h.client().Session().Destroy(l[0].ID, nil); err != nil {
		h.Error(err)
	}
}

func (h *home) keys(prefix string) []string {
	h.Helper()
	keys, _, err := h.client().KV().Keys(prefix, "", nil)
	if err != nil {
		h.Fatal(err)
	}
	return keys
}

func TestASecondSignalEndsTheGraceOfACommand(t *testing.T) {
	atHome(t, func(h *home) {
		for _, line := range []string{"lock app child", "watch -type nodes handler"} {
			var grace time.Duration
			h.commands = func(ctx context.Context, c host.Command) (int, error) {
				<-ctx.Done()
				told := time.Now()
				<-c.Hurry
				grace = time.Since(told)
				return 0, ctx.Err()
			}
			if h.run(line, time.Minute); grace != time.Second {
				h.Errorf("%s: the command had %v", line, grace)
			}
		}
	})
}

func TestLockRunsItsChildWhileItHoldsTheLock(t *testing.T) {
	atHome(t, func(h *home) {
		for _, n := range []string{"", "-n 2 "} {
			h.commands = func(_ context.Context, c host.Command) (int, error) {
				_, err := fmt.Fprintln(c.Stdout, strings.Join(c.Args, " "), c.Env, c.Stdin != nil, len(h.keys("app/")), h.sessions())
				return 3, err
			}
			keys := map[string]int{"": 1, "-n 2 ": 2}[n]
			for _, c := range []struct {
				line   string
				status int
				want   string
			}{
				{"lock " + n + "app run me", 0, fmt.Sprintf("/bin/sh -c run me [CONSUL_LOCK_HELD=true] false %d 1\n", keys)},
				{"lock -shell=false -pass-stdin -child-exit-code " + n + "/app run me", 2, fmt.Sprintf("run me [CONSUL_LOCK_HELD=true] true %d 1\n", keys)},
			} {
				if status, out, complaints := h.run(c.line, 0); status != c.status || out != c.want || complaints != "" {
					h.Errorf("%s: status %d, %q, %q; want %d, %q", c.line, status, out, complaints, c.status, c.want)
				}
			}
			if keys := h.keys("app/"); len(keys) > 0 || h.sessions() > 0 {
				h.Errorf("lock %sleft %q and %d sessions", n, keys, h.sessions())
			}
		}
	})
}

func TestLockTellsWhatItDoesIfAsked(t *testing.T) {
	atHome(t, func(h *home) {
		h.commands = func(context.Context, host.Command) (int, error) { return 0, nil }
		want := "Attempting lock acquisition\nStarting handler '/bin/sh -c true'\nChild terminated, releasing lock\nCleanup succeeded\n"
		if status, out, complaints := h.run("lock -verbose app true", 0); status != 0 || out != want || complaints != "" {
			h.Errorf("status %d, %q, %q", status, out, complaints)
		}
		h.commands = nil
		if status, out, complaints := h.run("lock -child-exit-code app true", 0); status != 2 || out != "" || !strings.HasPrefix(complaints, "Error running handler: ") {
			h.Errorf("a command that does not exist: status %d, %q, %q", status, out, complaints)
		}
	})
}

func TestOnlySoManyHoldALockAtATime(t *testing.T) {
	for _, c := range []struct {
		options string
		most    int
	}{{"", 1}, {"-n 3", 3}} {
		atHome(t, func(h *home) {
			var mu sync.Mutex
			now, most, ran := 0, 0, 0
			count := func(n int) {
				mu.Lock()
				defer mu.Unlock()
				now, ran, most = now+n, ran+max(n, 0), max(most, now+n)
			}
			h.commands = func(context.Context, host.Command) (int, error) {
				count(1)
				time.Sleep(10 * time.Second)
				count(-1)
				return 0, nil
			}
			done := make(chan string)
			for range 6 {
				go func() {
					status, _, complaints := h.run("lock "+c.options+" app x", 0)
					done <- fmt.Sprint(status, complaints)
				}()
			}
			for range 6 {
				if got := <-done; got != "0" {
					h.Errorf("%s: %s", c.options, got)
				}
			}
			if most != c.most || ran != 6 {
				h.Errorf("%s: %d ran at a time and %d in all", c.options, most, ran)
			}
		})
	}
}

func TestAChildIsStoppedWhenItsLockIsLostOrTheProcessIsToStop(t *testing.T) {
	atHome(t, func(h *home) {
		var grace time.Duration
		h.commands = func(ctx context.Context, c host.Command) (int, error) {
			grace = c.Grace
			<-ctx.Done()
			return 0, ctx.Err()
		}
		for _, n := range []string{"", "-n 2 "} {
			time.AfterFunc(30*time.Second, h.endSession)
			began := time.Now()
			status, _, complaints := h.run("lock -child-exit-code "+n+"app x", 0)
			if took := time.Since(began); status != 2 || complaints != "Lock lost, stopping child\n" || took > time.Minute || grace != 5*time.Second {
				h.Errorf("%s: status %d, %q after %v, %v to end", n, status, complaints, took, grace)
			}
		}
		status, out, complaints := h.run("lock -verbose other x", time.Minute)
		if status != 0 || complaints != "" || !strings.Contains(out, "Shutdown triggered, stopping child\n") || h.sessions() > 0 {
			h.Errorf("a signal: status %d, %q, %q, %d sessions", status, out, complaints, h.sessions())
		}
	})
}

func TestHowAChildEndsIsNoFailureIfItWasToldTo(t *testing.T) {
	atHome(t, func(h *home) {
		for _, c := range []struct {
			code int
			told error // what Run says of a child that was told to end
			lost bool
			want int
		}{
			{0, nil, false, 0},
			{3, nil, false, 0},
			{0, context.Canceled, false, 0},
			{0, nil, true, 0},
			{3, nil, true, 2},
			{0, context.Canceled, true, 2},
		} {
			h.commands = func(ctx context.Context, _ host.Command) (int, error) {
				<-ctx.Done()
				return c.code, c.told
			}
			signal := time.Minute
			if c.lost {
				signal = 0
				time.AfterFunc(30*time.Second, h.endSession)
			}
			status, _, complaints := h.run("lock -child-exit-code app x", signal)
			if lost := complaints == "Lock lost, stopping child\n"; status != c.want || lost != c.lost {
				h.Errorf("%+v: status %d, %q", c, status, complaints)
			}
		}
	})
}

func TestLockGivesUpWhenItsTimeIsUp(t *testing.T) {
	atHome(t, func(h *home) {
		stop := make(chan struct{})
		h.commands = func(context.Context, host.Command) (int, error) {
			<-stop
			return 0, nil
		}
		held := make(chan int)
		go func() {
			status, _, _ := h.run("lock app x", 0)
			held <- status
		}()
		time.Sleep(5 * time.Second)
		for _, c := range []struct {
			line   string
			signal time.Duration
			want   string
		}{
			{"lock -timeout 20s app y", 0, "Error! Shutdown triggered or timeout during lock acquisition\n"},
			{"lock -try 20s app y", 0, "Error! Shutdown triggered or timeout during lock acquisition\n"},
			{"lock app y", 20 * time.Second, "Error! Shutdown triggered or timeout during lock acquisition\n"},
			{"lock -n 2 app y", 0, "Error! Lock acquisition failed: Existing key does not match semaphore use\n"},
		} {
			began := time.Now()
			status, _, complaints := h.run(c.line, c.signal)
			if took := time.Since(began); status != 1 || complaints != c.want || took > 40*time.Second {
				h.Errorf("%s: status %d, %q after %v", c.line, status, complaints, took)
			}
		}
		close(stop)
		if status := <-held; status != 0 {
			h.Errorf("who held the lock ended with status %d", status)
		}
		if keys := h.keys("app/"); !slices.Equal(keys, nil) || h.sessions() > 0 {
			h.Errorf("%q and %d sessions are left", keys, h.sessions())
		}
	})
}

func TestAnAgentThatDoesNotAnswerIsNotWaitedForForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := hosttest.NewNetwork()
		network.Cut(netip.MustParseAddr("10.0.0.9"))
		h := &home{T: t, Host: network.Host("m1", netip.MustParseAddr(homeAddress), hosttest.NewDisk())}
		began := time.Now()
		status, _, complaints := h.run("kv get -http-addr 10.0.0.9:8500 a", 0)
		if took := time.Since(began); status != 1 || !strings.HasPrefix(complaints, "Error! Querying agent: ") || took != 30*time.Second {
			t.Errorf("status %d, %q after %v", status, complaints, took)
		}
	})
}

func TestLockRefusesWhatMakesNoSense(t *testing.T) {
	checkAll(t, []use{
		{line: "lock", status: 1, stderr: "Error! Key prefix and child command must be specified\n"},
		{line: "lock app", status: 1, stderr: "Error! Key prefix and child command must be specified\n"},
		{line: "lock -n 0 app x", status: 1, stderr: "Error! Lock holder limit must be positive\n"},
		{line: "lock -timeout -1s app x", status: 1, stderr: "Error! Timeout must be positive\n"},
		{line: "lock -monitor-retry -1 app x", status: 1, stderr: "Error! Number for -monitor-retry must be >= 0\n"},
		{line: "lock app x", answers: []string{"500 no leader"}, asked: []string{`PUT /v1/session/create {"Behavior":"release","Name":"Consul lock for 'x' at 'app'","TTL":"15s"}` + "\n"}, status: 1,
			stderr: "Error! Lock acquisition failed: failed to create session: "},
	})
}
