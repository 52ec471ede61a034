package search

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"tribune/scenarios"
	"tribune/sim/nemesis"
	"tribune/sim/shrink"
)

// Smaller lists scenarios that are smaller than s and may fail as well, the boldest
// first: shorter, with fewer faults, fewer nodes and less work, nearer to what is
// usual, and in the end with plainer faults. What makes runs quicker comes before what
// only makes the file easier to read. What is bold is listed with several seeds.
func Smaller(s scenarios.Scenario) []shrink.Candidate[scenarios.Scenario] {
	l := list{from: s, seeds: 1}
	if len(s.Faults) >= several {
		l.seeds = bold
	}
	l.faults(nemesis.FewerKinds(s.Faults))
	l.shorter()
	l.nobody()
	l.seeds = bold // also of few: one may be there only because it makes the moment right
	l.faults(s.Cast().Fewer(s.Faults, s.Seed, s.Duration.Duration))
	l.seeds = 1
	l.fewerNodes()
	l.lessWork()
	l.usual()
	l.faults(nemesis.Plainer(s.Faults))
	return l.all
}

const (
	bold    = 5 // with how many seeds a bold step is tried
	several = 4 // how many faults make a run chaotic
)

// list collects candidates.
type list struct {
	from  scenarios.Scenario
	seeds int // with how many seeds each is listed
	all   []shrink.Candidate[scenarios.Scenario]
}

// add adds what change makes of a copy, if that is a scenario at all. Faults that
// make no sense any more, since what they need was taken away, go with it. Nothing
// may be written to that the copy shares with the original: lists are replaced.
func (l *list) add(what string, change func(*scenarios.Scenario)) {
	s := l.from
	change(&s)
	if s.Check() != nil {
		if s.Faults = s.Fitting(s.Faults); s.Check() != nil {
			return
		}
	}
	for i, seed := range shrink.Seeds(s.Seed, l.seeds) {
		c := shrink.Candidate[scenarios.Scenario]{Case: s, What: what}
		if c.Case.Seed = seed; i > 0 {
			c.What = fmt.Sprintf("%s, with seed %d", what, seed)
		}
		l.all = append(l.all, c)
	}
}

// least is the shortest phase of faults that is tried: agents must have started.
const least = 5 * time.Second

func (l *list) shorter() {
	for _, part := range shrink.Shorter(l.from.Duration.Duration, least) {
		l.add(fmt.Sprintf("faults for %v", part), func(s *scenarios.Scenario) { s.Duration.Duration = part })
	}
}

// faults lists other faults: the more of them go, the more seeds are tried.
func (l *list) faults(all []shrink.Candidate[[]scenarios.Fault]) {
	most := l.seeds
	defer func() { l.seeds = most }()
	for _, c := range all {
		switch gone := len(l.from.Faults) - len(c.Case); {
		case 4*gone >= len(l.from.Faults):
			l.seeds = most
		case 10*gone >= len(l.from.Faults):
			l.seeds = (most + 1) / 2
		default:
			l.seeds = 1
		}
		l.add(c.What, func(s *scenarios.Scenario) { s.Faults = c.Case })
	}
}

// crowd is a sort of clients beside those who read and write.
type crowd struct {
	name string
	of   func(*scenarios.Workload) *int
}

func crowds() []crowd {
	return []crowd{
		{"registrars", func(w *scenarios.Workload) *int { return &w.Registrars }},
		{"contenders", func(w *scenarios.Workload) *int { return &w.Contenders }},
		{"watchers", func(w *scenarios.Workload) *int { return &w.Watchers }},
		{"prefix watchers", func(w *scenarios.Workload) *int { return &w.PrefixWatchers }},
		{"health watchers", func(w *scenarios.Workload) *int { return &w.HealthWatchers }},
		{"renamers", func(w *scenarios.Workload) *int { return &w.Renamers }},
		{"heralds", func(w *scenarios.Workload) *int { return &w.Heralds }},
		{"tellers", func(w *scenarios.Workload) *int { return &w.Tellers }},
	}
}

// nobody takes all of those away who are alike, with what is said of them.
func (l *list) nobody() {
	if l.from.Topology.Agents > 0 {
		l.add("no client agents", func(s *scenarios.Scenario) { *s = scenarios.WithoutAgents(*s) })
	}
	for _, c := range crowds() {
		if *c.of(&l.from.Workload) > 0 {
			l.add("no "+c.name, func(s *scenarios.Scenario) { *c.of(&s.Workload) = 0 })
		}
	}
	if l.from.Workload.Via == "agents" {
		l.add("clients talk to servers", func(s *scenarios.Scenario) { s.Workload.Via = usual().Workload.Via })
	}
}

// fewerNodes leaves some of those away who are alike.
func (l *list) fewerNodes() {
	for _, n := range []int{1, 3, 5} {
		if n < l.from.Topology.Servers {
			l.add(fmt.Sprintf("%d servers", n), func(s *scenarios.Scenario) {
				s.Faults = among(s.Faults, s.Topology.Servers, n)
				s.Topology.Servers = n
			})
		}
	}
	l.halves("client agents", 1, func(s *scenarios.Scenario) *int { return &s.Topology.Agents })
	l.halves("clients", 1, func(s *scenarios.Scenario) *int { return &s.Topology.Clients })
	for _, c := range crowds() {
		l.halves(c.name, 1, func(s *scenarios.Scenario) *int { return c.of(&s.Workload) })
	}
}

// among has faults that strike a server that there is not any more strike another.
func among(faults []scenarios.Fault, before, after int) []scenarios.Fault {
	faults = slices.Clone(faults)
	for i := range faults {
		for n := after + 1; n <= before; n++ {
			gone, instead := fmt.Sprintf("s%d", n), fmt.Sprintf("s%d", (n-1)%after+1)
			for _, word := range []*string{&faults[i].Target, &faults[i].Of} {
				if *word == gone {
					*word = instead
				}
			}
		}
	}
	return faults
}

// halves makes a number that is more than the least half as large, and one less.
func (l *list) halves(what string, least int, of func(*scenarios.Scenario) *int) {
	n := *of(&l.from)
	for _, fewer := range []int{n / 2, n - 1} {
		if fewer >= least && (fewer == n/2 || n/2 < n-1) {
			l.add(fmt.Sprintf("%d %s", fewer, what), func(s *scenarios.Scenario) { *of(s) = fewer })
		}
	}
}

// lessWork has clients do less, and fewer things.
func (l *list) lessWork() {
	w := l.from.Workload
	if half := float64(int(w.Rate / 2)); half >= 1 {
		l.add(fmt.Sprintf("%.0f operations a second", half), func(s *scenarios.Scenario) { s.Workload.Rate = half })
	}
	l.halves("keys", 1, func(s *scenarios.Scenario) *int { return &s.Workload.Keys })
	even := map[string]int{}
	for kind, weight := range w.Mix {
		if weight > 0 {
			even[kind] = 1
		}
	}
	if !maps.Equal(even, w.Mix) {
		l.add("all kinds of operations as often", func(s *scenarios.Scenario) { s.Workload.Mix = even })
	}
	for _, kind := range slices.Sorted(maps.Keys(w.Mix)) {
		if w.Mix[kind] > 0 {
			l.add("no "+kind, func(s *scenarios.Scenario) {
				s.Workload.Mix = maps.Clone(s.Workload.Mix)
				delete(s.Workload.Mix, kind)
			})
		}
	}
}

// usual is what a file says that says nothing.
func usual() scenarios.Scenario {
	s, err := scenarios.Parse("usual.yaml", []byte("name: usual"))
	if err != nil {
		panic(fmt.Sprintf("a file with nothing but a name is refused: %v", err))
	}
	return *s
}

// usual takes back what the scenario says of the world and of what clients do, much at
// once and then by and by.
func (l *list) usual() {
	plain := usual()
	for _, part := range []struct {
		what string
		of   func(*scenarios.Scenario) any // a pointer to it
	}{
		{"the usual network", func(s *scenarios.Scenario) any { return &s.Network }},
		{"the usual settings", func(s *scenarios.Scenario) any { return &s.Agent }},
		{"fast disks", func(s *scenarios.Scenario) any { return &s.Disk }},
		{"true clocks", func(s *scenarios.Scenario) any { return &s.Clocks }},
		{"the usual schedule", func(s *scenarios.Scenario) any { return &s.Schedule }},
		{"reads of any age", func(s *scenarios.Scenario) any { return &s.Workload.MaxStale }},
		{"the usual reads", func(s *scenarios.Scenario) any { return &s.Workload.Reads }},
		{"no two writes at once", func(s *scenarios.Scenario) any { return &s.Workload.Twice }},
		{"clients that go to any server", func(s *scenarios.Scenario) any { return &s.Workload.Stick }},
		{"the usual timeout", func(s *scenarios.Scenario) any { return &s.Workload.Timeout }},
		{"the usual sessions", func(s *scenarios.Scenario) any { return &s.Workload.Sessions }},
		{"the usual lock-delay", func(s *scenarios.Scenario) any { return &s.Workload.LockDelay }},
		{"the network's own latency", func(s *scenarios.Scenario) any { return &s.Network.Latency }},
		{"the network's own loss", func(s *scenarios.Scenario) any { return &s.Network.Loss }},
		{"the network's own bandwidth", func(s *scenarios.Scenario) any { return &s.Network.Bandwidth }},
		{"the usual kind of network", func(s *scenarios.Scenario) any { return &s.Network.Model }},
		{"the usual pace of raft", func(s *scenarios.Scenario) any { return &s.Agent.RaftMultiplier }},
		{"the usual snapshots", func(s *scenarios.Scenario) any { return &s.Agent.SnapshotThreshold }},
		{"the usual trailing logs", func(s *scenarios.Scenario) any { return &s.Agent.TrailingLogs }},
		{"agents that are always told whom to join", func(s *scenarios.Scenario) any { return &s.Agent.JoinOnce }},
		{"fast syncs", func(s *scenarios.Scenario) any { return &s.Disk.Sync }},
		{"fast writes", func(s *scenarios.Scenario) any { return &s.Disk.Write }},
		{"clocks that agree", func(s *scenarios.Scenario) any { return &s.Clocks.Skew }},
		{"clocks that go right", func(s *scenarios.Scenario) any { return &s.Clocks.Rates }},
	} {
		was := reflect.ValueOf(part.of(&l.from)).Elem()
		is := reflect.ValueOf(part.of(&plain)).Elem()
		if !reflect.DeepEqual(was.Interface(), is.Interface()) {
			l.add(part.what, func(s *scenarios.Scenario) { reflect.ValueOf(part.of(s)).Elem().Set(is) })
		}
	}
}
