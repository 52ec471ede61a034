package search_test

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"tribune/linearizability"
	"tribune/scenarios"
	"tribune/scenarios/search"
	"tribune/sim/explore"
)

var _ explore.Subject[scenarios.Scenario] = search.Subject{}

func TestASignatureIsAlikeForWhatIsAlike(t *testing.T) {
	failed := func(check string) scenarios.Verdict {
		return scenarios.Verdict{Check: check, Expected: "holds", Got: "violated", Text: "at 3 s"}
	}
	missed := scenarios.Reached{Asked: true, Text: "s1 lags"}
	for _, c := range []struct {
		about string
		r     scenarios.Result
		want  []string
	}{
		{"nothing", scenarios.Result{Verdicts: []scenarios.Verdict{{Check: "durable", Expected: "violated", Got: "violated", OK: true}}}, nil},
		{"a check", scenarios.Result{Verdicts: []scenarios.Verdict{failed("durable"), failed("linearizable")}}, []string{"durable violated", "linearizable violated"}},
		{"what was found wrong, by kind and once", scenarios.Result{Verdicts: []scenarios.Verdict{{Check: "linearizable", Anomalies: []linearizability.Anomaly{
			{Kind: linearizability.StaleRead, Key: "k1"}, {Kind: linearizability.LostWrite, Key: "k1"}, {Kind: linearizability.StaleRead, Key: "k2"},
		}}}}, []string{"linearizable: lost write", "linearizable: stale read"}},
		{"invariants, by name and once", scenarios.Result{
			Verdicts:   []scenarios.Verdict{failed("invariants")},
			Violations: []scenarios.Violation{{Invariant: "wake-up", Text: "c1"}, {Invariant: "election safety"}, {Invariant: "wake-up", Text: "c2"}},
		}, []string{"election safety", "wake-up"}},
		{"what was not reached", scenarios.Result{
			Verdicts: []scenarios.Verdict{failed("recovery")},
			Recovery: scenarios.Recovered{Leader: scenarios.Reached{Asked: true, OK: true}, Write: missed, Converge: missed},
		}, []string{"no equal state of all servers", "no write"}},
	} {
		if got := search.Signature(c.r); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.about, got, c.want)
		}
	}
	for output, want := range map[string]string{
		"panic: index 7 of 3\n\ngoroutine 12:": "no result: panic: index N of N",
		"":                                     "no result: exit status N",
	} {
		died := &scenarios.Death{Scenario: "x", Seed: 5, Err: errors.New("exit status 2"), Output: output}
		if got, err := search.SignatureOf(scenarios.Result{}, died); err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%q: %q, %v, want %q", output, got, err, want)
		}
	}
}

// A machine that cannot start another process must not look like a bug of the agent.
func TestARunThatCannotBeginIsAnErrorOfTheSearch(t *testing.T) {
	s := plain(t)
	const nowhere = "/does/not/exist"
	if got, err := (search.Subject{From: s, Binary: nowhere}).Run(t.Context(), s); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("explored: %q, %v", got.Failure, err)
	}
	if _, _, err := (search.Shrinking{Binary: nowhere}).Shrink(t.Context(), s); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("made smaller: %v", err)
	}
}
