package search

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tribune/scenarios"
	"tribune/sim/nemesis"
)

const (
	// near is how long before a strike a point may have been passed that the strike
	// is anchored to.
	near = 3 * time.Second
	// anchors is how many points are tried for a fault.
	anchors = 6
)

// anchor ties the faults of a scenario to what happens just before them instead of
// to bare times, where the run still fails in the same way then: such a file
// outlives changes of the code that move everything by some milliseconds.
func (o Shrinking) anchor(ctx context.Context, s scenarios.Scenario, wanted []string) (scenarios.Scenario, error) {
	for i := range s.Faults {
		if s.Faults[i].On != "" {
			continue
		}
		r, err := o.run(ctx, s, passages)
		if err != nil {
			return s, nil // it ends without a result, and nobody knows what was passed
		}
		for _, f := range anchored(s.Faults[i], r.Passages) {
			if ctx.Err() != nil {
				return s, nil
			}
			tried := s
			tried.Faults = slices.Clone(s.Faults)
			tried.Faults[i] = f
			if tried.Check() != nil {
				continue
			}
			fails, err := o.fails(ctx, tried, wanted)
			if err != nil {
				return s, err
			}
			if o.Tried != nil {
				o.Tried(fmt.Sprintf("%s %v after %s of %s", f.Kind, f.After, f.On, f.Of), fails)
			}
			if fails {
				s = tried
				break
			}
		}
	}
	return s, nil
}

// anchored lists ways to tie a fault that strikes once to points that were passed
// before.
func anchored(f scenarios.Fault, passed []nemesis.Passage) []scenarios.Fault {
	if f.Every.Duration > 0 {
		return nil
	}
	all := nemesis.Anchors(f, f.At.Duration, f.Target, passed, near)
	for i := range all {
		all[i].After.Duration = all[i].After.Round(time.Millisecond)
	}
	return all[:min(len(all), anchors)]
}
