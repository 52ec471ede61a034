package host_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tribune/impl/host"
)

func sh(script string) host.Command { return host.Command{Args: []string{"sh", "-c", script}} }

func TestACommandIsRunWithItsInputAndEnvironment(t *testing.T) {
	var out, errs bytes.Buffer
	c := sh("cat; echo $WHO; echo oops >&2; exit 3")
	c.Env, c.Stdin, c.Stdout, c.Stderr = []string{"WHO=me"}, strings.NewReader("in\n"), &out, &errs
	status, err := host.Real().Exec().Run(t.Context(), c)
	if err != nil || status != 3 || out.String() != "in\nme\n" || errs.String() != "oops\n" {
		t.Errorf("status %d, %v, %q, %q", status, err, out.String(), errs.String())
	}
}

func TestACommandThatCannotBeRunIsAnError(t *testing.T) {
	if _, err := host.Real().Exec().Run(t.Context(), host.Command{Args: []string{"no-such-command"}}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a command that does not exist: %v", err)
	}
	if _, err := host.Real().Exec().Run(t.Context(), host.Command{}); err == nil {
		t.Error("no command at all is no error")
	}
	if _, err := host.Real().Exec().Run(t.Context(), sh("kill -9 $$")); err == nil {
		t.Error("that somebody killed it is no error")
	}
}

func TestACommandThatLeavesSomethingBehindHasEnded(t *testing.T) {
	for script, want := range map[string]int{"echo up; sleep 10 &": 0, "echo up; sleep 10 & exit 3": 3} {
		var out bytes.Buffer
		c := sh(script)
		c.Stdout, c.Grace = &out, time.Minute // what is left behind holds the output open; the grace is not for that
		began := time.Now()
		if status, err := host.Real().Exec().Run(t.Context(), c); err != nil || status != want || out.String() != "up\n" {
			t.Errorf("%s: status %d, %v, %q; want %d", script, status, err, out.String(), want)
		}
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("%s: it was waited for for %v", script, took)
		}
	}
}

func TestACommandIsKilledWithAllThatItStarted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var out bytes.Buffer
	c := sh("sleep 60 & wait")
	c.Stdout = &out // which the child holds open
	began := time.Now()
	if _, err := host.Real().Exec().Run(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command that took too long: %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it was waited for for %v", took)
	}
}

func TestACommandWithGraceIsAskedToEndFirst(t *testing.T) {
	for _, c := range []struct {
		script string
		hurry  bool
		want   string
		status int
		err    error
	}{
		{"trap 'echo bye; exit 0' TERM; echo up; sleep 60 & wait", false, "up\nbye\n", 0, nil},
		{"trap 'echo bye; exit 3' TERM; echo up; sleep 60 & wait", false, "up\nbye\n", 3, nil},
		{"echo up; sleep 60", false, "up\n", 0, context.Canceled},
		{"trap '' TERM; echo up; sleep 60", false, "up\n", 0, context.Canceled}, // it does not listen
		{"trap '' TERM; echo up; sleep 60", true, "up\n", 0, context.Canceled},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := &firstLine{seen: cancel}
		command, hurry := sh(c.script), make(chan struct{})
		command.Stdout, command.Grace, command.Hurry = out, 500*time.Millisecond, hurry
		if c.hurry {
			command.Grace = 5 * time.Minute
			close(hurry)
		}
		began := time.Now()
		status, err := host.Real().Exec().Run(ctx, command)
		if !errors.Is(err, c.err) || status != c.status || out.all.String() != c.want {
			t.Errorf("%s: status %d, %v, %q", c.script, status, err, out.all.String())
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: it was waited for for %v", c.script, took)
		}
	}
}

// firstLine keeps what is written to it and tells when there is something.
type firstLine struct {
	all  bytes.Buffer // not embedded: os/exec would read into it past Write
	seen func()
}

func (f *firstLine) Write(b []byte) (int, error) {
	defer f.seen()
	return f.all.Write(b)
}
