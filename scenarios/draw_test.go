package scenarios_test

import (
	"iter"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/scenarios"
)

func TestTheLagGoesWithTheRaftMultiplier(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"seeds: 1": 600 * time.Millisecond, "agent: {raft_multiplier: 10}": 5100 * time.Millisecond,
		"agent: {raft_multiplier: 10}\nchecks: {lag: 7s}": 7 * time.Second,
	} {
		s, err := scenarios.Parse("x.yaml", []byte(text+"\nexplore: {network: [wan]}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Checks.Lag.Duration; got != want {
			t.Errorf("with %q the lag is %v, want %v", text, got, want)
		}
		drawn := scenarios.Draw(*s, 1)
		if s.Agent.RaftMultiplier == 1 {
			want = 1100 * time.Millisecond // a wide network doubles raft's times
		}
		if got := drawn.Checks.Lag.Duration; got != want {
			t.Errorf("with %q and a raft multiplier of %d the lag is drawn as %v, want %v", text, drawn.Agent.RaftMultiplier, got, want)
		}
	}
}

// bounded is a scenario that says all bounds there are.
func bounded(t *testing.T) scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Parse("bounded.yaml", []byte(`
topology: {servers: 5, agents: 2, clients: 4}
workload: {watchers: 1, tellers: 2, contenders: 1}
faults:
  - {kind: kill, target: leader, at: 8s}
explore:
  servers: [3, 9]
  agents: [1, 4]
  clients: [1, 9]
  rate: [10, 80]
  keys: [1, 30]
  reads: [consistent, stale]
  watchers: [0, 9]
  prefix_watchers: [0, 9]
  health_watchers: [0, 9]
  registrars: [0, 9]
  contenders: [0, 9]
  renamers: [0, 9]
  heralds: [0, 9]
  tellers: [0, 9]
  network: [lan, wan]
  sync: [1ms, 20ms]
  skew: [1s, 10m]
  faults: [1, 9]
  kinds: [partition, kill, pause, disk-slow]
  targets: [leader, random, agent]
  on: [elected, log-written]
`))
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

// parts are what each bound decides, as far as nothing else does. Who is there decides
// which faults make sense.
func parts() map[string]func(*scenarios.Scenario) {
	return map[string]func(*scenarios.Scenario){
		"Servers": func(s *scenarios.Scenario) { s.Topology.Servers = 0 },
		"Agents": func(s *scenarios.Scenario) {
			w := &s.Workload
			s.Topology.Agents, s.Faults, w.HealthWatchers, w.Registrars, w.Renamers, w.Via, w.Sessions = 0, nil, 0, 0, 0, "", ""
		},
		"Clients": func(s *scenarios.Scenario) { s.Topology.Clients = 0 }, "Rate": func(s *scenarios.Scenario) { s.Workload.Rate = 0 },
		"Keys": func(s *scenarios.Scenario) { s.Workload.Keys = 0 }, "Reads": func(s *scenarios.Scenario) {
			s.Workload.Reads, s.Workload.MaxStale.Duration, s.Checks.Linearizable = "", 0, ""
		},
		"Watchers": func(s *scenarios.Scenario) { s.Workload.Watchers = 0 }, "PrefixWatchers": func(s *scenarios.Scenario) { s.Workload.PrefixWatchers = 0 },
		"HealthWatchers": func(s *scenarios.Scenario) { s.Workload.HealthWatchers = 0 }, "Registrars": func(s *scenarios.Scenario) { s.Workload.Registrars = 0 },
		"Contenders": func(s *scenarios.Scenario) { s.Workload.Contenders = 0 }, "Renamers": func(s *scenarios.Scenario) { s.Workload.Renamers = 0 },
		"Heralds": func(s *scenarios.Scenario) { s.Workload.Heralds = 0 },
		"Tellers": func(s *scenarios.Scenario) { s.Workload.Tellers = 0 },
		"Network": func(s *scenarios.Scenario) { s.Network.Model, s.Agent.RaftMultiplier, s.Checks.Lag.Duration = "", 0, 0 },
		"Sync":    func(s *scenarios.Scenario) { s.Disk.Sync.Duration = 0 }, "Skew": func(s *scenarios.Scenario) { s.Clocks.Skew.Duration = 0 },
		"Faults": func(s *scenarios.Scenario) { s.Faults = nil }, "Kinds": func(s *scenarios.Scenario) { s.Faults = nil },
		"Targets": func(s *scenarios.Scenario) { s.Faults = nil }, "On": func(s *scenarios.Scenario) { s.Faults = nil },
	}
}

// allFields lists the fields of a struct, and those of the structs within it instead of
// these.
func allFields(of reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for f := range of.Fields() {
			if f.Type.Kind() != reflect.Struct {
				if !yield(f) {
					return
				}
				continue
			}
			for inner := range f.Type.Fields() {
				if !yield(inner) {
					return
				}
			}
		}
	}
}

func TestWithoutAgentsNothingIsAskedOfThem(t *testing.T) {
	if err := scenarios.WithoutAgents(load(t, "service-dies.yaml")).Check(); err != nil {
		t.Error(err)
	}
}

func TestWhoIsNotDrawnIsNotJudged(t *testing.T) {
	s, err := scenarios.Parse("x.yaml", []byte(`
workload: {contenders: 1, tellers: 1, reads: default}
checks: {exclusive: violated, locks: violated, transactions: violated, behind: 1s}
explore: {contenders: [0, 0], tellers: [0, 0], reads: [stale]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if err := scenarios.Draw(*s, 1).Check(); err != nil {
		t.Error(err)
	}
}

func TestDefaultReadsThatAreDrawnNeedNotBeLinearizable(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"explore: {reads: [default]}", "either"},
		{"explore: {reads: [consistent]}", "holds"},
		{"explore: {reads: [stale]}", "holds"},
		{"workload: {reads: default}", "either"},
		{"storm: true\nexplore: {reads: [default]}", "either"},
		{"workload: {reads: default}\nchecks: {linearizable: violated}", "violated"},
	} {
		s, err := scenarios.Parse("x.yaml", []byte(c.text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		drawn := scenarios.Draw(*s, 1)
		if got := drawn.Checks.Linearizable; got != c.want {
			t.Errorf("of what is drawn from %q linearizable is to be %q, want %q", c.text, got, c.want)
		}
		if err := drawn.Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestABoundThatIsTakenAwayLeavesOtherDraws(t *testing.T) {
	for field := range allFields(reflect.TypeFor[scenarios.Explore]()) {
		blank := parts()[field.Name]
		if blank == nil {
			t.Fatalf("what %s decides is not known", field.Name)
		}
		differs := false
		for seed := range uint64(60) {
			with := bounded(t)
			with.Storm = seed%2 == 0
			without := with
			reflect.ValueOf(&without.Explore).Elem().FieldByName(field.Name).SetZero()
			a, b := scenarios.Draw(with, seed), scenarios.Draw(without, seed)
			if n := len(a.Faults); n < 1 || n > 9+len(with.Faults) {
				t.Errorf("seed %d has %d faults", seed, n)
			}
			differs = differs || !reflect.DeepEqual(a, b)
			blank(&a)
			blank(&b)
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("seed %d without %s:\n%s\nwith it\n%s", seed, field.Name, scenarios.Write(b, ""), scenarios.Write(a, ""))
			}
		}
		if !differs {
			t.Errorf("%s decides nothing", field.Name)
		}
	}
}

func TestAKindThatIsTakenAwayLeavesOtherFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s scenarios.Scenario
		s.Storm, s.Duration.Duration = true, time.Minute
		s.Explore.Kinds = []string{"partition", "loss", "kill", "power", "pause", "disk-full", "clock-jump"}
		seed := rapid.Uint64().Draw(t, "seed")
		gone := rapid.SampledFrom(s.Explore.Kinds).Draw(t, "gone")
		var want []scenarios.Fault
		for _, f := range scenarios.Draw(s, seed).Faults {
			if f.Kind != gone {
				want = append(want, f)
			}
		}
		s.Explore.Kinds = slices.DeleteFunc(slices.Clone(s.Explore.Kinds), func(kind string) bool { return kind == gone })
		if got := scenarios.Draw(s, seed).Faults; !slices.Equal(got, want) {
			t.Errorf("without %s\n%v\nwant\n%v", gone, got, want)
		}
	})
}

// TestWhatDependsOnItsFaultsKeepsThem: where an anomaly must show, or an outage be short,
// only what the bounds name is drawn.
func TestWhatDependsOnItsFaultsKeepsThem(t *testing.T) {
	for _, file := range []string{"stale-lease.yaml", "disk-stalled.yaml", "service-dies.yaml", "returning-follower.yaml", "default-reads.yaml", "bit-rot.yaml", "renames.yaml"} {
		s := load(t, file)
		drawn := scenarios.Draw(s, 5)
		s.Seed = 5
		if !reflect.DeepEqual(drawn, s) {
			t.Errorf("%s became\n%s", file, scenarios.Write(drawn, ""))
		}
		s.Explore.Clients, s.Explore.Faults = []int{50, 50}, []int{4, 4}
		if drawn = scenarios.Draw(s, 5); drawn.Topology.Clients != 50 || len(drawn.Faults) != 4 || drawn.Topology.Servers != s.Topology.Servers {
			t.Errorf("%s with 50 clients and 4 faults became\n%s", file, scenarios.Write(drawn, ""))
		}
	}
}
