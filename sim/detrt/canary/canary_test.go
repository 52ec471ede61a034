package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tribune/sim/detrt"
	"tribune/sim/launch"
)

const pkg = "tribune/sim/detrt/canary"

func build(t *testing.T, omit ...string) string {
	t.Helper()
	binary, err := launch.Build(launch.Options{Package: pkg, Omit: omit})
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// perturbations are the disturbances that may change nothing.
var perturbations = []struct {
	name string
	launch.Perturb
}{
	{"plain", launch.Perturb{}},
	{"plain again", launch.Perturb{}},
	{"environment", launch.Perturb{EnvBytes: 64 << 10}},
	{"ticker", launch.Perturb{Ticker: time.Millisecond}},
	{"ballast", launch.Perturb{Ballast: 8 << 20}},
	{"collections", launch.Perturb{ExtraGC: 1}},
	{"hash", launch.Perturb{Hash: true}},
	{"everything", launch.Perturb{EnvBytes: 4096, Ticker: 100 * time.Microsecond, Ballast: 3 << 20, ExtraGC: 2, Hash: true}},
}

// fingerprints runs a canary once under each perturbation and returns which
// perturbations led to which outcome.
func fingerprints(t *testing.T, binary, name string, seed uint64, schedule detrt.Schedule) map[string][]string {
	t.Helper()
	outcomes := map[string][]string{}
	for _, p := range perturbations {
		var stderr bytes.Buffer
		out, err := launch.Output(t.Context(), launch.Spec{
			Binary: binary, Main: name, Input: input(seed, schedule), Perturb: p.Perturb,
			Stderr: &stderr, Watch: 2 * time.Second,
		})
		outcome := fmt.Sprintf("%x", sha256.Sum256(out))[:16]
		if err != nil {
			outcome = err.Error()
			if strings.Contains(stderr.String(), "node culprit") {
				outcome += ", naming the node"
			}
		}
		outcomes[outcome] = append(outcomes[outcome], p.name)
	}
	return outcomes
}

// TestEveryCanaryIsEqualUnderAllPerturbations is the promise of the engine.
func TestEveryCanaryIsEqualUnderAllPerturbations(t *testing.T) {
	binary := build(t)
	stop := hog()
	defer stop()
	schedules := []detrt.Schedule{{}, {Kind: "pct", Window: 64}, {Kind: "walk"}}
	for _, c := range append(canaries(), canary{name: "race-check-then-act"}) {
		if c.name == "stuck" || c.name == "idle" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			for seed, schedule := range schedules {
				got := fingerprints(t, binary, c.name, uint64(seed+1), schedule)
				for outcome := range got {
					if len(got) != 1 || strings.HasPrefix(outcome, "run ") {
						t.Errorf("seed %d, %v: outcomes and the perturbations that led to them: %v", seed+1, schedule, got)
						break
					}
				}
			}
		})
	}
}

// hog keeps a CPU busy beside the children.
func hog() (stop func()) {
	end, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			default:
				_ = burn(100)
			}
		}
	}()
	return func() { close(end); <-ended }
}

// TestSeedsExploreSchedules: a program in which only the order of goroutines
// shows has another order for nearly every seed.
func TestSeedsExploreSchedules(t *testing.T) {
	binary := build(t)
	const seeds = 200
	orders := map[string]int{}
	for seed := range seeds {
		out, err := launch.Output(t.Context(), launch.Spec{Binary: binary, Main: "order", Input: input(uint64(seed), detrt.Schedule{})})
		if err != nil {
			t.Fatal(err)
		}
		orders[string(out)]++
	}
	if len(orders) < 195 {
		t.Errorf("%d seeds gave %d orders, want at least 195", seeds, len(orders))
	}
}

// TestTheWatchdogNamesWhoStandsStill: a computation without end is reported with
// its stack and its node.
func TestTheWatchdogNamesWhoStandsStill(t *testing.T) {
	var stderr bytes.Buffer
	_, err := launch.Output(t.Context(), launch.Spec{
		Binary: build(t), Main: "stuck", Input: input(1, detrt.Schedule{}), Stderr: &stderr, Watch: time.Second,
	})
	if err == nil {
		t.Error("the run ended well")
	}
	for _, want := range []string{"virtual time stands still at 0 ns", "node culprit", "main.spinForEver"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, stderr.String())
		}
	}
}

// TestTheWatchdogSeesThatNothingRuns: a run that waits for what is outside the world
// does not wait for ever.
func TestTheWatchdogSeesThatNothingRuns(t *testing.T) {
	var stderr bytes.Buffer
	_, err := launch.Output(t.Context(), launch.Spec{
		Binary: build(t), Main: "idle", Input: input(1, detrt.Schedule{}), Stderr: &stderr, Watch: time.Second,
	})
	if err == nil || !strings.Contains(stderr.String(), "virtual time stands still at 0 ns") {
		t.Errorf("%v:\n%s", err, stderr.String())
	}
}

// TestTheWatchdogDoesNotCountTimeInWhichTheProcessIsStopped: Ctrl-Z and fg are no hang.
func TestTheWatchdogDoesNotCountTimeInWhichTheProcessIsStopped(t *testing.T) {
	var stderr bytes.Buffer
	child, err := launch.Spawn(t.Context(), launch.Spec{
		Binary: build(t), Main: "stuck", Input: input(1, detrt.Schedule{}), Stderr: &stderr, Watch: 6 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		signal syscall.Signal
		then   time.Duration
	}{{syscall.SIGCONT, time.Second}, {syscall.SIGSTOP, 9 * time.Second}, {syscall.SIGCONT, 2 * time.Second}} {
		if err := child.Signal(step.signal); err != nil {
			t.Error(err)
		}
		time.Sleep(step.then)
	}
	child.Kill()
	_ = child.Wait() // it was killed
	if stderr.Len() > 0 {
		t.Errorf("the run was given up:\n%s", stderr.String())
	}
}

// TestNobodyStopsWithALock: a node that is paused, killed or panics where a goroutine
// lost its turn leaves no lock behind that others want.
func TestNobodyStopsWithALock(t *testing.T) {
	binary := build(t)
	for _, schedule := range []detrt.Schedule{{Kind: "walk"}, {Kind: "pct", Depth: 2, Window: 64}, {Kind: "pct", Depth: 3}} {
		for seed := range uint64(5) {
			out, err := launch.Output(t.Context(), launch.Spec{Binary: binary, Main: "halfway", Input: input(seed, schedule), Stderr: &bytes.Buffer{}})
			if want := "pause loses the lock 0 times\nfreeze loses the lock 0 times\npanic loses the lock 0 times\n"; err != nil || string(out) != want {
				t.Errorf("%v, seed %d: %v\n%s", schedule, seed, err, out)
			}
		}
	}
}

// TestAChildDiesWithItsContext: a run that is given up leaves no process.
func TestAChildDiesWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := launch.Output(ctx, launch.Spec{Binary: build(t), Main: "stuck", Input: input(1, detrt.Schedule{}), Stderr: &bytes.Buffer{}})
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v", err)
	}
}

// neededBy names for each patch the canary that shows why it is there. The
// patches that are missing here carry others and do not compile away.
var neededBy = map[string]string{
	"process-seed":                "process-seed",
	"rand":                        "rand",
	"select":                      "select",
	"timer-order":                 "timer-order",
	"select-order select-ordered": "select-timers", // one does not compile without the other
	"crypto":                      "crypto",
	"portable-hash":               "portable-hash",
	"identity-hash":               "identity-hash",
	"put":                         "outside",
	"yield":                       "yield",
	"no-preemption":               "no-preemption",
	"one-cpu":                     "one-cpu",
	"mutex-idle":                  "mutex-idle",
	"mutex-clock":                 "mutex-clock",
	"now":                         "clocks",
	"nano":                        "clocks",
	"start-nano":                  "monotonic",
	"advance":                     "busy-loop",
	"sleep":                       "clocks",
	"new-timer":                   "clocks",
	"reset-timer":                 "clocks",
	"node-inherit":                "clocks",
	"node-header":                 "stuck",
	"panic":                       "panic",
	"timer-enter":                 "clocks",
	"dead-stacks":                 "memory",
	"node-semaphore":              "dead-waiter",
	"point-send":                  "point-send",
	"point-receive":               "point-receive",
	"point-close":                 "point-close",
	"point-select":                "point-select",
	"point-lock":                  "point-lock",
	"point-rlock":                 "point-rlock",
	"point-once":                  "point-once",
	"point-pool":                  "point-pool",
}

// TestEveryPatchIsNeeded leaves each patch out in turn and demands that its
// canary sees it: the outcomes differ among themselves or from those with all
// patches. Each takes a build of everything, so the ordinary run tries two; all
// of them with TRIBUNE_CANARIES=all, or some by name.
func TestEveryPatchIsNeeded(t *testing.T) {
	names := []string{"rand", "mutex-clock"}
	switch v := os.Getenv("TRIBUNE_CANARIES"); v {
	case "":
	case "all":
		names = slices.Sorted(maps.Keys(neededBy))
	default:
		names = strings.Split(v, ",")
	}
	all := build(t)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			schedule := detrt.Schedule{}
			if strings.HasPrefix(name, "point-") {
				schedule.Kind = "walk"
			}
			want := fingerprints(t, all, neededBy[name], 1, schedule)
			got := fingerprints(t, build(t, strings.Fields(name)...), neededBy[name], 1, schedule)
			if maps.EqualFunc(want, got, slices.Equal) {
				t.Errorf("without %s the canary %s does as with it", name, neededBy[name])
			}
			t.Logf("%d outcomes: %v", len(got), got)
		})
	}
}

// TestThePatchesKeepToTheirBudget: few and small, each with a reason.
func TestThePatchesKeepToTheirBudget(t *testing.T) {
	lines, patches := 0, detrt.Patches()
	for _, p := range patches {
		lines += strings.Count(p.New, "\n") + 1 - strings.Count(p.Old, "\n")
		if len(p.Why) < 20 {
			t.Errorf("patch %s: no reason", p.Name)
		}
	}
	if len(patches) > 58 || lines > 1078 {
		t.Errorf("%d patches, %d lines", len(patches), lines)
	}
	t.Logf("%d patches add %d lines", len(patches), lines)
}
