package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"tribune/page"
	"tribune/scenarios"
	"tribune/scenarios/report"
	"tribune/sim/launch"
)

type runOptions struct {
	seed     uint64
	seeds    string
	duration time.Duration
	schedule string
	report   string
	junit    string
	json     string
	mutant   string
	binary   string // with the mutant; "": this one
	verbose  bool
	brief    bool
	parallel int
}

func runVerb(ctx context.Context, args []string) error {
	var o runOptions
	f := flags("run", "[options] FILE...", `Runs each scenario file in a simulated world, prints a verdict for each check,
and writes a report when a check fails or -report is given.`)
	f.Uint64Var(&o.seed, "seed", 0, "`N`: everything random is drawn from it; the same seed is the same run (default: the file's, or 1)")
	f.StringVar(&o.seeds, "seeds", "", "`A..B`: run all seeds from A to B")
	durationVar(f, &o.duration)
	scheduleVar(f, &o)
	f.StringVar(&o.report, "report", "", "`DIR`: write reports there (default: runs, for failed runs only)")
	f.StringVar(&o.junit, "junit", "", "`FILE`: write verdicts there as JUnit XML")
	f.StringVar(&o.json, "json", "", "`FILE`: write verdicts there as JSON Lines, an object a run")
	mutantVar(f, &o.mutant)
	f.BoolVar(&o.verbose, "v", false, "print what the servers log, more than without; that is another run")
	f.BoolVar(&o.brief, "brief", false, "for many seeds: print only runs that fail, and how far all are")
	f.IntVar(&o.parallel, "parallel", runtime.NumCPU(), "with -brief: `N` runs side by side")
	files, err := parse(f, args)
	if err != nil {
		return err
	}
	if err := errors.Join(writable("-junit", o.junit), writable("-json", o.json)); err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%w: give at least one scenario file, such as scenarios/partition.yaml", errInput)
	}
	if o.parallel < 1 {
		return fmt.Errorf("%w: -parallel %d: give at least 1", errInput, o.parallel)
	}
	var given []uint64
	if o.seeds != "" {
		if given, err = seedRange(o.seeds); err != nil {
			return err
		}
	}
	all, err := load(files, o.duration)
	if err != nil {
		return err
	}
	if err := o.reschedule(all); err != nil {
		return err
	}
	ensure()
	warnOfLate(files, all)
	if o.binary, err = mutated(o.mutant); err != nil {
		return err
	}
	var jobs []job
	for i, s := range all {
		seeds := given
		if len(seeds) == 0 {
			seeds = []uint64{seedOf(*s, o.seed)}
		}
		for _, seed := range seeds {
			jobs = append(jobs, job{*s, files[i], seed})
		}
	}
	run := o.each
	if o.brief {
		run = (&many{options: o}).run
	}
	judged, err := run(ctx, jobs)
	if err := errors.Join(err, o.write(judged)); err != nil {
		return err
	}
	if slices.ContainsFunc(judged, func(j report.Judged) bool { return !j.OK }) {
		return errFailed
	}
	return nil
}

// each makes one run after the other and prints what comes of it.
func (o runOptions) each(ctx context.Context, jobs []job) ([]report.Judged, error) {
	var judged []report.Judged
	failed := 0
	for _, j := range jobs {
		judge, err := runOne(ctx, o, j.scenario, j.seed, j.file)
		if ctx.Err() != nil {
			return judged, ctx.Err()
		}
		if err != nil && judge.Report == "" {
			fmt.Printf("  FAILED %v\n", err)
		}
		if !judge.OK {
			failed++
		}
		judged = append(judged, judge)
	}
	if len(judged) > 1 {
		fmt.Printf("%d of %d runs as expected\n", len(judged)-failed, len(judged))
	}
	return judged, nil
}

// scheduleVar is the option that run and prove have in common.
func scheduleVar(f *flag.FlagSet, o *runOptions) {
	f.StringVar(&o.schedule, "schedule", "", "`KIND`: in which order goroutines run: shuffle, walk, pct:DEPTH or pct:DEPTH:WINDOW, instead of the file's")
}

// reschedule gives scenarios the schedule that the options want.
func (o runOptions) reschedule(all []*scenarios.Scenario) error {
	if o.schedule == "" {
		return nil
	}
	schedule, err := scenarios.ParseSchedule(o.schedule)
	if err != nil {
		return fmt.Errorf("%w: -%w", errInput, err)
	}
	for _, s := range all {
		s.Schedule = schedule
	}
	return nil
}

// flags are the options that make a run another one, as they were given.
func (o runOptions) flags() []string {
	var all []string
	if o.duration > 0 {
		all = append(all, "-duration", o.duration.String())
	}
	if o.schedule != "" {
		all = append(all, "-schedule", o.schedule)
	}
	if o.verbose {
		all = append(all, "-v")
	}
	return all
}

// writable says before long runs what would be wrong with a file after them.
func writable(option, name string) error {
	if ext := filepath.Ext(name); ext == ".yaml" || ext == ".yml" {
		return fmt.Errorf("%w: %s wants the name of a file to write, and %s is a scenario", errInput, option, name)
	}
	if info, err := os.Stat(filepath.Dir(name)); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: %s %s: there is no such folder", errInput, option, name)
	}
	return nil
}

// seedOf is the seed that a person gave, or the file, or 1.
func seedOf(s scenarios.Scenario, given uint64) uint64 {
	return cmp.Or(given, s.Seed, 1)
}

// seedRange reads a range of seeds.
func seedRange(text string) ([]uint64, error) {
	first, last, ok := strings.Cut(text, "..")
	a, err := strconv.ParseUint(first, 10, 64)
	b, err2 := strconv.ParseUint(last, 10, 64)
	if !ok || err != nil || err2 != nil || b < a || b-a > 1_000_000 {
		return nil, fmt.Errorf("%w: -seeds %q: give a range such as 1..50", errInput, text)
	}
	var seeds []uint64
	for n := a; n <= b; n++ {
		seeds = append(seeds, n)
	}
	return seeds, nil
}

// write writes what programs want to know.
func (o runOptions) write(judged []report.Judged) error {
	return errors.Join(
		writeFile(o.junit, func(w io.Writer) error { return report.WriteJUnit(w, judged) }),
		writeFile(o.json, func(w io.Writer) error { return report.WriteJSON(w, judged) }),
	)
}

// writeFile writes a file, unless it has no name.
func writeFile(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// runOne runs a scenario with a seed and prints what came of it.
func runOne(ctx context.Context, o runOptions, s scenarios.Scenario, seed uint64, file string) (report.Judged, error) {
	plan := scenarios.NewPlan(s, seed)
	fmt.Printf("%s, seed %d: %d servers, %d clients, %v with faults\n", s.Name, seed, plan.Scenario.Topology.Servers, plan.Scenario.Topology.Clients, s.Duration)
	order := scenarios.Order{Scenario: s, Seed: seed, Trace: true, Verbose: o.verbose}
	run := report.Run{Order: order, Plan: plan, File: file, Mutant: o.mutant, Flags: o.flags()}
	failed := func(err error) (report.Judged, error) { return report.Judge(run, "", err), err }
	kept, err := os.CreateTemp("", "tribune-trace-*")
	if err != nil {
		return failed(err)
	}
	defer func() {
		_ = kept.Close()
		_ = os.Remove(kept.Name())
	}()
	show := newDisplay(plan)
	begin := time.Now()
	r, err := scenarios.Run(ctx, o.binary, order, launch.Perturb{}, scenarios.Listener{Progress: show.progress, Line: show.line, Trace: kept})
	show.clear()
	run.Result, run.Took = r, time.Since(begin)
	if err != nil && (!errors.As(err, &run.Died) || ctx.Err() != nil) {
		return failed(err)
	}
	if run.Died == nil {
		printResult(r, plan.Scenario.Schedule, run.Took)
	} else {
		printDeath(run.Died)
	}
	if r.OK() && o.report == "" {
		return report.Judge(run, "", nil), nil
	}
	dir := o.report
	if dir == "" {
		dir = "runs"
	}
	dir = filepath.Join(dir, fmt.Sprintf("%s-%d", s.Name, seed))
	if werr := report.Write(dir, run, kept.Name()); werr != nil {
		return failed(errors.Join(errFailed, err, fmt.Errorf("the report: %w", werr)))
	}
	fmt.Printf("  report       %s\n", filepath.Join(dir, report.PageFile))
	return report.Judge(run, dir, err), err
}

// printDeath prints the beginning of what a process said that died.
func printDeath(d *scenarios.Death) {
	const most = 12
	fmt.Printf("  FAILED the run came to no result: %v\n", d.Err)
	lines := strings.Split(d.Output, "\n")
	for _, line := range lines[:min(len(lines), most)] {
		fmt.Printf("    %s\n", line)
	}
	if left := len(lines) - most; left > 0 {
		fmt.Printf("    and %d lines more, which %s of the report has\n", left, report.DeathFile)
	}
}

func printResult(r scenarios.Result, schedule scenarios.Schedule, took time.Duration) {
	for _, v := range r.Verdicts {
		mark := "ok    "
		if !v.OK {
			mark = "FAILED"
		}
		text := v.Got
		if v.Expected != v.Got {
			text = fmt.Sprintf("%s, expected %s", v.Got, v.Expected)
		} else if v.Expected == "violated" {
			text = "violated, as expected"
		}
		if v.Text != "" {
			text += ": " + v.Text
		}
		fmt.Printf("  %s %-12s %s\n", mark, v.Check, text)
		printFindings(report.Findings(r, v))
	}
	fmt.Printf("  operations   %d done, %d refused, %d with unknown outcome; %d faults, %d elections\n", r.Ops.OK, r.Ops.Failed, r.Ops.Unknown, len(r.Faults), len(r.Reigns))
	fmt.Printf("  outage       %s\n", r.Figures.Outage())
	fmt.Printf("  speed        %v virtual in %v: %.0f times real time, %.0f events a second\n", r.Virtual.Round(time.Second), took.Round(time.Millisecond),
		r.Virtual.Seconds()/took.Seconds(), float64(r.Events)/took.Seconds())
	fmt.Printf("  schedule     %v: %d turns of goroutines, %d lost at scheduling points; about %.0f pairs, %.0f sequences of four\n",
		schedule, r.Figures.Turns.Count, r.Figures.Turns.Preempted, r.Figures.Turns.Pairs.Estimate(), r.Figures.Turns.Windows.Estimate())
	fmt.Printf("  fingerprint  %s\n", r.Fingerprint)
}

// printFindings says what is wrong; the report says all.
func printFindings(all []page.Finding) {
	const shown = 3
	for i, f := range all {
		if i == shown {
			fmt.Printf("           and %d more\n", len(all)-shown)
			return
		}
		fmt.Printf("           %s: %s\n", f.Kind, f.Text)
	}
}

// display shows where a run is.
type display struct {
	plan scenarios.Plan
	*status
}

func newDisplay(p scenarios.Plan) *display {
	return &display{p, newStatus(100*time.Millisecond, 5*time.Second)}
}

func (d *display) progress(p scenarios.Progress) {
	d.show(func() string {
		phase := "recovering"
		if end := d.plan.Scenario.Duration.Duration; p.At < end {
			phase = fmt.Sprintf("%3.0f %%", 100*p.At.Seconds()/end.Seconds())
		}
		leader := p.Leader
		if leader == "" {
			leader = "nobody"
		}
		return fmt.Sprintf("  %s  virtual %v  %d faults active  %d operations, %d failed  %s leads", phase, p.At.Round(time.Second), p.Faults, p.Ops, p.Failed, leader)
	})
}

func (d *display) line(text string) {
	d.clear()
	fmt.Println(text)
}
