package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"tribune/scenarios"
	"tribune/scenarios/search"
	"tribune/sim/explore"
)

type exploreOptions struct {
	seeds    string
	limit    time.Duration
	parallel int
	unguided bool
	goOn     bool
	again    uint64
	corpus   string
	folder   string
	states   bool
	mutant   string
}

func exploreVerb(ctx context.Context, args []string) error {
	var o exploreOptions
	f := flags("explore", "[options] FILE...", `Looks for runs that fail: draws faults, topologies and workloads from each file, and
varies those that reached states no run had reached before. A file's key explore says
from what (docs/scenarios.md). Each failure is one line with the command that runs it
again.`)
	f.StringVar(&o.seeds, "seeds", "", "`A..B`: numbers of the cases (default: from 1 until interrupted)")
	f.DurationVar(&o.limit, "for", 0, "`TIME`: real time for each file")
	f.IntVar(&o.parallel, "parallel", runtime.NumCPU(), "`N` runs side by side")
	f.BoolVar(&o.unguided, "unguided", false, "draw every case afresh, whatever others have reached")
	f.BoolVar(&o.goOn, "keep-going", false, "go on after a failure")
	f.Uint64Var(&o.again, "again", 50, "run one case in `N` twice, to see that it is the same run; 0: none")
	f.StringVar(&o.corpus, "corpus", "", "`FILE`: begin with the cases kept there, and keep new ones there")
	f.StringVar(&o.folder, "report", "runs/explore", "`DIR`: write the scenarios that fail there")
	mutantVar(f, &o.mutant)
	f.BoolVar(&o.states, "states", false, "list the states that were reached, at the end")
	files, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%w: give at least one scenario file, such as scenarios/storm.yaml", errInput)
	}
	all, err := load(files, 0)
	if err != nil {
		return err
	}
	first, last := uint64(1), uint64(0)
	if o.seeds != "" {
		numbers, err := seedRange(o.seeds)
		if err != nil {
			return err
		}
		first, last = numbers[0], numbers[len(numbers)-1]
	}
	ensure()
	binary, err := mutated(o.mutant)
	if err != nil {
		return err
	}
	var failed bool
	for _, s := range all {
		x := &exploration{options: o, scenario: *s, binary: binary, begin: time.Now(), groups: map[string][]string{}, line: newStatus(time.Second/5, 30*time.Second)}
		if err := x.run(ctx, first, last); err != nil {
			return err
		}
		failed = failed || len(x.groups) > 0
		if ctx.Err() != nil {
			break
		}
	}
	if failed {
		return errFailed
	}
	return nil
}

// exploration is what becomes of one file.
type exploration struct {
	options  exploreOptions
	scenario scenarios.Scenario
	binary   string
	explorer *explore.Explorer[scenarios.Scenario]
	begin    time.Time

	mu      sync.Mutex // guards virtual, which runs add to
	virtual time.Duration

	runs, kept, reached int
	novel               int                 // sequences of turns that were new in the last run
	groups              map[string][]string // files of failures that are alike
	line                *status
	keep                *os.File // the corpus
	err                 error
}

func (x *exploration) run(ctx context.Context, first, last uint64) (err error) {
	o := x.options
	if o.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.limit)
		defer cancel()
	}
	subject := search.Subject{From: x.scenario, Binary: x.binary, Judged: func(_ scenarios.Scenario, r scenarios.Result) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.virtual += r.Virtual
	}}
	x.explorer = explore.New(subject, explore.Options{
		First: first, Last: last, Parallel: o.parallel, Unguided: o.unguided, Again: o.again, KeepGoing: o.goOn,
	}, x.learn)
	if o.corpus != "" {
		if err := x.recall(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, x.keep.Close()) }()
	}
	fmt.Printf("%s: exploring with %d runs side by side\n", x.scenario.Name, o.parallel)
	if !x.scenario.Storm && x.scenario.Delicate() {
		fmt.Println("  what it expects depends on its faults: beside the seed only what its key explore names is drawn")
	}
	if err := x.explorer.Explore(ctx); err != nil {
		return err
	}
	x.summary()
	return x.err
}

// kept is a case of a corpus as a line of its file.
type kept struct {
	Case    string // as a scenario file
	Reached []string
}

// recall begins with the cases of the corpus, and opens it for new ones.
func (x *exploration) recall() error {
	f, err := os.OpenFile(x.options.corpus, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	x.keep = f
	decoder := json.NewDecoder(f)
	for n := 1; decoder.More(); n++ {
		var k kept
		if err := decoder.Decode(&k); err != nil {
			return fmt.Errorf("%w: %s, case %d: %w", errInput, x.options.corpus, n, err)
		}
		s, err := scenarios.Parse(fmt.Sprintf("%s, case %d", x.options.corpus, n), []byte(k.Case))
		if err != nil {
			return fmt.Errorf("%w: %w", errInput, err)
		}
		x.explorer.Add(*s, k.Reached)
	}
	return nil
}

// learn is told of every run, in their order.
func (x *exploration) learn(r explore.Run[scenarios.Scenario]) {
	x.runs++
	x.reached += len(r.New)
	x.novel = r.Novel
	if r.Kept {
		x.kept++
		if x.keep != nil {
			line, err := json.Marshal(kept{string(scenarios.Write(r.Case, "")), r.Outcome.Features})
			if err == nil {
				_, err = x.keep.Write(append(line, '\n'))
			}
			x.err = errors.Join(x.err, err)
		}
	}
	switch {
	case r.Differs:
		x.fail(r, "the harness itself: one case gave two different runs")
	case r.Outcome.Failure != "":
		x.fail(r, r.Outcome.Failure)
	}
	x.line.show(func() string { return "  " + x.status() })
}

// fail writes the scenario that failed, and says how to run it.
func (x *exploration) fail(r explore.Run[scenarios.Scenario], what string) {
	file := filepath.Join(x.options.folder, fmt.Sprintf("%s-%d.yaml", x.scenario.Name, r.Number))
	err := os.MkdirAll(x.options.folder, 0o755)
	if err == nil {
		err = os.WriteFile(file, scenarios.Write(r.Case, what), 0o644)
	}
	x.err = errors.Join(x.err, err)
	x.groups[what] = append(x.groups[what], file)
	x.line.clear()
	command := "run"
	if r.Differs {
		command = "prove -seeds " + fmt.Sprintf("%d..%d", r.Case.Seed, r.Case.Seed)
	}
	fmt.Printf("FAILED case %d: %s\n  simctl %s%s %s\n", r.Number, what, command, mutantOption(x.options.mutant), file)
}

func (x *exploration) status() string {
	took := time.Since(x.begin).Seconds()
	x.mu.Lock()
	defer x.mu.Unlock()
	failures := 0
	for _, files := range x.groups {
		failures += len(files)
	}
	return fmt.Sprintf("%d runs, %.1f a second, %.0f times real time; %d states reached, %d cases kept, %d sequences of turns (%d new in the last run); %d failures",
		x.runs, float64(x.runs)/took, x.virtual.Seconds()/took, x.reached, x.kept, x.explorer.Seen(), x.novel, failures)
}

func (x *exploration) summary() {
	x.line.clear()
	fmt.Printf("  %s\n", x.status())
	if x.options.states {
		names, hits := x.explorer.Reached()
		for _, name := range names {
			fmt.Printf("  %6d  %s\n", hits[name], name)
		}
	}
	var alike []string
	for what := range x.groups {
		alike = append(alike, what)
	}
	slices.Sort(alike)
	for _, what := range alike {
		fmt.Printf("  %d times: %s\n", len(x.groups[what]), what)
		fmt.Printf("    make it small: simctl shrink%s %s\n", mutantOption(x.options.mutant), x.groups[what][0])
	}
}
