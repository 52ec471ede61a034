// Package outage measures how long a cluster could not do its work because of faults:
// from when a fault strikes until some time after it is over, the longest time without
// a leader, and the longest without a write that succeeded. Availability is usually
// told so, by the time to recover (Gray and Siewiorek, High-Availability Computer
// Systems, 1991); here it is a distribution over the strikes of each kind of fault.
//
// Faults overlap, and then each of them has the same outage: what is measured is what
// clients had to bear, and not who was to blame.
package outage

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"tribune/linearizability/spread"
)

// After is how long after the end of a fault an outage that begins then still counts
// as its own: what was cut off comes back, and may depose a leader.
const After = 3 * time.Second

// Span is a time from one moment to a later one, both since the run began.
type Span struct{ From, To time.Duration }

// Strike is one fault at one time.
type Strike struct {
	Kind string
	Span
}

// Outage sums up what the strikes of one kind of fault did.
type Outage struct {
	Kind       string        `json:"kind"`
	Leaderless spread.Spread `json:"leaderless"` // the longest time without a leader, by strike
	Writeless  spread.Spread `json:"writeless"`  // the longest time without a successful write
}

// All is the kind of the Outage that sums up all strikes.
const All = "all"

// Between returns the times between moments, the last of which ends at end.
func Between(moments []time.Duration, end time.Duration) []Span {
	sorted := slices.Sorted(slices.Values(moments))
	var spans []Span
	last := time.Duration(0)
	for _, m := range append(sorted, end) {
		if m > last {
			spans = append(spans, Span{last, m})
		}
		last = max(last, m)
	}
	return spans
}

// Longest returns the longest time in which a write was wanted and none was done, from the
// first that was done on; from the beginning if none was. Writes are wanted from their call
// to their return, whatever comes of them: that nobody wants one is no outage. Nothing
// counts that comes after the end.
func Longest(wanted []Span, done []time.Duration, end time.Duration) Span {
	early := slices.DeleteFunc(slices.Clone(done), func(at time.Duration) bool { return at >= end })
	var first time.Duration
	if len(early) > 0 {
		first = slices.Min(early)
	}
	most := Span{first, first}
	for _, s := range Between(early, end) {
		if s.From < first || s.To-s.From <= most.To-most.From {
			continue
		}
		begin := s.To
		for _, w := range wanted {
			if w.To > s.From {
				begin = min(begin, max(w.From, s.From))
			}
		}
		if s.To-begin > most.To-most.From {
			most = Span{begin, s.To}
		}
	}
	return most
}

// ByKind returns the outages by kind of fault, sorted by kind, after one for all of
// them; none if nothing struck. The times without a leader and without a write are
// each in order and do not overlap. A strike that struck nothing counts with zero.
func ByKind(strikes []Strike, leaderless, writeless []Span) []Outage {
	type times struct{ leader, write []time.Duration }
	kinds := map[string]*times{}
	for _, s := range strikes {
		window := Span{s.From, max(s.From, s.To) + After}
		for _, kind := range []string{All, s.Kind} {
			if kinds[kind] == nil {
				kinds[kind] = &times{}
			}
			kinds[kind].leader = append(kinds[kind].leader, longest(leaderless, window))
			kinds[kind].write = append(kinds[kind].write, longest(writeless, window))
		}
	}
	var all []Outage
	for _, kind := range slices.SortedFunc(maps.Keys(kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a, b))
	}) {
		all = append(all, Outage{kind, spread.Of(kinds[kind].leader), spread.Of(kinds[kind].write)})
	}
	return all
}

func order(kind string) int {
	if kind == All {
		return 0
	}
	return 1
}

// longest is the length of the longest of the spans that overlap a window, the part
// outside the window included.
func longest(spans []Span, window Span) time.Duration {
	most := time.Duration(0)
	for _, s := range spans {
		if s.From < window.To && s.To > window.From {
			most = max(most, s.To-s.From)
		}
	}
	return most
}
