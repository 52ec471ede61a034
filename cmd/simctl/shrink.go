package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tribune/scenarios"
	"tribune/scenarios/search"
)

func shrinkVerb(ctx context.Context, args []string) error {
	f := flags("shrink", "[options] FILE", `Makes a scenario that fails smaller as long as it still fails in the same way: fewer
faults, nodes and operations, shorter, with rounder numbers. The result is a scenario
file that tells what happens.`)
	seed := f.Uint64("seed", 0, "`N`: of the run that fails (default: the file's, or 1)")
	limit := 10 * time.Minute
	timeVar(f, &limit, "for", "`TIME`, such as 90s: real time at the most; what is smallest by then is written")
	var parallel int
	parallelVar(f, &parallel, "")
	var mutant string
	mutantVar(f, &mutant)
	out := f.String("o", "", "`FILE` to write (default: the name with -small, which must not be there yet)")
	files, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return fmt.Errorf("%w: give one scenario file", errInput)
	}
	all, err := load(files, 0)
	if err != nil {
		return err
	}
	s := *all[0]
	s.Seed = seedOf(s, *seed)
	if err := smallFile(out, files[0]); err != nil {
		return err
	}
	ensure()
	binary, err := mutated(mutant)
	if err != nil {
		return err
	}
	fmt.Printf("%s, seed %d: making it smaller for up to %v\n", s.Name, s.Seed, limit)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tries, begin := 0, time.Now()
	o := search.Shrinking{Binary: binary, Parallel: parallel, Tried: func(what string, fails bool) {
		if tries++; fails {
			fmt.Printf("  %4d runs, %4.0f s: still fails with %s\n", tries, time.Since(begin).Seconds(), what)
		}
	}}
	smallest, r, err := o.Shrink(limited, s)
	if errors.Is(err, search.ErrPasses) {
		return fmt.Errorf("%w: %s, seed %d: %w", errInput, files[0], s.Seed, err)
	}
	stopped := errors.Is(err, search.ErrStopped)
	if err != nil && !stopped {
		return err
	}
	story := search.Story(r)
	if err := keepSmall(*out, scenarios.Write(smallest, story)); err != nil {
		return err
	}
	fmt.Printf("%d faults, %d servers, %d clients, %v, after %d runs\n\n%s\n  simctl run%s %s\n", len(smallest.Faults), smallest.Topology.Servers, smallest.Topology.Clients, smallest.Duration, tries, story, mutantOption(mutant), *out)
	if stopped {
		why := "It ended early"
		switch {
		case ctx.Err() != nil:
			why = "It was interrupted"
		case err == search.ErrStopped: // and no run went wrong
			why = "The time was up"
		}
		fmt.Printf("\n%s: %v. To go on: simctl shrink%s -for TIME %s\n", why, err, mutantOption(mutant), *out)
	}
	return ctx.Err()
}

// keepSmall writes the scenario that became of another. It took long to find: where it
// cannot be written it is printed.
func keepSmall(file string, text []byte) error {
	err := os.WriteFile(file, text, 0o644)
	if err != nil {
		fmt.Printf("\n%s\n", text)
		return fmt.Errorf("the scenario above could not be written: %w", err)
	}
	return nil
}

// smallFile chooses the file for what a scenario's file becomes, unless a person has, and
// says what is wrong with it.
func smallFile(out *string, file string) error {
	if *out == "" {
		ext := filepath.Ext(file)
		*out = strings.TrimSuffix(file, ext) + "-small" + ext
		if _, err := os.Stat(*out); err == nil {
			return fmt.Errorf("%w: %s is there already; -o %s writes it anew", errInput, *out, *out)
		}
	}
	return creatable("-o", *out)
}
