package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tribune/scenarios"
	"tribune/scenarios/report"
	"tribune/sim/launch"
	"tribune/sim/trace"
)

func replayVerb(ctx context.Context, args []string) error {
	f := flags("replay", "[options] REPORT", `Runs what a report is about once more, with the mutant that its agents had, and compares
the fingerprints. When they differ, the first event that does is named: the harness is at
fault then, or the program was changed, which is said before. A run that died is to die
again, in the same way.`)
	verbose := f.Bool("v", false, "print what the servers log, if the run was made with -v")
	var mutant string
	mutantVar(f, &mutant)
	rest, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return fmt.Errorf("%w: give the folder of a report", errInput)
	}
	dir := report.Folder(rest[0])
	made, was, err := report.Read(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", errInput, err)
	}
	if *verbose && !made.Verbose {
		return fmt.Errorf("%w: the run was made without -v, and with it is another one; simctl trace -kind log %s prints what was logged", errInput, dir)
	}
	ensure()
	binary, err := remake(made, mutant)
	if err != nil {
		return err
	}
	now, err := nameless()
	if err != nil {
		return err
	}
	defer func() { _ = now.Close() }() // nobody needs it any more
	show := newDisplay(scenarios.NewPlan(made.Scenario, made.Seed))
	listener := scenarios.Listener{Progress: show.progress, Trace: now}
	if *verbose {
		listener.Line = show.line
	}
	r, err := scenarios.Run(ctx, binary, made.Order, launch.Perturb{}, listener)
	show.clear()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if was.Fingerprint == "" {
		return compareDeaths(dir, err)
	}
	if err != nil {
		return err
	}
	if r.Fingerprint == was.Fingerprint {
		fmt.Printf("the same run: fingerprint %s\n", r.Fingerprint)
		return nil
	}
	fmt.Printf("another run: fingerprint %s, and it was %s\n", r.Fingerprint, was.Fingerprint)
	old, err := openTrace(dir)
	if err != nil {
		return err
	}
	defer func() { _ = old.Close() }() // only read
	if err := printDifference(old, now); err != nil {
		return err
	}
	return errFailed
}

// remake is the program that makes a reported run again, with the mutant that a person
// names or else the one that the report does. If it is not the one that made the run, it
// says so on the standard error.
func remake(made report.Made, mutant string) (binary string, err error) {
	if binary, err = mutated(cmp.Or(mutant, made.Mutant)); err != nil {
		return "", err
	}
	program, err := launch.Identity(binary)
	if err == nil && program != made.Program {
		fmt.Fprintln(os.Stderr, "NOTE the report was made by another build of this program, and so this may be another run")
	}
	return binary, err
}

// nameless is a file for a trace that nobody else wants: it goes with this process,
// however that ends.
func nameless() (*os.File, error) {
	f, err := os.CreateTemp("", "tribune-trace-*")
	if err != nil {
		return nil, fmt.Errorf("a place for the trace: %w", err)
	}
	return f, os.Remove(f.Name())
}

// compareDeaths says whether a run that died, according to its report, died again in the
// same way, now that it ended with an error.
func compareDeaths(dir string, err error) error {
	text, rerr := os.ReadFile(filepath.Join(dir, report.DeathFile))
	if rerr != nil {
		return fmt.Errorf("%w: %w", errInput, rerr)
	}
	was, _, _ := strings.Cut(string(text), "\n")
	var died *scenarios.Death
	switch {
	case err == nil:
		fmt.Printf("the run has a result now; it had died: %s\n", was)
		return errFailed
	case !errors.As(err, &died):
		return err
	case died.Cause() != was:
		fmt.Printf("the run died in another way: %s\nit had died: %s\n", died.Cause(), was)
		return errFailed
	}
	fmt.Printf("the run died again: %s\n", was)
	return nil
}

// printDifference names the first event in which two traces differ.
func printDifference(was, is *os.File) error {
	if _, err := is.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := was.Seek(0, io.SeekStart); err != nil {
		return err
	}
	text, err := trace.Difference(was, is)
	if text != "" {
		fmt.Println(text)
	}
	return err
}
