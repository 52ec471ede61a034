package nemesis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tribune/sim"
	"tribune/sim/casefile"
)

// Problem is what makes no sense in a fault.
type Problem struct {
	Field string // as YAML spells it; empty: the fault as a whole
	Text  string // one line
}

// Error implements error.
func (p *Problem) Error() string { return p.Text }

// Check returns the first thing in a fault that makes no sense for the cast,
// when faults strike until end: a *Problem.
func (c Cast) Check(f Fault, end time.Duration) error {
	ch := checker{cast: c, fault: f}
	ch.all(end)
	if ch.found == nil {
		return nil
	}
	return ch.found
}

// checker keeps the first problem.
type checker struct {
	cast  Cast
	fault Fault
	found *Problem
}

func (c *checker) fail(field, format string, args ...any) {
	if c.found == nil {
		c.found = &Problem{field, fmt.Sprintf(format, args...)}
	}
}

func (c *checker) oneOf(field, what, word string, known []string) {
	if !slices.Contains(known, word) {
		c.fail(field, "%s: %q is none of %s%s", what, word, strings.Join(known, ", "), casefile.DidYouMean(word, known))
	}
}

func (c *checker) probability(field string, p float64) {
	if p < 0 || p > 1 {
		c.fail(field, "%s: %v is not a probability between 0 and 1", field, p)
	}
}

func (c *checker) all(end time.Duration) {
	f, names := c.fault, c.cast.KindNames()
	kind, known := c.cast.kind(f.Kind)
	switch {
	case f.Kind == "":
		c.fail("", "a fault needs a kind: one of %s", strings.Join(names, ", "))
		return
	case !known:
		c.oneOf("kind", "kind of fault", f.Kind, names)
		return
	}
	c.fields(kind)
	c.aim()
	if f.Shape != "" {
		c.oneOf("shape", "shape", f.Shape, Shapes())
		if (f.Shape == "isolate" || f.Shape == "one-way" || f.Shape == "bridge") && f.Target == "" {
			c.fail("", "a partition of shape %q needs target", f.Shape)
		}
		if f.dividesAll() && f.Target != "" {
			c.fail("target", "target: a partition of shape %q is one of all, and takes none", f.Shape)
		}
	}
	if f.Cuts != "" {
		c.oneOf("cuts", "cuts", f.Cuts, []string{inward, outward})
		if f.Shape != "one-way" {
			c.fail("cuts", "cuts: only a partition of shape \"one-way\" has a direction")
		}
	}
	c.target()
	if f.Protocol != "" {
		c.oneOf("protocol", "protocol", f.Protocol, []string{"tcp", "udp"})
	}
	c.amounts()
	if f.At.Duration >= end {
		c.fail("at", "at: %v is not before the end of the phase with faults, %v", f.At.Duration, end)
	}
	if f.Every.Duration < 0 || f.For.Duration < 0 || f.At.Duration < 0 || f.Jitter.Duration < 0 {
		c.fail("", "times cannot be negative")
	}
}

// fields checks that a fault has what its kind needs and nothing that its kind
// does not take.
func (c *checker) fields(kind Kind) {
	f := c.fault
	given := map[string]bool{
		"shape": f.Shape != "", "target": f.Target != "", "cuts": f.Cuts != "", "protocol": f.Protocol != "", "rate": f.Rate != 0, "duplicate": f.Duplicate != 0,
		"reorder": f.Reorder != 0, "by": f.By.Duration != 0, "period": f.Period.Duration != 0, "size": f.Size != 0, "file": f.File != "",
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		needed := slices.Contains(kind.Takes, name+"!")
		switch {
		case given[name] && !needed && !slices.Contains(kind.Takes, name) && !(name == "file" && f.On != ""):
			c.fail(name, "%s: a fault of kind %q takes no %s", name, f.Kind, name)
		case !given[name] && needed:
			c.fail("", "a fault of kind %q needs %s", f.Kind, name)
		}
	}
}

// amounts checks how hard a fault is.
func (c *checker) amounts() {
	f := c.fault
	c.probability("duplicate", f.Duplicate)
	c.probability("reorder", f.Reorder)
	switch {
	case f.Kind == "clock-drift" && (f.Rate < 0.1 || f.Rate > 10):
		c.fail("rate", "rate: %v of true time is not between 0.1 and 10", f.Rate)
	case f.Kind == "clock-drift" && sim.ClockAt(f.Rate).Right():
		c.fail("rate", "rate: %v of true time is true time: clocks go at a whole number of hundred-thousandths", f.Rate)
	case f.Kind != "clock-drift":
		c.probability("rate", f.Rate)
	}
	switch {
	case f.Kind == "loss" && f.Rate == 0 && f.Duplicate == 0 && f.Reorder == 0:
		c.fail("", "a fault of kind %q needs rate, duplicate or reorder", f.Kind)
	case f.Kind != "clock-jump" && f.By.Duration < 0:
		c.fail("by", "by: %v is less than nothing; only a clock jumps back", f.By)
	case f.Kind == "flap" && f.By.Duration >= f.Period.Duration:
		c.fail("by", "by: links that are down for %v of every %v are never up", f.By, f.Period)
	case f.Size < 0:
		c.fail("size", "size: %d bytes are less than none", f.Size)
	}
}

func (c *checker) target() {
	target := c.fault.Target
	if target == "" {
		return
	}
	var words []string
	for _, r := range c.cast.Roles {
		if !r.Outside {
			words = append(words, r.Name)
		}
	}
	words = append(words, "random", "majority")
	all := slices.DeleteFunc(c.cast.words(), func(w string) bool { return w == servers })
	if !slices.Contains(all, target) {
		c.fail("target", "target: there is no server %q; there are %s, and %s and all%s",
			target, strings.Join(c.cast.Servers, ", "), strings.Join(words, ", "), casefile.DidYouMean(target, all))
	}
}
