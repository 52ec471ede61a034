// Package search finds runs of scenarios that fail and makes them smaller: it is
// what scenarios are for package explore and for package shrink.
package search

import (
	"context"
	"math/rand/v2"
	"slices"

	"tribune/scenarios"
	"tribune/sim"
	"tribune/sim/explore"
	"tribune/sim/launch"
	"tribune/sim/nemesis"
)

// Subject is a scenario file to be explored. The cases of an exploration are
// scenarios in which everything is said.
type Subject struct {
	From scenarios.Scenario
	// Binary is the program whose agents run; "": this one.
	Binary string
	// Judged is told of every run that was judged; it may be nil. It is called by
	// several goroutines at once.
	Judged func(scenarios.Scenario, scenarios.Result)
}

var _ explore.Subject[scenarios.Scenario] = Subject{}

// Fresh implements explore.Subject: what scenarios.Draw draws.
func (s Subject) Fresh(number uint64) scenarios.Scenario { return scenarios.Draw(s.From, number) }

// Vary implements explore.Subject: other faults, now and then another part of what is
// around them, and another seed for all the rest.
func (s Subject) Vary(number uint64, parent, other scenarios.Scenario) scenarios.Scenario {
	r := sim.Stream(number, "vary")
	fresh := s.Fresh(number)
	for range variations {
		c := parent
		if r.IntN(3) == 0 {
			exchange(r.IntN(parts), &c, fresh)
		}
		c.Faults = s.faults(r, c, other, fresh)
		if r.IntN(4) == 0 {
			c.Seed = number
		}
		if c.Check() == nil {
			return c
		}
	}
	// What the other has does not fit: not even the number of servers.
	parent.Seed = number
	return parent
}

// parts are what exchange tells apart.
const parts = 4

// exchange takes a part from another scenario: who is there, what they do, what the
// world is like, or in which order goroutines run. Draws of one part do not depend on
// those of another but for those who need a client agent. What is expected of a part
// goes with it.
func exchange(part int, c *scenarios.Scenario, from scenarios.Scenario) {
	switch part {
	case 0:
		lag := c.Checks.Lag
		c.Topology, c.Workload, c.Checks = from.Topology, from.Workload, from.Checks
		c.Checks.Lag = lag // of the agent
	case 1:
		w := from.Workload
		c.Workload.Rate, c.Workload.Keys, c.Workload.Mix, c.Workload.Reads, c.Workload.MaxStale = w.Rate, w.Keys, w.Mix, w.Reads, w.MaxStale
		c.Checks.Linearizable, c.Checks.Behind = from.Checks.Linearizable, from.Checks.Behind
	case 2:
		c.Network, c.Agent, c.Disk, c.Clocks = from.Network, from.Agent, from.Disk, from.Clocks
		c.Checks.Lag = from.Checks.Lag
	case 3:
		c.Schedule = from.Schedule
	}
}

// faults varies those of a scenario that are of kinds that are drawn, within the bounds.
func (s Subject) faults(r *rand.Rand, c, other, fresh scenarios.Scenario) []scenarios.Fault {
	m := c.Mix(s.From)
	if len(m.Kinds) == 0 {
		return c.Faults
	}
	drawn := func(faults []scenarios.Fault) (some, others []scenarios.Fault) {
		for _, f := range c.Fitting(faults) {
			if slices.Contains(m.Kinds, f.Kind) {
				some = append(some, f)
			} else {
				others = append(others, f)
			}
		}
		return some, others
	}
	mine, kept := drawn(c.Faults)
	theirs, _ := drawn(other.Faults)
	varied := c.Fitting(nemesis.Vary(r, mine, theirs, c.Duration.Duration, m))
	if between := s.From.Explore.Faults; len(between) == 2 {
		more, _ := drawn(fresh.Faults)
		for len(varied)+len(kept) < between[0] && len(more) > 0 {
			varied, more = append(varied, more[0]), more[1:]
		}
		for len(varied)+len(kept) > between[1] && len(varied) > 0 {
			i := r.IntN(len(varied))
			varied = slices.Delete(varied, i, i+1)
		}
	}
	return slices.Concat(kept, varied)
}

// passages is how many of a point by one node are looked at.
const passages = 64

// variations is how often a variation is drawn that makes sense.
const variations = 10

// Run implements explore.Subject. A run that ends without a result has failed; one that
// could not begin is an error.
func (s Subject) Run(ctx context.Context, c scenarios.Scenario) (explore.Outcome, error) {
	r, err := scenarios.Run(ctx, s.Binary, scenarios.Order{Scenario: c, Seed: c.Seed, Passages: passages}, launch.Perturb{}, scenarios.Listener{})
	if ctx.Err() != nil {
		return explore.Outcome{}, ctx.Err()
	}
	if s.Judged != nil && err == nil {
		s.Judged(c, r)
	}
	failed, err := signatureOf(r, err)
	if err != nil {
		return explore.Outcome{}, err
	}
	return explore.Outcome{Features: nemesis.Reached(r.Passages, r.Faults), Failure: inWords(failed), Fingerprint: r.Fingerprint, Seen: r.Figures.Turns.Windows}, nil
}
