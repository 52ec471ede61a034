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
func (o Shrinking) anchor(ctx context.Context, s scenarios.Scenario, wanted string) (scenarios.Scenario, error) {
	for i := range s.Faults {
		if s.Faults[i].On != "" {
			continue
		}
		r, err := o.run(ctx, s, true)
		if err != nil {
			return s, err
		}
		for _, f := range anchored(s.Faults[i], r.Passed) {
			if ctx.Err() != nil {
				return s, nil
			}
			tried := s
			tried.Faults = slices.Clone(s.Faults)
			tried.Faults[i] = f
			if tried.Check() != nil {
				continue
			}
			r, err := o.run(ctx, tried, false)
			fails := err == nil && Signature(r) == wanted
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
// before, the rarest first and of those the latest.
func anchored(f scenarios.Fault, passed []nemesis.Passing) []scenarios.Fault {
	if f.Every.Duration > 0 {
		return nil
	}
	type place struct{ point, node string }
	total, nth := map[place]int{}, map[place]int{}
	latest := map[place]nemesis.Passing{}
	for _, p := range passed {
		at := place{p.Point, p.Node}
		total[at]++
		if p.Node != "" && p.At <= f.At.Duration && p.At > f.At.Duration-near {
			latest[at], nth[at] = p, total[at]
		}
	}
	var places []place
	for at := range latest {
		places = append(places, at)
	}
	slices.SortFunc(places, func(a, b place) int {
		if d := total[a] - total[b]; d != 0 {
			return d
		}
		if d := latest[b].At - latest[a].At; d != 0 {
			return int(d)
		}
		return slices.Compare([]string{a.point, a.node}, []string{b.point, b.node})
	})
	var all []scenarios.Fault
	for _, at := range places[:min(len(places), anchors)] {
		tied := f
		after := (f.At.Duration - latest[at].At).Round(time.Millisecond)
		tied.At.Duration, tied.Jitter.Duration = 0, 0
		tied.On, tied.Of, tied.Nth, tied.After.Duration = at.point, at.node, nth[at], after
		if tied.Nth == 1 {
			tied.Nth = 0 // which is the first
		}
		if tied.Target == at.node {
			tied.Target = "here"
		}
		all = append(all, tied)
	}
	return all
}
