// Package levels sees that the processes of a simulated world give back what they
// hold. (As goleak does it for a test; but a server goes on to live, so there is a level
// that it returns to, and not nothing.)
//
// Goroutines and TCP streams, which pile up when something forgets them: what a cluster
// holds that has settled, while clients work, is held against what it holds when all is
// over and they have gone. Watch channels: nobody may wait for a change then any more.
// Memory (memory.go): what becomes free when the processes end.
package levels

import (
	"fmt"
	"slices"
	"time"

	"tribune/sim"
)

// Level is what a process holds.
type Level struct {
	Goroutines int `json:"goroutines"` // those that wait for a change in a blocking query among them
	Streams    int `json:"streams"`    // TCP streams that it has not closed
	Watched    int `json:"watched"`    // channels on which its blocking queries wait
}

func (l Level) or(o Level) Level {
	return Level{max(l.Goroutines, o.Goroutines), max(l.Streams, o.Streams), max(l.Watched, o.Watched)}
}

// Kind is a kind of nodes, all of which do the same, so that each may come to hold what
// another did in the beginning.
type Kind struct {
	Name  string
	Nodes []*sim.Node
	// Watched is the number of channels on which blocking queries wait at a node; nil if
	// there are none.
	Watched func(*sim.Node) int
}

func (k Kind) level(n *sim.Node) Level {
	l := Level{Goroutines: n.Goroutines(), Streams: n.Stack().Streams()}
	if k.Watched != nil {
		l.Watched = k.Watched(n)
	}
	return l
}

// Levels are the highest levels of any node, by kind, in the beginning and in the end.
type Levels struct {
	Asked bool // they were looked at both times
	Start map[string]Level
	End   map[string]Level
	Text  string // why they are not back, if they are not
}

const (
	// From and To are when a cluster has settled: it has a leader and its connections.
	// To is before anything strikes, or an early strike ends it.
	From, To = 3 * time.Second, 8 * time.Second
	// Limit is the time in which levels must be back: idle connections between servers
	// live for up to a minute, and blocking queries of clients that vanished for as
	// long as their wait.
	Limit = 90 * time.Second
	// Goroutines and Streams are by how much a level may be higher in the end, and
	// PeerGoroutines and PeerStreams by how much more for each server: a server that has
	// led since keeps up to three idle streams to each other one (raft's pool has room for
	// them), which have a goroutine each, and who leads has a few for its duties; a client
	// agent that has asked each server since keeps its connection, for which gRPC has six
	// goroutines. A leak grows by one with each request, connection or fault, of which
	// there are hundreds.
	Goroutines, Streams, PeerGoroutines, PeerStreams = 12, 4, 6, 4
)

// Watch looks at processes from outside. It is used by one goroutine at a time.
type Watch struct {
	kinds   []Kind
	servers int
	start   map[string]Level
}

// New returns a watch over nodes, which keep connections with so many servers.
func New(servers int, kinds ...Kind) *Watch {
	return &Watch{kinds: kinds, servers: servers, start: map[string]Level{}}
}

// Look takes note of the levels at a time of the run, if the cluster has settled and
// nothing has struck yet, or it is the first look. Kinds of which a process is down, or was
// started anew, have not settled. It is to be called every second or so.
func (w *Watch) Look(now time.Duration, struck bool) {
	if now < From || now > To || len(w.start) > 0 && struck {
		return
	}
	high := w.highest()
	for _, k := range w.kinds {
		if !slices.ContainsFunc(k.Nodes, func(n *sim.Node) bool { return !n.Running() || n.Starts() > 1 }) {
			w.start[k.Name] = w.start[k.Name].or(high[k.Name])
		}
	}
}

// highest are the levels now, by kind.
func (w *Watch) highest() map[string]Level {
	high := map[string]Level{}
	for _, k := range w.kinds {
		for _, n := range k.Nodes {
			high[k.Name] = high[k.Name].or(k.level(n))
		}
	}
	return high
}

// Back reports whether the levels are back, and takes the present ones as those of the
// end.
func (w *Watch) Back(r *Levels) (bool, string) {
	r.Asked, r.Start, r.End = len(w.start) > 0, w.start, w.highest()
	r.Text = Higher(r.Start, r.End, w.servers)
	return r.Text == "" || !r.Asked, r.Text
}

// Higher says which level is higher in the end than it was, if any is by more than is
// allowed with so many servers, or that somebody waits for a change still. Who was not seen
// in the beginning may hold anything but waits.
func Higher(start, end map[string]Level, servers int) string {
	for _, kind := range []string{Server, Agent} {
		s, seen := start[kind]
		e := end[kind]
		if seen && (e.Goroutines > s.Goroutines+Goroutines+servers*PeerGoroutines || e.Streams > s.Streams+Streams+servers*PeerStreams) {
			return fmt.Sprintf("%s has %v, and had %v in the beginning", One(kind), e, s)
		}
		if e.Watched > 0 {
			return fmt.Sprintf("%s waits on %d watch channels, and all clients have gone", One(kind), e.Watched)
		}
	}
	return ""
}

// The kinds of nodes.
const (
	Server = "server"
	Agent  = "agent"
)

// One is the words for one node of a kind.
func One(kind string) string {
	if kind == Agent {
		return "a client agent"
	}
	return "a " + kind
}

// String says what is held.
func (l Level) String() string {
	return fmt.Sprintf("%d goroutines, %d streams and %d watch channels", l.Goroutines, l.Streams, l.Watched)
}
