package cli_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/config"
	"tribune/impl/host"
)

// remoteExec is the configuration of an agent that runs what others ask for.
func remoteExec(c *config.Config) { c.DisableRemoteExec = false }

func TestExecRunsACommandOnTheAgentsAndPrintsWhatTheySay(t *testing.T) {
	atHome(t, func(h *home) {
		script := ""
		h.commands = func(_ context.Context, c host.Command) (int, error) {
			if b, err := host.ReadFile(h.FS(), c.Args[len(c.Args)-1]); err == nil {
				script = string(b)
			}
			if _, err := fmt.Fprint(c.Stdout, c.Args[:len(c.Args)-1]); err != nil {
				return 0, err
			}
			time.Sleep(15 * time.Second)
			_, err := io.WriteString(c.Stderr, "one\ntwo\n")
			return 3, err
		}
		finished := "    m1: one\n    m1: two\n    m1: \n==> m1: finished with exit code 3\n1 / 1 node(s) completed / acknowledged\n"
		for line, want := range map[string]string{
			"exec run me":                     "    m1: [/bin/sh -c]\n" + finished,
			"exec -shell=false run me":        "    m1: [run]\n" + finished,
			"exec -node ^m -prefix other run": "    m1: [/bin/sh -c]\n" + finished,
			"exec -":                          "    m1: [/bin/sh]\n" + finished,
		} {
			if status, out, complaints := h.run(line, 0); status != 2 || out != want || complaints != "" {
				h.Errorf("%s: status %d, %q, %q; want %q", line, status, out, complaints, want)
			}
			if keys := h.keys(""); len(keys) > 0 || h.sessions() > 0 {
				h.Errorf("%s left %q and %d sessions", line, keys, h.sessions())
			}
		}
		if left, err := h.FS().ReadDir("/data"); err != nil || script != "the input" || strings.Contains(fmt.Sprint(left), "rexec") {
			h.Errorf("the script %q was run and left %v, %v", script, left, err)
		}
	}, remoteExec)
}

func TestExecTellsHowItEnded(t *testing.T) {
	atHome(t, func(h *home) {
		h.commands = func(ctx context.Context, c host.Command) (int, error) {
			if c.Args[2] == "hang" {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return 0, nil
		}
		for line, want := range map[string]string{
			"exec true":             "0 ==> m1: finished with exit code 0\n1 / 1 node(s) completed / acknowledged\n",
			"exec -node other true": "0 0 / 0 node(s) completed / acknowledged\n",
		} {
			status, out, complaints := h.run(line, 0)
			if got := fmt.Sprint(status, " ", out); got != want || complaints != "" {
				h.Errorf("%s: %q, %q; want %q", line, got, complaints, want)
			}
		}
		status, out, _ := h.run("exec -verbose hang", time.Minute)
		if status != 1 || !strings.HasPrefix(out, "Uploaded remote execution spec\nFired remote execution event: ") || !strings.Contains(out, "==> m1: acknowledged\n    m1: heartbeat received\n") {
			h.Errorf("a command that does not end: status %d, %q", status, out)
		}
		if keys := h.keys(""); len(keys) > 0 || h.sessions() > 0 {
			h.Errorf("%q and %d sessions are left", keys, h.sessions())
		}
		time.Sleep(time.Minute) // the agent hears that nobody waits any more
		h.commands = nil
		if status, out, _ := h.run("exec true", 0); status != 2 || !strings.Contains(out, "executable file not found") || !strings.Contains(out, "finished with exit code 255\n") {
			h.Errorf("a command that does not exist: status %d, %q", status, out)
		}
		if events, _, err := h.client().Event().List("", &capi.QueryOptions{}); err != nil || len(events) > 0 {
			h.Errorf("the agent's own events are listed: %+v, %v", events, err)
		}
	}, remoteExec)
}

func TestAnAgentRunsNothingForOthersUnlessItIsAllowedTo(t *testing.T) {
	atHome(t, func(h *home) {
		h.commands = func(context.Context, host.Command) (int, error) {
			h.Error("it was run")
			return 0, nil
		}
		if status, out, complaints := h.run("exec true", 0); status != 0 || out != "0 / 0 node(s) completed / acknowledged\n" || complaints != "" {
			h.Errorf("status %d, %q, %q", status, out, complaints)
		}
	})
}

func TestExecRefusesWhatMakesNoSense(t *testing.T) {
	checkAll(t, []use{
		{line: "exec", status: 1, stderr: "Error! Must specify a command to execute\n"},
		{line: "exec -shell=false", status: 1, stderr: "Error! Must specify a command to execute\n"},
		{line: "exec -", status: 1, stderr: "Error! Must specify a command to execute\n"},
		{line: "exec -tag a true", status: 1, stderr: "Error! Cannot provide tag filter without service filter\n"},
		{line: "exec -node ( true", status: 1, stderr: "Error! Failed to compile node filter expression: "},
		{line: "exec -wait 0s true", status: 1, stderr: "Error! -prefix cannot be empty, -wait must be positive and -wait-repl cannot be negative\n"},
		{line: "exec true", answers: []string{"500 no leader"}, asked: []string{`PUT /v1/session/create {"Behavior":"delete","Name":"Remote Exec","TTL":"15s"}` + "\n"}, status: 1, stderr: "Error! Failed to create session: "},
	})
}
