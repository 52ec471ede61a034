package scenarios

import (
	"math"
	"math/rand/v2"
	"time"

	"tribune/sim/nemesis"
)

// storm draws a scenario: not only when faults strike but the knobs themselves,
// which faults there are at all, how often and how hard, how many servers, what
// the clients do (Groce et al., Swarm Testing, 2012: runs that each leave
// something out find more than runs that all have everything).
func storm(s Scenario, seed uint64) Scenario {
	r := stream(seed, "storm")
	s.Topology.Servers = []int{3, 5, 5, 7}[r.IntN(4)]
	s.Topology.Clients = 2 + r.IntN(5)
	s.Network.Model = []string{"lan", "lan", "wan", "geo:aws"}[r.IntN(4)]
	if s.Network.Model != "lan" {
		s.Agent.RaftMultiplier = 2
	}
	if r.IntN(2) == 0 {
		// Snapshots during the run, and followers that need one.
		s.Agent.SnapshotThreshold, s.Agent.TrailingLogs = 100, 20+r.IntN(100)
	}
	s.Disk.Sync.Duration = nemesis.LogUniform(r, 100*time.Microsecond, 20*time.Millisecond)
	if r.IntN(2) == 0 {
		s.Clocks.Skew.Duration = nemesis.LogUniform(r, second, 10*minute)
	}
	if r.IntN(3) == 0 {
		s.Clocks.Rates = []float64{0.95, 1.05}
	}
	s.Workload.Rate = math.Round(10 + 60*r.Float64())
	s.Workload.Keys = 1 + r.IntN(8)
	s.Workload.Mix = map[string]int{"get": 20 + r.IntN(60), "put": 10 + r.IntN(40), "cas": r.IntN(30), "delete": r.IntN(10), "delete-cas": r.IntN(10)}
	s.Faults = append(s.Faults, nemesis.Random(r, s.Duration.Duration, Stormy(s))...)
	if r.IntN(3) == 0 {
		s.Workload.Contenders = 2 + r.IntN(3)
	}
	if r.IntN(2) == 0 {
		stormAgents(&s, r)
	}
	if s.Schedule.Kind == "" {
		s.Schedule = stormSchedule(seed)
	}
	return s
}

// Stormy is the mix of faults of a storm: all kinds, some of them aimed at what
// happens in the agents.
func Stormy(s Scenario) nemesis.Mix {
	m := nemesis.Stormy()
	m.Points, m.Aimed = s.Cast().AllPoints(), 40
	return m
}

// stormSchedule draws in which order goroutines run: each kind finds what others
// do not.
func stormSchedule(seed uint64) Schedule {
	r := stream(seed, "schedule")
	depth := 1 + r.IntN(4)
	switch r.IntN(10) {
	case 0, 1, 2, 3:
		return Schedule{Kind: "shuffle"}
	case 4, 5:
		return Schedule{Kind: "walk"}
	}
	return Schedule{Kind: "pct", Depth: depth}
}

// stormAgents adds client agents, and faults that strike them.
func stormAgents(s *Scenario, r *rand.Rand) {
	s.Topology.Agents, s.Workload.Registrars = 2+r.IntN(4), r.IntN(4)
	if r.IntN(2) == 0 {
		s.Workload.Via = "agents"
	}
	s.Faults = append(s.Faults, nemesis.Random(r, s.Duration.Duration, nemesis.Mix{
		Kinds:   []string{"partition", "reset", "kill", "power", "restart", "pause"},
		Percent: 50, Targets: []string{"agent"}, Shapes: []string{"isolate"},
	})...)
}
