package launch

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"tribune/sim/detrt"
)

// Perturb lists disturbances that must not change a run. simctl prove runs the
// same seed plain and perturbed and compares.
type Perturb struct {
	// EnvBytes adds a variable of that many bytes to the environment.
	EnvBytes int
	// Ticker runs a goroutine outside the bubble that wakes at this real
	// interval.
	Ticker time.Duration
	// Ballast is a number of bytes of live heap allocated before the run, in
	// objects of many sizes.
	Ballast int
	// ExtraGC is the number of additional collections at each detrt.Collect.
	ExtraGC int
	// Hash hides the AES instructions from the runtime, as a machine without
	// them would.
	Hash bool
}

// Spec says what Spawn runs.
type Spec struct {
	// Binary is a program built with the overlay; empty for this one, even if its
	// file is gone.
	Binary string
	// Main is the key of the function in the child's ChildMain table.
	Main string
	// Input is handed to that function.
	Input []byte
	// Perturb disturbs the process.
	Perturb Perturb
	// Stderr receives what the child writes there, panics included; nil for
	// this process's.
	Stderr io.Writer
	// Watch is the real time after which a child whose virtual time stands
	// still prints all goroutines and ends; zero for one minute.
	Watch time.Duration
}

// The descriptors of a child, after standard input, output and error.
const (
	inputFD  = 3
	outputFD = 4
)

// self is the program that runs, whatever has become of its file: Build removes old
// ones from the cache, and a person may build anew what still runs.
const self = "/proc/self/exe"

// childVar marks the environment of a child process.
const childVar = "TRIBUNE_CHILD=1"

// order is what a parent tells its child on inputFD: a length in 4 bytes, this
// as JSON, then the input.
type order struct {
	Main    string
	Perturb Perturb
	Watch   time.Duration
}

// Child is a running child process.
type Child struct {
	cmd  *exec.Cmd
	out  *os.File
	fed  chan error
	name string
}

// Spawn starts a child process. When ctx ends, the child is killed. The caller
// must read until io.EOF and then call Wait.
func Spawn(ctx context.Context, s Spec) (*Child, error) {
	if s.Binary == "" {
		s.Binary = self
	} else {
		stillUsed(s.Binary)
	}
	header, err := json.Marshal(order{s.Main, s.Perturb, s.Watch})
	if err != nil {
		return nil, err
	}
	input := binary.BigEndian.AppendUint32(nil, uint32(len(header)))
	input = append(append(input, header...), s.Input...)
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		_, _ = inRead.Close(), inWrite.Close()
		return nil, err
	}
	cmd := exec.CommandContext(ctx, s.Binary)
	cmd.Args = []string{"tribune-run"}
	cmd.Env = environment(s.Perturb)
	cmd.ExtraFiles = []*os.File{inRead, outWrite}
	cmd.Stderr = s.Stderr
	if s.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	err = cmd.Start()
	_, _ = inRead.Close(), outWrite.Close()
	if err != nil {
		_, _ = inWrite.Close(), outRead.Close()
		return nil, fmt.Errorf("starting a run: %w", err)
	}
	c := &Child{cmd: cmd, out: outRead, fed: make(chan error, 1), name: s.Main}
	go func() {
		_, err := inWrite.Write(input)
		if cerr := inWrite.Close(); err == nil {
			err = cerr
		}
		c.fed <- err
	}()
	return c, nil
}

// environment returns the environment of a child: nothing of the parent's, so
// that two runs on two machines start alike.
func environment(p Perturb) []string {
	godebug := "gcstoptheworld=2,asyncpreemptoff=0"
	if p.Hash {
		godebug += ",cpu.aes=off"
	}
	env := []string{childVar, "GOMAXPROCS=1", "GODEBUG=" + godebug, "GOTRACEBACK=all", "TZ=UTC", "HOME=/", "PATH=/"}
	if p.EnvBytes > 0 {
		env = append(env, "TRIBUNE_PERTURB="+strings.Repeat("x", p.EnvBytes))
	}
	return env
}

// Read reads what the child's function wrote to its output; io.EOF follows when
// the child has ended.
func (c *Child) Read(p []byte) (int, error) { return c.out.Read(p) }

// Wait waits for the child's end and returns why it failed, if it did. All
// output must have been read before; what has not is lost.
func (c *Child) Wait() error {
	cerr := c.out.Close()
	err := c.cmd.Wait()
	fed := <-c.fed
	switch {
	case err != nil:
		return fmt.Errorf("run %s: %w", c.name, err)
	case fed != nil && !errors.Is(fed, syscall.EPIPE):
		return fmt.Errorf("run %s: handing over its input: %w", c.name, fed)
	}
	return cerr
}

// Kill ends the child at once.
func (c *Child) Kill() { _ = c.cmd.Process.Kill() }

// Signal sends the process a signal. It is an error if it has ended.
func (c *Child) Signal(s os.Signal) error { return c.cmd.Process.Signal(s) }

// Output runs a child to its end and returns all of its output.
func Output(ctx context.Context, s Spec) ([]byte, error) {
	c, err := Spawn(ctx, s)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, rerr := io.Copy(&out, c)
	if err := c.Wait(); err != nil {
		return out.Bytes(), err
	}
	return out.Bytes(), rerr
}

// Main is the work of a child process: it takes in, writes to out and returns;
// the process then exits with status 0.
type Main func(in []byte, out io.Writer)

// ChildMain must be called first in main or TestMain: in a process started by
// Spawn it runs the function that Spec.Main names and exits; in every other
// process it returns at once. The writer is not buffered; a write to it is a
// system call that blocks until the parent has room.
func ChildMain(mains map[string]Main) {
	name, value, _ := strings.Cut(childVar, "=")
	if os.Getenv(name) != value {
		return
	}
	o, input, err := receive()
	if err == nil && mains[o.Main] == nil {
		err = fmt.Errorf("no function %q", o.Main)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "child: %v\n", err)
		os.Exit(2)
	}
	kept := disturb(o.Perturb)
	if o.Watch == 0 {
		o.Watch = time.Minute
	}
	detrt.Watch(o.Watch)
	// A run that goes wrong may take all memory there is, since the collector does
	// not run by itself; it is to end instead of the machine.
	limit := syscall.Rlimit{Cur: mostMemory, Max: mostMemory}
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &limit); err != nil {
		fmt.Fprintf(os.Stderr, "child: limiting its memory: %v\n", err)
		os.Exit(2)
	}
	// A terminal, or a shell with a limit of time, signals all of a group. It is for the
	// parent to end, and to say what becomes of this run.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	mains[o.Main](input, descriptor(outputFD))
	runtime.KeepAlive(kept)
	os.Exit(0)
}

// mostMemory is how much memory a child may have, in bytes. An hour of virtual time
// under load takes less than a third of it.
const mostMemory = 3 << 30

func receive() (o order, input []byte, err error) {
	for _, fd := range []int{inputFD, outputFD} {
		// The runtime's poller would bring real time in.
		if err := syscall.SetNonblock(fd, false); err != nil {
			return o, nil, fmt.Errorf("descriptor %d: %w", fd, err)
		}
	}
	all, err := io.ReadAll(descriptor(inputFD))
	if err != nil {
		return o, nil, fmt.Errorf("reading the input: %w", err)
	}
	if len(all) < 4 || uint64(len(all)-4) < uint64(binary.BigEndian.Uint32(all)) {
		return o, nil, errors.New("the input ends early")
	}
	n := 4 + int(binary.BigEndian.Uint32(all))
	if err := json.Unmarshal(all[4:n], &o); err != nil {
		return o, nil, fmt.Errorf("reading the input: %w", err)
	}
	return o, all[n:], nil
}

// disturb carries out the disturbances within the process and returns what must
// stay alive.
func disturb(p Perturb) (ballast [][]byte) {
	for size, total := 16, 0; total < p.Ballast; total += size {
		ballast = append(ballast, make([]byte, size))
		size = size*2%8191 + 16
	}
	if p.Ticker > 0 {
		go func() {
			for range time.Tick(p.Ticker) {
				_ = fmt.Sprint(time.Now())
			}
		}()
	}
	detrt.Perturb(p.ExtraGC)
	return ballast
}

// descriptor reads and writes a file descriptor by plain blocking calls.
type descriptor int

func (d descriptor) Read(p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(d), p)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (d descriptor) Write(p []byte) (int, error) {
	for done := 0; ; {
		n, err := syscall.Write(int(d), p[done:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return done, err
		}
		if done += n; done == len(p) {
			return done, nil
		}
	}
}
