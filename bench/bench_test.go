// Package bench_test measures how fast the simulated world goes: virtual seconds
// for each real one, and events on the world's agenda for each real second, on
// one core. README.md says what was measured and where the time goes.
package bench_test

import (
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"tribune/scenarios"
	"tribune/scenarios/look"
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
	order := scenarios.Order{Scenario: parse(b, text), Unjudged: true}
	var virtual time.Duration
	var events, peak uint64
	begin := cpu(b, syscall.RUSAGE_CHILDREN)
	for b.Loop() {
		order.Seed++
		r, err := scenarios.Run(b.Context(), "", order, launch.Perturb{}, scenarios.Listener{})
		if err != nil {
			b.Fatal(err)
		}
		virtual += r.Virtual
		events += r.Events
		peak = max(peak, r.PeakMemory)
	}
	used := cpu(b, syscall.RUSAGE_CHILDREN) - begin
	b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "virtual-s/s")
	b.ReportMetric(virtual.Seconds()/used.Seconds(), "virtual-s/cpu-s")
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	b.ReportMetric(0, "ns/op")
}

func parse(b *testing.B, text string) scenarios.Scenario {
	s, err := scenarios.Parse("bench.yaml", []byte(text))
	if err != nil {
		b.Fatal(err)
	}
	return *s
}

// cpu is the time that processors have spent so far, in user and kernel mode, on
// this process (syscall.RUSAGE_SELF) or on the runs that have ended (RUSAGE_CHILDREN).
// Other work on the machine changes it less than it does the time on the wall.
func cpu(b *testing.B, whose int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(whose, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
			s := parse(b, "topology: {clients: 5}\nworkload: {rate: 50}\nduration: 10s\n")
			var err error
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
					r, err := scenarios.Run(b.Context(), "", scenarios.Order{Scenario: s, Seed: seed, Unjudged: true}, launch.Perturb{}, scenarios.Listener{})
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

// BenchmarkLoaded is a cluster of five servers with ten clients that together do fifty
// operations a second, with the whole trace sent to the parent, and judged: what
// simctl run does.
func BenchmarkLoaded(b *testing.B) {
	judged(b, "topology: {servers: 5, clients: 10}\nworkload: {rate: 50}\nduration: 60s\n", true)
}

// BenchmarkStorm is a storm of a minute with its recovery, judged: what simctl
// explore does for each case. Each turn of the loop takes the next seed; storms are
// very different, so only equal numbers of turns (-benchtime 20x) compare.
func BenchmarkStorm(b *testing.B) { judged(b, "storm: true\nduration: 60s\n", false) }

// judged runs a scenario with its checks, and reports what the run's process and the
// judge took together.
func judged(b *testing.B, text string, traced bool) {
	order := scenarios.Order{Scenario: parse(b, text), Trace: traced}
	var virtual time.Duration
	spent := func() time.Duration { return cpu(b, syscall.RUSAGE_CHILDREN) + cpu(b, syscall.RUSAGE_SELF) }
	begin := spent()
	for b.Loop() {
		order.Seed++
		r, err := scenarios.Run(b.Context(), "", order, launch.Perturb{}, scenarios.Listener{Trace: io.Discard})
		if err != nil {
			b.Fatal(err)
		}
		virtual += r.Virtual
	}
	used := spent() - begin
	b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(virtual.Seconds()/float64(b.N), "virtual-s/op")
	b.ReportMetric(virtual.Seconds()/used.Seconds(), "virtual-s/cpu-s")
}

// BenchmarkStart is the time from the start of a run's process until a world of five
// servers and ten clients has come to rest for the first time after its first event,
// and what it takes to look at it there and to end: more than the start alone.
func BenchmarkStart(b *testing.B) {
	order := scenarios.Order{Scenario: parse(b, "topology: {servers: 5, clients: 10}\nduration: 1s\n")}
	begin := cpu(b, syscall.RUSAGE_CHILDREN)
	for b.Loop() {
		order.Seed++
		seen, err := scenarios.LookAt(b.Context(), "", order, look.Stop{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		if seen.Events == 0 || seen.At > time.Millisecond {
			b.Fatalf("looked at %v, after %d events", seen.At, seen.Events)
		}
	}
	used := cpu(b, syscall.RUSAGE_CHILDREN) - begin
	b.ReportMetric(float64(used.Milliseconds())/float64(b.N), "cpu-ms/op")
}
