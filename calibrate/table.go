//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"gonum.org/v1/gonum/stat"
)

// comparison is one row of the table.
type comparison struct {
	plan            Plan
	what            Measurement
	real, simulated summary
	distance        float64 // Kolmogorov-Smirnov, 0 to 1
	verdict         verdict
}

// summary is a sorted sample in a few figures.
type summary struct {
	seconds []float64
}

func summarize(all []time.Duration) summary {
	s := summary{make([]float64, len(all))}
	for i, d := range all {
		s.seconds[i] = d.Seconds()
	}
	slices.Sort(s.seconds)
	return s
}

func (s summary) quantile(p float64) float64 { return stat.Quantile(p, stat.Empirical, s.seconds, nil) }

// verdict is how two distributions compare.
type verdict string

const (
	// same: the distance is one that two samples of one distribution have, but for
	// one pair in a hundred.
	same verdict = "same"
	// near: more than that, but median and 90th percentile are within the bound.
	near verdict = "close"
	// differs: neither.
	differs verdict = "DIFFERS"
)

// bound is by how much a quantile may be off, as a part of the real one: what a
// person who reads a simulated time may rely on.
const bound = 0.15

// resolution is what no bound asks for: computing takes no time in the simulator.
const resolution = 0.001 // seconds

// compare makes a row.
func compare(plan Plan, what Measurement, real, simulated []time.Duration) comparison {
	c := comparison{plan: plan, what: what, real: summarize(real), simulated: summarize(simulated)}
	c.distance = stat.KolmogorovSmirnov(c.real.seconds, nil, c.simulated.seconds, nil)
	n, m := float64(len(real)), float64(len(simulated))
	// The asymptotic critical value of the two-sample test at 1 % (Smirnov 1948).
	critical := math.Sqrt(-math.Log(0.01/2)/2) * math.Sqrt((n+m)/(n*m))
	c.verdict = differs
	switch {
	case c.distance <= critical:
		c.verdict = same
	case c.within(0.5) && c.within(0.9):
		c.verdict = near
	}
	return c
}

// within reports whether a quantile is within the bound.
func (c comparison) within(p float64) bool {
	r, s := c.real.quantile(p), c.simulated.quantile(p)
	return math.Abs(r-s) <= bound*r+resolution
}

// write writes the table, of which a part can stand in a Markdown page.
func write(out io.Writer, rows []comparison) error {
	t := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(t, "| links\t| measurement\t| n real\t| n sim\t| median real\t| sim\t| p90 real\t| sim\t| p99 real\t| sim\t| KS\t| verdict\t|")
	fmt.Fprintln(t, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, c := range rows {
		fmt.Fprintf(t, "| %s\t| %s\t| %d\t| %d", c.plan.Link, c.what, len(c.real.seconds), len(c.simulated.seconds))
		for _, p := range []float64{0.5, 0.9, 0.99} {
			fmt.Fprintf(t, "\t| %s\t| %s", text(c.real.quantile(p)), text(c.simulated.quantile(p)))
		}
		fmt.Fprintf(t, "\t| %.2f\t| %s\t|\n", c.distance, c.verdict)
	}
	return t.Flush()
}

// explanations says, for rows that are not the same, what is known of the difference.
// docs/calibration.md says more.
func explanations(rows []comparison) string {
	var b strings.Builder
	for _, c := range rows {
		if why := c.why(); c.verdict != same {
			fmt.Fprintf(&b, "%s, %s (%s): %s\n", c.plan.Link, c.what, c.verdict, why)
		}
	}
	return b.String()
}

// why says what is known of a measurement's difference.
func (c comparison) why() string {
	switch {
	case c.what == Election || c.what == Detection:
		return "not known: raft's and gossip's timers decide this in both worlds; look at the load of this machine first"
	case c.what == Bulk:
		return "how far TCP's congestion window has grown and fallen in the silence: Linux counts packets, the simulator bytes"
	case c.plan.Link.Delay == 0:
		return "computing takes no time in the simulator: of an agent's own work only what a small request costs is in its times"
	default:
		return "the router and the processes were late by more than the costs say that were measured between; look at the load of this machine first"
	}
}

// spread is a sample in two figures.
func spread(all []time.Duration) string {
	s := summarize(all)
	return fmt.Sprintf("%s in the median and %s in the 90th percentile", text(s.quantile(0.5)), text(s.quantile(0.9)))
}

// text is a time in a unit in which it is easily read.
func text(seconds float64) string {
	if seconds >= 0.995 {
		return fmt.Sprintf("%.2f s", seconds)
	}
	return fmt.Sprintf("%.1f ms", 1000*seconds)
}

// legend says how to read the table.
const legend = `
KS is the Kolmogorov-Smirnov distance. "same": two samples of one distribution are as
far apart in more than one pair of a hundred. "close": they are not, but median and 90th
percentile are within 15 % (or a millisecond) of reality. Each message of the simulator
is delayed, beyond the link, by half of a request that went past the links' delay, and
each fsync by one that was measured here, both between the real measurements.
`
