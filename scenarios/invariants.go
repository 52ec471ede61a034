package scenarios

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tribune/impl/agent"
	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/impl/coordinate"
	"tribune/impl/fsm"
	"tribune/impl/gossip"
	"tribune/linearizability/raftsafety"
	"tribune/linearizability/spread"
	"tribune/scenarios/levels"
	"tribune/scenarios/outage"
	"tribune/sim"
	"tribune/sim/nemesis"
)

// watchEvery is how often the servers are looked at.
const watchEvery = 50 * time.Millisecond

// watcher looks at the servers from outside while a run goes on.
type watcher struct {
	run     *run
	raft    *raftsafety.Watch
	reigns  []Reign
	members *membership
	levels  *levels.Watch
	commits commits
	replica *fsm.FSM // the judge's own, when all is healed; nil if there is none
	shrunk  bool     // the raft group has, too far; that is told once

	leaderless []outage.Span
	since      time.Duration // when the present time without a leader began
	led        bool          // there is a leader
}

func newWatcher(r *run) *watcher {
	return &watcher{run: r, raft: raftsafety.New(r.world), members: newMembership(r)}
}

// watchLevels has the levels of servers and client agents watched, which are all there,
// until stop closes.
func (w *watcher) watchLevels(stop <-chan struct{}) {
	servers, agents := w.run.plan.names(), w.run.plan.agents()
	kind := kindOf(w.run.world, levels.Server, servers)
	kind.Watched = func(n *sim.Node) int {
		if a := w.run.agents[n.Name()]; a != nil {
			return a.Server().Watched()
		}
		return 0
	}
	w.levels = levels.New(len(servers), kind, kindOf(w.run.world, levels.Agent, agents))
	every(stop, time.Second, func() {
		w.levels.Look(w.run.world.Now(), len(w.run.nemesis.Log()) > 0)
	})
}

// back waits until the levels are what they were.
func (w *watcher) back() (l levels.Levels) {
	w.run.until(levels.Limit, func() (bool, string) { return w.levels.Back(&l) })
	return l
}

// kindOf are the nodes of those names.
func kindOf(w *sim.World, name string, nodes []string) levels.Kind {
	k := levels.Kind{Name: name}
	for _, n := range nodes {
		k.Nodes = append(k.Nodes, w.Node(n))
	}
	return k
}

// look sees what servers say, and whom members take for alive.
func (w *watcher) look() {
	w.see()
	w.members.look()
}

// see holds what the servers say against what they said, and against each other.
func (w *watcher) see() {
	names := w.run.plan.names()
	seen, nodes := make([]raftsafety.Observation, 0, len(names)), make([]*consensus.Node, 0, len(names))
	for _, name := range names {
		a := w.run.agents[name]
		if a == nil || w.run.world.Node(name).Paused() {
			continue
		}
		nodes = append(nodes, a.Server().Raft())
		seen = append(seen, observe(w.run.world.Node(name), a.Server().Advertise(), a.Server().Raft()))
	}
	// A leader has its votes before it leads, so votes are looked at after that.
	open := seen[:0]
	for i, n := range nodes {
		v := n.Vote()
		if !n.Closed() { // what it could not write is not its word
			seen[i].VoteTerm, seen[i].VotedFor = v.Term, hostOf(v.For)
			open = append(open, seen[i])
		}
	}
	seen = open
	for _, o := range w.raft.See(seen) {
		reign := Reign{At: w.run.world.Now(), Term: o.Term, Server: o.Server}
		w.deposed(reign)
		w.reigns = append(w.reigns, reign)
	}
	led, committed := false, w.commits.by(w.run.world.Now())
	for _, o := range seen {
		led, committed = led || o.Leader, max(committed, o.Committed)
		w.stillLeads(o)
		w.quorum(o)
	}
	w.leadership(led)
	if now := w.run.world.Now(); committed > w.commits.by(now) {
		w.commits = append(w.commits, commit{now, committed})
	}
}

// panicked complains about a process that ended by a panic, and reports whether it did.
func (w *watcher) panicked(name string, err error) bool {
	var p *sim.PanicError
	if !errors.As(err, &p) {
		return false
	}
	text, _, _ := strings.Cut(strings.TrimSpace(p.Text), "\n")
	w.run.world.Violate("no panic", "%s: %s", name, text)
	return true
}

// works reports whether the client of a name works, if there is one. One that has ended
// though nobody stopped it is complained of: what it had still to do is not judged.
func (w *watcher) works(name string) bool {
	n := w.run.world.Node(name)
	switch {
	case n == nil:
		return false
	case !n.Running() && !w.panicked(name, n.Err()):
		w.run.world.Violate("clients go on", "%s has ended by itself: %v", name, n.Err())
	}
	return n.Running()
}

// places sees that servers know where they are.
func (w *watcher) places() {
	for _, name := range w.run.plan.names() {
		if a := w.run.agents[name]; a != nil {
			w.placed(name, a.Server().Coordinate())
		}
	}
}

// placed complains about a coordinate that is none. Whoever takes it has none
// afterwards either, so it spreads from node to node.
func (w *watcher) placed(name string, c *api.Coordinate) {
	if c != nil && coordinate.Check(c) != nil {
		w.run.world.Violate("coordinates", "%s lies at %v, with an error of %v, a height of %v and an adjustment of %v", name, c.Vec, c.Error, c.Height, c.Adjustment)
	}
}

// stillLeads takes note of until when a leader was seen leading.
func (w *watcher) stillLeads(o raftsafety.Observation) {
	for i := len(w.reigns) - 1; i >= 0 && o.Leader; i-- {
		if r := &w.reigns[i]; r.Server == o.Server && r.Term == o.Term {
			r.Until = w.run.world.Now()
			return
		}
	}
}

// observe is what a server says of itself.
func observe(node *sim.Node, address string, n *consensus.Node) raftsafety.Observation {
	s := n.Status()
	o := raftsafety.Observation{
		Server: node.Name(), ID: s.ID, Life: node.Starts(), Leader: s.Leader, Term: s.Term, First: s.First, Last: s.Last, End: s.End,
		Committed: s.Committed, Applied: s.Applied, Address: address, Silent: node.Disk().Stalled(),
		Entry: func(i uint64) (raftsafety.Entry, bool) {
			e, err := n.Entry(i) // an error: it was compacted meanwhile
			return raftsafety.Entry{Term: e.Term, Command: e.Command, Group: e.Kind == "LogConfiguration", Data: e.Data}, err == nil
		},
	}
	if s.Leader {
		o.Voters = voters(n)
	}
	return o
}

// voters are the IDs of the raft group as a server knows it.
func voters(n *consensus.Node) (ids []string) {
	group, err := n.Servers()
	if err != nil {
		return nil
	}
	for _, g := range group {
		if g.Voter {
			ids = append(ids, g.ID)
		}
	}
	return ids
}

// hostOf is the host of an address with a port, empty for what is none.
func hostOf(address string) string {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return ""
	}
	return a.Addr().String()
}

// leadership takes note of the times without a leader.
func (w *watcher) leadership(led bool) {
	now := w.run.world.Now()
	if led && !w.led {
		w.leaderless = append(w.leaderless, outage.Span{From: w.since, To: now})
	}
	if !led && w.led {
		w.since = now
	}
	w.led = led
}

// report puts what was seen into a result, when all is over.
func (w *watcher) report(r *Result) {
	w.leadership(true)
	w.run.world.Reap() // those who wait for processes to end would come too late
	for _, n := range w.run.world.Nodes() {
		w.panicked(n.Name(), n.Err())
	}
	r.Reigns, r.Figures.Leaderless = w.reigns, w.leaderless
	r.Figures.Detection = w.members.result()
}

// equal reports whether all servers have applied the same entries and have the
// same state.
func (w *watcher) equal() (bool, string) {
	_, _, err := w.applied()
	if err != nil {
		return false, err.Error()
	}
	return true, ""
}

// applied is the index up to which all servers have applied entries, and the digest of
// their state; the error says which of them differ.
func (w *watcher) applied() (index uint64, digest string, err error) {
	first := ""
	for _, name := range w.run.plan.names() {
		a := w.run.agents[name]
		if a == nil {
			return 0, "", fmt.Errorf("%s does not run", name)
		}
		s := a.Server().Raft().Status()
		d, err := a.Server().StateDigest()
		if err != nil {
			return 0, "", err
		}
		if first == "" {
			first, index, digest = name, s.Applied, d
			continue
		}
		if s.Applied != index {
			return 0, "", fmt.Errorf("%s has applied entries up to %d, %s up to %d of %d committed", first, index, name, s.Applied, s.Committed)
		}
		if d != digest {
			return 0, "", fmt.Errorf("%s and %s have both applied entries up to %d, and their states differ", first, name, index)
		}
	}
	return index, digest, nil
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
func (w *watcher) quorum(o raftsafety.Observation) {
	voters, made := len(o.Voters), w.run.plan.Scenario.Topology.Servers
	if voters > 0 && voters < made/2+1 && !w.shrunk {
		w.shrunk = true
		w.run.world.Violate("size of the raft group", "%s leads a group of %d, which was made for %d", o.Server, voters, made)
	}
}

// membership watches who takes whom for alive, and how long it takes until a dead
// member is found out.
type membership struct {
	run      *run
	lived    map[string]bool          // that have run at all
	gone     map[string]time.Duration // since when those are gone that are, and that nobody has found out
	known    map[string]bool          // whose death was found out
	detected []time.Duration          // by death
	missed   int                      // deaths that were over before anybody found out
	doubts   map[string]time.Duration // when a live server last took a member for dead, if there are renamers
}

func newMembership(r *run) *membership {
	return &membership{run: r, lived: map[string]bool{}, gone: map[string]time.Duration{}, known: map[string]bool{}, doubts: map[string]time.Duration{}}
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
	names := m.run.plan.Scenario.Workload.Renamers > 0 // somebody wants the names of the dead
	if len(m.gone) == 0 && !names {
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
				if names && status != gossip.StatusAlive {
					m.doubts[name] = m.run.world.Now()
				}
			}
		}
	}
}

// doubtLasts is how long the catalog may say that a member is dead when gossip no longer
// does.
const doubtLasts = 10 * time.Second

// doubted reports whether a member is taken for dead, or was just now.
func (m *membership) doubted(name string) bool {
	at, ok := m.doubts[name]
	return ok && m.run.world.Now()-at <= doubtLasts
}

// sees takes note of what a live server takes a member for. One that has left in order
// needs not be found out, and one that is taken for failed as it dies has died before,
// and was back for too short a time.
func (m *membership) sees(name string, status int) {
	since, dead := m.gone[name]
	if !dead || status == gossip.StatusAlive {
		return
	}
	if took := m.run.world.Now() - since; status == gossip.StatusFailed && took > 0 {
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
		if s := seen[other]; s != gossip.StatusAlive {
			return fmt.Sprintf("%s lives, and in the eyes of %s its state is %d", other, name, s)
		}
	}
	return ""
}

// toJoin are the servers that an agent is told to join.
func toJoin(r *run, name string) []string {
	if r.plan.Scenario.Agent.JoinOnce && r.world.Node(name).Starts() > 1 {
		return nil
	}
	return slices.Clone(r.plan.names())
}

// checked sees that nobody finds a service without its checks, which would count as
// passing, and that no node is lost.
func (f *fleet) checked() {
	a := f.run.agents[f.run.leader()]
	if a == nil || len(f.sites) == 0 {
		return
	}
	for _, name := range []string{webService, jobService, dynamic} {
		r := stale("")
		r.Service = name
		found, err := a.Server().HealthOfService(context.Background(), r)
		if err != nil {
			continue
		}
		f.unchecked(found.Items)
	}
	if found, err := a.Server().Nodes(context.Background(), stale("")); err == nil {
		f.lost(found.Items, found.Index)
	}
}

// lost complains about agents that are not in the catalog any more, though none of
// them left: even one that is dead stays there for three days.
func (f *fleet) lost(nodes []api.Node, index uint64) {
	if slices.ContainsFunc(f.run.plan.Strikes, func(s nemesis.Strike) bool { return s.Kind == leaveKind }) {
		return
	}
	for _, name := range f.run.plan.agents() {
		at, known := f.enrolled[name]
		switch there := slices.ContainsFunc(nodes, func(n api.Node) bool { return n.Node == name }); {
		case f.usurped[name]:
		case there:
			f.enrolled[name] = max(at, index)
		case known && index >= at: // the leader is not behind
			delete(f.enrolled, name)
			f.run.world.Violate("nodes stay in the catalog", "%s was deregistered, and did not leave", name)
		}
	}
}

// unchecked complains about instances without a check of their own.
func (f *fleet) unchecked(found []api.CheckServiceNode) {
	for _, i := range found {
		if !slices.ContainsFunc(i.Checks, func(c api.HealthCheck) bool { return c.ServiceID == i.Service.ID }) {
			f.run.world.Violate("services with their checks", "%s of %s is in the catalog without a check", i.Service.ID, i.Node.Node)
		}
	}
}
