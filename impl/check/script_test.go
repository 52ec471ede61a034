package check_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/host"
)

func TestTheExitStatusOfAScriptIsThatOfTheCheck(t *testing.T) {
	inWorld(t, func(w *world) {
		d := api.CheckDefinition{ScriptArgs: []string{"/bin/disk", "-w", "80"}}
		for code, status := range map[int]string{0: api.HealthPassing, 1: api.HealthWarning, 2: api.HealthCritical, 127: api.HealthCritical} {
			w.commands(exits(code, "81 %\n"))
			w.want(w.first(d), status, "81 %\n")
		}
		w.commands(nil)
		w.want(w.first(d), api.HealthCritical, `exec: "/bin/disk": executable file not found in $PATH`)
	})
}

func TestAScriptIsRunAsItWasDefinedAndBothItsOutputsAreKept(t *testing.T) {
	inWorld(t, func(w *world) {
		w.commands(func(_ context.Context, c host.Command) (int, error) {
			if !slices.Equal(c.Args, []string{"/bin/disk", "-w", "80"}) || c.Stdin != nil {
				t.Errorf("%+v", c)
			}
			_, _ = io.WriteString(c.Stdout, "out ")
			_, _ = io.WriteString(c.Stderr, "err")
			return 0, nil
		})
		w.want(w.first(api.CheckDefinition{ScriptArgs: []string{"/bin/disk", "-w", "80"}}), api.HealthPassing, "out err")
	})
}

func TestTheEndOfALongOutputIsKept(t *testing.T) {
	inWorld(t, func(w *world) {
		w.commands(exits(1, strings.Repeat("x", 5000)+"the end"))
		d := api.CheckDefinition{ScriptArgs: []string{"x"}}
		w.want(w.first(d), api.HealthWarning, "Captured 4096 of 5007 bytes\n...\n"+strings.Repeat("x", 4089)+"the end")
		d.OutputMaxSize = 7
		w.want(w.first(d), api.HealthWarning, "Captured 7 of 5007 bytes\n...\nthe end")
	})
}

// hangs is a command that says something and ends when it is killed.
func hangs(says string) func(context.Context, host.Command) (int, error) {
	return func(ctx context.Context, c host.Command) (int, error) {
		_, _ = io.WriteString(c.Stdout, says)
		<-ctx.Done()
		return 0, fmt.Errorf("x: %w", ctx.Err())
	}
}

func TestAScriptThatTakesTooLongIsKilledAndCritical(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, c := range []struct {
			timeout time.Duration
			says    string
			want    string
		}{
			{0, "", "Timed out (30s) running check"},
			{1500 * time.Millisecond, "so far", "Timed out (1.5s) running check\n\nso far"},
		} {
			w.commands(hangs(c.says))
			k := w.start(api.CheckDefinition{ScriptArgs: []string{"x"}, Interval: time.Second, Timeout: c.timeout})
			last := <-w.heard
			w.want(last, api.HealthCritical, c.want)
			want := c.timeout
			if want == 0 {
				want = 30 * time.Second
			}
			if next := <-w.heard; next.at-last.at != want+time.Second {
				t.Errorf("the next look ended after %v", next.at-last.at)
			}
			w.promptly(k)
		}
	})
}

func TestAScriptThatSomebodyKilledIsCritical(t *testing.T) {
	inWorld(t, func(w *world) {
		w.commands(func(_ context.Context, c host.Command) (int, error) {
			_, _ = io.WriteString(c.Stderr, "what was said before")
			return 0, errors.New("signal: killed")
		})
		w.want(w.first(api.CheckDefinition{ScriptArgs: []string{"x"}}), api.HealthCritical, "signal: killed\n\nwhat was said before")
	})
}

func TestAScriptIsKilledWhenItsCheckStops(t *testing.T) {
	inWorld(t, func(w *world) {
		w.commands(hangs("busy"))
		k := w.start(api.CheckDefinition{ScriptArgs: []string{"x"}, Interval: time.Second, Timeout: time.Hour})
		time.Sleep(2 * time.Second)
		w.promptly(k)
	})
}
