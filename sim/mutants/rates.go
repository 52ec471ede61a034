package mutants

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat/combin"
)

// Trial is what a run of a mutant with one seed came to.
type Trial struct {
	// Checks are those that failed; none if the mutant was not caught.
	Checks []string
	// Virtual is the run's virtual time.
	Virtual time.Duration
}

// Rate says how reliably a mutant's scenario catches it.
type Rate struct {
	Mutant   string `json:"mutant"`
	Scenario string `json:"scenario"`
	Seeds    int    `json:"seeds"`  // how many were run, from 1 on
	Caught   int    `json:"caught"` // in how many of them a check failed
	// Rate is Caught of Seeds, and Interval where it lies with 95 % confidence
	// (Wilson), both rounded to thousandths.
	Rate     float64    `json:"rate"`
	Interval [2]float64 `json:"interval"`
	// Check is the one that failed most often; of equals the first by name.
	Check string `json:"check,omitempty"`
	// ToCatch is the median virtual time until the first catch, in the notation of
	// time.Duration (TimeToCatch); empty if there was none.
	ToCatch string `json:"to_catch,omitempty"`
	// Plain and Guided say how storms did in its place; nil if that was not asked.
	Plain  *Found `json:"plain,omitempty"`
	Guided *Found `json:"guided,omitempty"`
}

// Found says when runs that are not made for a mutant caught it.
type Found struct {
	Runs    int    `json:"runs"`              // how many were to be made at most
	Run     int    `json:"run"`               // the number of the one that caught it, from 1 on; 0: none
	Virtual string `json:"virtual,omitempty"` // of all runs to the one that caught it, in the notation of time.Duration
	Check   string `json:"check,omitempty"`   // the first that failed in it
}

// String implements fmt.Stringer.
func (f *Found) String() string {
	switch {
	case f == nil:
		return ""
	case f.Run == 0:
		return fmt.Sprintf("not in %d", f.Runs)
	}
	return fmt.Sprintf("run %d, %s", f.Run, f.Virtual)
}

// NewRate counts the trials of a mutant, which stand in the order of their seeds.
func NewRate(m Mutant, trials []Trial) Rate {
	r := Rate{Mutant: m.Name, Scenario: m.Scenario, Seeds: len(trials)}
	failed := map[string]int{}
	for _, t := range trials {
		if len(t.Checks) > 0 {
			r.Caught++
		}
		for _, c := range t.Checks {
			failed[c]++
		}
	}
	for c, n := range failed {
		if r.Check == "" || n > failed[r.Check] || n == failed[r.Check] && c < r.Check {
			r.Check = c
		}
	}
	if after, caught := TimeToCatch(trials); caught {
		r.ToCatch = after.Round(time.Second).String()
	}
	low, high := Wilson(r.Caught, r.Seeds)
	r.Rate = thousandths(float64(r.Caught) / float64(max(r.Seeds, 1)))
	r.Interval = [2]float64{thousandths(low), thousandths(high)}
	return r
}

func thousandths(x float64) float64 { return math.Round(x*1000) / 1000 }

// Wilson returns the bounds of the 95 % score interval for the chance of a catch,
// of which there were caught in so many independent runs (E. B. Wilson: Probable
// inference, the law of succession, and statistical inference, JASA 22, 1927,
// pages 209 to 212). It keeps its promise for few runs and for rates near 0 and 1,
// where the common interval of the normal distribution shrinks to nothing. Of no
// runs nothing is known: 0 to 1.
func Wilson(caught, runs int) (low, high float64) {
	if runs <= 0 {
		return 0, 1
	}
	const z = 1.959963984540054 // of the normal distribution, 95 % lie within so many deviations
	n, p := float64(runs), float64(caught)/float64(runs)
	scale := 1 / (1 + z*z/n)
	middle := scale * (p + z*z/(2*n))
	half := scale * z * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, middle-half), min(1, middle+half)
}

// TimeToCatch is the median, over the seeds as beginnings, of the virtual time
// until the first catch, when the seeds go round: after the last comes the first. Of
// an even number it is the lower of the two in the middle. It is false if nothing
// was caught.
func TimeToCatch(trials []Trial) (time.Duration, bool) {
	var all []time.Duration
	for begin := range trials {
		var after time.Duration
		for i := range trials {
			t := trials[(begin+i)%len(trials)]
			after += t.Virtual
			if len(t.Checks) > 0 {
				all = append(all, after)
				break
			}
		}
	}
	return Median(all, len(all))
}

// Median is the median virtual time to the first catch of so many mutants, of which
// those without a time were not caught and count as later than all others. Of an
// even number it is the lower of the two in the middle. It is false if that one was
// not caught.
func Median(caught []time.Duration, of int) (time.Duration, bool) {
	at := (of - 1) / 2
	if at >= len(caught) || of < 1 {
		return 0, false
	}
	return slices.Sorted(slices.Values(caught))[at], true
}

// Halved reports whether a rate is at most half of the one that was kept, and surely
// lower: by chance it would come out so low in less than one of twenty cases if there were
// no difference.
func Halved(kept, now Rate) bool {
	if kept.Seeds == 0 || now.Seeds == 0 {
		return false
	}
	before, after := float64(kept.Caught)/float64(kept.Seeds), float64(now.Caught)/float64(now.Seeds)
	return after <= before/2 && soFew(now, kept) < 0.05
}

// soFew is the chance that, of all that two measurements caught, so few fall to the first
// if both have one rate: the exact test of R. A. Fisher (On the interpretation of chi
// squared from contingency tables, JRSS 85, 1922, pages 87 to 94), to one side.
func soFew(first, second Rate) float64 {
	a, b, caught := float64(first.Seeds), float64(second.Seeds), float64(first.Caught+second.Caught)
	all := combin.LogGeneralizedBinomial(a+b, caught)
	var p float64
	for n := max(0, caught-b); n <= float64(first.Caught); n++ {
		p += math.Exp(combin.LogGeneralizedBinomial(a, n) + combin.LogGeneralizedBinomial(b, caught-n) - all)
	}
	return p
}

// First is the first seed, from 1 on, that caught a mutant.
type First struct {
	Mutant   string   `json:"mutant"`
	Scenario string   `json:"scenario"`
	Seed     int      `json:"seed"`
	Checks   []string `json:"checks"`  // those that failed
	Virtual  string   `json:"virtual"` // time of all seeds up to this one, in the notation of time.Duration
}

// NewFirst tells of the first of the trials, which stand in the order of their seeds, that
// caught the mutant. It is false if none did.
func NewFirst(m Mutant, trials []Trial) (First, bool) {
	var virtual time.Duration
	for i, t := range trials {
		if virtual += t.Virtual; len(t.Checks) > 0 {
			return First{Mutant: m.Name, Scenario: m.Scenario, Seed: i + 1, Checks: t.Checks, Virtual: virtual.Round(time.Second).String()}, true
		}
	}
	return First{}, false
}

// Rates is what was measured, as it is kept in a file.
type Rates struct {
	Command string  `json:"command"` // that measured the rates
	Machine string  `json:"machine"`
	Rates   []Rate  `json:"rates"` // sorted by the names of the mutants
	First   []First `json:"first"` // likewise
}

// ReadRates reads a file that WriteFile wrote. The error wraps fs.ErrNotExist if there
// is none.
func ReadRates(file string) (Rates, error) {
	var r Rates
	b, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// Of returns the rate of a mutant, and whether there is one.
func (r Rates) Of(mutant string) (Rate, bool) {
	i := slices.IndexFunc(r.Rates, func(one Rate) bool { return one.Mutant == mutant })
	if i < 0 {
		return Rate{}, false
	}
	return r.Rates[i], true
}

// With returns the rates with others added, or put in the place of those of the
// same mutants. What storms did is kept where it was not measured anew.
func (r Rates) With(others ...Rate) Rates {
	var all []Rate
	replaced := map[string]bool{}
	for _, o := range others {
		replaced[o.Mutant] = true
		if before, known := r.Of(o.Mutant); known {
			o.Plain, o.Guided = cmp.Or(o.Plain, before.Plain), cmp.Or(o.Guided, before.Guided)
		}
		all = append(all, o)
	}
	for _, one := range r.Rates {
		if !replaced[one.Mutant] {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b Rate) int { return strings.Compare(a.Mutant, b.Mutant) })
	r.Rates = all
	return r
}

// FirstOf returns the first catch of a mutant, and whether there is one.
func (r Rates) FirstOf(mutant string) (First, bool) {
	i := slices.IndexFunc(r.First, func(f First) bool { return f.Mutant == mutant })
	if i < 0 {
		return First{}, false
	}
	return r.First[i], true
}

// WithFirst returns the rates with the first catch of a mutant in these trials added, or put
// in the place of an earlier one. If none of them catches it, an earlier one is no longer
// true, unless it is of a seed beyond them.
func (r Rates) WithFirst(m Mutant, trials []Trial) Rates {
	first, caught := NewFirst(m, trials)
	if before, known := r.FirstOf(m.Name); known && !caught && before.Scenario == m.Scenario && before.Seed > len(trials) {
		return r
	}
	r.First = slices.DeleteFunc(slices.Clone(r.First), func(f First) bool { return f.Mutant == m.Name })
	if caught {
		r.First = append(r.First, first)
	}
	slices.SortFunc(r.First, func(a, b First) int { return strings.Compare(a.Mutant, b.Mutant) })
	return r
}

// WriteFile keeps the rates, a field a line, so that differences can be read.
func (r Rates) WriteFile(file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
