package nemesis

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tribune/sim"
	"tribune/sim/simdisk"
	"tribune/sim/trace"
)

// Passing is a point that a node passed.
type Passing struct {
	At    time.Duration
	Point string
	Node  string
}

// Chronicle notes the points that nodes pass now and then: those that need not be
// told which file or line is meant, and that not every packet passes.
type Chronicle struct {
	mu     sync.Mutex
	events map[trace.Kind][]*Watch
	disks  []*Watch
	passed []Passing
	times  map[string]int // by point and node
}

// mostTimes is how often a node's passing of one point is noted.
const mostTimes = 100

// NewChronicle begins a chronicle of the points of a cast. It is called before the
// first node is added to the world, and does not change what happens in it.
func NewChronicle(w *sim.World, cast Cast) *Chronicle {
	c := &Chronicle{events: map[trace.Kind][]*Watch{}, times: map[string]int{}}
	for _, p := range cast.AllPoints() {
		switch {
		case !p.notable():
		case p.Disk.Op != "":
			c.disks = append(c.disks, NewWatch(p, "", ""))
		default:
			c.events[p.Event.Kind] = append(c.events[p.Event.Kind], NewWatch(p, "", ""))
		}
	}
	w.Observe(slog.LevelDebug, func(e trace.Event) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, watch := range c.events[e.Kind] {
			if _, ok := watch.Event(e); ok {
				c.note(e.At, watch.point.Name, e.Node)
			}
		}
	})
	w.ObserveDisks(func(n *sim.Node, o simdisk.Operation) <-chan struct{} {
		if !n.Running() {
			return nil // it is the world that tidies up
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, watch := range c.disks {
			if watch.Operation(o, n.Disk()) {
				c.note(w.Now(), watch.point.Name, n.Name())
			}
		}
		return nil
	})
	return c
}

func (c *Chronicle) note(at time.Duration, point, node string) {
	if c.times[point+" "+node]++; c.times[point+" "+node] <= mostTimes {
		c.passed = append(c.passed, Passing{at, point, node})
	}
}

// Passed lists what was noted so far, in order.
func (c *Chronicle) Passed() []Passing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.passed)
}

// soon is within which two points count as one after the other.
const soon = 100 * time.Millisecond

// Reached names the states that a run was in, sorted: which points were passed,
// about how often (once, twice, four times, and so on), during which kinds of
// faults, and which soon after which other.
func Reached(passed []Passing, struck []Struck) []string {
	states := map[string]bool{}
	count := map[string]int{}
	for i, p := range passed {
		count[p.Point]++
		if n := count[p.Point]; n&(n-1) == 0 {
			states[fmt.Sprintf("%s ×%d", p.Point, n)] = true
		}
		for _, s := range struck {
			if s.At <= p.At && (p.At <= s.Until || s.Until == 0) {
				states[p.Point+" during "+s.Kind] = true
			}
		}
		if i > 0 && passed[i-1].Point != p.Point && p.At-passed[i-1].At <= soon {
			states[passed[i-1].Point+", then "+p.Point] = true
		}
	}
	names := make([]string, 0, len(states))
	for s := range states {
		names = append(names, s)
	}
	slices.Sort(names)
	return names
}
