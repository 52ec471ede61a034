package scenarios

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"tribune/impl/agent"
	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/impl/gossip"
)

// watchEvery is how often the servers are looked at.
const watchEvery = 50 * time.Millisecond

// watcher looks at the servers from outside while a run goes on, and knows what
// raft promises (Ongaro and Ousterhout 2014, figure 3).
type watcher struct {
	run     *run
	leaders map[uint64]string // by term: election safety
	entries map[uint64]entry  // committed, by index: state machine safety
	highest uint64            // committed index anywhere
	lives   map[string]*life  // by server
	reigns  []Reign
	shrunk  bool // the raft group has, too far; that is told once
}

type entry struct{ term, sum uint64 }

// life is what was seen of one process of a server.
type life struct {
	agent     *agent.Agent
	checked   uint64 // up to which index its committed entries were compared
	committed uint64
	applied   uint64
	term      uint64
	led       uint64 // the last term in which it was seen leading
}

func newWatcher(r *run) *watcher {
	return &watcher{run: r, leaders: map[uint64]string{}, entries: map[uint64]entry{}, lives: map[string]*life{}}
}

// look compares what the servers say with each other and with what they said.
func (w *watcher) look() {
	for _, name := range w.run.plan.names() {
		a := w.run.agents[name]
		if a == nil || w.run.world.Node(name).Paused() {
			continue
		}
		l := w.lives[name]
		if l == nil || l.agent != a {
			l = &life{agent: a}
			w.lives[name] = l
		}
		w.server(name, l, a.Server().Raft())
	}
}

func (w *watcher) server(name string, l *life, raft *consensus.Node) {
	world := w.run.world
	s := raft.Status()
	if s.Term < l.term {
		world.Violate("monotonic term", "%s: from %d to %d", name, l.term, s.Term)
	}
	if s.Committed < l.committed {
		world.Violate("monotonic commit index", "%s: from %d to %d", name, l.committed, s.Committed)
	}
	if s.Applied < l.applied {
		world.Violate("monotonic applied index", "%s: from %d to %d", name, l.applied, s.Applied)
	}
	l.term, l.committed, l.applied = s.Term, max(l.committed, s.Committed), s.Applied
	if s.Leader {
		w.leads(name, l, s, raft)
	}
	from := max(l.checked+1, s.First, 1)
	for i := from; i <= min(s.Committed, s.Last); i++ {
		w.compare(name, i, raft, "state machine safety")
	}
	l.checked = max(l.checked, min(s.Committed, s.Last))
	w.highest = max(w.highest, s.Committed)
}

// compare holds a server's entry against that which others have committed at
// the same index.
func (w *watcher) compare(name string, i uint64, raft *consensus.Node, invariant string) {
	term, command, err := raft.Entry(i)
	if err != nil {
		return // compacted meanwhile
	}
	h := fnv.New64a()
	_, _ = h.Write(command) // never fails
	mine := entry{term, h.Sum64()}
	known, ok := w.entries[i]
	switch {
	case !ok && invariant == "state machine safety":
		w.entries[i] = mine
	case ok && known != mine:
		w.run.world.Violate(invariant, "%s has another entry at index %d: term %d, and not %d", name, i, mine.term, known.term)
	}
}

// leads checks a server that says it leads: no other does in its term, and its
// log holds what was committed before.
func (w *watcher) leads(name string, l *life, s consensus.Status, raft *consensus.Node) {
	if other, ok := w.leaders[s.Term]; ok && other != name {
		w.run.world.Violate("election safety", "%s and %s both lead in term %d", other, name, s.Term)
	}
	w.quorum(name, raft)
	if l.led == s.Term {
		return
	}
	l.led = s.Term
	w.leaders[s.Term] = name
	reign := Reign{At: w.run.world.Now(), Term: s.Term, Server: name}
	w.deposed(reign)
	w.reigns = append(w.reigns, reign)
	if s.Last < w.highest && s.Last >= s.First {
		w.run.world.Violate("leader completeness", "%s leads in term %d with a log up to %d, and %d is committed", name, s.Term, s.Last, w.highest)
	}
	for i := max(s.First, 1); i <= min(w.highest, s.Last); i++ {
		w.compare(name, i, raft, "leader completeness")
	}
}

// equal reports whether all servers have applied the same entries and have the
// same state.
func (w *watcher) equal() (bool, string) {
	var index uint64
	digest, first := "", ""
	for _, name := range w.run.plan.names() {
		a := w.run.agents[name]
		if a == nil {
			return false, name + " does not run"
		}
		s := a.Server().Raft().Status()
		d, err := a.Server().StateDigest()
		if err != nil {
			return false, err.Error()
		}
		if first == "" {
			first, index, digest = name, s.Applied, d
			continue
		}
		if s.Applied != index {
			return false, fmt.Sprintf("%s has applied entries up to %d, %s up to %d of %d committed", first, index, name, s.Applied, s.Committed)
		}
		if d != digest {
			return false, fmt.Sprintf("%s and %s have both applied entries up to %d, and their states differ", first, name, index)
		}
	}
	return true, ""
}

// deposed complains, where the scenario asks for that, about a leader whose reign
// ended although no fault of the scenario strikes it: a server that comes back after
// it was cut off must not disturb the one that leads (Ongaro's thesis, section 9.6).
func (w *watcher) deposed(next Reign) {
	scenario := w.run.plan.Scenario
	if scenario.Checks.Reigns == "" || len(w.reigns) == 0 {
		return
	}
	last := w.reigns[len(w.reigns)-1]
	if !slices.ContainsFunc(scenario.Faults, func(f Fault) bool { return f.Target == last.Server }) {
		w.run.world.Violate("undisturbed leader", "%s led in term %d, nothing struck it, and %s leads in term %d", last.Server, last.Term, next.Server, next.Term)
	}
}

// quorum complains about a raft group that has shrunk so far that fewer servers than
// half of those it was made for make its majority: two such groups could be without
// a server in common.
func (w *watcher) quorum(name string, raft *consensus.Node) {
	group, _, err := raft.Servers()
	if err != nil {
		return
	}
	voters, made := 0, w.run.plan.Scenario.Topology.Servers
	for _, s := range group {
		if s.Voter {
			voters++
		}
	}
	if voters > 0 && voters < made/2+1 && !w.shrunk {
		w.shrunk = true
		w.run.world.Violate("size of the raft group", "%s leads a group of %d, which was made for %d", name, voters, made)
	}
}

// acquainted reports whether all agents, servers too, see each other alive.
func acquainted(r *run) (bool, string) {
	all := r.plan.members()
	for _, name := range all {
		a := r.agents[name]
		if a == nil {
			return false, name + " does not run"
		}
		members := a.Members()
		for _, other := range all {
			i := slices.IndexFunc(members, func(m api.Member) bool { return m.Name == other })
			if i < 0 {
				return false, fmt.Sprintf("%s does not know %s", name, other)
			}
			if members[i].Status != gossip.StatusAlive {
				return false, fmt.Sprintf("%s sees %s with the status %d, which is alive", name, other, members[i].Status)
			}
		}
	}
	return true, ""
}

// toJoin are the servers that an agent is told to join.
func toJoin(r *run, name string) []string {
	if r.plan.Scenario.Agent.JoinOnce && r.world.Node(name).Starts() > 1 {
		return nil
	}
	return r.plan.names()
}
