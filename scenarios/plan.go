package scenarios

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
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
}

// ServerPlan is what the seed decided for a server.
type ServerPlan struct {
	Name string
	Skew time.Duration
	Rate float64 // of its clock
}

// Strike is one fault at one time. Its target is "leader" until it strikes,
// since nobody knows before who that will be.
type Strike struct {
	Fault
	Begin time.Duration
	For   time.Duration
	Hits  []string // servers; ["leader"] and ["holder"] are found out when it strikes
	ID    string   // of the fault in the scenario, for its streams
	Turn  int      // counts the strikes of one fault
}

// stream returns the generator of a purpose; each has its own, so that a fault
// that is taken away leaves the draws of all others as they were.
func stream(seed uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(purpose)) // never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// NewPlan draws everything that the seed decides.
func NewPlan(s Scenario, seed uint64) Plan {
	if s.Storm {
		s = storm(s, seed)
	}
	p := Plan{Scenario: s, Seed: seed}
	for _, name := range serverNames(s.Topology.Servers) {
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
	for i, id := range identities(s.Faults) {
		p.Strikes = append(p.Strikes, p.strikes(id, s.Faults[i])...)
	}
	slices.SortStableFunc(p.Strikes, func(a, b Strike) int { return cmp.Compare(a.Begin, b.Begin) })
	return p
}

// identities names faults by what they are and not by their place in the list, so
// that taking one away leaves the draws of the others as they were. Only those
// that are alike are numbered.
func identities(faults []Fault) []string {
	seen := map[string]int{}
	ids := make([]string, len(faults))
	for i, f := range faults {
		id := strings.Join([]string{f.Kind, f.Shape, f.Target, f.Protocol, f.File, f.At.String()}, " ")
		seen[id]++
		ids[i] = fmt.Sprintf("%s #%d", id, seen[id])
	}
	return ids
}

// names are those of the servers, agents those of the client agents.
func (p Plan) names() []string  { return serverNames(p.Scenario.Topology.Servers) }
func (p Plan) agents() []string { return agentNames(p.Scenario.Topology.Agents) }

// served are those whom clients talk to.
func (p Plan) served() []string {
	if p.Scenario.Workload.Via == "agents" {
		return p.agents()
	}
	return p.names()
}

// members are all who gossip.
func (p Plan) members() []string { return append(p.names(), p.agents()...) }

func (p Plan) strikes(id string, f Fault) []Strike {
	r := stream(p.Seed, "planner "+id)
	var all []Strike
	for at := f.At.Duration; at <= p.Scenario.Duration.Duration; at += f.Every.Duration {
		st := Strike{Fault: f, Begin: at, For: f.For.Duration, Hits: p.hits(f, r), ID: id, Turn: len(all)}
		if f.Jitter.Duration > 0 {
			st.Begin += time.Duration(r.Int64N(int64(f.Jitter.Duration)))
		}
		if st.Begin < p.Scenario.Duration.Duration {
			all = append(all, st)
		}
		if f.Every.Duration <= 0 {
			break
		}
	}
	return all
}

// hits draws whom a fault strikes.
func (p Plan) hits(f Fault, r *rand.Rand) []string {
	names := p.names()
	shuffled := slices.Clone(names)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	switch {
	case f.Kind == "partition" && (f.Shape == "halves" || f.Shape == "ring"):
		members := append(shuffled, p.agents()...)
		if len(members) > len(names) {
			r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		}
		return members
	case f.Target == "agent":
		return []string{p.agents()[r.IntN(len(p.agents()))]}
	case f.Kind == "expel":
		return []string{"holder"}
	case f.Target == "" || f.Target == "all":
		return names
	case f.Target == "leader", f.Target == "holder":
		return []string{f.Target}
	case f.Target == "random":
		return shuffled[:1]
	case f.Target == "majority":
		return shuffled[:len(shuffled)/2+1]
	}
	return []string{f.Target}
}
