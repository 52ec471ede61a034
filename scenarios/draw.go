package scenarios

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"tribune/sim/nemesis"
)

// Draw draws from the seed a scenario near s in which everything is said: a storm, if s
// is one; otherwise from the bounds in s.Explore and, where those say nothing, near what
// s says. Where a check of s depends on who is there and what strikes (an outage of at
// most so long, an anomaly that must show), nothing is drawn that s.Explore does not
// name: the scenario could not be judged any more.
func Draw(s Scenario, seed uint64) Scenario {
	if s.Storm {
		s = storm(s, seed)
	} else {
		d := drawing{seed: seed, from: s, s: s, bounds: s.bounds()}
		s = d.all()
	}
	s.Storm, s.Seed, s.Explore = false, seed, Explore{}
	return s
}

// storm draws a scenario: not only when faults strike but the knobs themselves,
// which faults there are at all, how often and how hard, how many servers, what
// the clients do (Groce et al., Swarm Testing, 2012: runs that each leave
// something out find more than runs that all have everything).
func storm(s Scenario, seed uint64) Scenario {
	d := drawing{seed: seed, from: s, s: s, bounds: s.bounds()}
	d.s.Explore = Explore{}
	d.wild()
	return d.all()
}

// bounds are those from which the scenario is drawn: what it says, and what goes without
// saying.
func (s Scenario) bounds() Explore {
	if s.Storm {
		return s.Explore.orElse(stormBounds())
	}
	e := s.Explore.orElse(near(s))
	if len(e.Kinds) == 0 && len(e.Faults)+len(e.Targets)+len(e.On) > 0 {
		e.Kinds = s.kinds()
	}
	return e
}

// kinds are those of the scenario's faults that any cluster should outlive, however many
// of them there are; all of these if it has none.
func (s Scenario) kinds() []string {
	stormy := nemesis.Stormy().Kinds
	var kinds []string
	for _, f := range s.Faults {
		if slices.Contains(stormy, f.Kind) && !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	if len(kinds) == 0 {
		return stormy
	}
	return kinds
}

// stormBounds are those of a storm that says none.
func stormBounds() Explore {
	times := func(low, high time.Duration) []Duration { return []Duration{{Duration: low}, {Duration: high}} }
	return Explore{
		Servers: []int{3, 7}, Agents: []int{0, 5}, Clients: []int{2, 6},
		Rate: []float64{10, 70}, Keys: []int{1, 8}, Reads: []string{"consistent", "consistent", "consistent", "consistent", "default", "stale"},
		Crowds: Crowds{
			Watchers: []int{0, 3}, PrefixWatchers: []int{0, 2}, HealthWatchers: []int{0, 3}, Registrars: []int{0, 3},
			Contenders: []int{0, 4}, Heralds: []int{0, 2}, Tellers: []int{0, 2},
		},
		Network: []string{"lan", "lan", "wan", "geo:aws"},
		Sync:    times(100*time.Microsecond, 20*time.Millisecond), Skew: times(second, 10*minute),
		Kinds: nemesis.Stormy().Kinds,
	}
}

// near are the bounds of a scenario that is no storm and says none: half as much as it
// has to twice as much, and nobody whom it does not have.
func near(s Scenario) Explore {
	if s.Delicate() {
		return Explore{}
	}
	half := func(n, least int) []int {
		if n == 0 {
			return nil
		}
		return []int{min(max(n/2, least), n), max(n, min(2*n, 100))}
	}
	t, w := s.Topology, s.Workload
	e := Explore{
		Clients: half(t.Clients, 2), Agents: half(t.Agents, 1), Keys: half(w.Keys, 1), Rate: []float64{w.Rate / 2, min(2*w.Rate, 10000)},
		Crowds: Crowds{
			Watchers: half(w.Watchers, 1), PrefixWatchers: half(w.PrefixWatchers, 1), HealthWatchers: half(w.HealthWatchers, 1), Registrars: half(w.Registrars, 1),
			Contenders: half(w.Contenders, 1), Renamers: half(w.Renamers, 1), Heralds: half(w.Heralds, 1), Tellers: half(w.Tellers, 1),
		},
	}
	if t.Servers >= 3 {
		e.Servers = []int{max(3, t.Servers-2), min(t.Servers+2, 21)}
	}
	e.Kinds = s.kinds()
	return e
}

// Delicate reports whether what the scenario expects depends on who is there and on
// what strikes when: one of its checks does, or its renamers, whom only faults that spare
// client agents let be judged, or one of its faults is such that a cluster outlives only
// few of them, and those only if little else is broken.
func (s Scenario) Delicate() bool {
	c := s.Checks
	for _, f := range s.Faults {
		if f.Kind == "bit-rot" || f.Kind == leaveKind {
			return true
		}
	}
	words := []string{c.Linearizable, c.Sequential, c.Staleness, c.Durable, c.Leaks, c.Transactions, c.Locks, c.Invariants, c.Recovery, c.Exclusive}
	return slices.Contains(words, violated) || s.Workload.Renamers > 0 || c.Bounds != "" || c.Reigns != "" || c.Outage.Duration > 0 || c.Behind.Duration > 0
}

// orElse are the bounds, with others where they say nothing.
func (e Explore) orElse(others Explore) Explore {
	fill(reflect.ValueOf(&e).Elem(), reflect.ValueOf(others))
	return e
}

// fill sets the lists of a struct that are empty.
func fill(said, usual reflect.Value) {
	for i := range said.NumField() {
		if said.Field(i).Kind() == reflect.Struct {
			fill(said.Field(i), usual.Field(i))
		} else if said.Field(i).Len() == 0 {
			said.Field(i).Set(usual.Field(i))
		}
	}
}

// drawing draws a scenario. Everything has a stream of its own, so that a bound that is
// taken away leaves all other draws as they were.
type drawing struct {
	seed   uint64
	from   Scenario // whose bounds they are
	s      Scenario // what is drawn
	bounds Explore
}

// stream is that of one thing that is drawn.
func (d *drawing) stream(what string) *rand.Rand { return stream(d.seed, "draw "+what) }

func (d *drawing) all() Scenario {
	e, t, w := d.bounds, &d.s.Topology, &d.s.Workload
	d.servers()
	for _, number := range []struct {
		what    string
		between []int
		into    *int
	}{
		{"agents", e.Agents, &t.Agents}, {"clients", e.Clients, &t.Clients}, {"keys", e.Keys, &w.Keys},
		{"watchers", e.Watchers, &w.Watchers}, {"prefix watchers", e.PrefixWatchers, &w.PrefixWatchers},
		{"health watchers", e.HealthWatchers, &w.HealthWatchers}, {"registrars", e.Registrars, &w.Registrars},
		{"contenders", e.Contenders, &w.Contenders}, {"renamers", e.Renamers, &w.Renamers},
		{"heralds", e.Heralds, &w.Heralds}, {"tellers", e.Tellers, &w.Tellers},
	} {
		d.number(number.what, number.between, number.into)
	}
	if len(e.Rate) == 2 {
		rate := e.Rate[0] + d.stream("rate").Float64()*(e.Rate[1]-e.Rate[0])
		w.Rate = min(max(math.Round(rate), e.Rate[0]), e.Rate[1])
	}
	if len(e.Reads) > 0 {
		w.Reads = e.Reads[d.stream("reads").IntN(len(e.Reads))]
		if w.Reads != "stale" {
			w.MaxStale.Duration = 0
		}
	}
	if len(e.Network) > 0 {
		d.s.Network.Model = e.Network[d.stream("network").IntN(len(e.Network))]
		if d.s.Network.Model != "lan" {
			d.multiply(max(d.s.Agent.RaftMultiplier, 2))
		}
	}
	d.span("sync", e.Sync, &d.s.Disk.Sync)
	if len(e.Skew) == 2 && d.stream("whether clocks agree").IntN(2) == 0 {
		d.span("skew", e.Skew, &d.s.Clocks.Skew)
	}
	if t.Agents == 0 {
		d.s = WithoutAgents(d.s)
	}
	if d.s.Schedule.Kind == "" && (d.s.Storm || !d.from.Delicate()) {
		d.s.Schedule = drawnSchedule(d.seed)
	}
	d.faults()
	d.checks()
	return d.s
}

// checks takes back what is expected of those who are not there, and what nobody promises:
// default reads may be stale, if a leader sleeps or its clock is slow.
func (d *drawing) checks() {
	c, w := &d.s.Checks, d.s.Workload
	if w.Contenders == 0 {
		c.Exclusive, c.Locks = holds, holds
	}
	if w.Tellers == 0 {
		c.Transactions = holds
	}
	if w.Reads != "default" {
		c.Behind.Duration = 0
	} else if c.Linearizable == holds {
		c.Linearizable = either
	}
}

// multiply sets the multiplier of raft's times, and the lag that goes with it.
func (d *drawing) multiply(by int) {
	if d.s.Checks.Lag.Duration == usualLag(d.s.Agent.RaftMultiplier) {
		d.s.Checks.Lag.Duration = usualLag(by)
	}
	d.s.Agent.RaftMultiplier = by
}

// servers draws how many there are. Even numbers outlive no more than odd ones.
func (d *drawing) servers() {
	if len(d.bounds.Servers) != 2 {
		return
	}
	var odd []int
	for n := d.bounds.Servers[0]; n <= d.bounds.Servers[1]; n++ {
		if n%2 == 1 {
			odd = append(odd, n)
		}
	}
	if len(odd) == 0 {
		odd = d.bounds.Servers
	}
	d.s.Topology.Servers = odd[d.stream("servers").IntN(len(odd))]
}

func (d *drawing) number(what string, between []int, into *int) {
	if len(between) != 2 {
		return
	}
	*into = uniform(d.stream(what), between)
}

// uniform draws a number between two; if the lower is 0, half of all draws are.
func uniform(r *rand.Rand, between []int) int {
	low, high := between[0], between[1]
	if low == 0 && high > 0 {
		if r.IntN(2) == 0 {
			return 0
		}
		low = 1
	}
	return low + r.IntN(high-low+1)
}

func (d *drawing) span(what string, between []Duration, into *Duration) {
	if len(between) == 2 {
		into.Duration = nemesis.LogUniform(d.stream(what), between[0].Duration, between[1].Duration)
	}
}

// wild draws what only storms draw.
func (d *drawing) wild() {
	if r := d.stream("snapshots"); r.IntN(2) == 0 {
		// Snapshots during the run, and followers that need one.
		d.s.Agent.SnapshotThreshold, d.s.Agent.TrailingLogs = 100, 20+r.IntN(100)
	}
	if d.stream("rates").IntN(3) == 0 {
		d.s.Clocks.Rates = []float64{0.95, 1.05}
	}
	r := d.stream("mix")
	d.s.Workload.Mix = map[string]int{"get": 20 + r.IntN(60), "put": 10 + r.IntN(40), "cas": r.IntN(30), "delete": r.IntN(10), "delete-cas": r.IntN(10)}
	if d.stream("via").IntN(2) == 0 {
		d.s.Workload.Via = "agents"
	}
	if d.stream("sessions").IntN(3) == 0 {
		d.s.Workload.Sessions = onHealth
	}
	if r := d.stream("max stale"); r.IntN(2) == 0 {
		d.s.Workload.MaxStale.Duration = nemesis.LogUniform(r, second, 10*second) // kept for stale reads
	}
}

// WithoutAgents is the scenario without client agents, and without those who need one.
func WithoutAgents(s Scenario) Scenario {
	usual := defaults().Workload
	s.Topology.Agents, s.Checks.Bounds = 0, ""
	w := &s.Workload
	w.Registrars, w.HealthWatchers, w.Renamers, w.Via, w.Sessions = 0, 0, 0, usual.Via, usual.Sessions
	s.Faults = s.Fitting(s.Faults)
	return s
}

// faults draws those, of the kinds that the bounds name. Those of the scenario that are
// of other kinds stay as they are; in a storm, all.
func (d *drawing) faults() {
	kept := slices.DeleteFunc(d.s.Fitting(d.s.Faults), func(f Fault) bool {
		return !d.s.Storm && slices.Contains(d.bounds.Kinds, f.Kind)
	})
	all := d.pool()
	if len(d.bounds.Faults) == 2 {
		n := uniform(d.stream("faults"), d.bounds.Faults)
		slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.rank, b.rank) })
		all = all[:max(min(n-len(kept), len(all)), 0)]
	} else {
		all = slices.DeleteFunc(all, func(c candidate) bool { return !c.taken })
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.place, b.place) })
	d.s.Faults = kept
	for _, c := range all {
		d.s.Faults = append(d.s.Faults, c.Fault)
	}
}

// candidate is a fault that may be taken.
type candidate struct {
	Fault
	place int     // in the order of kinds
	rank  float64 // those of the least are taken, where a number is wanted
	taken bool    // otherwise
}

// pool draws candidates: one of each kind, or as many of each as it takes to have the
// number that is wanted.
func (d *drawing) pool() []candidate {
	var all []candidate
	m := d.s.Mix(d.from)
	rounds := 1
	if len(d.bounds.Faults) == 2 && len(m.Kinds) > 0 {
		rounds = (d.bounds.Faults[1] + len(m.Kinds) - 1) / len(m.Kinds)
	}
	for round := range rounds {
		for _, kind := range m.Kinds {
			if !slices.Equal(m.Targets, []string{agentWord}) {
				all = append(all, d.candidate(m, kind, "servers", round)...)
			}
		}
		for _, kind := range kindsForAgents() {
			if d.s.Topology.Agents > 0 && slices.Contains(m.Kinds, kind) && (len(d.bounds.Targets) == 0 || slices.Contains(d.bounds.Targets, agentWord)) {
				all = append(all, d.candidate(nemesis.Mix{Percent: 50, Targets: []string{agentWord}, Shapes: []string{"isolate"}}, kind, "agents", round)...)
			}
		}
	}
	for i := range all {
		all[i].place = i
	}
	return all
}

// kindsForAgents are the kinds of faults that are drawn for client agents.
func kindsForAgents() []string {
	return []string{"partition", "reset", "kill", "power", "restart", "pause"}
}

// candidate draws a fault of a kind; none if the kind does not fit in the scenario.
func (d *drawing) candidate(m nemesis.Mix, kind, whom string, round int) []candidate {
	r := d.stream(fmt.Sprintf("fault %s of %s %d", kind, whom, round))
	c := candidate{rank: r.Float64(), taken: r.IntN(100) < m.Percent}
	m.Kinds, m.Percent = []string{kind}, 100
	for _, f := range nemesis.Random(r, d.s.Duration.Duration, m) {
		if fits := d.s.Fitting([]Fault{f}); len(fits) == 0 {
			f.Target = "" // expel takes none
		}
		if fits := d.s.Fitting([]Fault{f}); len(fits) > 0 {
			c.Fault = f
			return []candidate{c}
		}
	}
	return nil
}

// agentWord is any client agent, as a target.
const agentWord = "agent"

// Mix says from what the faults are drawn, or varied, of a scenario that was drawn from
// the bounds of another. It has no kinds if nothing of them is to be drawn.
func (s Scenario) Mix(from Scenario) nemesis.Mix {
	m, e := nemesis.Stormy(), from.bounds()
	m.Kinds, m.Points, m.Aimed, m.Together = e.Kinds, s.Cast().AllPoints(), 40, 10
	if len(e.On) > 0 {
		m.Points = slices.DeleteFunc(m.Points, func(p nemesis.Point) bool { return !slices.Contains(e.On, p.Name) })
	}
	if !from.Storm {
		m.Percent = 70
	}
	switch {
	case len(e.Targets) > 0:
		m.Targets = slices.DeleteFunc(slices.Clone(e.Targets), func(word string) bool { return word == agentWord })
		if len(m.Targets) == 0 {
			m.Targets, m.Shapes = []string{agentWord}, []string{"isolate"}
		}
	case slices.ContainsFunc(from.Faults, func(f Fault) bool { return f.Target == holderRole }):
		m.Targets = append(m.Targets, holderRole)
	}
	return m
}

// drawnSchedule draws in which order goroutines run: each kind finds what others
// do not.
func drawnSchedule(seed uint64) Schedule {
	r := stream(seed, "schedule")
	depth := 1 + r.IntN(4)
	switch r.IntN(10) {
	case 0, 1, 2, 3:
		return Schedule{Kind: "shuffle"}
	case 4, 5:
		return Schedule{Kind: "walk"}
	}
	return Schedule{Kind: "pct", Depth: depth}
}
