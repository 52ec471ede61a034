package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"tribune/scenarios"
	"tribune/sim/launch"
)

// disturbance is a way in which two runs' processes may differ while the runs
// must not.
type disturbance struct {
	name    string
	perturb launch.Perturb
	hogs    int // CPU hogs beside it
}

func disturbances() []disturbance {
	return []disturbance{
		{name: "plain"},
		{name: "beside four CPU hogs", hogs: 4},
		{name: "64 KB more environment", perturb: launch.Perturb{EnvBytes: 64 << 10}},
		{name: "a ticker outside the bubble", perturb: launch.Perturb{Ticker: time.Millisecond}},
		{name: "heap ballast", perturb: launch.Perturb{Ballast: 8 << 20}},
		{name: "twice the collections", perturb: launch.Perturb{ExtraGC: 1}},
		{name: "a CPU without AES", perturb: launch.Perturb{Hash: true}},
	}
}

func proveVerb(ctx context.Context, args []string) error {
	f := flags("prove", "[options] FILE", `Runs the same seeds plain, beside CPU hogs, with a larger environment, with a
ticker outside the bubble, with ballast on the heap, with more collections, and as on
a CPU without the instructions that hash. The fingerprints must be equal; if not,
the first event that differs is named.`)
	var o runOptions
	f.StringVar(&o.seeds, "seeds", "1..50", "`A..B`: the seeds")
	durationVar(f, &o.duration)
	scheduleVar(f, &o)
	mutantVar(f, &o.mutant)
	files, err := parse(f, args)
	if err != nil {
		return err
	}
	seeds, err := seedRange(o.seeds)
	if err != nil {
		return err
	}
	all, err := load(files, o.duration)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("%w: give a scenario file, such as scenarios/storm.yaml", errInput)
	}
	if err := o.reschedule(all); err != nil {
		return err
	}
	ensure()
	warnOfLate(files, all)
	if o.binary, err = mutated(o.mutant); err != nil {
		return err
	}
	different := 0
	seen := map[string]bool{}
	for _, s := range all {
		for _, seed := range seeds {
			equal, fingerprint, err := proveSeed(ctx, o.binary, *s, seed, disturbances())
			if err != nil {
				return err
			}
			seen[fingerprint] = true
			if !equal {
				different++
			}
		}
	}
	n := len(all) * len(seeds)
	fmt.Printf("%d of %d seeds are the same run under all %d disturbances; %d different runs in all\n", n-different, n, len(disturbances()), len(seen))
	if different > 0 {
		return errFailed
	}
	return nil
}

// proveSeed compares the runs of a seed, by a program ("": this one), under disturbances.
func proveSeed(ctx context.Context, binary string, s scenarios.Scenario, seed uint64, under []disturbance) (bool, string, error) {
	var first *os.File
	var want string
	equal := true
	for i, d := range under {
		file, err := nameless()
		if err != nil {
			return false, "", err
		}
		defer func() { _ = file.Close() }() // nobody needs it any more
		got, err := disturbed(ctx, binary, s, seed, d, file)
		if err != nil {
			return false, "", err
		}
		if i == 0 {
			first, want = file, got
			continue
		}
		if got != want {
			equal = false
			fmt.Printf("%s, seed %d, %s: another run\n", s.Name, seed, d.name)
			if err := printDifference(first, file); err != nil {
				return false, "", err
			}
		}
	}
	if equal {
		fmt.Printf("%s, seed %d: %s\n", s.Name, seed, want)
	}
	return equal, want, nil
}

func disturbed(ctx context.Context, binary string, s scenarios.Scenario, seed uint64, d disturbance, file *os.File) (string, error) {
	stop := make(chan struct{})
	var hogs sync.WaitGroup
	for range d.hogs {
		hogs.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	defer hogs.Wait()
	defer close(stop)
	r, err := scenarios.Run(ctx, binary, scenarios.Order{Scenario: s, Seed: seed, Trace: true, Unjudged: true}, d.perturb, scenarios.Listener{Trace: file})
	return r.Fingerprint, err
}
