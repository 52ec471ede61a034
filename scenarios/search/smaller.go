package search

import (
	"fmt"
	"maps"
	"time"

	"tribune/scenarios"
	"tribune/sim/shrink"
)

// Smaller lists scenarios that are smaller than s and may fail as well, the boldest
// first: shorter, with fewer faults, fewer nodes and less work, nearer to what is
// usual, and with rounder numbers.
func Smaller(s scenarios.Scenario) []shrink.Candidate[scenarios.Scenario] {
	l := list{from: s}
	l.shorter()
	for _, c := range s.Cast().Smaller(s.Faults, s.Seed, s.Duration.Duration) {
		l.add(c.What, func(s *scenarios.Scenario) { s.Faults = c.Case })
	}
	l.lessAround()
	return l.all
}

// list collects candidates.
type list struct {
	from scenarios.Scenario
	all  []shrink.Candidate[scenarios.Scenario]
}

// add adds what change makes of a copy, if that is a scenario at all: a fault may
// need what was taken away. Nothing may be written to that the copy shares with the
// original: lists are replaced.
func (l *list) add(what string, change func(*scenarios.Scenario)) {
	s := l.from
	change(&s)
	if s.Check() != nil {
		return
	}
	l.all = append(l.all, shrink.Candidate[scenarios.Scenario]{Case: s, What: what})
}

// least is the shortest phase of faults that is tried: agents must have started.
const least = 5 * time.Second

func (l *list) shorter() {
	for _, part := range shrink.Shorter(l.from.Duration.Duration, least) {
		l.add(fmt.Sprintf("faults for %v", part), func(s *scenarios.Scenario) { s.Duration.Duration = part })
	}
}

// lessAround takes away what surrounds the faults.
func (l *list) lessAround() {
	f := l.from
	w := f.Workload
	for _, extra := range []struct {
		name string
		of   func(*scenarios.Workload) *int
	}{
		{"registrars", func(w *scenarios.Workload) *int { return &w.Registrars }},
		{"contenders", func(w *scenarios.Workload) *int { return &w.Contenders }},
		{"watchers", func(w *scenarios.Workload) *int { return &w.Watchers }},
		{"prefix watchers", func(w *scenarios.Workload) *int { return &w.PrefixWatchers }},
		{"heralds", func(w *scenarios.Workload) *int { return &w.Heralds }},
		{"tellers", func(w *scenarios.Workload) *int { return &w.Tellers }},
	} {
		if *extra.of(&w) > 0 {
			l.add("no "+extra.name, func(s *scenarios.Scenario) { *extra.of(&s.Workload) = 0 })
		}
	}
	if w.Via == "agents" {
		l.add("clients talk to servers", func(s *scenarios.Scenario) { s.Workload.Via = "servers" })
	}
	if f.Topology.Agents > 0 {
		l.add("no client agents", func(s *scenarios.Scenario) { s.Topology.Agents, s.Workload.Registrars = 0, 0 })
	}
	for _, n := range []int{3, 5} {
		if n < f.Topology.Servers {
			l.add(fmt.Sprintf("%d servers", n), func(s *scenarios.Scenario) { s.Topology.Servers = n })
		}
	}
	if n := f.Topology.Clients; n > 1 {
		l.add(fmt.Sprintf("%d clients", (n+1)/2), func(s *scenarios.Scenario) { s.Topology.Clients = (n + 1) / 2 })
		l.add(fmt.Sprintf("%d clients", n-1), func(s *scenarios.Scenario) { s.Topology.Clients = n - 1 })
	}
	if w.Rate >= 10 {
		l.add(fmt.Sprintf("%.0f operations a second", w.Rate/2), func(s *scenarios.Scenario) { s.Workload.Rate = float64(int(w.Rate / 2)) })
	}
	if w.Keys > 1 {
		l.add(fmt.Sprintf("%d keys", w.Keys/2), func(s *scenarios.Scenario) { s.Workload.Keys = w.Keys / 2 })
	}
	l.usual()
}

// usual takes back what the scenario says of the world.
func (l *list) usual() {
	f := l.from
	if f.Network != (scenarios.Network{Model: "lan"}) {
		l.add("the usual network", func(s *scenarios.Scenario) { s.Network = scenarios.Network{Model: "lan"} })
	}
	if f.Agent != (scenarios.Agent{RaftMultiplier: 1}) {
		l.add("the usual settings", func(s *scenarios.Scenario) { s.Agent = scenarios.Agent{RaftMultiplier: 1} })
	}
	if f.Disk != (scenarios.Disk{}) {
		l.add("fast disks", func(s *scenarios.Scenario) { s.Disk = scenarios.Disk{} })
	}
	if f.Clocks.Skew.Duration != 0 || len(f.Clocks.Rates) > 0 {
		l.add("true clocks", func(s *scenarios.Scenario) { s.Clocks = scenarios.Clocks{} })
	}
	for _, kind := range []string{"delete-cas", "delete", "cas"} {
		if f.Workload.Mix[kind] > 0 && f.Workload.Mix["put"] > 0 && f.Workload.Mix["get"] > 0 {
			l.add("no "+kind, func(s *scenarios.Scenario) {
				s.Workload.Mix = maps.Clone(s.Workload.Mix)
				s.Workload.Mix[kind] = 0
			})
		}
	}
}
