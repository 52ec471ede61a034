package main_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tribune/impl/host/hosttest"
)

// output is what a verb and its child print.
type output struct{ hosttest.Output }

// await returns when a line was printed.
func (o *output) await(t *testing.T, line string) {
	t.Helper()
	eventually(t, line, func() error {
		if got := o.String(); !strings.Contains(got, line) {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
}

// The scripts say when they are ready, and what they are told.
const (
	listens = `trap 'echo asked; kill -9 $! 2>/dev/null; exit 3' TERM; sleep 300 & echo up; wait`
	deaf    = `trap '' TERM; echo up; sleep 300`
)

func TestACommandIsToldToEndBeforeItsVerbEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	// Whoever runs the tests may have them ignore some, which their children then do.
	expected := make(chan os.Signal, 1)
	signal.Notify(expected, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT)
	defer signal.Stop(expected)
	solo := single(t)
	for _, c := range []struct {
		name    string
		script  string
		signals []syscall.Signal
		want    string
		status  int
	}{
		{"a closed terminal", listens, []syscall.Signal{syscall.SIGHUP}, "up\nasked\n", 0},
		{"Ctrl-C", listens, []syscall.Signal{syscall.SIGINT}, "up\nasked\n", 0},
		{"Ctrl-\\", listens, []syscall.Signal{syscall.SIGQUIT}, "up\nasked\n", 0},
		{"an operator", listens, []syscall.Signal{syscall.SIGTERM}, "up\nasked\n", 0},
		{"an impatient operator", deaf, []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, "up\n", 0},
		{"a killed verb", listens, []syscall.Signal{syscall.SIGKILL}, "up\nasked\n", -1},
	} {
		for _, verb := range [][]string{{"lock", "-child-exit-code", "jobs"}, {"watch", "-type", "nodes"}} {
			t.Run(verb[0]+" and "+c.name, func(t *testing.T) {
				var out output
				cmd := solo.command(append(verb, c.script)...)
				cmd.Stdout, cmd.Stderr = &out, &out
				cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // away from a terminal that there may be
				cmd.WaitDelay = 10 * time.Second                     // for who is left behind to be found
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				out.await(t, "up\n")
				for _, s := range c.signals {
					if err := cmd.Process.Signal(s); err != nil {
						t.Error(err)
					}
				}
				err := cmd.Wait()
				if errors.Is(err, exec.ErrWaitDelay) || cmd.ProcessState.ExitCode() != c.status || out.String() != c.want {
					t.Errorf("status %d, %q, %v", cmd.ProcessState.ExitCode(), out.String(), err)
				}
			})
		}
	}
}

// terminal opens a new terminal: where a person sits, and what a process has of it.
func terminal(t *testing.T) (person, process *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if process, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return person, process
}

func TestACommandIsAtTheTerminalOfItsVerb(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real process")
	}
	solo := single(t)
	for _, c := range []struct {
		name  string
		args  []string
		typed string
		told  bool // the verb gets a SIGTERM
		want  string
	}{
		{"the child reads its standard input", []string{"lock", "-pass-stdin", "jobs", `echo up; read x; echo "got $x"`}, "hello\n", false, "got hello"},
		{"the child reads the terminal", []string{"lock", "jobs", `echo up; read x </dev/tty; echo "got $x"`}, "hello\n", false, "got hello"},
		{"the handler reads the terminal", []string{"watch", "-type", "nodes", `echo up; read x </dev/tty; echo "got $x"; exit 1`}, "hello\n", false, "got hello"},
		{"the child gets the keys", []string{"lock", "jobs", `trap '' TERM; trap 'echo interrupted; exit' INT; echo up; sleep 300`}, "\x03", false, "interrupted"},
		{"all that the child has started is told to end", []string{"lock", "jobs", `trap : TERM; sh -c "` + listens + `"; echo "and ended"`}, "", true, "asked\nand ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			person, process := terminal(t)
			cmd := solo.command(c.args...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = process, process, process
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			_ = process.Close()
			var out output
			read := make(chan struct{})
			go func() {
				defer close(read)
				_, _ = io.Copy(&out, person) // until nobody has the terminal any more, which is an error
			}()
			stuck := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
			defer stuck.Stop()
			out.await(t, "up\r\n")
			if _, err := io.WriteString(person, c.typed); err != nil {
				t.Error(err)
			}
			if c.told {
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Error(err)
				}
			}
			err := cmd.Wait()
			<-read
			_ = person.Close()
			if got := strings.ReplaceAll(out.String(), "\r\n", "\n"); !strings.Contains(got, c.want) {
				t.Errorf("%q, %v; want %q in it", got, err, c.want)
			}
		})
	}
}
