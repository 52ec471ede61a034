package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tribune/scenarios"
	"tribune/scenarios/report"
	"tribune/sim/launch"
	"tribune/sim/trace"
)

func traceVerb(_ context.Context, args []string) error {
	f := flags("trace", "[options] FILE", "Prints the trace of a run: FILE is one of the files of a report, or its folder.\n\n"+trace.Legend+"\nWith -json: "+trace.JSONLegend)
	var filter trace.Filter
	f.StringVar(&filter.Node, "node", "", "`NAME`: only events of or with this node")
	kinds := f.String("kind", "", "`KIND,...`: only events of these kinds")
	timeVar(f, &filter.From, "from", "`TIME`, such as 12.5s: only events from this virtual time on")
	timeVar(f, &filter.To, "to", "`TIME`: only events before this virtual time")
	asJSON := f.Bool("json", false, "print JSON Lines, for programs")
	where := f.String("where", "", "`PREDICATE`: only events that it chooses; simctl debug -h explains the language")
	rest, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return fmt.Errorf("%w: give one trace file or report folder", errInput)
	}
	chosen := func(_ uint64, e trace.Event) bool { return filter.Match(e) }
	if *where != "" {
		wanted, err := trace.ParsePredicate(*where)
		if err != nil {
			return fmt.Errorf("%w: -where: %w", errInput, err)
		}
		chosen = func(n uint64, e trace.Event) bool { return filter.Match(e) && wanted(n, e) }
	}
	for name := range strings.SplitSeq(*kinds, ",") {
		if name == "" {
			continue
		}
		k, err := trace.ParseKind(name)
		if err != nil {
			return fmt.Errorf("%w: %w", errInput, err)
		}
		filter.Kinds = append(filter.Kinds, k)
	}
	in, err := openTrace(rest[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errInput, err)
	}
	defer func() { _ = in.Close() }() // only read
	text := func(e trace.Event) ([]byte, error) { return []byte(trace.Format(e)), nil }
	if *asJSON {
		text = trace.JSON
	}
	nodes, met := map[string]bool{}, filter.Node == ""
	noting := func(n uint64, e trace.Event) bool {
		nodes[e.Node] = true
		met = met || e.Node == filter.Node || e.Peer == filter.Node
		return chosen(n, e)
	}
	if err := printTrace(trace.NewReader(in), noting, text); err != nil {
		return fmt.Errorf("%w: %s: %w", errInput, rest[0], err)
	}
	if !met {
		delete(nodes, "") // the world itself
		return fmt.Errorf("%w: -node: there is no node %q; there are %s", errInput, filter.Node, strings.Join(slices.Sorted(maps.Keys(nodes)), ", "))
	}
	return nil
}

// printTrace prints the events that are chosen, a line an event.
func printTrace(r *trace.Reader, chosen func(n uint64, e trace.Event) bool, text func(trace.Event) ([]byte, error)) error {
	out := bufio.NewWriter(os.Stdout)
	for n := uint64(0); ; n++ {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if !chosen(n, e) {
			continue
		}
		line, err := text(e)
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return nil // a reader such as head has had enough
		}
	}
}

func openTrace(name string) (*os.File, error) {
	name = report.Folder(name)
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		name = filepath.Join(name, report.TraceFile)
	}
	return os.Open(name)
}

func replayVerb(ctx context.Context, args []string) error {
	f := flags("replay", "[options] REPORT", `Runs what a report is about once more, with -mutant if its agents had one, and compares
the fingerprints. When they differ, the first event that does is named: the harness is at
fault then, or the program was changed. A run that died is to die again, in the same way.`)
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
	order, was, err := report.Read(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", errInput, err)
	}
	if *verbose && !order.Verbose {
		return fmt.Errorf("%w: the run was made without -v, and with it is another one; simctl trace -kind log %s prints what was logged", errInput, dir)
	}
	ensure()
	binary, err := mutated(mutant)
	if err != nil {
		return err
	}
	now, err := os.CreateTemp("", "tribune-trace-*")
	if err != nil {
		return err
	}
	defer func() {
		_ = now.Close()
		_ = os.Remove(now.Name())
	}()
	show := newDisplay(scenarios.NewPlan(order.Scenario, order.Seed))
	listener := scenarios.Listener{Progress: show.progress, Trace: now}
	if *verbose {
		listener.Line = show.line
	}
	r, err := scenarios.Run(ctx, binary, order, launch.Perturb{}, listener)
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
