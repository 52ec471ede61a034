package spread_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/linearizability/spread"
)

func TestQuantilesAreValuesThatWereMeasured(t *testing.T) {
	if s := spread.Of(nil); s != (spread.Spread{}) || s.String() != "none" {
		t.Errorf("of nothing: %+v, %v", s, s)
	}
	var all []time.Duration
	for i := 100; i > 0; i-- {
		all = append(all, time.Duration(i)*time.Millisecond)
	}
	want := spread.Spread{Count: 100, P50: 50 * time.Millisecond, P90: 90 * time.Millisecond, P99: 99 * time.Millisecond, Max: 100 * time.Millisecond}
	if s := spread.Of(all); s != want {
		t.Errorf("of 1 to 100 ms: %+v, want %+v", s, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		ds := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 50).Draw(t, "durations")
		var all []time.Duration
		for _, d := range ds {
			all = append(all, time.Duration(d))
		}
		s := spread.Of(all)
		for _, q := range []time.Duration{s.P50, s.P90, s.P99, s.Max} {
			if !slices.Contains(all, q) {
				t.Fatalf("%v is none of %v", q, all)
			}
		}
		if s.P50 > s.P90 || s.P90 > s.P99 || s.P99 > s.Max || s.Max != slices.Max(all) {
			t.Fatalf("%+v of %v", s, all)
		}
	})
}
