package detrt

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Options are what a run is made of.
type Options struct {
	Seed     uint64
	Schedule Schedule
}

// Schedule says in which order the goroutines of a node run. Goroutines of the
// world, and whose node has the next turn, are drawn uniformly in every kind.
//
// With "shuffle", or "", the next goroutine is drawn uniformly from those that
// could run, whenever one waits or yields. A goroutine keeps its turn until then,
// so what it does between two waits is one step, in every schedule.
//
// The other kinds also have scheduling points, at which a goroutine can lose its
// turn: before it locks a mutex, sends, receives, closes or selects, even if it
// need not wait. Between two points nobody else runs, so unsynchronised reads,
// writes and atomic operations are not torn apart; for those there is the race
// detector. With "walk" a coin is thrown at each point.
//
// "pct" is the scheduler of Burckhardt, Kothari, Musuvathi and Nagarakatti, A
// Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS 2010:
// each goroutine has a random priority, the highest that can run does, and at
// Depth-1 steps, drawn beforehand, the running one's priority falls below all
// others. A bug that needs Depth steps in one order, among n goroutines and k
// steps, shows with a probability of at least 1/(n k^(Depth-1)), where a uniform
// draw needs luck at each of many turns. Two things are otherwise than in the
// paper, since these programs have no end:
//
//   - Priorities are a node's own. Nodes share no memory; over all nodes together,
//     most change points would fall where they decide nothing, and one node would
//     starve another. A goroutine's yield (runtime.Gosched) puts it below all
//     others of the node, as it waits for them.
//   - Each node's steps (points and turns) come in windows. A new window has new
//     priorities for all, and new change points. Depth-1 changes in millions of
//     steps would change nothing, and the k of the bound is the window, in each of
//     which the bug has another chance, if it fits: so each life of a node draws the
//     size of its windows, a power of two from 16 to 16384. It is also why nobody starves: a
//     goroutine that loses in one window wins in another. No promise of the paper
//     covers a bug whose steps lie in different windows.
type Schedule struct {
	Kind   string `yaml:"kind"`   // shuffle, walk or pct
	Depth  int    `yaml:"depth"`  // of pct, 1 to 16: 1 is for priorities that only windows change; 0: 3
	Window int    `yaml:"window"` // of pct, steps; 0: each life of a node draws its own
}

// Limits of a Schedule.
const (
	MaxDepth  = 16
	MaxWindow = 1 << 30

	defaultDepth = 3
)

// Kinds lists the kinds of schedules.
func Kinds() []string { return []string{"shuffle", "walk", "pct"} }

// Check returns an error that says what in the schedule makes no sense.
func (s Schedule) Check() error {
	switch {
	case s.Kind != "" && !slices.Contains(Kinds(), s.Kind):
		return fmt.Errorf("schedule: %q is none of %s", s.Kind, strings.Join(Kinds(), ", "))
	case s.Kind != "pct" && (s.Depth != 0 || s.Window != 0):
		return fmt.Errorf("schedule: only pct has a depth and a window")
	case s.Depth < 0 || s.Depth > MaxDepth:
		return fmt.Errorf("schedule: depth %d is not between 1 and %d", s.Depth, MaxDepth)
	case s.Window < 0 || s.Window > MaxWindow:
		return fmt.Errorf("schedule: a window of %d steps is not between 1 and %d", s.Window, MaxWindow)
	}
	return nil
}

// depth is that of pct, if none is given the usual one.
func (s Schedule) depth() int {
	if s.Depth == 0 {
		return defaultDepth
	}
	return s.Depth
}

// ParseSchedule reads the form that String writes: shuffle, walk, pct, pct:DEPTH
// or pct:DEPTH:WINDOW.
func ParseSchedule(text string) (Schedule, error) {
	parts := strings.Split(text, ":")
	s := Schedule{Kind: parts[0]}
	numbers := []*int{&s.Depth, &s.Window}
	if len(parts) > 1+len(numbers) {
		return s, fmt.Errorf("schedule %q: give a kind, or pct:DEPTH:WINDOW", text)
	}
	for i, part := range parts[1:] {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return s, fmt.Errorf("schedule %q: %q is not a number of one or more", text, part)
		}
		*numbers[i] = n
	}
	if s.Kind == "" {
		return s, fmt.Errorf("schedule \"\" is none of %s", strings.Join(Kinds(), ", "))
	}
	return s, s.Check()
}

// String is the schedule as ParseSchedule reads it.
func (s Schedule) String() string {
	text := s.Kind
	if text == "" {
		text = "shuffle"
	}
	if s.Depth > 0 || s.Window > 0 {
		text += fmt.Sprintf(":%d", s.depth())
	}
	if s.Window > 0 {
		text += fmt.Sprintf(":%d", s.Window)
	}
	return text
}

// Turns says how goroutines of nodes took turns. Who goes on where it was has no
// new turn.
type Turns struct {
	Count     uint64
	Preempted uint64   // how often a goroutine lost its turn at a scheduling point
	Order     uint64   // hash of who had which turn; equal for equal interleavings
	Pairs     Features // start function of a turn's goroutine, and that of the node's next
	Windows   Features // start functions of four turns of a node in sequence
}

// Features is a set of features by their hash: bits, several features may share
// one. Sets of one binary can be joined and compared.
type Features []byte

// Len is the number of features, less those that share a bit.
func (f Features) Len() int {
	n := 0
	for _, b := range f {
		n += bits.OnesCount8(b)
	}
	return n
}

// Estimate is the number of features that most likely lead to so many bits
// (linear counting: Whang, Vander-Zanden and Taylor, 1990); infinite for a set in
// which every bit is set.
func (f Features) Estimate() float64 {
	m := float64(8 * len(f))
	if m == 0 {
		return 0
	}
	return m * math.Log(m/(m-float64(f.Len())))
}

// Join returns the union of two sets and how many bits are in other alone.
func (f Features) Join(other Features) (union Features, added int) {
	union = make(Features, max(len(f), len(other)))
	copy(union, f)
	for i, b := range other {
		added += bits.OnesCount8(b &^ union[i])
		union[i] |= b
	}
	return union, added
}
