package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tribune/sim/detrt"
	"tribune/sim/launch"
)

// try makes the trials of a race under a schedule.
func try(t *testing.T, binary, name, schedule string) tried {
	t.Helper()
	s, err := detrt.ParseSchedule(schedule)
	if err != nil {
		t.Fatal(err)
	}
	out, err := launch.Output(t.Context(), launch.Spec{Binary: binary, Main: "race-" + name, Input: input(1, s)})
	if err != nil {
		t.Fatal(err)
	}
	var got tried
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestSchedulesFindRaces is a table of how often each schedule shows each bug; see
// it with -v. What it demands is what each kind is there for.
func TestSchedulesFindRaces(t *testing.T) {
	binary := build(t)
	schedules := []string{"shuffle", "walk", "pct:1", "pct:2", "pct:3", "pct:3:64", "pct:3:1000000"}
	found, orders := map[string]int{}, map[string]int{}
	table := "| bug | " + strings.Join(schedules, " | ") + " |\n|---" + strings.Repeat("|---", len(schedules)) + "|\n"
	for _, r := range races() {
		table += "| " + r.about
		for _, s := range schedules {
			got := try(t, binary, r.name, s)
			found[r.name+" "+s] = len(got.Bugs)
			orders[s] += got.Orders
			table += fmt.Sprintf(" | %d", len(got.Bugs))
		}
		table += " |\n"
	}
	table += "| different interleavings, of all trials"
	for _, s := range schedules {
		table += fmt.Sprintf(" | %d", orders[s])
	}
	t.Logf("trials of 200 that showed the bug:\n%s |", table)
	for _, hit := range []string{
		"starved-start pct:1", "early-answer pct:2", "lost-update pct:2", "check-then-act pct:2", "lock-order pct:2",
		"missed-wakeup pct:2", "closing pct:3", "lease pct:3", "lost-update walk", "lease walk",
	} {
		if n, ok := found[hit]; !ok || n == 0 {
			t.Errorf("%s: not found in 200 trials", hit)
		}
	}
	if n := found["lost-update shuffle"]; n != 0 {
		t.Errorf("shuffle takes turns away: it found lost-update %d times", n)
	}
	for _, more := range []string{"walk", "pct:3"} {
		if orders[more] <= orders["shuffle"] {
			t.Errorf("%s: %d interleavings, shuffle has %d", more, orders[more], orders["shuffle"])
		}
	}
}

// TestATurnIsLostAtEveryPoint: each operation that others could notice is a
// scheduling point under walk and pct, and none under shuffle.
func TestATurnIsLostAtEveryPoint(t *testing.T) {
	binary := build(t)
	for _, c := range pointCanaries() {
		for _, kind := range []string{"shuffle", "walk", "pct"} {
			schedule := detrt.Schedule{Kind: kind}
			if kind == "pct" {
				schedule.Window = 16
			}
			out, err := launch.Output(t.Context(), launch.Spec{Binary: binary, Main: c.name, Input: input(1, schedule)})
			if err != nil {
				t.Fatal(err)
			}
			changes := 0
			line, _, _ := bytes.Cut(out, []byte("\n"))
			for i := 1; i < len(line); i++ {
				if line[i] != line[i-1] {
					changes++
				}
			}
			if len(line) != 3*pointTurns || (kind == "shuffle") != (changes == 2) {
				t.Errorf("%s, %s: %s", c.name, kind, line)
			}
		}
	}
}
