package search

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tribune/scenarios"
	"tribune/sim/launch"
	"tribune/sim/shrink"
)

// ErrPasses says that what is to be made smaller does not fail.
var ErrPasses = errors.New("nothing fails in this run")

// ErrStopped says that the time was up before the smallest scenario was found.
var ErrStopped = errors.New("it may get smaller yet")

// Shrinking says how to make a scenario smaller.
type Shrinking struct {
	Binary   string // the program whose agents run; "": this one
	Parallel int
	// Tried is told of every scenario that was tried; it may be nil.
	Tried func(what string, fails bool)
}

// Shrink makes a scenario smaller whose run with its seed fails, as long as it still
// fails in the same way, and returns the smallest with what came of its run. When
// the context ends after the first run, or three quarters of the time until its deadline
// are over, or runs cannot be started any more, it takes the smallest so far, and returns
// it with ErrStopped.
func (o Shrinking) Shrink(ctx context.Context, s scenarios.Scenario) (scenarios.Scenario, scenarios.Result, error) {
	s = scenarios.NewPlan(s, s.Seed).Scenario
	s.Storm, s.About = false, "" // it will be about another run
	first, done := untilInterrupted(ctx)
	defer done()
	r, err := o.run(first, s, 0)
	if first.Err() != nil { // the run has ended with it, which says nothing
		return s, r, first.Err()
	}
	wanted, err := signatureOf(r, err)
	if err != nil {
		return s, r, err
	}
	if len(wanted) == 0 {
		return s, r, ErrPasses
	}
	cutting, stop := withoutAnchoring(ctx)
	defer stop()
	smallest, err := o.cut(cutting, s, r, wanted)
	if err != nil {
		return s, r, err
	}
	smallest, err = shrink.Smallest(cutting, smallest, shrink.Options[scenarios.Scenario]{
		Candidates: Smaller,
		Fails:      func(ctx context.Context, s scenarios.Scenario) (bool, error) { return o.fails(ctx, s, wanted) },
		Key:        func(s scenarios.Scenario) string { return string(scenarios.Write(s, "")) },
		Parallel:   o.Parallel,
		Tried: func(c shrink.Candidate[scenarios.Scenario], fails bool) {
			if o.Tried != nil {
				o.Tried(c.What, fails)
			}
		},
	})
	var stopped error
	if cutting.Err() != nil {
		stopped = ErrStopped
	}
	if err == nil {
		smallest, err = o.anchor(ctx, smallest, wanted)
	}
	switch {
	case ctx.Err() != nil:
		stopped = ErrStopped
	case err != nil:
		stopped = fmt.Errorf("%w: %w", ErrStopped, err)
	}
	if r, err = o.run(context.WithoutCancel(ctx), smallest, 0); err != nil {
		r.Verdicts = append(r.Verdicts, scenarios.Verdict{Check: scenarios.RunCheck, Expected: "a result", Got: "without one", Text: inWords(wanted)})
	}
	return smallest, r, stopped
}

// untilInterrupted is a context without the deadline: that the time is up early is no reason
// to know nothing of the scenario.
func untilInterrupted(ctx context.Context) (context.Context, context.CancelFunc) {
	free, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})
	return free, func() { stop(); cancel() }
}

// withoutAnchoring leaves a quarter of the time: a scenario whose faults strike at bare
// times, however small, breaks with the next change of the code.
func withoutAnchoring(ctx context.Context) (context.Context, context.CancelFunc) {
	end, limited := ctx.Deadline()
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-time.Until(end)/4))
}

// cut ends the phase of faults soon after the first thing that went wrong, if the
// scenario still fails then.
func (o Shrinking) cut(ctx context.Context, s scenarios.Scenario, r scenarios.Result, wanted []string) (scenarios.Scenario, error) {
	first := s.Duration.Duration
	for _, v := range r.Violations {
		first = min(first, v.At)
	}
	for _, v := range r.Verdicts {
		for _, a := range v.Anomalies {
			first = min(first, a.At)
		}
	}
	less := s
	less.Duration.Duration = max((first + 2*time.Second).Truncate(time.Second), least)
	if less.Faults = less.Fitting(s.Faults); less.Duration.Duration >= s.Duration.Duration || less.Check() != nil {
		return s, nil
	}
	fails, err := o.fails(ctx, less, wanted)
	if err != nil {
		return s, err
	}
	if o.Tried != nil {
		o.Tried(fmt.Sprintf("faults for %v", less.Duration), fails)
	}
	if !fails {
		return s, nil
	}
	return less, nil
}

// fails reports whether a scenario fails in one of the ways that are wanted. A run ends
// as soon as that is known. It does not, once the context has ended. That a run could not
// begin is an error.
func (o Shrinking) fails(ctx context.Context, s scenarios.Scenario, wanted []string) (bool, error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	known := false
	r, err := scenarios.Run(running, o.Binary, scenarios.Order{Scenario: s, Seed: s.Seed}, launch.Perturb{}, scenarios.Listener{
		Progress: func(p scenarios.Progress) {
			if !known && (alike(p.Violated, wanted) || alike(missing(p.Missing), wanted)) {
				known = true
				stop()
			}
		},
	})
	failed, err := signatureOf(r, err)
	switch {
	case ctx.Err() != nil:
		return false, nil
	case known:
		return true, nil
	}
	return err == nil && alike(failed, wanted), err
}

func (o Shrinking) run(ctx context.Context, s scenarios.Scenario, most int) (scenarios.Result, error) {
	return scenarios.Run(ctx, o.Binary, scenarios.Order{Scenario: s, Seed: s.Seed, Passages: most}, launch.Perturb{}, scenarios.Listener{})
}

// told is how many anomalies of a check a story tells.
const told = 3

// Story says in a few lines what happens in a run that fails: what is wrong, what
// struck, and who led.
func Story(r scenarios.Result) string {
	var b strings.Builder
	for _, v := range r.Verdicts {
		if !v.OK {
			fmt.Fprintf(&b, "%s is %s, expected %s: %s\n", v.Check, v.Got, v.Expected, v.Text)
			for _, a := range v.Anomalies[:min(len(v.Anomalies), told)] {
				fmt.Fprintf(&b, "  %s: %s\n", a.Kind, a.Text)
			}
		}
	}
	b.WriteString("\n")
	reigns := r.Reigns
	for _, f := range r.Faults {
		for len(reigns) > 0 && reigns[0].At < f.At {
			fmt.Fprintf(&b, "%9.3fs  %s leads in term %d\n", reigns[0].At.Seconds(), reigns[0].Server, reigns[0].Term)
			reigns = reigns[1:]
		}
		fmt.Fprintf(&b, "%9.3fs  %s, until %.3fs\n", f.At.Seconds(), f.Text, f.Until.Seconds())
	}
	for _, l := range reigns {
		fmt.Fprintf(&b, "%9.3fs  %s leads in term %d\n", l.At.Seconds(), l.Server, l.Term)
	}
	return b.String()
}
