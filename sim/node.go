package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
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
}

// Clock is a node's clock: how far it is off, and how fast it goes.
type Clock struct {
	Skew     time.Duration // added to the wall clock
	Num, Den int64         // the clock advances Num in Den of true time; 0/0 is 1/1
}

// Node is a machine with one process.
type Node struct {
	world *World
	name  string
	stack *simnet.Stack
	disk  *simdisk.Disk
	clock Clock

	mu      sync.Mutex
	process *process // nil when none runs
	starts  int
	lastErr error
}

// process is one life of a node's program.
type process struct {
	tag    *detrt.Node
	stop   chan struct{} // closed to have it stop in order
	ended  chan struct{} // closed when it is no more
	once   sync.Once
	paused bool
}

// AddNode adds a node that runs nothing yet.
func (w *World) AddNode(c NodeConfig) *Node {
	n := &Node{world: w, name: c.Name, clock: c.Clock}
	n.stack = w.net.AddHost(c.Name, c.Addrs...)
	n.disk = simdisk.New(c.Name, w.loop, w, w.options.Seed, c.Disk)
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
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil {
		panic(fmt.Sprintf("sim: node %s runs already", n.name))
	}
	n.starts++
	n.stack.Reopen()
	tag := detrt.NewNode(n.name, n.world.options.Seed^hash("process", n.name, fmt.Sprint(n.starts)))
	p := &process{tag: tag, stop: make(chan struct{}), ended: make(chan struct{})}
	if n.clock.Num > 0 && n.clock.Den > 0 {
		tag.SetRate(n.clock.Num, n.clock.Den)
	}
	if n.clock.Skew != 0 {
		tag.Jump(n.clock.Skew)
	}
	n.process = p
	n.world.Recordf(trace.Life, n.name, "", "start %d", n.starts)
	returned := make(chan error, 1)
	tag.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			<-p.stop
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

// exit is the end of a process that returned.
func (n *Node) exit(p *process, err error) {
	text := "exit"
	if err != nil {
		text = "exit: " + err.Error()
	}
	n.end(p, err, text, n.stack.Kill, n.disk.Kill)
}

// end makes a process be no more, whatever it was doing.
func (n *Node) end(p *process, err error, how string, network, disk func()) {
	p.once.Do(func() {
		p.tag.Freeze()
		network()
		disk()
		n.mu.Lock()
		n.process, n.lastErr = nil, err
		n.mu.Unlock()
		n.world.Recordf(trace.Life, n.name, "", "%s", how)
		close(p.ended)
	})
}

func (n *Node) running() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process
}

// Running reports whether a process runs on the node.
func (n *Node) Running() bool { return n.running() != nil }

// Err is the error with which the last process ended that ended by itself.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lastErr
}

// ErrStopTimeout says that a process did not stop in time.
var ErrStopTimeout = errors.New("the process did not stop in time")

// Stop has the process stop in order and waits until it has, at most for limit.
func (n *Node) Stop(limit time.Duration) error {
	p := n.running()
	if p == nil {
		return nil
	}
	n.world.Recordf(trace.Life, n.name, "", "stop")
	close(p.stop)
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
// and the disk loses what was not synced.
func (n *Node) Crash() {
	if p := n.running(); p != nil {
		n.end(p, nil, "power failure", n.stack.Crash, n.disk.Crash)
		return
	}
	n.stack.Crash()
	n.disk.Crash()
}

// Pause stops the process as SIGSTOP does, until Resume.
func (n *Node) Pause() {
	if p := n.running(); p != nil && !p.paused {
		p.paused = true
		n.world.Recordf(trace.Life, n.name, "", "pause")
		p.tag.Pause()
	}
}

// Resume ends a Pause.
func (n *Node) Resume() {
	if p := n.running(); p != nil && p.paused {
		p.paused = false
		n.world.Recordf(trace.Life, n.name, "", "resume")
		p.tag.Resume()
	}
}

// Jump moves the node's wall clock.
func (n *Node) Jump(d time.Duration) {
	n.mu.Lock()
	n.clock.Skew += d
	n.mu.Unlock()
	n.world.Recordf(trace.Fault, n.name, "", "clock jumps by %v", d)
	if p := n.running(); p != nil {
		p.tag.Jump(d)
	}
}

// SetRate sets the drift: the node's clock advances num in den of true time.
func (n *Node) SetRate(num, den int64) {
	n.mu.Lock()
	n.clock.Num, n.clock.Den = num, den
	n.mu.Unlock()
	n.world.Recordf(trace.Fault, n.name, "", "clock goes %d/%d", num, den)
	if p := n.running(); p != nil {
		p.tag.SetRate(num, den)
	}
}

// checkPanic ends a process that panicked, as a kernel would.
func (n *Node) checkPanic() {
	p := n.running()
	if p == nil {
		return
	}
	if text, panicked := p.tag.Panicked(); panicked {
		n.end(p, fmt.Errorf("panic: %s", text), "panic: "+text, n.stack.Kill, n.disk.Kill)
	}
}

// machine is the host.Host of a node's process.
type machine struct{ node *Node }

func (m machine) Hostname() (string, error) { return m.node.name, nil }
func (m machine) Network() host.Network     { return m.node.stack }
func (m machine) FS() host.FS               { return m.node.disk }

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
