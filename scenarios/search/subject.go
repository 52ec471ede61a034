// Package search finds runs of scenarios that fail and makes them smaller: it is
// what scenarios are for package explore and for package shrink.
package search

import (
	"context"

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

// Fresh implements explore.Subject: a storm is drawn as ever; another scenario
// keeps all but its faults, of which it gets others of the kinds it has, or, if it
// has none, of all kinds.
func (s Subject) Fresh(number uint64) scenarios.Scenario {
	c := scenarios.NewPlan(s.From, number).Scenario
	c.Storm, c.Seed = false, number
	if !s.From.Storm {
		c.Faults = nemesis.Random(sim.Stream(number, "explore"), c.Duration.Duration, s.mix())
	}
	return c
}

// mix says which faults there may be.
func (s Subject) mix() nemesis.Mix {
	m := scenarios.Stormy(s.From)
	var kinds []string
	seen := map[string]bool{}
	for _, f := range s.From.Faults {
		if !seen[f.Kind] {
			kinds = append(kinds, f.Kind)
		}
		seen[f.Kind] = true
	}
	if len(kinds) > 0 {
		m.Kinds, m.Percent = kinds, 70
	}
	return m
}

// Vary implements explore.Subject: other faults, now and then with another seed for
// all the rest.
func (s Subject) Vary(number uint64, parent, other scenarios.Scenario) scenarios.Scenario {
	r := sim.Stream(number, "vary")
	c := parent
	for range variations {
		c.Faults = nemesis.Vary(r, parent.Faults, other.Faults, c.Duration.Duration, s.mix())
		if r.IntN(4) == 0 {
			c.Seed = number
		}
		if c.Check() == nil {
			return c
		}
	}
	// What the other has does not fit: not even the number of servers.
	c.Faults, c.Seed = parent.Faults, number
	return c
}

// passages is how many of a point by one node are looked at.
const passages = 64

// variations is how often a variation is drawn that makes sense.
const variations = 10

// Run implements explore.Subject. A run that ends without a result has failed.
func (s Subject) Run(ctx context.Context, c scenarios.Scenario) (explore.Outcome, error) {
	r, err := scenarios.Run(ctx, s.Binary, scenarios.Order{Scenario: c, Seed: c.Seed, Passages: passages}, launch.Perturb{}, scenarios.Listener{})
	if ctx.Err() != nil {
		return explore.Outcome{}, ctx.Err()
	}
	if s.Judged != nil && err == nil {
		s.Judged(c, r)
	}
	return explore.Outcome{Features: nemesis.Reached(r.Passages, r.Faults), Failure: signatureOf(r, err), Fingerprint: r.Fingerprint}, nil
}
