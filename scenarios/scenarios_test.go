package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/linearizability"
	"tribune/scenarios"
	"tribune/sim/launch"
)

// TestMain makes this test binary one with the deterministic runtime, and each
// run a process of its own.
func TestMain(m *testing.M) {
	children := scenarios.Children()
	children["canaries"], children["recoveries"] = scenarios.Canaries, scenarios.Recoveries
	launch.ChildMain(children)
	launch.Ensure("tribune/scenarios", true)
	os.Exit(m.Run())
}

func run(t *testing.T, s scenarios.Scenario, seed uint64, perturb launch.Perturb) scenarios.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	r, err := scenarios.Run(ctx, "", scenarios.Order{Scenario: s, Seed: seed}, perturb, scenarios.Listener{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func fingerprint(t *testing.T, s scenarios.Scenario, seed uint64, perturb launch.Perturb) string {
	t.Helper()
	r, err := scenarios.Run(t.Context(), "", scenarios.Order{Scenario: s, Seed: seed, Unjudged: true}, perturb, scenarios.Listener{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Fingerprint
}

func load(t *testing.T, name string) scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

func TestEveryScenarioEndsAsItExpects(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		if file == "canary.yaml" {
			continue // it must fail, see below
		}
		s := load(t, file)
		for i := range uint64(s.Seeds) {
			seed := max(s.Seed, 1) + i
			t.Run(fmt.Sprintf("%s/seed=%d", s.Name, seed), func(t *testing.T) {
				t.Parallel()
				r := run(t, s, seed, launch.Perturb{})
				for _, v := range r.Verdicts {
					if !v.OK {
						t.Errorf("%s is %s, expected %s: %s", v.Check, v.Got, v.Expected, v.Text)
					}
				}
				if r.Figures.Unreplayed != "" && scenarios.NewPlan(s, seed).Scenario.Agent.SnapshotThreshold == 0 {
					t.Errorf("nothing was compacted, and: %s", r.Figures.Unreplayed)
				}
				if r.Ops.OK < 20 {
					t.Errorf("only %d operations were done: nothing was judged", r.Ops.OK)
				}
				if t.Failed() {
					t.Logf("look into it: go run ./cmd/simctl run -seed %d scenarios/%s", seed, file)
				}
			})
		}
	}
}

// TestTheLastEntriesAreSeenBeforeAllAreApplied is about a run whose last entry is
// committed just before all servers are equal.
func TestTheLastEntriesAreSeenBeforeAllAreApplied(t *testing.T) {
	if r := run(t, load(t, "newborn-leader.yaml"), 3, launch.Perturb{}); r.Figures.Unreplayed != "" {
		t.Errorf("nothing was compacted, and: %s", r.Figures.Unreplayed)
	}
}

// stalled is a scenario in which the disk of a server that has just been elected does not
// answer, and most of its log is on that disk alone.
const stalled = `
topology: {servers: 3, clients: 4}
workload: {rate: 150}
duration: 20s
faults:
  - {kind: kill, target: leader, at: 10s, for: 2s}
  - {kind: disk-stall, target: here, on: elected, at: 10s, for: 8s}
`

func TestALeaderWhoseDiskDoesNotAnswerIsSeenAtOnce(t *testing.T) {
	s, err := scenarios.Parse("stalled.yaml", []byte(stalled))
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, *s, 1, launch.Perturb{})
	if len(r.Faults) != 2 || len(r.Reigns) != 2 {
		t.Fatalf("faults %+v, reigns %+v, want two each", r.Faults, r.Reigns)
	}
	if after := r.Reigns[1].At - r.Faults[1].At; after > 50*time.Millisecond {
		t.Errorf("it was elected %v before anybody noticed", after)
	}
}

// TestServersThatAreStartedAnewAtOnceLeakNothing: what they held while they were down is no
// level that they could come back to.
func TestServersThatAreStartedAnewAtOnceLeakNothing(t *testing.T) {
	s, err := scenarios.Parse("early.yaml", []byte("duration: 20s\nfaults: [{kind: kill, target: all, at: 2s, for: 5s}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range run(t, *s, 1, launch.Perturb{}).Verdicts {
		if !v.OK {
			t.Errorf("%s is %s: %s", v.Check, v.Got, v.Text)
		}
	}
}

func TestTellersAndWatchersOfAPrefixTalkToAgents(t *testing.T) {
	s := load(t, "transactions.yaml")
	s.Topology.Servers, s.Topology.Agents, s.Workload.Via = 3, 5, "agents"
	s.Workload.PrefixWatchers, s.Workload.Keys, s.Duration.Duration = 12, 20, 40*time.Second
	for _, v := range run(t, s, 1, launch.Perturb{}).Verdicts {
		if !v.OK {
			t.Errorf("%s is %s: %s", v.Check, v.Got, v.Text)
		}
	}
}

func TestTheCanaryFails(t *testing.T) {
	s := load(t, "canary.yaml")
	r := run(t, s, 1, launch.Perturb{})
	if r.OK() {
		t.Errorf("stale reads were taken for linearizable ones: nobody judges. %+v", r.Verdicts)
	}
	stale := 0
	for _, a := range r.Verdicts[0].Anomalies {
		o := r.History[a.Ops[0]]
		if a.Kind == linearizability.StaleRead {
			stale++
		} else if a.Kind != linearizability.LostWrite { // a write that nobody had seen when old values were read looks like that
			t.Errorf("the canary reads old values, and that is explained by %+v", a)
		}
		if o.Kind != linearizability.Get || o.Call != a.At {
			t.Errorf("%+v is about %+v", a, o)
		}
	}
	if stale == 0 || r.Picture == "" {
		t.Error("what went wrong is not explained")
	}
}

func TestATraceThatCannotBeKeptEndsTheRunAndIsTheError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }() // nothing was written
	_, err = scenarios.Run(t.Context(), "", scenarios.Order{Scenario: load(t, "canary.yaml"), Seed: 1, Trace: true}, launch.Perturb{}, scenarios.Listener{Trace: full})
	var died *scenarios.Death
	if !errors.Is(err, syscall.ENOSPC) || errors.As(err, &died) {
		t.Errorf("got %v", err)
	}
}

func TestOneSeedIsOneRunWhateverHappensAroundIt(t *testing.T) {
	s := load(t, "storm.yaml")
	s.Duration.Duration = 20 * time.Second
	for seed := uint64(1); seed <= 3; seed++ {
		s.Schedule = []scenarios.Schedule{{Kind: "shuffle"}, {Kind: "walk"}, {Kind: "pct"}}[seed-1]
		want := fingerprint(t, s, seed, launch.Perturb{})
		for name, p := range map[string]launch.Perturb{
			"again":                       {},
			"64 KB more environment":      {EnvBytes: 64 << 10},
			"a ticker outside the bubble": {Ticker: time.Millisecond},
			"ballast on the heap":         {Ballast: 8 << 20},
			"twice the collections":       {ExtraGC: 1},
		} {
			if got := fingerprint(t, s, seed, p); got != want {
				t.Errorf("seed %d, %v, %s: another run: %s, and not %s", seed, s.Schedule, name, got, want)
			}
		}
	}
}

func TestSeedsDifferInTheirSchedulesAlone(t *testing.T) {
	s := load(t, "partition.yaml")
	s.Duration.Duration, s.Faults = 2*time.Second, nil
	const seeds = 12
	seen := map[string]bool{}
	for seed := range uint64(seeds) {
		seen[fingerprint(t, s, seed, launch.Perturb{})] = true
	}
	if len(seen) != seeds {
		t.Errorf("%d seeds gave %d different runs", seeds, len(seen))
	}
}

// TestAScheduleChangesNothingElse: in a storm the seed draws the schedule from a
// stream of its own, and a file that names one gets it.
func TestAScheduleChangesNothingElse(t *testing.T) {
	drawn := map[string]bool{}
	for seed := range uint64(40) {
		s := load(t, "storm.yaml")
		with := scenarios.NewPlan(s, seed)
		drawn[with.Scenario.Schedule.String()] = true
		s.Schedule = scenarios.Schedule{Kind: "pct", Depth: 9}
		named := scenarios.NewPlan(s, seed)
		if named.Scenario.Schedule != s.Schedule {
			t.Errorf("seed %d: %v", seed, named.Scenario.Schedule)
		}
		named.Scenario.Schedule = with.Scenario.Schedule
		if !reflect.DeepEqual(with, named) {
			t.Errorf("seed %d: the schedule changed more than itself", seed)
		}
	}
	for _, want := range []string{"shuffle", "walk", "pct:1", "pct:2", "pct:3", "pct:4"} {
		if !drawn[want] {
			t.Errorf("no storm of 40 has %s", want)
		}
	}
}

func TestTakingAFaultOutLeavesTheOthersAsTheyWere(t *testing.T) {
	kinds := []scenarios.Fault{
		{Kind: "kill", Target: "random"}, {Kind: "pause", Target: "majority"}, {Kind: "partition", Shape: "halves"},
		{Kind: "loss", Rate: 0.1}, {Kind: "clock-jump", Target: "s2"}, {Kind: "disk-error", Target: "leader", Rate: 0.5},
	}
	rapid.Check(t, func(t *rapid.T) {
		s := scenarios.Scenario{Topology: scenarios.Topology{Servers: rapid.IntRange(1, 9).Draw(t, "servers")}}
		s.Duration.Duration = time.Minute
		for range rapid.IntRange(1, 8).Draw(t, "faults") {
			f := rapid.SampledFrom(kinds).Draw(t, "fault")
			f.At.Duration = time.Duration(rapid.IntRange(0, 3).Draw(t, "at")) * time.Second
			f.Every.Duration = time.Duration(rapid.IntRange(0, 20).Draw(t, "every")) * time.Second
			f.Jitter.Duration = time.Duration(rapid.IntRange(0, 5).Draw(t, "jitter")) * time.Second
			s.Faults = append(s.Faults, f)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		with := scenarios.NewPlan(s, seed)
		out := rapid.IntRange(0, len(s.Faults)-1).Draw(t, "out")
		// Of faults that are alike the last is taken: nothing tells them apart.
		for i := out + 1; i < len(s.Faults); i++ {
			if f, o := s.Faults[i], s.Faults[out]; f.Kind == o.Kind && f.At == o.At {
				out = i
			}
		}
		less := s
		less.Faults = slices.Concat(s.Faults[:out], s.Faults[out+1:])
		var kept []scenarios.Strike
		for _, st := range with.Strikes {
			if st.ID != scenarios.IDs(s.Faults)[out] {
				kept = append(kept, st)
			}
		}
		if got := scenarios.NewPlan(less, seed).Strikes; !reflect.DeepEqual(got, kept) {
			t.Errorf("without fault %d\n%v\nwant\n%v", out, got, kept)
		}
	})
}

func TestAPlanTellsWhatIsExpectedAndOfWhom(t *testing.T) {
	s, err := scenarios.Parse("x.yaml", []byte(`
topology: {servers: 3, agents: 2}
workload: {reads: default, stick: true, timeout: 1234ms, health_watchers: 7, contenders: 1, tellers: 1}
checks: {outage: 25s, behind: 3s, bounds: holds, reigns: holds, transactions: violated, locks: violated}
`))
	if err != nil {
		t.Fatal(err)
	}
	text := scenarios.NewPlan(*s, 1).Explain()
	s.Workload.Reads, s.Workload.MaxStale.Duration, s.Checks.Behind.Duration = "stale", 4*time.Second, 0
	text += scenarios.NewPlan(*s, 1).Explain()
	for _, want := range []string{
		"gives an operation up after 1.234s, and stays with one of them", "Others (7) watch the job of a client agent each", "allow data to be 4s old",
		"no write for longer than 25s", "default read is older than 3s", "found out in time, also while faults strike: holds",
		"no fault strikes by its name: holds", "transactions are linearizable: violated", "its sessions are linearizable: violated",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan does not say %q:\n%s", want, text)
		}
	}
}

func TestAClockGoesAtTheRateThatIsWantedToAHundredThousandth(t *testing.T) {
	for _, c := range []struct {
		rate     float64
		num, den int64
		text     string
	}{
		{0.1, 100, 1000, "0.100"}, {0.15, 150, 1000, "0.150"}, {1.25, 1250, 1000, "1.250"}, {1, 1000, 1000, ""}, {10, 10000, 1000, "10.000"},
		{1.0004, 100040, 100000, "1.00040"}, {0.9999, 99990, 100000, "0.99990"}, {1.234567, 123457, 100000, "1.23457"}, {9.99999, 999999, 100000, "9.99999"},
	} {
		s, err := scenarios.Parse("x.yaml", fmt.Appendf(nil, "clocks: {rates: [%v, %v]}\n", c.rate, c.rate))
		if err != nil {
			t.Fatal(err)
		}
		plan := scenarios.NewPlan(*s, 1)
		if got := plan.Servers[0].Clock(); got.Num != c.num || got.Den != c.den {
			t.Errorf("at %v the clock goes %d/%d", c.rate, got.Num, got.Den)
		}
		said := strings.Contains(plan.Explain(), "The clock of s1 goes at "+c.text+" of true time.")
		if said != (c.text != "") {
			t.Errorf("of a rate of %v it says\n%s", c.rate, plan.Explain())
		}
	}
}

func TestBadInputIsOneLineThatSaysWhatAndWhere(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown key", "topology:\n  server: 3\n", `x.yaml:2: unknown key "server"; did you mean "servers"?`},
		{"a wrong unit", "duration: 60\n", `x.yaml:1: "60" is not a duration with a unit`},
		{"a node that does not exist", "faults:\n  - kind: kill\n    target: s9\n", `x.yaml:3: target: there is no server "s9"`},
		{"an empty topology", "topology:\n  servers: 0\n", "x.yaml:2: topology.servers"},
		{"an empty file", "# nothing\n", "x.yaml: there is nothing in it"},
		{"no YAML", "{{{", "x.yaml:1: "},
		{"a name that is a path", "seed: 1\nname: ../up\n", `x.yaml:2: name: explore writes files of that name: "../up" has a slash`},
		{"a name with a slash", "name: a/b\n", `x.yaml:1: name: explore writes`},
		{"a name with a blank", "name: two words\n", `x.yaml:1: name: explore writes`},
		{"a name that is hidden", "name: .git\n", `x.yaml:1: name: explore writes`},
		{"fewer entries than none", "agent: {raft_snapshot_threshold: -1}\n", "x.yaml:1: agent.raft_snapshot_threshold: -1 is not between 0 and"},
		{"a log of fewer entries than none", "agent:\n  raft_trailing_logs: -1\n", "x.yaml:2: agent.raft_trailing_logs: -1 is not between 0 and"},
		{"nothing to do", "workload: {rate: 0}\n", `x.yaml:1: workload.rate: 0 operations per second; it must be more than 0 and at most 10000`},
		{"a kind of fault that does not exist", "faults:\n  - kind: kil\n", `did you mean "kill"?`},
		{"a rate that is none", "faults:\n  - {kind: loss, rate: 2}\n", "x.yaml:2: rate: 2 is not a probability"},
		{"a fault that does nothing", "faults:\n  - {kind: loss}\n", `needs rate, duplicate or reorder`},
		{"a link that is never up", "faults:\n  - {kind: flap, target: s1, by: 2s, period: 1s}\n", "never up"},
		{"a clock that stands still", "faults:\n  - {kind: clock-drift, target: s1, rate: 0.01}\n", "x.yaml:2: rate: 0.01 of true time"},
		{"a clock that goes right", "faults:\n  - {kind: clock-drift, target: s1, rate: 1.000001}\n", "x.yaml:2: rate: 1.000001 of true time is true time"},
		{"a network that loses everything twice", "network: {loss: 2}\n", "x.yaml:1: network.loss"},
		{"a parameter of another kind", "faults:\n  - {kind: kill, target: s1, size: 3}\n", `a fault of kind "kill" takes no size`},
		{"a parameter that is missing", "faults:\n  - {kind: gray, target: s1}\n", `a fault of kind "gray" needs size`},
		{"sessions on the health of nobody", "workload: {contenders: 2, sessions: health}\n", "x.yaml:1: workload.sessions: there is no agent"},
		{"sessions of another kind", "workload: {sessions: healt}\n", `did you mean "health"?`},
		{"a point that does not exist", "faults:\n  - kind: kill\n    target: here\n    on: electd\n", "x.yaml:4: on: there is no point \"electd\""},
		{"a point that is met again and again", "faults:\n  - {kind: kill, target: here, on: elected, every: 2s}\n", "x.yaml:2: every: "},
		{"an aim at nothing", "faults:\n  - {kind: kill, target: here}\n", "x.yaml:2: target: \"here\""},
		{"a lock that nobody wants", "faults:\n  - {kind: expel}\n", "x.yaml:2: nobody holds a lock"},
		{"a holder whose clock jumps", "workload: {contenders: 2}\nfaults:\n  - {kind: clock-jump, by: 1s, target: holder}\n", "x.yaml:3: target: who holds the lock"},
		{"reads that nobody does", "workload: {reads: stale}\nchecks: {behind: 2s}\n", "x.yaml:2: checks.behind: it is for default reads, and workload.reads is stale"},
		{"a lock that nobody can violate", "checks: {locks: violated}\n", "x.yaml:1: checks.locks: nobody can violate it: workload.contenders is 0"},
		{"a resource that nobody writes to", "checks:\n  exclusive: violated\n", "x.yaml:2: checks.exclusive: nobody can violate it: workload.contenders is 0"},
		{"transactions of nobody", "checks: {transactions: violated}\n", "x.yaml:1: checks.transactions: nobody can violate it: workload.tellers is 0"},
		{"bounds for nobody", "checks: {bounds: holds}\n", "x.yaml:1: checks.bounds: there is no agent"},
		{"an outage of less than nothing", "checks: {outage: -1s}\n", "x.yaml:1: checks.outage: -1s is less than nothing"},
		{"reads from the future", "workload: {reads: default}\nchecks: {behind: -1s}\n", "x.yaml:2: checks.behind: -1s is less than nothing"},
		{"a schedule that does not exist", "schedule: {kind: pc, depth: 3}\n", `x.yaml:1: schedule: "pc" is none of shuffle, walk, pct`},
		{"a schedule that has no depth", "seeds: 1\nschedule:\n  depth: 3\n", "x.yaml:3: schedule: only pct has a depth"},
		{"bounds the wrong way round", "name: x\nexplore:\n  servers: [7, 3]\n", "x.yaml:3: explore.servers: [7 3] is not the least and the most, between 1 and 21, such as [2, 5]"},
		{"bounds that are one number", "explore: {rate: [5]}\n", "x.yaml:1: explore.rate: [5] is not the least and the most operations per second"},
		{"bounds without a unit", "explore:\n  sync: [1, 20]\n", "is not a duration with a unit"},
		{"bounds of nothing", "explore:\n  skew: [0s, 1s]\n", "x.yaml:2: explore.skew: [0s 1s] is not the least and the most, more than 0"},
		{"a kind to draw that does not exist", "explore:\n  faults: [0, 3]\n  kinds: [partition, kil]\n", `x.yaml:3: explore.kinds: "kil" is none of`},
		{"a point to draw that does not exist", "explore: {on: [electd]}\n", `did you mean "elected"?`},
		{"a target to draw that does not exist", "explore: {targets: [s9]}\n", `x.yaml:1: explore.targets: "s9" is none of`},
		{"a bound that does not exist", "explore:\n  server: [3, 5]\n", `x.yaml:2: unknown key "server"; did you mean "servers"?`},
		{"a model that does not exist", "network: {model: moon}\n", `no network model is called "moon"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := scenarios.Parse("x.yaml", []byte(c.text))
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is\n%v\nwant one line with\n%s", err, c.want)
			}
		})
	}
}
