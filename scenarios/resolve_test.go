package scenarios

import (
	"testing"
	"time"
)

func TestAnAnswerOfTheDNSIsHeldAgainstWhatWasCommittedMeanwhile(t *testing.T) {
	seen := commits{{1 * time.Second, 10}, {2 * time.Second, 20}, {3 * time.Second, 30}}
	for at, want := range map[time.Duration]uint64{0: 0, time.Second - 1: 0, time.Second: 10, time.Second + 1: 10, 2500 * time.Millisecond: 20, time.Hour: 30} {
		if got := seen.by(at); got != want {
			t.Errorf("by %v entries up to %d were committed, not %d", at, got, want)
		}
	}
	was := whereabouts{{10, []string{"a"}}, {20, []string{"a", "b"}}, {30, []string{"a"}}, {40, []string{}}}
	for _, c := range []struct {
		name      string
		found     []string
		low, high uint64
		want      bool
	}{
		{"as it was all the time", []string{"a"}, 12, 15, true},
		{"as it was at the beginning", []string{"a"}, 12, 25, true},
		{"as it was until just before", []string{"a"}, 20, 25, false},
		{"as it was in the end", []string{"a", "b"}, 12, 20, true},
		{"as it is only later", []string{"a", "b"}, 12, 19, false},
		{"as it was for a moment", []string{"a", "b"}, 12, 35, true},
		{"as it was before and is again", []string{"a"}, 22, 30, true},
		{"as it never was", []string{"b"}, 0, 50, false},
		{"nothing, before anything was", []string{}, 0, 12, true},
		{"nothing, and there was something", []string{}, 10, 12, false},
		{"nothing, after all has gone", []string{}, 45, 50, true},
	} {
		if got := was.had(c.found, c.low, c.high); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
