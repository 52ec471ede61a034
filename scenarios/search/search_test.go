package search_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"tribune/scenarios"
	"tribune/scenarios/search"
	"tribune/sim/explore"
	"tribune/sim/launch"
)

func TestMain(m *testing.M) {
	launch.ChildMain(scenarios.Children())
	launch.Ensure("tribune/scenarios/search", true)
	os.Exit(m.Run())
}

// taken demands that nobody writes who has lost the lock. With a short lock-delay one whose
// session is destroyed does: what fails here is the demand.
const taken = `
topology: {servers: 3, clients: 2}
workload: {rate: 10, contenders: 2, lock_delay: 1s}
duration: 20s
faults:
  - {kind: loss, at: 3s, for: 5s, rate: 0.02}
  - {kind: disk-slow, target: random, at: 4s, for: 4s, by: 5ms}
  - {kind: expel, at: 8s}
  - {kind: slow-link, target: random, at: 9s, for: 4s, by: 5ms}
  - {kind: clock-jump, target: random, at: 11s, by: 1m}
explore: {servers: [3, 3], clients: [2, 2], rate: [10, 10], contenders: [2, 2], faults: [5, 8], kinds: [expel, loss, disk-slow, slow-link]}
`

// The whole way, as a person goes it: look, keep what fails in a file, have it made
// smaller, run the file that comes of it.
func TestAFailureThatIsFoundShrinksToAFileThatFailsInTheSameWay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	from, err := scenarios.Parse("taken", []byte(taken))
	if err != nil {
		t.Fatal(err)
	}
	var found *scenarios.Scenario
	e := explore.New(search.Subject{From: *from}, explore.Options{First: 1, Last: 20, Parallel: 2}, func(r explore.Run[scenarios.Scenario]) {
		if r.Outcome.Failure != "" && found == nil {
			found = &r.Case
		}
	})
	if err := e.Explore(ctx); err != nil || found == nil {
		t.Fatalf("nothing is found in 20 cases: %v", err)
	}
	read := func(s scenarios.Scenario, story string) scenarios.Scenario {
		t.Helper()
		text := scenarios.Write(s, story)
		again, err := scenarios.Parse("taken", text)
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		return *again
	}
	kept := read(*found, "")
	tries := 0
	smallest, r, err := search.Shrinking{Parallel: 2, Tried: func(string, bool) { tries++ }}.Shrink(ctx, kept)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d faults became %d in %d runs", len(kept.Faults), len(smallest.Faults), tries)
	if len(smallest.Faults) != 1 || smallest.Faults[0].Kind != "expel" {
		t.Errorf("left is more than what makes it fail:\n%s", scenarios.Write(smallest, ""))
	}
	if smallest.Duration.Duration > kept.Duration.Duration || smallest.Workload.Rate > kept.Workload.Rate {
		t.Errorf("it has grown:\n%s", scenarios.Write(smallest, ""))
	}
	last := read(smallest, search.Story(r))
	again, err := scenarios.Run(ctx, "", scenarios.Order{Scenario: last, Seed: last.Seed}, launch.Perturb{}, scenarios.Listener{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"exclusive violated"}; !slices.Equal(search.Signature(again), want) || again.Fingerprint != r.Fingerprint {
		t.Errorf("the file fails with %q, want %q, and is the same run: %t", search.Signature(again), want, again.Fingerprint == r.Fingerprint)
	}
}

func TestAShrinkingThatIsStoppedSaysThatItIsNotDone(t *testing.T) {
	s, err := scenarios.Parse("taken", []byte(taken))
	if err != nil {
		t.Fatal(err)
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := (search.Shrinking{}).Shrink(interrupted, *s); !errors.Is(err, context.Canceled) || errors.Is(err, search.ErrPasses) {
		t.Errorf("interrupted in the first run: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for s.Seed = 1; s.Seed <= 20; s.Seed++ {
		smallest, r, err := search.Shrinking{}.Shrink(ctx, *s)
		if errors.Is(err, search.ErrPasses) {
			continue
		}
		if !errors.Is(err, search.ErrStopped) || len(smallest.Faults) != len(s.Faults) || r.OK() {
			t.Errorf("%v, with %d faults of %d", err, len(smallest.Faults), len(s.Faults))
		}
		return
	}
	t.Error("no seed fails")
}
