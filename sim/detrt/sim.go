//go:build tribune_sim

package detrt

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
	"unsafe"
)

//go:linkname simStart runtime.simStart
func simStart(seed uint64)

//go:linkname simSetSchedule runtime.simSetSchedule
func simSetSchedule(kind, depth, window int)

//go:linkname simTaken runtime.simTaken
func simTaken() (turns, preempted, hash uint64, pairs, windows []byte)

//go:linkname simNodeOrder runtime.simNodeOrder
func simNodeOrder(n unsafe.Pointer) uint64

//go:linkname simRun runtime.simRun
func simRun(f func())

//go:linkname simEnter runtime.simEnter
func simEnter()

//go:linkname simNow runtime.simNow
func simNow() int64

//go:linkname simCollect runtime.simCollect
func simCollect()

//go:linkname simSetWatch runtime.simSetWatch
func simSetWatch(ns int64)

//go:linkname simSetExtraGC runtime.simSetExtraGC
func simSetExtraGC(n int)

//go:linkname simNewNode runtime.simNewNode
func simNewNode(name string, seed uint64) unsafe.Pointer

//go:linkname simNodeGo runtime.simNodeGo
func simNodeGo(n unsafe.Pointer, f func())

//go:linkname simNodeJump runtime.simNodeJump
func simNodeJump(n unsafe.Pointer, d int64)

//go:linkname simNodeRate runtime.simNodeRate
func simNodeRate(n unsafe.Pointer, num, den int64)

//go:linkname simNodePause runtime.simNodePause
func simNodePause(n unsafe.Pointer, paused bool)

//go:linkname simNodeFreeze runtime.simNodeFreeze
func simNodeFreeze(n unsafe.Pointer)

//go:linkname simPanics runtime.simPanics
func simPanics() int

//go:linkname simNodeDied runtime.simNodeDied
func simNodeDied(n unsafe.Pointer) (string, bool)

//go:linkname simNodeCount runtime.simNodeCount
func simNodeCount(n unsafe.Pointer) int

//go:linkname simHold runtime.simHold
func simHold()

//go:linkname simMask runtime.simMask
func simMask(d int32)

//go:linkname simAside runtime.simAside
func simAside(f func())

// Enabled reports whether this binary was built with the overlay.
func Enabled() bool { return true }

// Run runs f in a bubble whose every choice is drawn from the seed, and returns
// when f has returned and all other goroutines of the bubble wait. Goroutines
// that are left over stay where they are: a process is meant to end after one
// Run, and a second one is refused. When all goroutines wait and no timer is
// set, nothing can ever happen any more and Run returns an error.
func Run(o Options, f func()) (err error) {
	kind, err := o.Schedule.kind()
	if err != nil {
		return err
	}
	if simNow() != 0 {
		return errors.New("detrt: a process runs one simulation")
	}
	if runtime.GOMAXPROCS(0) != 1 {
		return errors.New("detrt: a simulation needs GOMAXPROCS=1 in the environment of the process, see package launch")
	}
	prepare()
	done := false
	defer func() {
		switch r := recover(); {
		case r == nil || done:
		default:
			if e, ok := r.(error); ok {
				err = fmt.Errorf("detrt: virtual time %v: %w", Now().Sub(epoch()), e)
				return
			}
			panic(r)
		}
	}()
	simSetSchedule(kind, o.Schedule.depth(), o.Schedule.Window)
	simStart(o.Seed)
	simRun(func() {
		simEnter()
		f()
		done = true
	})
	return nil
}

// kind returns the number by which the runtime knows the kind.
func (s Schedule) kind() (int, error) {
	if err := s.Check(); err != nil {
		return 0, err
	}
	return max(slices.Index(Kinds(), s.Kind), 0), nil
}

// prepare starts the threads that a run may need and the collector's workers,
// since starting them during the run would take memory at other moments in
// other runs; and turns the collector off.
func prepare() {
	debug.SetGCPercent(-1)
	const spare = 8
	started, release := make(chan bool), make(chan bool)
	for range spare {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			started <- true
			<-release
		}()
	}
	for range spare {
		<-started
	}
	close(release)
	for range 3 {
		runtime.GC()
		runtime.Gosched()
	}
}

func epoch() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// Now is the true virtual time, whoever asks: a node's goroutine sees its own
// clock in time.Now and this one here. Outside Run it is time.Now.
func Now() time.Time {
	ns := simNow()
	if ns == 0 {
		return time.Now()
	}
	return time.Unix(0, ns).UTC()
}

// Nanos is Now in nanoseconds since 1970, which costs less.
func Nanos() int64 {
	if ns := simNow(); ns != 0 {
		return ns
	}
	return time.Now().UnixNano()
}

// Collect runs the garbage collector, then lets finalizers and cleanups run
// until none is left. In a run it must be called by a goroutine of the world at
// a moment when all others wait (synctest.Wait), chosen by a count of events.
func Collect() { simCollect() }

// Taken returns what is remembered of the turns that goroutines had so far.
func Taken() Turns {
	turns, preempted, hash, pairs, windows := simTaken()
	return Turns{turns, preempted, hash, Features(pairs), Features(windows)}
}

// Aside calls f, in a run, as the world would, and has the run go on as if f had
// drawn nothing: f may set a timer, and until that fires the run is the same with
// it and without. f must not start goroutines, wait, or wake who waits.
func Aside(f func()) { simAside(f) }

// Perturb makes each later Collect collect that many times more. A run must not
// change by it.
func Perturb(extraCollections int) { simSetExtraGC(extraCollections) }

// Watch ends the process with a dump of all goroutines and their nodes when
// virtual time has not advanced for d of real time; zero turns the watch off.
func Watch(d time.Duration) { simSetWatch(int64(d)) }

// Node is a process of the simulated world, as the runtime sees it: the owner
// of goroutines and timers, with a clock, a stream of random numbers and a
// life. Methods are called from goroutines of the world.
type Node struct {
	name string
	tag  unsafe.Pointer
}

// NewNode returns a running node whose clock shows the true time and whose
// goroutines (select, map order, math/rand, crypto/rand) draw from a stream
// that starts with seed. A process that is started again is a new Node.
func NewNode(name string, seed uint64) *Node {
	return &Node{name, simNewNode(name, seed)}
}

// Name returns the name given to NewNode; it is in every dump of goroutines.
func (n *Node) Name() string { return n.name }

// Go starts f in a goroutine of the node. What it starts belongs to the node
// too, goroutines and timers.
func (n *Node) Go(f func()) { simNodeGo(n.tag, f) }

// SetRate sets the drift: from now on the node's clock advances num in den of
// true time. Timers that are set keep the node's time at which they fire.
func (n *Node) SetRate(num, den int64) {
	if num <= 0 || den <= 0 || num > 1e6 || den > 1e6 {
		panic(fmt.Sprintf("detrt: rate %d/%d: both must lie between 1 and 1000000", num, den))
	}
	simNodeRate(n.tag, num, den)
}

// Jump moves the node's wall clock by d. Durations, timers and monotonic
// readings do not notice.
func (n *Node) Jump(d time.Duration) { simNodeJump(n.tag, int64(d)) }

// Pause stops the node as SIGSTOP does: none of its goroutines runs until
// Resume. Timers that fall due in between act then. A goroutine of the node
// that calls it runs on until it next waits.
func (n *Node) Pause() { simNodePause(n.tag, true) }

// Resume ends a Pause.
func (n *Node) Resume() { simNodePause(n.tag, false) }

// Freeze kills the node as SIGKILL does: its goroutines never run again, no
// deferred function of theirs does, and its timers never fire. What only they
// could reach is garbage. It panics in a goroutine of the node itself.
func (n *Node) Freeze() { simNodeFreeze(n.tag) }

// Goroutines counts the node's goroutines, whatever they do or wait for.
func (n *Node) Goroutines() int { return simNodeCount(n.tag) }

// Panicked reports whether the node has ended and one of its goroutines had panicked
// before, without anybody to recover, and with what, which may be "".
func (n *Node) Panicked() (text string, ok bool) { return simNodeDied(n.tag) }

// Order is a hash of which of the node's goroutines had which turn so far.
func (n *Node) Order() uint64 { return simNodeOrder(n.tag) }

// Panics counts the nodes that ended by a panic.
func Panics() int { return simPanics() }
