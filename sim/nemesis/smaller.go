package nemesis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tribune/sim/shrink"
)

// Smaller lists faults that are fewer, shorter or easier to read than those given,
// the boldest change first: what FewerKinds lists, then what Fewer and Plainer list. The
// seed and the end are those of the run in which the faults struck.
func (c Cast) Smaller(faults []Fault, seed uint64, end time.Duration) []shrink.Candidate[[]Fault] {
	return slices.Concat(FewerKinds(faults), c.Fewer(faults, seed, end), Plainer(faults))
}

// FewerKinds lists faults of fewer kinds. Most failures need one kind or two, so that is
// the quickest way out of a storm of many faults; of few it lists nothing.
func FewerKinds(faults []Fault) []shrink.Candidate[[]Fault] {
	const many = 8 // are too many to be tried one by one
	var names []string
	for _, f := range faults {
		if !slices.Contains(names, f.Kind) {
			names = append(names, f.Kind)
		}
	}
	if len(faults) < many || len(names) == 1 {
		return nil
	}
	s := smaller{faults: faults}
	for _, rest := range shrink.Without(names)[1:] { // without any there are no faults
		stays := func(name string) bool { return slices.Contains(rest, name) }
		gone := func(f Fault) bool { return !stays(f.Kind) }
		what := "only " + strings.Join(rest, ", ")
		if len(rest) > len(names)/2 {
			what = "no " + strings.Join(slices.DeleteFunc(slices.Clone(names), stays), ", ")
		}
		s.add(what, slices.DeleteFunc(slices.Clone(faults), gone))
	}
	return s.all
}

// Fewer lists faults of which some are gone, or that strike once where they struck
// again and again: their strikes become faults of their own, each of which can go.
func (c Cast) Fewer(faults []Fault, seed uint64, end time.Duration) []shrink.Candidate[[]Fault] {
	s := smaller{faults: faults}
	for _, rest := range shrink.Without(faults) {
		s.add(fmt.Sprintf("%d of %d faults", len(rest), len(faults)), rest)
	}
	s.singly(c.Draw(faults, seed, end))
	return s.all
}

// Plainer lists as many faults as are given that do less, for a shorter time, sooner
// or in rounder numbers. No number grows, so that no search goes round in circles.
func Plainer(faults []Fault) []shrink.Candidate[[]Fault] {
	s := smaller{faults: faults}
	s.simpler()
	s.milder()
	s.sooner()
	s.rounder()
	return s.all
}

type smaller struct {
	faults []Fault
	all    []shrink.Candidate[[]Fault]
}

func (s *smaller) add(what string, faults []Fault) {
	s.all = append(s.all, shrink.Candidate[[]Fault]{Case: faults, What: what})
}

// change adds the faults with one of them changed.
func (s *smaller) change(i int, f Fault, what string) {
	faults := slices.Clone(s.faults)
	faults[i] = f
	s.add(f.Kind+" "+what, faults)
}

// singly turns a fault that strikes again and again into its strikes.
func (s *smaller) singly(strikes []Strike) {
	for i, id := range IDs(s.faults) {
		if s.faults[i].Every.Duration <= 0 {
			continue
		}
		var single []Fault
		for _, strike := range strikes {
			if strike.ID == id {
				single = append(single, strike.Once())
			}
		}
		s.add(fmt.Sprintf("%s: %d strikes one by one", s.faults[i].Kind, len(single)), slices.Concat(s.faults[:i], single, s.faults[i+1:]))
	}
}

// Once is the fault that strikes as this strike does, and never again: at the same time,
// the same node, in the same direction. Who are several, a majority or the halves of a
// partition, and which packets are lost is drawn anew: it is another fault.
func (s Strike) Once() Fault {
	f := s.Fault
	f.At.Duration, f.Every.Duration, f.Jitter.Duration = s.Begin, 0, 0
	if f.Shape == "one-way" {
		f.Cuts = s.cuts()
	}
	if len(s.Hits) == 1 && f.Target != "" {
		f.Target = s.Hits[0]
	}
	return f
}

// shortest is the length below which a fault is not made shorter.
const shortest = 10 * time.Millisecond

func (s *smaller) milder() {
	for i, f := range s.faults {
		whole := f.For.Duration
		for _, length := range []time.Duration{shortest, whole / 4, whole / 2} {
			if length >= shortest && length < whole {
				f.For.Duration = length
				s.change(i, f, fmt.Sprintf("for %v", length))
			}
		}
	}
}

// simpler makes faults easier to read: aimed ones strike once, the first time and at
// once, and packets are lost and nothing else.
func (s *smaller) simpler() {
	for i, f := range s.faults {
		simple := f
		if simple.Times = 0; f.Times > 1 {
			s.change(i, simple, "once")
		}
		simple = f
		if simple.Nth = 0; f.Nth > 1 {
			s.change(i, simple, "the first time")
		}
		simple = f
		if simple.After.Duration = 0; f.After.Duration > 0 {
			s.change(i, simple, "at that instant")
		}
		simple = f
		if simple.Duplicate, simple.Reorder, simple.By.Duration = 0, 0, 0; f.Rate > 0 && f.Duplicate+f.Reorder > 0 {
			s.change(i, simple, "and nothing else")
		}
	}
}

// sooner lets faults strike sooner, since a run that ends sooner is smaller.
func (s *smaller) sooner() {
	for i, f := range s.faults {
		whole := f.At.Duration
		for _, at := range []time.Duration{firstStorm, whole / 2, whole * 3 / 4} {
			if at >= firstStorm && at < whole {
				f.At.Duration = at
				s.change(i, f, fmt.Sprintf("at %v", at))
			}
		}
	}
}

// rounder makes numbers that people like to read. They are rounded down.
func (s *smaller) rounder() {
	for i, f := range s.faults {
		for _, to := range []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond, time.Millisecond} {
			rounded := f
			if rounded.At.Duration = f.At.Truncate(to); rounded.At != f.At {
				s.change(i, rounded, fmt.Sprintf("at %v", rounded.At))
			}
			rounded = f
			if rounded.For.Duration = f.For.Truncate(to); rounded.For != f.For && rounded.For.Duration > 0 {
				s.change(i, rounded, fmt.Sprintf("for %v", rounded.For))
			}
			rounded = f
			if rounded.By.Duration = f.By.Truncate(to); rounded.By != f.By && rounded.By.Duration != 0 {
				s.change(i, rounded, fmt.Sprintf("by %v", rounded.By))
			}
		}
		rounded := f
		if rounded.Rate = math.Floor(f.Rate*100+1e-6) / 100; f.Kind != "clock-drift" && rounded.Rate != f.Rate && rounded.Rate > 0 {
			s.change(i, rounded, fmt.Sprintf("at a rate of %v", rounded.Rate))
		}
	}
}
