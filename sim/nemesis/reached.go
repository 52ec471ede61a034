package nemesis

import (
	"fmt"
	"slices"
	"time"
)

// soon is within which two points count as one after the other.
const soon = 100 * time.Millisecond

// Reached names the states that a run was in, sorted: which points were passed,
// about how often (once, twice, four times, and so on), during which kinds of
// faults, and which soon after which other.
func Reached(passed []Passage, struck []Struck) []string {
	states := map[string]bool{}
	count := map[string]int{}
	for i, p := range passed {
		count[p.Point]++
		if n := count[p.Point]; n&(n-1) == 0 {
			states[fmt.Sprintf("%s ×%d", p.Point, n)] = true
		}
		for _, s := range struck {
			if s.At <= p.At && (p.At <= s.Until || s.Until == 0) {
				states[p.Point+" during "+s.Kind] = true
			}
		}
		if i > 0 && passed[i-1].Point != p.Point && p.At-passed[i-1].At <= soon {
			states[passed[i-1].Point+", then "+p.Point] = true
		}
	}
	names := make([]string, 0, len(states))
	for s := range states {
		names = append(names, s)
	}
	slices.Sort(names)
	return names
}
