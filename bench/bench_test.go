// Package bench_test measures how fast the simulated world goes: virtual seconds
// for each real one, and events on the world's agenda for each real second, on
// one core. README.md says what was measured and where the time goes.
package bench_test

import (
	"os"
	"testing"
	"time"

	"tribune/scenarios"
	"tribune/sim/launch"
)

func TestMain(m *testing.M) {
	launch.ChildMain(scenarios.Children())
	launch.Ensure("tribune/bench", true)
	os.Exit(m.Run())
}

// benchmark runs a scenario without faults for a virtual time and reports the
// speed of the simulation alone: what judging takes is not in it.
func benchmark(b *testing.B, text string) {
	s, err := scenarios.Parse("bench.yaml", []byte(text))
	if err != nil {
		b.Fatal(err)
	}
	var virtual time.Duration
	var events, peak uint64
	seed := uint64(0)
	for b.Loop() {
		seed++
		r, err := scenarios.Run(b.Context(), "", scenarios.Order{Scenario: *s, Seed: seed, Unjudged: true}, launch.Perturb{}, scenarios.Listener{})
		if err != nil {
			b.Fatal(err)
		}
		virtual += r.Virtual
		events += r.Events
		peak = max(peak, r.PeakMemory)
	}
	b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "virtual-s/s")
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFiveIdleServers is a cluster of five servers that nobody asks
// anything.
func BenchmarkFiveIdleServers(b *testing.B) {
	benchmark(b, "topology: {clients: 1}\nworkload: {rate: 0.01}\nduration: 120s\n")
}

// BenchmarkFiveLoadedServers is a cluster of five servers with five clients that
// together do fifty operations a second.
func BenchmarkFiveLoadedServers(b *testing.B) {
	benchmark(b, "topology: {clients: 5}\nworkload: {rate: 50}\nduration: 60s\n")
}

// BenchmarkAnHourUnderLoad shows the memory that a virtual hour takes.
func BenchmarkAnHourUnderLoad(b *testing.B) {
	benchmark(b, "topology: {clients: 5}\nworkload: {rate: 50}\nduration: 1h\n")
}

// BenchmarkSchedules compares the schedules: speed, and how many different pairs
// and sequences of four turns four runs show together.
func BenchmarkSchedules(b *testing.B) {
	const seeds = 4
	for _, schedule := range []string{"shuffle", "walk", "pct:3"} {
		b.Run(schedule, func(b *testing.B) {
			s, err := scenarios.Parse("bench.yaml", []byte("topology: {clients: 5}\nworkload: {rate: 50}\nduration: 10s\n"))
			if err != nil {
				b.Fatal(err)
			}
			if s.Schedule, err = scenarios.ParseSchedule(schedule); err != nil {
				b.Fatal(err)
			}
			var pairs, fours scenarios.Features
			var virtual time.Duration
			var turns uint64
			last := 0
			for b.Loop() {
				pairs, fours, virtual, turns = nil, nil, 0, 0
				for seed := range uint64(seeds) {
					r, err := scenarios.Run(b.Context(), "", scenarios.Order{Scenario: *s, Seed: seed, Unjudged: true}, launch.Perturb{}, scenarios.Listener{})
					if err != nil {
						b.Fatal(err)
					}
					pairs, _ = pairs.Join(r.Figures.Turns.Pairs)
					fours, last = fours.Join(r.Figures.Turns.Windows)
					virtual += r.Virtual
					turns += r.Figures.Turns.Count
				}
			}
			b.ReportMetric(float64(b.N)*virtual.Seconds()/b.Elapsed().Seconds(), "virtual-s/s")
			b.ReportMetric(float64(turns)/virtual.Seconds(), "turns/virtual-s")
			b.ReportMetric(pairs.Estimate(), "pairs")
			b.ReportMetric(fours.Estimate(), "fours")
			b.ReportMetric(float64(last), "new-in-last-run")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkStart is the time a run's process takes to start, and to simulate one
// millisecond.
func BenchmarkStart(b *testing.B) {
	benchmark(b, "topology: {servers: 1, clients: 1}\nworkload: {rate: 1}\nduration: 1ms\nrecovery: {leader: 1ms, write: 1ms, converge: 1ms}\n")
}
