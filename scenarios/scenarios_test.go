package scenarios_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tribune/scenarios"
	"tribune/sim/launch"
)

// TestMain makes this test binary one with the deterministic runtime, and each
// run a process of its own.
func TestMain(m *testing.M) {
	launch.ChildMain(scenarios.Children())
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
		for seed := uint64(1); seed <= uint64(s.Seeds); seed++ {
			t.Run(fmt.Sprintf("%s/seed=%d", s.Name, seed), func(t *testing.T) {
				t.Parallel()
				r := run(t, s, seed, launch.Perturb{})
				for _, v := range r.Verdicts {
					if !v.OK {
						t.Errorf("%s is %s, expected %s: %s", v.Check, v.Got, v.Expected, v.Text)
					}
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

func TestTheCanaryFails(t *testing.T) {
	s := load(t, "canary.yaml")
	r := run(t, s, 1, launch.Perturb{})
	if r.OK() {
		t.Errorf("stale reads were taken for linearizable ones: nobody judges. %+v", r.Verdicts)
	}
}

func TestOneSeedIsOneRunWhateverHappensAroundIt(t *testing.T) {
	s := load(t, "storm.yaml")
	s.Duration.Duration = 20 * time.Second
	for seed := uint64(1); seed <= 2; seed++ {
		want := fingerprint(t, s, seed, launch.Perturb{})
		for name, p := range map[string]launch.Perturb{
			"again":                       {},
			"64 KB more environment":      {EnvBytes: 64 << 10},
			"a ticker outside the bubble": {Ticker: time.Millisecond},
			"ballast on the heap":         {Ballast: 8 << 20},
			"twice the collections":       {ExtraGC: 1},
		} {
			if got := fingerprint(t, s, seed, p); got != want {
				t.Errorf("seed %d, %s: another run: %s, and not %s", seed, name, got, want)
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

func TestTakingAFaultOutLeavesTheOthersAsTheyWere(t *testing.T) {
	s := load(t, "torn-writes.yaml")
	for seed := range uint64(50) {
		with := scenarios.NewPlan(s, seed)
		for out := range s.Faults {
			less := s
			less.Faults = append(append([]scenarios.Fault(nil), s.Faults[:out]...), s.Faults[out+1:]...)
			for _, kept := range scenarios.NewPlan(less, seed).Strikes {
				if kept.Kind == s.Faults[out].Kind {
					continue // the same kind is numbered
				}
				found := false
				for _, st := range with.Strikes {
					found = found || st.Kind == kept.Kind && st.Begin == kept.Begin && fmt.Sprint(st.Hits) == fmt.Sprint(kept.Hits)
				}
				if !found {
					t.Fatalf("seed %d without fault %d: %s at %v on %v is new", seed, out, kept.Kind, kept.Begin, kept.Hits)
				}
			}
		}
	}
}

func TestBadInputIsOneLineThatSaysWhatAndWhere(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown key", "topology:\n  server: 3\n", `x.yaml:2: unknown key "server"; did you mean "servers"?`},
		{"a wrong unit", "duration: 60\n", `x.yaml:1: "60" is not a duration with a unit`},
		{"a node that does not exist", "faults:\n  - kind: kill\n    target: s9\n", `x.yaml:3: target: there is no server "s9"`},
		{"an empty topology", "topology:\n  servers: 0\n", "x.yaml:2: topology.servers"},
		{"no YAML", "{{{", "x.yaml:1: "},
		{"a kind of fault that does not exist", "faults:\n  - kind: kil\n", `did you mean "kill"?`},
		{"a parameter of another kind", "faults:\n  - {kind: kill, target: s1, size: 3}\n", `a fault of kind "kill" takes no size`},
		{"a parameter that is missing", "faults:\n  - {kind: gray, target: s1}\n", `a fault of kind "gray" needs size`},
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
