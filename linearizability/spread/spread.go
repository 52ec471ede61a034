// Package spread sums measured durations up: how many there are, and the quantiles
// that people ask for. A quantile is the least value that is at least as large as
// that share of the values (Hyndman and Fan, Sample Quantiles in Statistical
// Packages, 1996, definition 1), so it is one that was measured.
package spread

import (
	"fmt"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"
)

// Spread is a distribution of durations in short. All are zero if Count is.
type Spread struct {
	Count int           `json:"count"`
	P50   time.Duration `json:"p50"`
	P90   time.Duration `json:"p90"`
	P99   time.Duration `json:"p99"`
	Max   time.Duration `json:"max"`
}

// Of sums durations up; their order says nothing.
func Of(all []time.Duration) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	sorted := make([]float64, len(all))
	for i, d := range all {
		sorted[i] = float64(d)
	}
	slices.Sort(sorted)
	at := func(p float64) time.Duration { return time.Duration(stat.Quantile(p, stat.Empirical, sorted, nil)) }
	return Spread{Count: len(all), P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: time.Duration(sorted[len(sorted)-1])}
}

// String gives the median, the 90 % quantile and the greatest, in milliseconds or
// coarser.
func (s Spread) String() string {
	if s.Count == 0 {
		return "none"
	}
	return fmt.Sprintf("median %v, p90 %v, at most %v", Short(s.P50), Short(s.P90), Short(s.Max))
}

// Short rounds a duration to what a person reads: a millisecond, or less below ten.
func Short(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
