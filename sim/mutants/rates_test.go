package mutants_test

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/sim/mutants"
)

// The values are those of Newcombe, Two-sided confidence intervals for the single
// proportion (Statistics in Medicine 17, 1998), table I, method 3, and of the
// formula solved by hand at the ends.
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		caught, runs int
		low, high    float64
	}{
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0, 0.1611},
		{1, 29, 0.0061, 0.1718},
		{29, 29, 0.8830, 1},
		{0, 1, 0, 0.7935},
		{1, 1, 0.2065, 1},
		{0, 0, 0, 1},
	} {
		low, high := mutants.Wilson(c.caught, c.runs)
		if math.Abs(low-c.low) > 5e-5 || math.Abs(high-c.high) > 5e-5 {
			t.Errorf("%d of %d: %.4f to %.4f, not %.4f to %.4f", c.caught, c.runs, low, high, c.low, c.high)
		}
	}
}

func rate(caught, seeds int) mutants.Rate {
	trials := make([]mutants.Trial, seeds)
	for i := range caught {
		trials[i].Checks = []string{"linearizable"}
	}
	return mutants.NewRate(mutants.Mutant{Name: "m"}, trials)
}

func TestARateHasHalvedWhenChanceDoesNotExplainIt(t *testing.T) {
	for _, c := range []struct {
		what         string
		kept, keptOf int
		now, nowOf   int
		halved       bool
	}{
		{what: "the same", kept: 15, keptOf: 15, now: 15, nowOf: 15},
		{what: "all, then none", kept: 15, keptOf: 15, now: 0, nowOf: 15, halved: true},
		{what: "all, then half", kept: 10, keptOf: 10, now: 5, nowOf: 10, halved: true},
		{what: "all, then more than half", kept: 10, keptOf: 10, now: 6, nowOf: 10},
		{what: "half of 8, by chance in one of 12 cases", kept: 8, keptOf: 10, now: 4, nowOf: 10},
		{what: "less than half of 8", kept: 8, keptOf: 10, now: 3, nowOf: 10, halved: true},
		{what: "half, then none", kept: 5, keptOf: 10, now: 0, nowOf: 10, halved: true},
		{what: "half, then few", kept: 5, keptOf: 10, now: 2, nowOf: 10},
		{what: "half, then few of many", kept: 20, keptOf: 40, now: 8, nowOf: 40, halved: true},
		{what: "lower, and not half", kept: 100, keptOf: 100, now: 60, nowOf: 100},
		{what: "one seed says nothing", kept: 15, keptOf: 15, now: 0, nowOf: 1},
		{what: "rarely caught, then never in as many", kept: 3, keptOf: 15, now: 0, nowOf: 15},
		{what: "rarely caught, then never in many", kept: 3, keptOf: 15, now: 0, nowOf: 50, halved: true},
		{what: "never caught cannot halve", kept: 0, keptOf: 15, now: 0, nowOf: 1000},
		{what: "never run", now: 0, nowOf: 15},
		{what: "grown", kept: 3, keptOf: 15, now: 15, nowOf: 15},
	} {
		if got := mutants.Halved(rate(c.kept, c.keptOf), rate(c.now, c.nowOf)); got != c.halved {
			t.Errorf("%s: halved %v", c.what, got)
		}
	}
}

func TestTimeToCatchIsTheMedianOverBeginnings(t *testing.T) {
	caught := func(d time.Duration) mutants.Trial {
		return mutants.Trial{Checks: []string{"recovery"}, Virtual: d}
	}
	missed := func(d time.Duration) mutants.Trial { return mutants.Trial{Virtual: d} }
	for _, c := range []struct {
		trials []mutants.Trial
		want   time.Duration
		ok     bool
	}{
		{nil, 0, false},
		{[]mutants.Trial{missed(5), missed(7)}, 0, false},
		{[]mutants.Trial{caught(5)}, 5, true},
		{[]mutants.Trial{caught(5), caught(7), caught(6)}, 6, true},
		{[]mutants.Trial{caught(5), caught(7)}, 5, true},
		// From 1: 10+20; from 2: 20; from 3, round the end: 30+10+20.
		{[]mutants.Trial{missed(10), caught(20), missed(30)}, 30, true},
	} {
		if got, ok := mutants.TimeToCatch(c.trials); got != c.want || ok != c.ok {
			t.Errorf("%+v: %d, %v", c.trials, got, ok)
		}
	}
}

func TestThoseNotCaughtCountAsLaterThanAll(t *testing.T) {
	for _, c := range []struct {
		caught []time.Duration
		of     int
		want   time.Duration
		ok     bool
	}{
		{nil, 0, 0, false},
		{[]time.Duration{3, 1, 2}, 3, 2, true},
		{[]time.Duration{3, 1, 2}, 5, 3, true},
		{[]time.Duration{3, 1, 2}, 6, 3, true},
		{[]time.Duration{3, 1, 2}, 7, 0, false},
	} {
		if got, ok := mutants.Median(c.caught, c.of); got != c.want || ok != c.ok {
			t.Errorf("%v of %d: %d, %v", c.caught, c.of, got, ok)
		}
	}
}

func TestARateNamesTheCheckThatFailsMost(t *testing.T) {
	r := mutants.NewRate(mutants.Mutant{Name: "m", Scenario: "s.yaml"}, []mutants.Trial{
		{Checks: []string{"recovery", "invariants"}, Virtual: time.Minute},
		{Virtual: time.Minute},
		{Checks: []string{"recovery"}, Virtual: time.Minute},
	})
	want := mutants.Rate{
		Mutant: "m", Scenario: "s.yaml", Seeds: 3, Caught: 2, Rate: 0.667, Interval: [2]float64{0.208, 0.939},
		Check: "recovery", ToCatch: "1m0s",
	}
	if r != want {
		t.Errorf("%+v", r)
	}
	tie := mutants.NewRate(mutants.Mutant{}, []mutants.Trial{{Checks: []string{"sequential", "linearizable"}}})
	if tie.Check != "linearizable" {
		t.Errorf("of two checks that fail equally often: %s", tie.Check)
	}
}

func TestRatesAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rates.json")
	kept, err := mutants.ReadRates(file)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a file that does not exist: %+v, %v", kept, err)
	}
	a, b := rate(3, 15), rate(5, 15)
	a.Mutant, b.Mutant = "a", "b"
	b.Plain = &mutants.Found{Runs: 15}
	kept.Command, kept.Machine = "simctl", "a machine"
	if err := kept.With(b, a).WriteFile(file); err != nil {
		t.Fatal(err)
	}
	got, err := mutants.ReadRates(file)
	if want := (mutants.Rates{Command: "simctl", Machine: "a machine", Rates: []mutants.Rate{a, b}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, seed := range []int{4, 2} {
		trials := make([]mutants.Trial, 5)
		trials[seed-1].Checks, trials[4].Checks = []string{"recovery"}, []string{"leaks"}
		got = got.WithFirst(mutants.Mutant{Name: "c"}, trials[4:]).WithFirst(mutants.Mutant{Name: "b"}, trials)
	}
	if one, _ := got.FirstOf("b"); one.Seed != 2 || !slices.Equal(one.Checks, []string{"recovery"}) || len(got.First) != 2 || got.First[0].Mutant != "b" {
		t.Errorf("%+v", got.First)
	}
	if _, still := got.WithFirst(mutants.Mutant{Name: "b"}, make([]mutants.Trial, 1)).FirstOf("b"); !still {
		t.Error("a first catch with seed 2 is forgotten though only seed 1 was tried")
	}
	if one, still := got.WithFirst(mutants.Mutant{Name: "b"}, make([]mutants.Trial, 2)).FirstOf("b"); still {
		t.Errorf("a catch is kept that was not made again: %+v", one)
	}
	again := rate(6, 15)
	again.Mutant = "b"
	got = got.With(again)
	if one, _ := got.Of("b"); one.Caught != 6 || one.Plain == nil || len(got.Rates) != 2 {
		t.Errorf("%+v", got)
	}
}

// TestTheKeptRatesAreTrue holds rates.json against the mutants and the formulas.
func TestTheKeptRatesAreTrue(t *testing.T) {
	kept, err := mutants.ReadRates("rates.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(kept.Rates) == 0 || kept.Command == "" || kept.Machine == "" {
		t.Error("nothing was measured, or nobody knows how")
	}
	if !slices.IsSortedFunc(kept.Rates, func(a, b mutants.Rate) int { return strings.Compare(a.Mutant, b.Mutant) }) {
		t.Error("not sorted by name")
	}
	all := append(mutants.All(), mutants.Escaped()...)
	for _, m := range mutants.All() {
		if first, caught := kept.FirstOf(m.Name); !caught || first.Scenario != m.Scenario || first.Seed < 1 || first.Seed > m.MaxSeeds || len(first.Checks) == 0 {
			t.Errorf("%s is to be caught within %d seeds of %s: %+v", m.Name, m.MaxSeeds, m.Scenario, first)
		}
	}
	if len(kept.First) > len(mutants.All()) {
		t.Error("first catches of mutants that there are not")
	}
	for _, r := range kept.Rates {
		i := slices.IndexFunc(all, func(m mutants.Mutant) bool { return m.Name == r.Mutant })
		if i < 0 || all[i].Scenario != r.Scenario {
			t.Errorf("%s in %s: there is no such mutant with that scenario; measure it anew", r.Mutant, r.Scenario)
		}
		if want := rate(r.Caught, r.Seeds); r.Rate != want.Rate || r.Interval != want.Interval {
			t.Errorf("%s: %d of %d is not %v, %v", r.Mutant, r.Caught, r.Seeds, r.Rate, r.Interval)
		}
		if r.Caught > 0 != (r.Check != "") || r.Caught > 0 != (r.ToCatch != "") {
			t.Errorf("%s: %d were caught, by %q after %q", r.Mutant, r.Caught, r.Check, r.ToCatch)
		}
	}
}
