package scenarios

import (
	"fmt"
	"runtime/metrics"
	"slices"
	"time"

	"tribune/impl/agent"
	"tribune/linearizability/spread"
	"tribune/sim"
)

// The states of a member in the eyes of another, as serf numbers them.
const (
	memberAlive  = 1
	memberFailed = 4
)

// membership watches who takes whom for alive, and how long it takes until a dead
// member is found out.
type membership struct {
	run      *run
	lived    map[string]bool          // that have run at all
	gone     map[string]time.Duration // since when those are gone that are, and that nobody has found out
	known    map[string]bool          // whose death was found out
	detected []time.Duration          // by death
	missed   int                      // deaths that were over before anybody found out
}

func newMembership(r *run) *membership {
	return &membership{run: r, lived: map[string]bool{}, gone: map[string]time.Duration{}, known: map[string]bool{}}
}

// Detection says how long it took until the first live server took a dead member for
// failed.
type Detection struct {
	Time   spread.Spread `json:"time"`
	Missed int           `json:"missed"` // members that were back before anybody did
}

func (m *membership) result() Detection { return Detection{spread.Of(m.detected), m.missed} }

// look takes note of who has died, is found out or is back.
func (m *membership) look() {
	for _, name := range m.run.plan.members() {
		_, dead := m.gone[name]
		switch running := m.run.world.Node(name).Running(); {
		case running && dead:
			m.missed++
			delete(m.gone, name)
		case running:
			m.lived[name], m.known[name] = true, false
		case m.lived[name] && !dead && !m.known[name]:
			m.gone[name] = m.run.world.Now()
		}
	}
	if len(m.gone) == 0 {
		return
	}
	for _, server := range m.run.plan.names() {
		a := m.run.agents[server]
		if a == nil || m.run.world.Node(server).Paused() {
			continue
		}
		seen := statuses(a)
		for _, name := range m.run.plan.members() {
			if status, known := seen[name]; known {
				m.sees(name, status)
			}
		}
	}
}

// sees takes note of what a live server takes a member for. One that has left in order
// needs not be found out, and one that is taken for failed as it dies has died before,
// and was back for too short a time.
func (m *membership) sees(name string, status int) {
	since, dead := m.gone[name]
	if !dead || status == memberAlive {
		return
	}
	if took := m.run.world.Now() - since; status == memberFailed && took > 0 {
		m.detected = append(m.detected, took)
	}
	m.known[name] = true
	delete(m.gone, name)
}

// statuses are the members as an agent sees them.
func statuses(a *agent.Agent) map[string]int {
	all := map[string]int{}
	for _, m := range a.Members() {
		all[m.Name] = m.Status
	}
	return all
}

// agree reports whether every member that runs takes every other for alive: no false
// death lasts.
func (m *membership) agree() (bool, string) {
	members := m.run.plan.members()
	for _, name := range members {
		a := m.run.agents[name]
		if a == nil {
			return false, name + " does not run"
		}
		if why := notAlive(name, members, statuses(a)); why != "" {
			return false, why
		}
	}
	return true, ""
}

// notAlive says whom a member does not take for alive.
func notAlive(name string, members []string, seen map[string]int) string {
	for _, other := range members {
		if s := seen[other]; s != memberAlive {
			return fmt.Sprintf("%s lives, and in the eyes of %s its state is %d", other, name, s)
		}
	}
	return ""
}

// Level is what a node's process holds: what would pile up if it was not given back.
type Level struct {
	Goroutines int `json:"goroutines"` // those that wait for a change in a blocking query among them
	Streams    int `json:"streams"`    // TCP streams that it has not closed
}

// Levels are the highest levels of any server, and of any client agent, when the
// cluster had settled and clients worked, and when all was over and they had gone.
type Levels struct {
	Asked bool // they were looked at both times
	Start map[string]Level
	End   map[string]Level
	Text  string // why they are not back, if they are not
}

const (
	// settledFrom and settledTo are when the cluster has a leader and its connections.
	settledFrom, settledTo = 3 * time.Second, 8 * time.Second
	// levelLimit is the time in which levels must be back: idle connections between
	// servers live for up to a minute, and blocking queries of clients that vanished
	// for as long as their wait.
	levelLimit = 90 * time.Second
	// goroutineSlack, streamSlack and perPeer are by how much a level may be higher in
	// the end: a server that has led since keeps up to three idle streams to each
	// other server (raft's pool has room for them), which have a goroutine each, and
	// who leads has a few for its duties. A leak grows by one with each request,
	// connection or fault, of which there are hundreds.
	goroutineSlack, streamSlack, perPeer = 12, 4, 4
)

// levels watches what processes hold.
type levels struct {
	run   *run
	start map[string]Level // by kind of node

	noHeap, heap uint64 // of the whole process, in bytes: before the first collection of garbage, and after it
}

func newLevels(r *run) *levels { return &levels{run: r, start: map[string]Level{}} }

func kindsOfNodes() []string { return []string{"server", "agent"} }

// kind tells servers from client agents: those of a kind do the same.
func (l *levels) kind(name string) string {
	kinds := kindsOfNodes()
	if slices.Contains(l.run.plan.names(), name) {
		return kinds[0]
	}
	return kinds[1]
}

// highest are the levels by kind of node.
func (l *levels) highest() map[string]Level {
	high := map[string]Level{}
	for _, name := range l.run.plan.members() {
		high[l.kind(name)] = high[l.kind(name)].or(level(l.run.world.Node(name)))
	}
	return high
}

func level(n *sim.Node) Level { return Level{n.Goroutines(), n.Stack().Streams()} }

func (l Level) or(o Level) Level {
	return Level{max(l.Goroutines, o.Goroutines), max(l.Streams, o.Streams)}
}

// look takes note of the levels of a cluster that has settled, before anything strikes.
func (l *levels) look() {
	l.weigh(liveHeap())
	now := l.run.world.Now()
	if now < settledFrom || now > settledTo || len(l.start) > 0 && len(l.run.nemesis.Log()) > 0 {
		return
	}
	high := l.highest()
	for _, kind := range kindsOfNodes() {
		if h, ok := high[kind]; ok {
			l.start[kind] = l.start[kind].or(h)
		}
	}
}

// weigh takes note of the memory that the first collection of garbage finds.
func (l *levels) weigh(live uint64) {
	if l.noHeap == 0 {
		l.noHeap = live
	}
	if l.heap == 0 && live != l.noHeap {
		l.heap = live
	}
}

// liveHeap is the memory that the last collection of garbage found in use, in bytes.
func liveHeap() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if live[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return live[0].Value.Uint64()
}

// back waits until the levels are what they were.
func (l *levels) back() Levels {
	result := Levels{Asked: len(l.start) > 0, Start: l.start}
	if result.Asked {
		result.Text = l.run.until(levelLimit, func() (bool, string) {
			result.End = l.highest()
			why := higher(l.start, result.End, perPeer*(len(l.run.plan.names())-1))
			return why == "", why
		}).Text
	}
	return result
}

// higher says which level is higher in the end than it was, if any is by more than the
// slack and what there is for the peers.
func higher(start, end map[string]Level, peers int) string {
	for _, kind := range kindsOfNodes() {
		s, e := start[kind], end[kind]
		if e.Goroutines > s.Goroutines+goroutineSlack+peers || e.Streams > s.Streams+streamSlack+peers {
			return fmt.Sprintf("a %s has %d goroutines and %d streams, and had %d and %d in the beginning", kind, e.Goroutines, e.Streams, s.Goroutines, s.Streams)
		}
	}
	return ""
}
