package scenarios_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/scenarios"
	"tribune/sim/launch"
	"tribune/sim/nemesis"
)

func TestTheDocumentationListsEveryPoint(t *testing.T) {
	text, err := os.ReadFile("../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range scenarios.Points() {
		if row := fmt.Sprintf("\n| `%s` | %s |", p.Name, p.About); !strings.Contains(string(text), row) {
			t.Errorf("docs/scenarios.md lacks%s", row)
		}
	}
}

func TestToNoteWhatIsPassedChangesNoRun(t *testing.T) {
	s := load(t, "storm.yaml")
	s.Duration.Duration = 20 * time.Second
	for seed, kind := range []string{"pct", "shuffle", "walk"} {
		seed := uint64(seed)
		s.Schedule.Kind = kind
		want := fingerprint(t, s, seed, launch.Perturb{})
		r, err := scenarios.Run(t.Context(), "", scenarios.Order{Scenario: s, Seed: seed, Unjudged: true, Passages: 3}, launch.Perturb{}, scenarios.Listener{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Fingerprint != want {
			t.Errorf("%s, seed %d is another run", kind, seed)
		}
		if !slices.ContainsFunc(r.Passages, func(p nemesis.Passage) bool { return p.Point == "elected" && p.Nth == 1 }) {
			t.Errorf("%s, seed %d: nobody was elected: %v", kind, seed, r.Passages)
		}
	}
}

// everything is a scenario in which much goes wrong.
const everything = `
topology: {servers: 5, agents: 2, clients: 3}
agent: {raft_snapshot_threshold: 60, raft_trailing_logs: 10}
workload: {rate: 60, keys: 4, contenders: 2, registrars: 1, lock_delay: 1s}
disk: {sync: 1ms}
duration: 150s
faults:
  - {kind: kill, target: leader, at: 6s, every: 31s, for: 9s}
  - {kind: partition, shape: isolate, target: leader, at: 14s, every: 27s, for: 7s}
  - {kind: partition, shape: isolate, target: random, at: 20s, every: 40s, for: 16s}
  - {kind: power, target: s2, at: 24s, every: 50s, for: 12s}
  - {kind: restart, target: leader, at: 36s, every: 35s, for: 2s}
  - {kind: restart, target: agent, at: 30s, every: 40s, for: 5s}
  - {kind: disk-error, target: s4, at: 50s, for: 10s, rate: 0.2}
  - {kind: pause, target: holder, at: 60s, for: 25s}
  - {kind: pause, target: random, at: 9s, every: 17s, for: 4s}
  - {kind: clock-jump, target: s1, at: 12s, by: 1s}
  - {kind: leave, target: leader, at: 34s, every: 38s, for: 10s}
  - {kind: leave, target: agent, at: 85s, for: 10s}
  - {kind: loss, rate: 0.1, at: 100s, for: 20s}
`

// TestEveryPointIsPassed sees that a line that a library logs otherwise now, or a
// file that has another name, breaks this test, and not silently the aim of
// faults.
func TestEveryPointIsPassed(t *testing.T) {
	s, err := scenarios.Parse("everything.yaml", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	passed := map[int]bool{}
	points := scenarios.Points()
	// A clock that jumps by so many milliseconds says which point was passed.
	for i, p := range points {
		f := scenarios.Fault{Kind: "clock-jump", Target: "here"}
		f.On, f.By.Duration = p.Name, time.Duration(i+1)*time.Millisecond
		switch p.Takes {
		case "file!":
			f.File = "*"
		case "line!":
			f.Line = "."
		}
		if p.World {
			f.Target = "s1"
		}
		s.Faults = append(s.Faults, f)
	}
	for seed := uint64(1); seed <= 3 && len(passed) < len(points); seed++ {
		r := run(t, *s, seed, launch.Perturb{})
		for _, f := range r.Faults {
			var by string
			if _, after, ok := strings.Cut(f.Text, " jumps by "); ok && strings.Contains(after, ", on ") {
				by, _, _ = strings.Cut(after, ",")
			}
			for i, p := range points {
				if by == fmt.Sprint(time.Duration(i+1)*time.Millisecond) {
					passed[i] = true
					if !strings.HasSuffix(f.Text, ", on "+p.Name) {
						t.Errorf("a fault on %s says: %s", p.Name, f.Text)
					}
				}
			}
		}
	}
	for i, p := range points {
		if !passed[i] {
			t.Errorf("%s: no node %s", p.Name, p.About)
		}
	}
}
