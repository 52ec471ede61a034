package scenarios

import (
	"math"
	"math/rand/v2"
	"time"
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
	s.Disk.Sync.Duration = logUniform(r, 100*time.Microsecond, 20*time.Millisecond)
	if r.IntN(2) == 0 {
		s.Clocks.Skew.Duration = logUniform(r, second, 10*minute)
	}
	if r.IntN(3) == 0 {
		s.Clocks.Rates = []float64{0.95, 1.05}
	}
	s.Workload.Rate = math.Round(10 + 60*r.Float64())
	s.Workload.Keys = 1 + r.IntN(8)
	s.Workload.Mix = map[string]int{"get": 20 + r.IntN(60), "put": 10 + r.IntN(40), "cas": r.IntN(30), "delete": r.IntN(10), "delete-cas": r.IntN(10)}
	end := s.Duration.Duration
	// Every knob is drawn for every kind, taken or not, so that the kinds do
	// not depend on each other.
	for _, k := range stormFaults() {
		f := k
		taken := r.IntN(100) < 35
		f.At.Duration = 5*second + time.Duration(r.Int64N(int64(end/3)))
		f.Every.Duration = logUniform(r, end/12, end/2)
		f.For.Duration = logUniform(r, end/100, end/6)
		f.Jitter.Duration = f.Every.Duration / 4
		f.Target = []string{"random", "leader", "random", "majority"}[r.IntN(4)]
		hardness := r.Float64()
		f.harden(hardness, r)
		if taken {
			s.Faults = append(s.Faults, f)
		}
	}
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
	end := s.Duration.Duration
	for _, kind := range []string{"partition", "reset", "kill", "power", "restart", "pause"} {
		f := Fault{Kind: kind, Target: "agent"}
		taken := r.IntN(100) < 50
		f.At.Duration = 5*second + time.Duration(r.Int64N(int64(end/3)))
		f.Every.Duration = logUniform(r, end/12, end/2)
		f.For.Duration = logUniform(r, end/100, end/6)
		f.Jitter.Duration = f.Every.Duration / 4
		if kind == "partition" {
			f.Shape = "isolate"
		}
		if taken {
			s.Faults = append(s.Faults, f)
		}
	}
}

func logUniform(r *rand.Rand, low, high time.Duration) time.Duration {
	return time.Duration(float64(low) * math.Pow(float64(high)/float64(low), r.Float64()))
}

func stormFaults() []Fault {
	var all []Fault
	for _, kind := range []string{
		"partition", "flap", "loss", "slow-link", "gray", "reset", "kill", "power", "restart", "pause",
		"clock-jump", "clock-drift", "disk-full", "disk-slow", "disk-stall", "disk-error",
	} {
		all = append(all, Fault{Kind: kind})
	}
	return all
}

// harden sets what a kind of fault needs; h is between 0 and 1.
func (f *Fault) harden(h float64, r *rand.Rand) {
	shape := shapes()[r.IntN(len(shapes()))]
	scale := func(low, high time.Duration) Duration {
		return Duration{low + time.Duration(h*float64(high-low))}
	}
	switch f.Kind {
	case "partition":
		f.Shape = shape
		if shape == "bridge" {
			f.Target = "random"
		}
	case "flap":
		f.Period = scale(2*second, 300*time.Millisecond)
		f.By = Duration{f.Period.Duration / 2}
	case "loss":
		f.Rate, f.Duplicate, f.Reorder, f.Target = 0.02+0.25*h, 0.2*h, 0.3*h, ""
		f.By = scale(5*time.Millisecond, 100*time.Millisecond)
	case "slow-link":
		f.By = scale(10*time.Millisecond, 600*time.Millisecond)
	case "gray":
		f.Size = 1400 - int(1000*h)
	case "clock-jump":
		f.By = scale(second, 10*minute)
		if r.IntN(2) == 0 {
			f.By.Duration = -f.By.Duration
		}
	case "clock-drift":
		f.Rate = 0.9 + 0.2*h
	case "disk-slow":
		f.By = scale(5*time.Millisecond, 300*time.Millisecond)
	case "disk-error":
		f.Rate = 0.001 + 0.02*h
	}
}
