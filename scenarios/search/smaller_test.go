package search_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/scenarios"
	"tribune/scenarios/search"
	"tribune/sim"
	"tribune/sim/nemesis"
	"tribune/sim/shrink"
)

// plain is what a file says that says nothing.
func plain(t interface{ Fatal(...any) }) scenarios.Scenario {
	s, err := scenarios.Parse("plain.yaml", []byte("name: plain"))
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

// anyScenario draws a scenario in which anything may be said that is not a check.
func anyScenario(t *rapid.T) scenarios.Scenario {
	s := plain(t)
	number := func(what string, low, high int) int { return rapid.IntRange(low, high).Draw(t, what) }
	span := func(what string, d *scenarios.Duration, low, high time.Duration) {
		d.Duration = time.Duration(rapid.Int64Range(int64(low), int64(high)).Draw(t, what))
	}
	s.Topology = scenarios.Topology{Servers: number("servers", 1, 7), Agents: number("agents", 0, 3), Clients: number("clients", 1, 6)}
	s.Network.Model = rapid.SampledFrom([]string{"lan", "wan", "geo:aws"}).Draw(t, "network")
	s.Network.Loss, s.Network.Bandwidth = float64(number("loss", 0, 1))/100, int64(1e6*number("bandwidth", 0, 2))
	span("latency", &s.Network.Latency, 0, time.Second)
	s.Agent = scenarios.Agent{RaftMultiplier: number("multiplier", 1, 3), SnapshotThreshold: number("threshold", 0, 2), TrailingLogs: number("trailing", 0, 2), JoinOnce: rapid.Bool().Draw(t, "join once")}
	span("sync", &s.Disk.Sync, 0, time.Second)
	span("write", &s.Disk.Write, 0, time.Second)
	span("skew", &s.Clocks.Skew, 0, time.Minute)
	s.Clocks.Rates = rapid.SampledFrom([][]float64{nil, {0.9, 1.1}}).Draw(t, "rates")
	s.Schedule = rapid.SampledFrom([]scenarios.Schedule{{}, {Kind: "shuffle"}, {Kind: "walk"}, {Kind: "pct", Depth: 2}}).Draw(t, "schedule")
	w := &s.Workload
	w.Rate, w.Keys = float64(number("rate", 1, 100))/2, number("keys", 1, 9)
	w.Reads = rapid.SampledFrom([]string{"consistent", "default", "stale"}).Draw(t, "reads")
	if w.Reads == "stale" {
		span("max stale", &w.MaxStale, 0, time.Second)
	}
	w.Mix = rapid.MapOfN(rapid.SampledFrom([]string{"get", "put", "cas", "delete", "delete-cas"}), rapid.IntRange(1, 50), 1, 5).Draw(t, "mix")
	w.Twice = float64(number("twice", 0, 2)) / 10
	w.Stick = rapid.Bool().Draw(t, "stick")
	span("timeout", &w.Timeout, time.Second, 9*time.Second)
	span("lock-delay", &w.LockDelay, 0, 15*time.Second)
	for _, n := range []*int{&w.Watchers, &w.PrefixWatchers, &w.Contenders, &w.Heralds, &w.Tellers} {
		*n = number("others", 0, 4)
	}
	if s.Topology.Agents > 0 {
		w.Via, w.Sessions = rapid.SampledFrom([]string{"servers", "agents"}).Draw(t, "via"), rapid.SampledFrom([]string{"ttl", "health"}).Draw(t, "sessions")
		w.Registrars, w.HealthWatchers, w.Renamers = number("registrars", 0, 4), number("health watchers", 0, 4), number("renamers", 0, 4)
	}
	span("duration", &s.Duration, 5*time.Second, time.Minute)
	s.Seed = rapid.Uint64().Draw(t, "seed")
	m := s.Mix(s)
	m.Targets = append(slices.Clone(m.Targets), s.Cast().Servers...)
	s.Faults = nemesis.Random(sim.Stream(s.Seed, "faults"), s.Duration.Duration, m)
	if w.Contenders > 0 {
		s.Faults = append(s.Faults, scenarios.Fault{Kind: "expel"}, scenarios.Fault{Kind: "pause", Target: "holder"})
	}
	if s.Topology.Agents > 0 {
		s.Faults = append(s.Faults, scenarios.Fault{Kind: "kill", Target: "agent"}, scenarios.Fault{Kind: "leave", Target: "a1"})
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return s
}

// unusualFields lists the fields of a workload that are not as usual.
func unusualFields(w, usual scenarios.Workload) []string {
	var names []string
	for field, v := range reflect.ValueOf(w).Fields() {
		if !reflect.DeepEqual(v.Interface(), reflect.ValueOf(usual).FieldByName(field.Name).Interface()) {
			names = append(names, field.Name)
		}
	}
	return names
}

// unusual counts the values in a struct that are not as usual.
func unusual(said, usual reflect.Value) int {
	if said.Kind() != reflect.Struct {
		if reflect.DeepEqual(said.Interface(), usual.Interface()) {
			return 0
		}
		return 1
	}
	n := 0
	for i := range said.NumField() {
		n += unusual(said.Field(i), usual.Field(i))
	}
	return n
}

// size measures a scenario: of two, the one is smaller that is less in the first number
// in which they differ.
func size(t interface{ Fatal(...any) }, s scenarios.Scenario) []float64 {
	w := s.Workload
	var again, aimed, length float64
	for _, f := range s.Faults {
		if f.Every.Duration > 0 {
			again++
		}
		aimed += float64(f.Nth + f.Times)
		length += (f.At.Duration + f.For.Duration + f.By.Abs() + f.After.Duration).Seconds() + f.Rate + f.Duplicate + f.Reorder
	}
	nodes := s.Topology.Servers + s.Topology.Agents + s.Topology.Clients + w.Registrars + w.Contenders + w.Watchers +
		w.PrefixWatchers + w.HealthWatchers + w.Renamers + w.Heralds + w.Tellers
	weights := 0
	for _, n := range w.Mix {
		weights += n
	}
	usual := plain(t)
	strange := 0
	for _, part := range [][2]any{{s.Network, usual.Network}, {s.Agent, usual.Agent}, {s.Disk, usual.Disk}, {s.Clocks, usual.Clocks}, {s.Schedule, usual.Schedule}} {
		strange += unusual(reflect.ValueOf(part[0]), reflect.ValueOf(part[1]))
	}
	u := usual.Workload
	u.Rate, u.Keys, u.Mix = w.Rate, w.Keys, w.Mix
	strange += unusual(reflect.ValueOf(w), reflect.ValueOf(u))
	return []float64{again, float64(len(s.Faults)), float64(nodes), s.Duration.Seconds(), w.Rate, float64(w.Keys), float64(weights), float64(strange), aimed, length}
}

func TestWhatIsSmallerIsAScenarioAndSmaller(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyScenario(t)
		before, was := size(t, s), fmt.Sprintf("%+v", s)
		for _, c := range search.Smaller(s) {
			if err := c.Case.Check(); err != nil {
				t.Fatalf("%s makes no sense: %v", c.What, err)
			}
			if after := size(t, c.Case); slices.Compare(after, before) >= 0 {
				t.Fatalf("%s is %v, and what it was made from %v\n%s", c.What, after, before, scenarios.Write(s, ""))
			}
		}
		if now := fmt.Sprintf("%+v", s); now != was {
			t.Fatalf("listing what is smaller made\n%s\nof\n%s", now, was)
		}
	})
}

// TestEverythingCanVanish: when everything fails, nothing is left.
func TestEverythingCanVanish(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyScenario(t)
		least, err := shrink.Smallest(context.Background(), s, shrink.Options[scenarios.Scenario]{
			Candidates: search.Smaller,
			Fails:      func(context.Context, scenarios.Scenario) (bool, error) { return true, nil },
			Key:        func(s scenarios.Scenario) string { return string(scenarios.Write(s, "")) },
		})
		if err != nil {
			t.Fatal(err)
		}
		want := plain(t)
		want.Seed, want.Duration, want.Faults = s.Seed, least.Duration, least.Faults
		want.Topology = scenarios.Topology{Servers: 1, Clients: 1}
		want.Workload.Rate, want.Workload.Keys, want.Workload.Mix = 1, 1, least.Workload.Mix
		if s.Workload.Rate < 2 {
			want.Workload.Rate = s.Workload.Rate
		}
		if !reflect.DeepEqual(least, want) || len(least.Faults) > 0 || len(least.Workload.Mix) != 1 || least.Duration.Seconds() > 7 {
			t.Fatalf("what is left is\n%swant\n%s", scenarios.Write(least, ""), scenarios.Write(want, ""))
		}
	})
}

// TestEachPartOfAWorkloadCanVanishAlone: whatever else is needed for a failure, what is
// not can go; and the scenarios that are tried here have all that a workload can have.
func TestEachPartOfAWorkloadCanVanishAlone(t *testing.T) {
	usual := plain(t).Workload
	had := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		s := anyScenario(t)
		alone := map[string]bool{}
		for _, c := range search.Smaller(s) {
			if changed := unusualFields(c.Case.Workload, s.Workload); len(changed) == 1 && c.Case.Topology == s.Topology {
				alone[changed[0]] = true
			}
		}
		for _, field := range unusualFields(s.Workload, usual) {
			had[field] = true
			needed := field == "Reads" && s.Workload.MaxStale.Duration > 0
			least := field == "Keys" && s.Workload.Keys == 1 || field == "Rate" && s.Workload.Rate < 2
			only := field == "Mix" && len(s.Workload.Mix) == 1
			if !alone[field] && !needed && !least && !only {
				t.Fatalf("nothing takes %s away alone from\n%s", field, scenarios.Write(s, ""))
			}
		}
	})
	for field := range reflect.TypeFor[scenarios.Workload]().Fields() {
		if !had[field.Name] {
			t.Errorf("no scenario had %s: anyScenario must draw it", field.Name)
		}
	}
}

// TestBoldStepsAreTriedWithSeveralSeeds: in a storm of many faults half of them go with
// several seeds, the own one first, and one goes with the own one; of few faults each goes
// with several.
func TestBoldStepsAreTriedWithSeveralSeeds(t *testing.T) {
	seeds := func(faults, left int) (all []uint64) {
		s := plain(t)
		s.Seed = 9
		for range faults {
			s.Faults = append(s.Faults, scenarios.Fault{Kind: "kill", Target: "leader"})
		}
		for _, c := range search.Smaller(s) {
			if len(c.Case.Faults) == left {
				all = append(all, c.Case.Seed)
			}
		}
		return all
	}
	if got, want := seeds(16, 8), []uint64{9, 1, 2, 3, 4, 9, 1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("half of 16 faults are tried with the seeds %v, want %v", got, want)
	}
	if got, want := seeds(16, 15), slices.Repeat([]uint64{9}, 16); !slices.Equal(got, want) {
		t.Errorf("15 of 16 faults are tried with the seeds %v, want %v", got, want)
	}
	if got, want := seeds(3, 2), slices.Repeat([]uint64{9, 1, 2, 3, 4}, 3); !slices.Equal(got, want) {
		t.Errorf("two of three faults are tried with the seeds %v, want %v", got, want)
	}
}
