package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"tribune/scenarios"
	"tribune/sim/explore"
	"tribune/sim/mutants"
)

func TestAHuntFailsWhenTheListIsWrong(t *testing.T) {
	caught := mutants.Rate{Seeds: 3, Caught: 1}
	for _, c := range []struct {
		what string
		catch
		ok bool
	}{
		{"caught", catch{rate: caught}, true},
		{"not caught", catch{rate: mutants.Rate{Seeds: 3}}, false},
		{"not caught, as is known", catch{mutant: mutants.Mutant{Escapes: "it is rare"}, rate: mutants.Rate{Seeds: 3}}, true},
		{"the agent without the bug fails too", catch{rate: caught, alarms: []uint64{2}}, false},
		{"caught half as often as before", catch{rate: caught, halved: true}, false},
		{"a run that could not be made", catch{rate: caught, err: errors.New("no memory")}, false},
	} {
		if got := c.catch.ok(); got != c.ok {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestARunThatDiesCatchesItsMutant(t *testing.T) {
	s, err := scenarios.Parse("tiny.yaml", []byte("duration: 1s\n"))
	if err != nil {
		t.Fatal(err)
	}
	h := hunt{files: map[string]scenarios.Scenario{"tiny.yaml": *s}, table: newHuntTable(mutantsOptions{}, mutants.Rates{}, 1)}
	got, err := h.trial(t.Context(), "/bin/false", "tiny.yaml", 1)
	if err != nil || !slices.Equal(got.Checks, []string{"the run"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTheMutantsThatAreNamedAreHunted(t *testing.T) {
	o := mutantsOptions{parallel: 1, bound: 1}
	if all, err := o.check(nil); err != nil || len(all) != len(mutants.All()) {
		t.Errorf("without a name: %d, %v", len(all), err)
	}
	escaped := mutants.Escaped()[0].Name
	named, err := o.check([]string{escaped, "blind-cas"})
	if err != nil || len(named) != 2 || named[0].Name != "blind-cas" || named[1].Name != escaped {
		t.Errorf("%+v, %v", named, err)
	}
}

func TestTheListIsOfThoseThatAreNamed(t *testing.T) {
	escaped := mutants.Escaped()[0].Name
	for _, c := range []struct {
		names []string
		lines int
	}{
		{[]string{"blind-cas"}, 3}, {[]string{"lost-fsync", "blind-cas"}, 4}, {[]string{escaped}, 3}, {[]string{escaped, "blind-cas"}, 7},
	} {
		text := printed(t, append([]string{"mutants", "-list"}, c.names...))
		if strings.Count(text, "\n") != c.lines {
			t.Errorf("%q are not %d lines:\n%s", c.names, c.lines, text)
		}
		for _, name := range c.names {
			if !strings.Contains(text, "\n| `"+name+"` |") {
				t.Errorf("%s is missing:\n%s", name, text)
			}
		}
	}
}

func TestRatesThatAreNotThereAreNotEqualToAll(t *testing.T) {
	const none = "none.json"
	for _, c := range []struct {
		what string
		mutantsOptions
		ok bool
	}{
		{"no file", mutantsOptions{rate: 10}, true},
		{"the first update", mutantsOptions{rates: none, update: true}, true},
		{"an update where no file can be", mutantsOptions{rates: "none/rates.json", update: true}, false},
		{"a comparison with a file that is mistyped", mutantsOptions{rates: none, rate: 10}, false},
		{"a list with one", mutantsOptions{rates: none, list: true}, false},
	} {
		if kept, err := c.mutantsOptions.kept(); c.ok != (err == nil) || !c.ok && !errors.Is(err, errInput) || len(kept.Rates) > 0 {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if got := command([]string{"mutants", "-list", "-rates", none}); got != exitInput {
		t.Errorf("status %d", got)
	}
}

// restless never gives the same run twice.
type restless struct{ runs atomic.Int64 }

func (*restless) Fresh(number uint64) stormCase {
	return stormCase{number, scenarios.Scenario{Seed: number + 4}}
}

func (r *restless) Vary(number uint64, _, _ stormCase) stormCase { return r.Fresh(number) }

func (r *restless) Run(context.Context, stormCase) (explore.Outcome, error) {
	return explore.Outcome{Features: []string{"started"}, Fingerprint: fmt.Sprint(r.runs.Add(1))}, nil
}

func TestACorpusOfRunsThatDoNotRepeatIsAnError(t *testing.T) {
	s := storms{bound: 3, parallel: 1}
	err := s.explore(t.Context(), &restless{})
	if want := "a bug of the harness itself: one case gave two different runs, seed 5"; err == nil || err.Error() != want || len(s.kept) > 0 {
		t.Errorf("%v with %d cases, want %s", err, len(s.kept), want)
	}
}
