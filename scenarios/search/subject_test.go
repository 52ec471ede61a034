package search_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/scenarios"
	"tribune/scenarios/search"
)

// within complains about a scenario that is outside of the bounds of another. Of those
// who need a client agent there may be fewer: there may be no agent.
func within(t *rapid.T, c, from scenarios.Scenario) {
	e, w := from.Explore, c.Workload
	needy := c.Topology.Agents == 0
	for _, n := range []struct {
		what    string
		n       int
		between []int
		fewer   bool
	}{
		{"servers", c.Topology.Servers, e.Servers, false}, {"agents", c.Topology.Agents, e.Agents, false}, {"clients", c.Topology.Clients, e.Clients, false},
		{"keys", w.Keys, e.Keys, false}, {"watchers", w.Watchers, e.Watchers, false}, {"prefix watchers", w.PrefixWatchers, e.PrefixWatchers, false},
		{"health watchers", w.HealthWatchers, e.HealthWatchers, needy}, {"registrars", w.Registrars, e.Registrars, needy},
		{"contenders", w.Contenders, e.Contenders, false}, {"renamers", w.Renamers, e.Renamers, needy},
		{"heralds", w.Heralds, e.Heralds, false}, {"tellers", w.Tellers, e.Tellers, false},
		{"faults", len(c.Faults), e.Faults, false},
	} {
		if b := n.between; len(b) == 2 && (n.n > b[1] || n.n < b[0] && !n.fewer) {
			t.Fatalf("%d %s are not between %v:\n%s", n.n, n.what, b, scenarios.Write(c, ""))
		}
	}
	if len(e.Rate) == 2 && (w.Rate < e.Rate[0] || w.Rate > e.Rate[1]) {
		t.Fatalf("a rate of %v is not between %v", w.Rate, e.Rate)
	}
	for _, f := range c.Faults {
		if len(e.Kinds) > 0 && !slices.Contains(e.Kinds, f.Kind) && !slices.Contains(from.Faults, f) {
			t.Fatalf("a %s is none of %v", f.Kind, e.Kinds)
		}
	}
	if len(e.Network) > 0 && !slices.Contains(e.Network, c.Network.Model) || len(e.Reads) > 0 && !slices.Contains(e.Reads, w.Reads) {
		t.Fatalf("the network %s and the reads %s are not those of %+v", c.Network.Model, w.Reads, e)
	}
	fair(t, c, from)
}

// fair complains about a scenario of which is expected what nobody promises, or less than
// what is promised.
func fair(t *rapid.T, c, from scenarios.Scenario) {
	usual := func(s scenarios.Scenario) time.Duration {
		read, err := scenarios.Parse("usual.yaml", fmt.Appendf(nil, "agent: {raft_multiplier: %d}", s.Agent.RaftMultiplier))
		if err != nil {
			t.Fatal(err)
		}
		return read.Checks.Lag.Duration
	}
	if from.Checks.Lag.Duration == usual(from) && c.Checks.Lag.Duration != usual(c) {
		t.Fatalf("a lag of %v does not go with raft_multiplier %d", c.Checks.Lag, c.Agent.RaftMultiplier)
	}
	switch got, want := c.Checks.Linearizable, from.Checks.Linearizable; {
	case want == "holds" && c.Workload.Reads == "default":
		if got != "either" {
			t.Fatalf("default reads, and linearizable: %s", got)
		}
	case got != want:
		t.Fatalf("%s reads, and linearizable: %s, of %s", c.Workload.Reads, got, want)
	}
}

// anyBounds draws bounds.
func anyBounds(t *rapid.T) scenarios.Explore {
	pair := func(what string, low, high int) []int {
		if rapid.Bool().Draw(t, "no "+what) {
			return nil
		}
		a, b := rapid.IntRange(low, high).Draw(t, "least "+what), rapid.IntRange(low, high).Draw(t, "most "+what)
		return []int{min(a, b), max(a, b)}
	}
	some := func(what string, of ...string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(of), 0, 5).Draw(t, what)
	}
	e := scenarios.Explore{
		Servers: pair("servers", 1, 9), Agents: pair("agents", 0, 4), Clients: pair("clients", 1, 9), Keys: pair("keys", 1, 30),
		Crowds: scenarios.Crowds{
			Watchers: pair("watchers", 0, 9), PrefixWatchers: pair("prefix watchers", 0, 9), HealthWatchers: pair("health watchers", 0, 9), Registrars: pair("registrars", 0, 9),
			Contenders: pair("contenders", 0, 9), Renamers: pair("renamers", 0, 9), Heralds: pair("heralds", 0, 9), Tellers: pair("tellers", 0, 9),
		},
		Reads: some("reads", "consistent", "default", "stale"), Network: some("network", "lan", "wan", "geo:aws"),
		Faults: pair("faults", 0, 9), Kinds: some("kinds", "partition", "kill", "loss", "bit-rot", "leave", "expel", "disk-error"),
		Targets: some("targets", "leader", "random", "majority", "agent", "holder", "s1"), On: some("on", "elected", "snapshot-sent", "log-written"),
	}
	if rapid.Bool().Draw(t, "rates") {
		e.Rate = []float64{rapid.Float64Range(0.5, 20).Draw(t, "slow"), rapid.Float64Range(20, 200).Draw(t, "fast")}
	}
	return e
}

// TestWhatIsExploredIsWithinTheBounds: whatever the file and its bounds, what is drawn
// and what is made of that is a scenario, and within the bounds.
func TestWhatIsExploredIsWithinTheBounds(t *testing.T) {
	files, err := filepath.Glob("../*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	var all []*scenarios.Scenario
	for _, file := range files {
		s, err := scenarios.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		from := *rapid.SampledFrom(all).Draw(t, "file")
		if from.Storm {
			from.Faults = nil
		}
		from.Explore = anyBounds(t)
		// A file's own faults of other kinds stay, so there are as many at least; and a
		// fault that needs who need not be there may be left out.
		if pair := from.Explore.Faults; len(pair) == 2 {
			from.Explore.Faults = []int{0, max(pair[1], len(from.Faults))}
		}
		subject := search.Subject{From: from}
		number := rapid.Uint64Range(1, 1<<40).Draw(t, "number")
		c, other := subject.Fresh(number), subject.Fresh(number+1)
		for n := range uint64(8) {
			if err := c.Check(); err != nil {
				t.Fatalf("%v:\n%s", err, scenarios.Write(c, ""))
			}
			within(t, c, from)
			text := scenarios.Write(c, "")
			if _, err := scenarios.Parse("again.yaml", text); err != nil {
				t.Fatalf("%v:\n%s", err, text)
			}
			c, other = subject.Vary(number+2+n, c, other), c
		}
	})
}
