package search

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tribune/scenarios"
	"tribune/sim/launch"
	"tribune/sim/shrink"
)

// ErrPasses says that what is to be made smaller does not fail.
var ErrPasses = errors.New("nothing fails in this run")

// Shrinking says how to make a scenario smaller.
type Shrinking struct {
	Binary   string // the program whose agents run; "": this one
	Parallel int
	// Tried is told of every scenario that was tried; it may be nil.
	Tried func(what string, fails bool)
}

// Shrink makes a scenario smaller whose run with its seed fails, as long as it still
// fails in the same way, and returns the smallest with what came of its run. When
// the context ends, it returns the smallest so far.
func (o Shrinking) Shrink(ctx context.Context, s scenarios.Scenario) (scenarios.Scenario, scenarios.Result, error) {
	s = scenarios.NewPlan(s, s.Seed).Scenario
	s.Storm = false
	r, err := o.run(context.WithoutCancel(ctx), s, 0)
	wanted := signatureOf(r, err)
	if wanted == "" {
		return s, r, ErrPasses
	}
	smallest, err := shrink.Smallest(ctx, s, shrink.Options[scenarios.Scenario]{
		Candidates: Smaller,
		Fails: func(ctx context.Context, s scenarios.Scenario) (bool, error) {
			r, err := o.run(ctx, s, 0)
			if ctx.Err() != nil {
				return false, nil
			}
			return signatureOf(r, err) == wanted, nil
		},
		Key:      func(s scenarios.Scenario) string { return string(scenarios.Write(s, "")) },
		Parallel: o.Parallel,
		Tried: func(c shrink.Candidate[scenarios.Scenario], fails bool) {
			if o.Tried != nil {
				o.Tried(c.What, fails)
			}
		},
	})
	if err == nil {
		smallest, err = o.anchor(ctx, smallest, wanted)
	}
	if err != nil && ctx.Err() == nil {
		return smallest, r, err
	}
	if r, err = o.run(context.WithoutCancel(ctx), smallest, 0); err != nil {
		r.Verdicts = append(r.Verdicts, scenarios.Verdict{Check: "the run", Expected: "a result", Got: "without one", Text: wanted})
	}
	return smallest, r, nil
}

func (o Shrinking) run(ctx context.Context, s scenarios.Scenario, most int) (scenarios.Result, error) {
	return scenarios.Run(ctx, o.Binary, scenarios.Order{Scenario: s, Seed: s.Seed, Passages: most}, launch.Perturb{}, scenarios.Listener{})
}

// Story says in a few lines what happens in a run that fails: what is wrong, what
// struck, and who led.
func Story(r scenarios.Result) string {
	var b strings.Builder
	for _, v := range r.Verdicts {
		if !v.OK {
			fmt.Fprintf(&b, "%s is %s, expected %s: %s\n", v.Check, v.Got, v.Expected, v.Text)
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
