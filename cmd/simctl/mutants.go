package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tribune/scenarios"
	"tribune/sim/launch"
	"tribune/sim/mutants"
)

func mutantsVerb(ctx context.Context, args []string) error {
	f := flags("mutants", "[options] [NAME...]", `Builds an agent with each deliberate bug and runs the scenario that is expected to
catch it, seed after seed, until a check fails. The agent without the bug runs the
same seeds and must pass.`)
	dir := f.String("scenarios", "scenarios", "`DIR` of the scenario files")
	list := f.Bool("list", false, "print them all as Markdown, and run nothing")
	names, err := parse(f, args)
	if err != nil {
		return err
	}
	if *list {
		fmt.Print(mutants.Table())
		return nil
	}
	var known []string
	for _, m := range mutants.All() {
		known = append(known, m.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%w: there is no mutant %q; there are %s", errInput, name, strings.Join(known, ", "))
		}
	}
	ensure()
	missed := 0
	for _, m := range mutants.All() {
		if len(names) > 0 && !slices.Contains(names, m.Name) {
			continue
		}
		caught, err := hunt(ctx, m, *dir)
		if err != nil {
			return err
		}
		if !caught {
			missed++
		}
	}
	if missed > 0 {
		fmt.Printf("%d not caught\n", missed)
		return errFailed
	}
	return nil
}

// mutated builds the program with the mutant of a name; "" is this program.
func mutated(name string) (binary string, err error) {
	if name == "" {
		return "", nil
	}
	i := slices.IndexFunc(mutants.All(), func(m mutants.Mutant) bool { return m.Name == name })
	if i < 0 {
		return "", fmt.Errorf("%w: there is no mutant %q", errInput, name)
	}
	return launch.Build(launch.Options{Package: "tribune/cmd/simctl", Patches: mutants.All()[i].Patches})
}

// hunt runs seeds with a mutant until one is caught, and then without it.
func hunt(ctx context.Context, m mutants.Mutant, dir string) (bool, error) {
	all, err := load([]string{filepath.Join(dir, m.Scenario)}, 0)
	if err != nil {
		return false, err
	}
	fmt.Printf("%s: %s\n", m.Name, m.Bug)
	binary, err := launch.Build(launch.Options{Package: "tribune/cmd/simctl", Patches: m.Patches})
	if err != nil {
		return false, err
	}
	var virtual time.Duration
	for seed := uint64(1); seed <= uint64(m.MaxSeeds); seed++ {
		r, err := scenarios.Run(ctx, binary, scenarios.Order{Scenario: *all[0], Seed: seed}, launch.Perturb{}, scenarios.Listener{})
		if err != nil {
			return false, err
		}
		virtual += r.Virtual
		if r.OK() {
			continue
		}
		fmt.Printf("  caught by %s, seed %d, after %v of virtual time\n", m.Scenario, seed, virtual.Round(time.Second))
		for _, v := range r.Verdicts {
			if !v.OK {
				fmt.Printf("    %s: %s\n", v.Check, v.Text)
			}
		}
		return innocent(ctx, *all[0], seed)
	}
	fmt.Printf("  NOT caught by %s in %d seeds and %v of virtual time\n", m.Scenario, m.MaxSeeds, virtual.Round(time.Second))
	return false, nil
}

// innocent runs the same seeds without the mutant.
func innocent(ctx context.Context, s scenarios.Scenario, last uint64) (bool, error) {
	for seed := uint64(1); seed <= last; seed++ {
		r, err := scenarios.Run(ctx, "", scenarios.Order{Scenario: s, Seed: seed}, launch.Perturb{}, scenarios.Listener{})
		if err != nil {
			return false, err
		}
		if !r.OK() {
			fmt.Printf("  but the agent without the bug fails too, with seed %d: %+v\n", seed, r.Verdicts)
			return false, nil
		}
	}
	fmt.Printf("  the agent without the bug passes the same seeds\n")
	return true, nil
}
