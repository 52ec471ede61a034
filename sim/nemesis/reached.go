package nemesis

import (
	"fmt"
	"slices"
	"time"
)

// soon is within which two points count as one after the other.
const soon = 100 * time.Millisecond

// Reached names the states that a run was in, sorted: which faults struck and which
// points were passed, about how often (once, twice, four times, and so on), which points
// during which faults, and which soon after which other. Partitions differ by shape.
func Reached(passed []Passage, struck []Struck) []string {
	states := map[string]bool{}
	count := map[string]int{}
	again := func(what string) {
		count[what]++
		if n := count[what]; n&(n-1) == 0 {
			states[fmt.Sprintf("%s ×%d", what, n)] = true
		}
	}
	for _, s := range struck {
		again("fault " + s.what())
	}
	for i, p := range passed {
		again(p.Point)
		for _, s := range struck {
			if s.At <= p.At && (p.At <= s.Until || s.Until == 0) {
				states[p.Point+" during "+s.what()] = true
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

// what is the kind of fault, with its shape.
func (s Struck) what() string {
	if s.Shape == "" {
		return s.Kind
	}
	return s.Kind + " " + s.Shape
}
