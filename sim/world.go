// Package sim is the simulated world: nodes with clocks, disks and processes, a
// network between them, and a record of all that happens.
//
// A world lives in one process and one run of the deterministic runtime (package
// detrt); the same seed and the same function make the same run, event by event.
// Programs are run as they are: they reach the outside through a host.Host, and
// time is whatever their node's clock shows. The world's own goroutines belong
// to no node and see the true time.
//
// sim knows what it runs only as a Program.
package sim

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing/synctest"
	"time"

	"tribune/netmodel"
	"tribune/sim/detrt"
	"tribune/sim/event"
	"tribune/sim/simdisk"
	"tribune/sim/simnet"
	"tribune/sim/trace"
)

// Options are what a world is made of.
type Options struct {
	Seed  uint64
	Model netmodel.Model
	// Schedule says in which order a node's goroutines run.
	Schedule Schedule
	// Trace takes all that happens; nil for one that only makes the
	// fingerprint.
	Trace *trace.Recording
	// Stop, if not nil, is where the run is stopped to look at it.
	Stop *Stop
	// LogLevel is the least level of the lines that nodes log into the trace.
	LogLevel slog.Level
	// Log, if not nil, is told each of those lines too.
	Log func(at time.Duration, node, line string)
}

// Stop is a moment of a run at which somebody looks at the world. Up to it the run
// is the one that it would be without.
type Stop struct {
	// Event is the number of the last event before it, the first one being 0, and
	// After the time since then.
	Event uint64
	After time.Duration
	// Do is called when it is past and all is settled, on a goroutine of the world.
	// What it does changes the rest of the run, so it had better end the process.
	Do func()
}

// stop has everybody come to rest at the time that was asked for: a nanosecond
// later all that belonged to it has happened, and little else. Who records the event
// may hold any lock and be of any node, and is not to be held up.
func (w *World) stop() {
	s := w.options.Stop
	detrt.Aside(func() {
		time.AfterFunc(s.After+time.Nanosecond, func() {
			w.Settle()
			s.Do()
		})
	})
}

// Settle waits, about a nanosecond, until all others wait: for a later time, for a
// packet, for a disk, or for good. It is for a goroutine of the world that looks
// around before it ends the process; garbage is not collected any more.
func (w *World) Settle() {
	w.stopped.Store(true)
	time.Sleep(time.Nanosecond) // a collection that has begun ends before
	synctest.Wait()
}

// collectEvery is the number of events between two garbage collections. Real time
// and heap size must not decide: they differ between runs. More events have the heap
// grow, and the kernel make more pages for it, which takes longer than to collect.
const collectEvery = 10_000

// startWeighs is how many events the start of a process counts for: an agent that
// starts allocates about 2 MB, as much as a loaded cluster does in so many events.
const startWeighs = 200

// Live collects garbage and returns how much memory is in use then, in bytes: of all
// nodes and of the world together, in objects of the sizes that runtime.MemStats lists
// (up to 19 kB; larger ones are buffers). No time passes. It is for a goroutine of the
// world, before any Settle.
func (w *World) Live() (bytes uint64) {
	done := make(chan struct{})
	w.loop.After(0, func() { w.sinceGC.Store(collectEvery) })
	w.loop.After(0, func() { close(done) }) // it was collected between the two
	<-done
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for _, c := range m.BySize {
		bytes += uint64(c.Size) * (c.Mallocs - c.Frees)
	}
	return bytes
}

// pulse is the time between two events that do nothing, so that the world looks
// after its nodes even when nothing else happens.
const pulse = 100 * time.Millisecond

// Schedule is detrt's: the kinds of schedules and why they are as they are.
type Schedule = detrt.Schedule

// ParseSchedule reads a Schedule as its String writes it, such as pct:3.
func ParseSchedule(text string) (Schedule, error) { return detrt.ParseSchedule(text) }

// Turns is detrt's: what is remembered of a schedule.
type Turns = detrt.Turns

// Features is detrt's: a set of what turns showed.
type Features = detrt.Features

// World is a simulated world.
type World struct {
	options Options
	loop    *event.Loop
	net     *simnet.Network

	mu         detrt.Mutex
	trace      *trace.Recording
	nodes      map[string]*Node
	violations []Violation
	violated   map[string]bool
	sinceGC    atomic.Uint64 // events since the last garbage collection
	panics     int           // nodes that panicked, as far as was looked
	stopped    atomic.Bool   // somebody looks at it, and nothing may be in the way
	observers  []observer
	onDisks    []func(*Node, simdisk.Operation) <-chan struct{}
}

// observer is told of events.
type observer struct {
	least slog.Level // of log lines
	tell  func(trace.Event)
}

// Violation is an invariant that did not hold.
type Violation struct {
	At        time.Duration
	Invariant string
	Text      string
}

// Run makes a world and runs f in it, on a goroutine of the world; the world
// ends when f returns, and with it whatever still runs. It needs the
// deterministic runtime, and one process for each call. Nobody but the world
// may call synctest.Wait in it.
func Run(o Options, f func(*World)) error {
	if o.Trace == nil {
		o.Trace = trace.NewRecording(nil, 0)
	}
	return detrt.Run(detrt.Options{Seed: o.Seed, Schedule: o.Schedule}, func() {
		w := &World{
			options: o, loop: event.New(detrt.Nanos), trace: o.Trace,
			nodes: map[string]*Node{}, violated: map[string]bool{},
		}
		w.net = simnet.New(w.loop, w, o.Seed, o.Model)
		ctx, cancel := context.WithCancel(context.Background())
		w.beat()
		ended := make(chan struct{})
		go func() {
			w.loop.Run(ctx, w.between)
			close(ended)
		}()
		f(w)
		for _, n := range w.Nodes() {
			n.Kill()
		}
		cancel()
		<-ended
	})
}

// beat also hands on what the trace holds back, so that it is there should the process
// not come to its end.
func (w *World) beat() {
	w.mu.Lock()
	_ = w.trace.Flush() // it is told again when all is over
	w.mu.Unlock()
	w.loop.After(pulse, w.beat)
}

// between runs after every event: it looks after nodes that crashed, and
// collects garbage when it is time to.
func (w *World) between() {
	w.Reap()
	if w.sinceGC.Add(1) >= collectEvery && !w.stopped.Load() {
		w.sinceGC.Store(0)
		synctest.Wait()
		detrt.Collect()
	}
}

// Reap ends the processes that have panicked. It is done after every event on the agenda;
// whoever ends a run does it too, or does not learn of those that panicked since.
func (w *World) Reap() {
	if p := detrt.Panics(); p != w.panics {
		w.panics = p
		for _, n := range w.Nodes() {
			n.checkPanic()
		}
	}
}

// Record implements trace.Recorder.
func (w *World) Record(e trace.Event) {
	w.mu.Lock()
	w.trace.Record(e)
	if s := w.options.Stop; s != nil && w.trace.Count() == s.Event+1 {
		w.stop()
	}
	w.mu.Unlock()
	for _, o := range w.observers {
		w.Aside(func() { o.tell(e) })
	}
}

// Aside calls f in the name of the world and has the run go on as if f had drawn
// nothing, not even for a map that it makes: for who watches a run and must not change
// it. f must not wait.
func (w *World) Aside(f func()) { detrt.Aside(f) }

// Observe has f told of every event of the trace as it happens, and of the lines
// that nodes log from a level on, be they of the trace or not. It is called
// before the first node starts. f is called by the goroutine to which the event
// happens, a node's or the world's, which may hold locks of the network and of
// the node's disk: it must neither wait nor call those. What it wants to do, it
// does later, by After.
func (w *World) Observe(least slog.Level, f func(trace.Event)) {
	w.observers = append(w.observers, observer{least, f})
}

// ObserveDisks has f told of what programs do with the disks of all nodes, as a
// simdisk.Observer. It is called before the first node is added.
func (w *World) ObserveDisks(f func(*Node, simdisk.Operation) (hold <-chan struct{})) {
	w.onDisks = append(w.onDisks, f)
}

// observed is the least level of log lines that anybody wants.
func (w *World) observed() slog.Level {
	least := w.options.LogLevel
	for _, o := range w.observers {
		least = min(least, o.least)
	}
	return least
}

// logged takes a line that a node logged.
func (w *World) logged(level slog.Level, e trace.Event) {
	if level >= w.options.LogLevel {
		w.Record(e)
		return
	}
	for _, o := range w.observers {
		if level >= o.least {
			w.Aside(func() { o.tell(e) })
		}
	}
}

// Recordf records an event at the present time.
func (w *World) Recordf(kind trace.Kind, node, peer, format string, args ...any) {
	w.Record(trace.Event{At: w.Now(), Node: node, Kind: kind, Peer: peer, Text: fmt.Sprintf(format, args...)})
}

// Fingerprint is the SHA-256 of all that has happened.
func (w *World) Fingerprint() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trace.Fingerprint()
}

// Events is the number of events on the world's agenda that have happened.
func (w *World) Events() uint64 { return w.loop.Ran() }

// Turns is what is remembered of the turns that the nodes' goroutines took so far.
func (w *World) Turns() Turns { return detrt.Taken() }

// Now is the true time since the world began.
func (w *World) Now() time.Duration { return w.loop.Now() }

// After runs f on the world's agenda once d has passed; f must not block.
func (w *World) After(d time.Duration, f func()) { w.loop.After(d, f) }

// Go runs f in a goroutine of the world, which ends with the world at the latest.
func (w *World) Go(f func()) { go f() }

// Net is the network.
func (w *World) Net() *simnet.Network { return w.net }

// Stream returns the random numbers of a purpose, such as "planner". The same
// seed and purpose give the same numbers, whatever else is drawn.
func (w *World) Stream(purpose string) *rand.Rand {
	return Stream(w.options.Seed, purpose)
}

// Stream returns the random numbers of a purpose in a run with a seed, for what
// is drawn before there is a World.
func Stream(seed uint64, purpose string) *rand.Rand {
	return rand.New(rand.NewPCG(seed, hash(purpose)))
}

func hash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p + "\x00")) // never fails
	}
	return h.Sum64()
}

// Node returns the node of a name, nil if there is none.
func (w *World) Node(name string) *Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[name]
}

// Nodes lists all nodes, sorted by name.
func (w *World) Nodes() []*Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	nodes := make([]*Node, 0, len(w.nodes))
	for _, n := range w.nodes {
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b *Node) int { return strings.Compare(a.name, b.name) })
	return nodes
}

// Violate says that an invariant does not hold. Only the first time counts for
// each invariant and text.
func (w *World) Violate(invariant, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.mu.Lock()
	known := w.violated[invariant+"\x00"+text]
	if !known {
		w.violated[invariant+"\x00"+text] = true
		w.violations = append(w.violations, Violation{w.loop.Now(), invariant, text})
	}
	w.mu.Unlock()
	if !known {
		w.Recordf(trace.Check, "", "", "%s: %s", invariant, text)
	}
}

// Violations lists what Violate was told, in order.
func (w *World) Violations() []Violation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.violations)
}
