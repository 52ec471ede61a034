package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"tribune/sim"
	"tribune/sim/casefile"
	"tribune/sim/explore"
	"tribune/sim/nemesis"
	"tribune/sim/shrink"
)

// Search says how long to look for a case that fails. Its zero value looks at 100
// cases and shrinks for up to five minutes.
type Search struct {
	First, Last uint64        // numbers of the cases, from which all is drawn
	Shrink      time.Duration // real time at the most; below 0: do not
	Parallel    int           // runs side by side; 0: as many as there are processors
	// Folder is where the file of a case that was found is written; "": nowhere.
	Folder string
	// Logf is told how it goes on; it may be nil.
	Logf func(format string, args ...any)
}

// Finding is a case that fails, as it was found and as small as it became.
type Finding struct {
	Found    Case
	Smallest Result
	Cases    int    // that were looked at, with this one
	Tries    int    // runs that made it smaller, or did not
	Stopped  bool   // the time was up, and it may get smaller yet
	Name     string // of the file with the smallest case: where it is, or what to call it
}

// ErrDiverged says that a case was not the same run when it was run twice: the
// program looks at something that the world does not decide, such as a file of the
// real disk or the address of an object.
var ErrDiverged = errors.New("one case gave two different runs")

// Find looks for a case of a system that fails, and makes it smaller as long as it
// still fails in the same way. It returns nil if it finds none. The first case is run
// twice, to see whether runs can be repeated, and then one in fifty. When the context ends
// before a case is found that is an error; once one is, it stays as small as it is then.
func (all Systems) Find(ctx context.Context, system string, o Search) (*Finding, error) {
	s, err := all.get(system)
	if err != nil {
		return nil, err
	}
	orElse(&o.First, 1)
	orElse(&o.Last, o.First+99)
	if o.Last < o.First {
		return nil, fmt.Errorf("there is no case from %d to %d", o.First, o.Last)
	}
	orElse(&o.Shrink, 5*time.Minute)
	orElse(&o.Parallel, runtime.NumCPU())
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	f := &Finding{}
	var failed *explore.Run[Case]
	p := newProgress(system, o)
	const twice = 50 // one case in so many
	options := explore.Options{First: o.First, Last: o.Last, Parallel: o.Parallel, Again: twice}
	e := explore.New(subject{all, s, system, o.Folder, p}, options, func(r explore.Run[Case]) {
		f.Cases++
		p.next()
		if r.Outcome.Failure != "" || r.Differs {
			failed = &r
		}
	})
	err = e.Explore(ctx)
	switch {
	case err == nil && failed == nil && ctx.Err() == nil:
		p.nothing()
		return nil, nil
	case err != nil || failed == nil:
		return nil, errors.Join(err, ctx.Err())
	case failed.Differs:
		return nil, all.diverged(context.WithoutCancel(ctx), failed.Case)
	}
	o.Logf("%s: case %d fails: %s", system, failed.Number, failed.Outcome.Failure)
	return f, all.keep(ctx, s, failed, o, f)
}

// diverged says what differs in two runs of a case that gave two different ones.
func (all Systems) diverged(ctx context.Context, c Case) error {
	err := all.same(ctx, c)
	if !errors.Is(err, ErrDiverged) { // this time they were equal, or could not be made
		err = errors.Join(fmt.Errorf("%w: %s", ErrDiverged, oneLine(c)), err)
	}
	return err
}

// keep makes a case smaller that was found, fills in the finding, and writes its file.
// What was found is not lost whatever goes wrong, nor if the context ends.
func (all Systems) keep(ctx context.Context, s System, failed *explore.Run[Case], o Search, f *Finding) error {
	f.Found = failed.Case
	smallest, err := all.shrink(ctx, s, failed.Case, failed.Outcome.Failure, o, f)
	if err != nil {
		return err
	}
	if f.Smallest, err = all.Run(context.WithoutCancel(ctx), smallest); err != nil {
		f.Smallest.Problem = failed.Outcome.Failure
	}
	f.Name = filepath.Join(o.Folder, fmt.Sprintf("%s-%d.yaml", failed.Case.System, failed.Number))
	if o.Folder == "" {
		return err
	}
	if merr := os.MkdirAll(o.Folder, 0o755); merr != nil {
		return errors.Join(err, merr)
	}
	return errors.Join(err, os.WriteFile(f.Name, f.File(), 0o644))
}

// shrink makes a case smaller that fails in a certain way.
func (all Systems) shrink(ctx context.Context, s System, c Case, failure string, o Search, f *Finding) (Case, error) {
	if o.Shrink < 0 {
		return c, nil
	}
	limited, cancel := context.WithTimeout(ctx, o.Shrink)
	defer cancel()
	smallest, err := shrink.Smallest(limited, c, shrink.Options[Case]{
		Candidates: func(c Case) []shrink.Candidate[Case] { return smaller(s, c) },
		Fails: func(ctx context.Context, c Case) (bool, error) {
			// One that cannot be run or judged does not fail in the same way.
			r, _, err := all.run(ctx, c, false)
			return err == nil && signature(r.Problem) == failure, nil
		},
		Key:      oneLine,
		Parallel: o.Parallel,
		Tried: func(t shrink.Candidate[Case], fails bool) {
			if f.Tries++; fails {
				o.Logf("%s: still fails with %s", c.System, t.What)
			}
		},
	})
	f.Stopped = limited.Err() != nil
	return smallest, err
}

// smaller lists cases that are smaller than one that fails.
func smaller(s System, c Case) []shrink.Candidate[Case] {
	var list []shrink.Candidate[Case]
	add := func(what string, change func(*Case)) {
		less := c
		change(&less)
		list = append(list, shrink.Candidate[Case]{Case: less, What: what})
	}
	const least = 2 * time.Second
	d := c.Duration.Duration
	for _, part := range shrink.Shorter(d, least) {
		add(fmt.Sprintf("faults for %v", part), func(c *Case) { c.Duration.Duration = part })
	}
	for _, f := range s.cast().Smaller(c.Faults, c.Seed, d) {
		add(f.What, func(c *Case) { c.Faults = f.Case })
	}
	for _, n := range []int{c.Clients / 2, c.Clients - 1} {
		if n > 0 {
			add(fmt.Sprintf("%d clients", n), func(c *Case) { c.Clients = n })
		}
	}
	return list
}

// subject is a system for package explore.
type subject struct {
	all      Systems
	system   System
	name     string
	folder   string // for cases that could not be run; "": nowhere
	progress *progress
}

func (s subject) Fresh(number uint64) Case {
	c := Case{System: s.name, Seed: number, Clients: s.system.Clients}
	c.Duration.Duration = s.system.Duration
	c.Faults = nemesis.Random(sim.Stream(number, "faults"), s.system.Duration, s.system.Faults)
	return c
}

func (s subject) Vary(number uint64, parent, other Case) Case {
	r := sim.Stream(number, "vary")
	c := parent
	c.Faults = s.system.fitting(nemesis.Vary(r, parent.Faults, other.Faults, s.system.Duration, s.system.Faults))
	if r.IntN(4) == 0 {
		c.Seed = number
	}
	return c
}

func (s subject) Run(ctx context.Context, c Case) (explore.Outcome, error) {
	r, _, err := s.all.run(ctx, c, false)
	s.progress.add(r)
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, s.broken(c))
	}
	return explore.Outcome{Features: r.Reached, Failure: signature(r.Problem), Fingerprint: r.Fingerprint}, err
}

// broken keeps a case that could not be run or judged, since a varied one does not follow
// from its seed, and returns an error that says how to run it again.
func (s subject) broken(c Case) error {
	text := casefile.Write(c, Case{}, "This case came to no result.")
	if s.folder == "" {
		return fmt.Errorf("the case, as a file for -%s:\n%s", caseFlag, text)
	}
	name := filepath.Join(s.folder, fmt.Sprintf("%s-%d-broken.yaml", c.System, c.Seed))
	if err := errors.Join(os.MkdirAll(s.folder, 0o755), os.WriteFile(name, text, 0o644)); err != nil {
		return fmt.Errorf("the case, which could not be kept (%w):\n%s", err, text)
	}
	return fmt.Errorf("to run the case again: %s", again(name))
}

// signature is what is alike in problems that are alike: the words before the
// first colon, without numbers. It is empty only where there is no problem.
func signature(problem string) string {
	words, _, _ := strings.Cut(problem, ":")
	words = regexp.MustCompile(`[0-9]+`).ReplaceAllString(words, "")
	if problem != "" && strings.TrimSpace(words) == "" {
		return "a problem"
	}
	return words
}

// oneLine is a case on one line, equal for equal cases.
func oneLine(c Case) string {
	return strings.ReplaceAll(strings.TrimSpace(string(casefile.Write(c, Case{}, ""))), "\n", "; ")
}

// String tells of the finding: what is wrong, what it takes, and the file that
// holds the case.
func (f *Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", f.Smallest.Words())
	for _, s := range f.Smallest.Faults {
		fmt.Fprintf(&b, "%9.3fs to %9.3fs  %s\n", s.At.Seconds(), s.Until.Seconds(), s.Text)
	}
	if len(f.Smallest.Faults) == 0 {
		fmt.Fprintln(&b, "it takes no fault")
	}
	fmt.Fprintf(&b, "\nfound after %d cases, made smaller in %d runs", f.Cases, f.Tries)
	if f.Stopped {
		fmt.Fprint(&b, " until the time was up: it may get smaller yet")
	}
	fmt.Fprintf(&b, "; as the file %s:\n\n%s", f.Name, f.File())
	fmt.Fprintf(&b, "\nit tells what happens with: %s\n", again(f.Name))
	fmt.Fprintf(&b, "and -%s FILE.html shows it in a browser\n", pageFlag)
	return b.String()
}

// File is the smallest case as the text of a file that Load reads.
func (f *Finding) File() []byte { return casefile.Write(f.Smallest.Case, Case{}, f.Smallest.Problem) }

// Load reads a case from a file.
func Load(file string) (Case, error) {
	var c Case
	b, err := os.ReadFile(file)
	if err == nil {
		_, err = casefile.Read(file, b, &c)
	}
	return c, err
}
