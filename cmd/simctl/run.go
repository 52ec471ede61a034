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
	"slices"
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
and writes a report when a check fails or, but for -brief, -report is given.`)
	f.Uint64Var(&o.seed, "seed", 0, "`N`: everything random is drawn from it; the same seed is the same run (default: the file's, or 1)")
	f.StringVar(&o.seeds, "seeds", "", "`A..B`: run all seeds from A to B")
	durationVar(f, &o.duration)
	scheduleVar(f, &o)
	f.StringVar(&o.report, "report", "", "`DIR`: write reports there (default: runs, for failed runs only, as -brief does)")
	f.StringVar(&o.junit, "junit", "", "`FILE`: write verdicts there as JUnit XML")
	f.StringVar(&o.json, "json", "", "`FILE`: write verdicts there as JSON Lines, an object a run")
	mutantVar(f, &o.mutant)
	f.BoolVar(&o.verbose, "v", false, "print what the servers log, more than without; that is another run")
	f.BoolVar(&o.brief, "brief", false, "for many seeds: print only runs that fail, and how far all are")
	parallelVar(f, &o.parallel, "with -brief: ")
	files, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%w: give at least one scenario file, such as scenarios/partition.yaml", errInput)
	}
	for _, err := range []error{writable("-junit", o.junit), writable("-json", o.json), takesFiles("-report", cmp.Or(o.report, reportFolder))} {
		if err != nil {
			return err
		}
	}
	var given []uint64
	switch {
	case o.seeds != "" && o.seed != 0:
		return fmt.Errorf("%w: give -seed or -seeds, not both", errInput)
	case o.seeds != "":
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
	run := o.each
	if o.brief {
		run = (&many{options: o}).run
	}
	judged, err := run(ctx, o.jobs(all, files, given))
	if err := errors.Join(err, o.write(judged)); err != nil {
		return err
	}
	if slices.ContainsFunc(judged, func(j report.Judged) bool { return !j.OK }) {
		return errFailed
	}
	return nil
}

// jobs are the runs that are wanted: of each scenario those of the seeds, or one.
func (o runOptions) jobs(all []*scenarios.Scenario, files []string, seeds []uint64) (jobs []job) {
	for i, s := range all {
		own := seeds
		if len(own) == 0 {
			own = []uint64{seedOf(*s, o.seed)}
		}
		for _, seed := range own {
			jobs = append(jobs, job{*s, files[i], seed})
		}
	}
	return jobs
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

// scheduleVar is the option that run, prove and explain have in common.
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

// reportFolder is where reports go of which nobody says where.
const reportFolder = "runs"

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
	run := report.Run{Made: report.Made{Order: order, Mutant: o.mutant}, Plan: plan, File: file, Flags: o.flags()}
	failed := func(err error) (report.Judged, error) { return report.Judge(run, "", err), err }
	kept, err := nameless()
	if err != nil {
		return failed(err)
	}
	defer func() { _ = kept.Close() }() // the report has a copy
	show := newDisplay(plan)
	begin := time.Now()
	r, err := scenarios.Run(ctx, o.binary, order, launch.Perturb{}, scenarios.Listener{Progress: show.progress, Line: show.line, Trace: kept})
	show.clear()
	run.Result, run.Took = r, time.Since(begin)
	if err != nil && (!errors.As(err, &run.Died) || ctx.Err() != nil) {
		return failed(err)
	}
	dir := ""
	var werr error
	if !r.OK() || o.report != "" {
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		dir = filepath.Join(cmp.Or(o.report, reportFolder), fmt.Sprintf("%s-%d", name, seed))
		werr = writeReport(dir, o.binary, run, kept)
	}
	if run.Died == nil {
		printResult(r, plan.Scenario.Schedule, run.Took)
	} else {
		printDeath(run.Died)
	}
	switch {
	case werr != nil:
		judged := report.Judge(run, "", err)
		judged.Unreported, judged.OK = werr.Error(), false
		return judged, errors.Join(err, fmt.Errorf("the report: %w", werr))
	case dir != "":
		fmt.Printf("  report       %s\n", filepath.Join(dir, report.PageFile))
	}
	return report.Judge(run, dir, err), err
}

// writeReport writes the report of a run that a program has made ("": this one).
func writeReport(dir, binary string, run report.Run, recording *os.File) (err error) {
	if run.Program, err = launch.Identity(binary); err != nil {
		return err
	}
	if _, err := recording.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return report.Write(dir, run, recording)
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
