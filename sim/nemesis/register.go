package nemesis

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"tribune/sim"
	"tribune/sim/detrt"
	"tribune/sim/simdisk"
	"tribune/sim/trace"
)

// Passage says that a node has passed a point.
type Passage struct {
	At    time.Duration
	Point string
	Node  string
	Nth   int // of that node, from 1
}

// Register keeps which points are passed, for those who measure what a run has
// reached, or who look for a point to which a fault could be anchored.
type Register struct {
	nodes   []string
	watches []*Watch
	most    int

	mu       detrt.Mutex
	counts   [][]int // by watch and node
	passages []Passage
}

// NewRegister returns a register of the points of the cast that take neither file
// nor line and that not every packet passes, which keeps of each the first most passages of each node. It is made
// before the world: then a run with a register is the same run as without.
func NewRegister(c Cast, most int) *Register {
	r := &Register{nodes: c.members(), most: most}
	for _, p := range c.AllPoints() {
		if p.notable() {
			r.watches = append(r.watches, NewWatch(p, "", ""))
			r.counts = append(r.counts, make([]int, len(r.nodes)))
		}
	}
	return r
}

// Attach has the register learn of what happens in a world in which no node has
// been added.
func (r *Register) Attach(w *sim.World) {
	w.Observe(slog.LevelDebug, r.event)
	w.ObserveDisks(func(n *sim.Node, o simdisk.Operation) <-chan struct{} {
		if n.Running() {
			r.operation(w.Now(), n, o)
		}
		return nil
	})
}

// Passages lists what was passed, in order.
func (r *Register) Passages() []Passage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.passages)
}

func (r *Register) event(e trace.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, w := range r.watches {
		if w.point.Event.Kind != e.Kind {
			continue
		}
		if _, passed := w.Event(e); passed {
			r.note(i, e.At, e.Node)
		}
	}
}

func (r *Register) operation(at time.Duration, n *sim.Node, o simdisk.Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, w := range r.watches {
		if w.Operation(o, n.Disk()) {
			r.note(i, at, o.Disk)
		}
	}
}

func (r *Register) note(watch int, at time.Duration, node string) {
	i := slices.Index(r.nodes, node)
	if i < 0 {
		return
	}
	if r.counts[watch][i]++; r.counts[watch][i] <= r.most {
		r.passages = append(r.passages, Passage{at, r.watches[watch].point.Name, node, r.counts[watch][i]})
	}
}

// Anchors lists faults that strike as one did that struck once at a time, but wait
// for a point that was passed at most limit before, the most telling first: those
// that are passed the least often, then those that are the nearest. Whom it struck
// is the node hit; if that is the one that passed the point, the fault says so.
func Anchors(f Fault, struck time.Duration, hit string, passages []Passage, limit time.Duration) []Fault {
	var near []Passage
	for _, p := range passages {
		if after := struck - p.At; after >= 0 && after <= limit {
			near = append(near, p)
		}
	}
	slices.SortStableFunc(near, func(a, b Passage) int {
		return cmp.Or(cmp.Compare(a.Nth, b.Nth), cmp.Compare(b.At, a.At))
	})
	var anchored []Fault
	for _, p := range near {
		a := f
		a.At, a.Every, a.Jitter = Duration{}, Duration{}, Duration{}
		a.Aim = Aim{On: p.Point, Of: p.Node, Nth: p.Nth, After: Duration{Duration: struck - p.At}}
		if hit == p.Node && a.Target != "" {
			a.Target = here
		}
		anchored = append(anchored, a)
	}
	return anchored
}
