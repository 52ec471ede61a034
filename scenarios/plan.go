package scenarios

import (
	"math/rand/v2"
	"slices"
	"time"

	"tribune/sim"
	"tribune/sim/nemesis"
)

const (
	second = time.Second
	minute = time.Minute
)

// Plan is a run with everything drawn that the seed decides.
type Plan struct {
	Scenario Scenario
	Seed     uint64
	Servers  []ServerPlan
	Strikes  []Strike // in the order of their time

	serverNames, agentNames, memberNames []string
}

// ServerPlan is what the seed decided for a server.
type ServerPlan struct {
	Name string
	Skew time.Duration
	Rate float64 // of its clock
}

// Clock is the server's clock.
func (s ServerPlan) Clock() sim.Clock {
	c := sim.ClockAt(s.Rate)
	c.Skew = s.Skew
	return c
}

// Strike is one fault at one time.
type Strike = nemesis.Strike

// stream returns the generator of a purpose; each has its own, so that a fault
// that is taken away leaves the draws of all others as they were.
func stream(seed uint64, purpose string) *rand.Rand { return sim.Stream(seed, purpose) }

// NewPlan draws everything that the seed decides.
func NewPlan(s Scenario, seed uint64) Plan {
	if s.Storm {
		s = storm(s, seed)
	}
	p := Plan{Scenario: s, Seed: seed, serverNames: serverNames(s.Topology.Servers), agentNames: agentNames(s.Topology.Agents)}
	p.memberNames = slices.Concat(p.serverNames, p.agentNames)
	for _, name := range p.serverNames {
		r := stream(seed, "clock "+name)
		sp := ServerPlan{Name: name, Rate: 1}
		if skew := s.Clocks.Skew.Duration; skew > 0 {
			sp.Skew = time.Duration(r.Int64N(int64(2*skew))) - skew
		}
		if len(s.Clocks.Rates) == 2 {
			sp.Rate = s.Clocks.Rates[0] + r.Float64()*(s.Clocks.Rates[1]-s.Clocks.Rates[0])
		}
		p.Servers = append(p.Servers, sp)
	}
	p.Strikes = p.cast().Draw(s.Faults, seed, s.Duration.Duration)
	return p
}

// names are those of the servers, agents those of the client agents. They are asked
// for all the time, and nobody may change them.
func (p *Plan) names() []string  { return p.serverNames }
func (p *Plan) agents() []string { return p.agentNames }

// served are those whom clients talk to.
func (p *Plan) served() []string {
	if p.Scenario.Workload.Via == "agents" {
		return p.agents()
	}
	return p.names()
}

// members are all who gossip.
func (p *Plan) members() []string { return p.memberNames }

func (p *Plan) cast() nemesis.Cast { return p.Scenario.Cast() }

// Cast says who can be struck.
func (s Scenario) Cast() nemesis.Cast {
	return nemesis.Cast{
		Servers: serverNames(s.Topology.Servers),
		Others:  agentNames(s.Topology.Agents),
		Other:   agentWord,
		Roles: []nemesis.Role{
			{Name: leaderRole, Words: "the leader of that time"},
			{Name: holderRole, Words: "the holder of the lock at that time", Outside: true},
		},
		Kinds: []nemesis.Kind{
			{Name: expelKind, Role: holderRole, Words: "the session of %s is destroyed"},
			{Name: leaveKind, Takes: []string{"target!"}, Words: "%s leaves the cluster for good and ends, and later comes back"},
		},
		Points: agentPoints(),
	}
}

// The roles that faults can strike, and the kinds of faults that are Tribune's own.
const (
	leaderRole = "leader"
	holderRole = "holder" // of the lock
	expelKind  = "expel"
	leaveKind  = "leave"
)
