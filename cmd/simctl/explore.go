package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
	timeVar(f, &o.limit, "for", "`TIME`, such as 10m: real time for each file")
	parallelVar(f, &o.parallel, "")
	f.BoolVar(&o.unguided, "unguided", false, "draw every case afresh, whatever others have reached")
	f.BoolVar(&o.goOn, "keep-going", false, "go on after a failure")
	f.Uint64Var(&o.again, "again", 50, "run the first case and one in `N` twice, to see that it is the same run; 0: none")
	f.StringVar(&o.corpus, "corpus", "", "`FILE`: begin with the cases kept there of the same scenario, and keep new ones there")
	f.StringVar(&o.folder, "report", "runs/explore", "`DIR`: write the scenarios that fail there")
	mutantVar(f, &o.mutant)
	f.BoolVar(&o.states, "states", false, "list the states that were reached, at the end")
	files, err := parse(f, args)
	if err != nil {
		return err
	}
	switch {
	case len(files) == 0:
		return fmt.Errorf("%w: give at least one scenario file, such as scenarios/storm.yaml", errInput)
	case len(files) > 1 && o.seeds == "" && o.limit == 0:
		return fmt.Errorf("%w: the first of %d files would be explored without end; give -for or -seeds", errInput, len(files))
	}
	for _, err := range []error{writable("-corpus", o.corpus), takesFiles("-report", o.folder)} {
		if err != nil {
			return err
		}
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
		failed = failed || x.failures > 0
		if ctx.Err() != nil {
			break
		}
	}
	if failed {
		return errFailed
	}
	return ctx.Err()
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

	runs, kept, reached, failures int

	novel   int                 // sequences of turns that were new in the last run
	groups  map[string][]string // files of failures that are alike
	differs *scenarios.Scenario // the case that gave two different runs
	line    *status
	keep    *os.File // the corpus
	stop    context.CancelFunc
	err     error // of what could not be kept, which ends the exploration
}

func (x *exploration) run(ctx context.Context, first, last uint64) (err error) {
	o := x.options
	limited, stop := context.WithCancel(ctx)
	defer stop()
	x.stop = stop
	if o.limit > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(limited, o.limit)
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
	if err := x.explorer.Explore(limited); err != nil {
		return err
	}
	if x.differs != nil {
		x.err = errors.Join(x.err, x.diverged(ctx))
	}
	x.summary()
	return x.err
}

// kept is a case of a corpus as a line of its file.
type kept struct {
	Case    string // as a scenario file
	Reached []string
}

// recall begins with those cases of the corpus that are of this scenario, and opens it for
// new ones. Those of others stay in it.
func (x *exploration) recall() error {
	f, err := os.OpenFile(x.options.corpus, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	x.keep = f
	if err := x.mend(); err != nil {
		return fmt.Errorf("the corpus %s: %w", x.options.corpus, err)
	}
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
		if s.Name == x.scenario.Name {
			x.explorer.Add(*s, k.Reached)
		}
	}
	return nil
}

// mend takes away what a full disk, or the end of a process, has left of a last line, which
// could not be read, nor what would be written behind it.
func (x *exploration) mend() error {
	all, err := io.ReadAll(x.keep)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(all, '\n') + 1
	if whole < len(all) {
		fmt.Printf("%s: the last case is not whole and is left out\n", x.options.corpus)
		err = x.keep.Truncate(int64(whole))
	}
	_, serr := x.keep.Seek(0, io.SeekStart)
	return errors.Join(err, serr)
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
			if err != nil {
				x.err = errors.Join(x.err, fmt.Errorf("keeping a case in the corpus: %w", err))
			}
		}
	}
	switch {
	case r.Differs:
		x.differs = &r.Case
		x.fail(r, "a bug of the harness itself: one case gave two different runs", fmt.Sprintf("prove -seeds %d..%d", r.Case.Seed, r.Case.Seed))
	case r.Outcome.Failure != "":
		file := x.fail(r, r.Outcome.Failure, "run")
		x.groups[r.Outcome.Failure] = append(x.groups[r.Outcome.Failure], file)
	}
	x.line.show(func() string { return "  " + x.status() })
	if x.err != nil {
		x.stop()
	}
}

// fail writes the scenario that failed to a file, and says in a line which command runs
// it again.
func (x *exploration) fail(r explore.Run[scenarios.Scenario], what, command string) (file string) {
	name := x.scenario.Name
	if x.options.mutant != "" {
		name += "-" + x.options.mutant
	}
	file, err := keepBeside(x.options.folder, fmt.Sprintf("%s-%d", name, r.Number), scenarios.Write(r.Case, what))
	if err != nil {
		x.err = errors.Join(x.err, fmt.Errorf("keeping case %d: %w", r.Number, err))
	}
	x.failures++
	x.line.clear()
	fmt.Printf("FAILED case %d: %s: simctl %s%s %s\n", r.Number, what, command, mutantOption(x.options.mutant), file)
	return file
}

// keepBeside writes a text to the file NAME.yaml of a folder, or NAME-2.yaml and so on where
// there is another by that name: an earlier find, perhaps of another build. With an error it
// returns the file that could not be had.
func keepBeside(folder, name string, text []byte) (file string, err error) {
	file = filepath.Join(folder, name+".yaml")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return file, err
	}
	for n := 2; ; n++ {
		there, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return file, os.WriteFile(file, text, 0o644)
		case err != nil:
			return file, err
		case bytes.Equal(there, text):
			return file, nil
		}
		file = filepath.Join(folder, fmt.Sprintf("%s-%d.yaml", name, n))
	}
}

// diverged makes the case that gave two different runs twice more, with their traces, to
// name the first event that differs.
func (x *exploration) diverged(ctx context.Context) error {
	equal, _, err := proveSeed(ctx, x.binary, *x.differs, x.differs.Seed, []disturbance{{name: "once"}, {name: "once more"}})
	if equal && err == nil {
		fmt.Println("  made twice more it was the same run; simctl prove disturbs it")
	}
	return err
}

func (x *exploration) status() string {
	took := time.Since(x.begin).Seconds()
	x.mu.Lock()
	defer x.mu.Unlock()
	return fmt.Sprintf("%d runs, %.1f a second, %.0f times real time; %d states reached, %d cases kept, %d sequences of turns (%d new in the last run); %d failures",
		x.runs, float64(x.runs)/took, x.virtual.Seconds()/took, x.reached, x.kept, x.explorer.Seen(), x.novel, x.failures)
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
