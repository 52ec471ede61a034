package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"tribune/impl/host"
	"tribune/sim/detrt"
	"tribune/sim/simdisk"
	"tribune/sim/simnet"
	"tribune/sim/trace"
)

// Program is what a node runs: a process that ends when ctx does, or before. Its
// return is the exit of the process.
type Program func(ctx context.Context, h host.Host, log *slog.Logger) error

// NodeConfig says what a node is like.
type NodeConfig struct {
	Name  string
	Addrs []netip.Addr
	Disk  simdisk.Options
	Clock Clock
	// Commands plays the outcome of a command that the node's program runs; nil:
	// there is none that could be run. It may wait, on the node's clock.
	Commands func(ctx context.Context, c host.Command) (status int, err error)
}

// Clock is a node's clock: how far it is off, and how fast it goes. It belongs
// to the machine: processes come and go, and it goes on.
type Clock struct {
	Skew     time.Duration // added to the wall clock
	Num, Den int64         // the clock advances Num in Den of true time; 0/0 is 1/1
}

// ClockAt is a clock that goes at a rate of true time, rounded to a hundred-thousandth.
func ClockAt(rate float64) Clock {
	const unit, coarse = 100_000, 1000 // in which most rates are told
	c := Clock{Num: int64(math.Round(rate * unit)), Den: unit}
	if c.Num%(unit/coarse) == 0 {
		c.Num, c.Den = c.Num/(unit/coarse), coarse
	}
	return c
}

// Right reports whether the clock goes at the rate of true time.
func (c Clock) Right() bool { return c.Num == c.Den }

// Rate says at which rate of true time the clock goes.
func (c Clock) Rate() string {
	return strings.TrimSuffix(fmt.Sprintf("%.5f", float64(c.Num)/float64(c.Den)), "00")
}

// clock is a Clock as it was at one moment of true time.
type clock struct {
	Clock
	at time.Duration
}

// skew is how far the wall clock is off at a later moment. The runtime keeps
// the clock of a process; this is for the next one.
func (c clock) skew(now time.Duration) time.Duration {
	if c.Num <= 0 || c.Den <= 0 {
		return c.Skew
	}
	gone, faster := int64(now-c.at), c.Num-c.Den
	return c.Skew + time.Duration(gone/c.Den*faster+gone%c.Den*faster/c.Den)
}

// Node is a machine with one process.
type Node struct {
	world *World
	name  string
	stack *simnet.Stack
	disk  *simdisk.Disk

	commands func(context.Context, host.Command) (int, error)

	usual Clock // as it was configured

	mu      detrt.Mutex
	clock   clock
	drifts  []*Clock // that last, in the order in which they began; only their rates count
	process *process // nil when none runs
	starts  int
	lastErr error
}

// process is one life of a node's program.
type process struct {
	tag     *detrt.Node
	stopped chan struct{} // closed by stop
	stop    func()        // has it stop in order
	ended   chan struct{} // closed when it is no more
	once    sync.Once     // for its end
	pauses  int           // that last; guarded by the node's mutex
}

// AddNode adds a node that runs nothing yet. A name or an address that another
// node has is a mistake of the caller and panics.
func (w *World) AddNode(c NodeConfig) *Node {
	n := &Node{world: w, name: c.Name, clock: clock{c.Clock, w.Now()}, usual: c.Clock, commands: c.Commands}
	n.stack = w.net.AddHost(c.Name, c.Addrs...)
	n.disk = simdisk.New(c.Name, w.loop, w, w.options.Seed, c.Disk)
	for _, f := range w.onDisks {
		n.disk.Observe(func(o simdisk.Operation) (hold <-chan struct{}) {
			w.Aside(func() { hold = f(n, o) })
			return hold
		})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[c.Name] = n
	return n
}

// Name is the node's name.
func (n *Node) Name() string { return n.name }

// Disk is the node's disk.
func (n *Node) Disk() *simdisk.Disk { return n.disk }

// Stack is the node's network.
func (n *Node) Stack() *simnet.Stack { return n.stack }

// Start runs a program in a new process on the node's disk. A node that runs
// one already is a mistake of the caller and panics.
func (n *Node) Start(program Program) {
	n.world.sinceGC.Add(startWeighs)
	p, start := n.begin()
	n.world.Recordf(trace.Life, n.name, "", "start %d", start)
	returned := make(chan error, 1)
	p.tag.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			<-p.stopped
			cancel()
		}()
		returned <- program(ctx, machine{n}, slog.New(&handler{node: n}))
	})
	n.world.Go(func() {
		select {
		case err := <-returned:
			n.exit(p, err)
		case <-p.ended:
		}
	})
}

// begin makes a process that does nothing yet, and counts it.
func (n *Node) begin() (p *process, start int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil {
		panic(fmt.Sprintf("sim: node %s runs already", n.name))
	}
	n.starts++
	n.stack.Reopen()
	tag := detrt.NewNode(n.name, n.world.options.Seed^hash("process", n.name, fmt.Sprint(n.starts)))
	stopped := make(chan struct{})
	p = &process{tag: tag, stopped: stopped, stop: sync.OnceFunc(func() { close(stopped) }), ended: make(chan struct{})}
	if n.clock.Num > 0 && n.clock.Den > 0 {
		tag.SetRate(n.clock.Num, n.clock.Den)
	}
	if skew := n.clock.skew(n.world.Now()); skew != 0 {
		tag.Jump(skew)
	}
	n.process = p
	return p, n.starts
}

// exit is the end of a process that returned.
func (n *Node) exit(p *process, err error) {
	text := "exit"
	if err != nil {
		text = "exit: " + err.Error()
	}
	n.end(p, err, text, n.stack.Kill, n.disk.Kill)
}

// end makes a process be no more, whatever it was doing. If it had panicked before, that
// is its error, and is recorded before how it would have ended otherwise, if there is that.
func (n *Node) end(p *process, err error, how string, network, disk func()) {
	p.once.Do(func() {
		p.tag.Freeze()
		text, panicked := p.tag.Panicked()
		if panicked {
			err = &PanicError{text}
		}
		network()
		disk()
		n.mu.Lock()
		n.process, n.lastErr = nil, err
		n.mu.Unlock()
		if panicked {
			n.world.Recordf(trace.Life, n.name, "", "%v", err)
		}
		if how != "" {
			n.world.Recordf(trace.Life, n.name, "", "%s", how)
		}
		close(p.ended)
	})
}

func (n *Node) running() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process
}

// Clock is how far the node's clock is off now, and how fast it goes.
func (n *Node) Clock() Clock {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.clock.Clock
	c.Skew = n.clock.skew(n.world.Now())
	return c
}

// Go runs f in a goroutine of the node's process, on its clock, and reports whether
// there is one. While the process is paused f does not run either.
func (n *Node) Go(f func()) bool {
	p := n.running()
	if p != nil {
		p.tag.Go(f)
	}
	return p != nil
}

// Running reports whether a process runs on the node.
func (n *Node) Running() bool { return n.running() != nil }

// PanicError is the error of a process that panicked.
type PanicError struct{ Text string } // as the runtime says it

// Error implements error.
func (p *PanicError) Error() string { return "panic: " + p.Text }

// Err is the error with which the last process ended: a *PanicError if it panicked, even if
// something else ended it in the same instant; nil if it was killed, lost its power, or
// returned none, and while none has ended yet.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lastErr
}

// ErrStopTimeout says that a process did not stop in time.
var ErrStopTimeout = errors.New("the process did not stop in time")

// Stop ends the process's context and waits until the process has ended, at most
// for limit; then it still runs, and the error wraps ErrStopTimeout. Otherwise
// the error is the one with which the program returned.
func (n *Node) Stop(limit time.Duration) error {
	p := n.running()
	if p == nil {
		return nil
	}
	n.world.Recordf(trace.Life, n.name, "", "stop")
	p.stop()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.ended:
		return n.Err()
	case <-timer.C:
		return fmt.Errorf("%s: %w", n.name, ErrStopTimeout)
	}
}

// Kill ends the process as kill -9 does: its goroutines never run again, the
// kernel closes its sockets, and what it wrote is still in the page cache.
func (n *Node) Kill() {
	if p := n.running(); p != nil {
		n.end(p, nil, "kill", n.stack.Kill, n.disk.Kill)
	}
}

// Crash is a power failure: the process ends, the host says nothing any more,
// and the disk loses what was not synced. It strikes a node that runs nothing
// too.
func (n *Node) Crash() {
	if p := n.running(); p != nil {
		n.end(p, nil, "power failure", n.stack.Crash, n.disk.Crash)
		return
	}
	n.world.Recordf(trace.Life, n.name, "", "power failure")
	n.stack.Crash()
	n.disk.Crash()
}

// Pause stops the process as SIGSTOP does, until resume is called; of several pauses,
// until the last one is resumed. Its host goes on: the kernel acknowledges and keeps what
// arrives until its buffers are full. A pause is one of the process that runs now, if one
// does, and is nothing to the next.
func (n *Node) Pause() (resume func()) {
	p := n.running()
	if p == nil {
		return func() {}
	}
	n.pause(p, 1)
	return sync.OnceFunc(func() { n.pause(p, -1) })
}

// pause begins or ends a pause of a process.
func (n *Node) pause(p *process, by int) {
	if by > 0 {
		p.tag.Pause() // without the lock: others go on meanwhile, and who observes them must not wait
	}
	n.mu.Lock()
	before := p.pauses
	p.pauses += by
	how := ""
	switch {
	case n.process != p: // it is dead
	case before == 0:
		how = "pause"
	case p.pauses == 0:
		how = "resume"
		p.tag.Resume()
	}
	n.mu.Unlock()
	if how != "" {
		n.world.Recordf(trace.Life, n.name, "", "%s", how)
	}
}

// Paused reports whether a process runs on the node and is paused.
func (n *Node) Paused() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process != nil && n.process.pauses > 0
}

// Jump moves the node's wall clock.
func (n *Node) Jump(d time.Duration) {
	n.world.Recordf(trace.Fault, n.name, "", "clock jumps by %v", d)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clock.Skew += d
	if n.process != nil {
		n.process.tag.Jump(d)
	}
}

// Drift has the node's clock advance num in den of true time until undo is called; of
// several drifts, the latest that lasts counts.
func (n *Node) Drift(num, den int64) (undo func()) {
	d := &Clock{Num: num, Den: den}
	n.mu.Lock()
	n.drifts = append(n.drifts, d)
	n.mu.Unlock()
	n.setRate()
	return func() {
		n.mu.Lock()
		n.drifts = slices.DeleteFunc(n.drifts, func(x *Clock) bool { return x == d })
		n.mu.Unlock()
		n.setRate()
	}
}

// setRate sets the drift that counts now: without any, the one that was configured.
func (n *Node) setRate() {
	n.mu.Lock()
	num, den := max(n.usual.Num, 1), max(n.usual.Den, 1)
	if len(n.drifts) > 0 {
		last := n.drifts[len(n.drifts)-1]
		num, den = last.Num, last.Den
	}
	now := n.world.Now()
	changes := n.clock.Num != num || n.clock.Den != den
	if changes {
		n.clock = clock{Clock{n.clock.skew(now), num, den}, now}
	}
	if changes && n.process != nil {
		n.process.tag.SetRate(num, den)
	}
	n.mu.Unlock()
	if changes {
		n.world.Recordf(trace.Fault, n.name, "", "clock goes %d/%d", num, den)
	}
}

// Goroutines counts the goroutines of the node's process; zero if none runs.
func (n *Node) Goroutines() int {
	if p := n.running(); p != nil {
		return p.tag.Goroutines()
	}
	return 0
}

// checkPanic ends a process that panicked, as a kernel would.
func (n *Node) checkPanic() {
	p := n.running()
	if p == nil {
		return
	}
	if _, panicked := p.tag.Panicked(); panicked {
		n.end(p, nil, "", n.stack.Kill, n.disk.Kill)
	}
}

// machine is the host.Host of a node's process.
type machine struct{ node *Node }

func (m machine) Hostname() (string, error) { return m.node.name, nil }
func (m machine) Network() host.Network     { return m.node.stack }
func (m machine) FS() host.FS               { return m.node.disk }
func (m machine) Exec() host.Exec           { return m }

// Run implements host.Exec.
func (m machine) Run(ctx context.Context, c host.Command) (int, error) {
	if m.node.commands == nil {
		return 0, &exec.Error{Name: c.Args[0], Err: exec.ErrNotFound}
	}
	return m.node.commands(ctx, c)
}

// Wait returns when no process runs on the node.
func (n *Node) Wait() {
	if p := n.running(); p != nil {
		<-p.ended
	}
}

// Starts counts the processes that were started on the node.
func (n *Node) Starts() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.starts
}
