package report

import (
	"fmt"
	"strings"
	"time"

	"tribune/page"
)

// Text is a report for people who have no browser at hand.
func Text(run Run, d page.Data) string {
	r := run.Result
	var b strings.Builder
	b.WriteString(d.Plan)
	b.WriteString("\nVerdicts\n")
	for _, v := range d.Verdicts {
		mark := "ok"
		if !v.OK {
			mark = "FAILED"
		}
		fmt.Fprintf(&b, "  %-7s %s: %s, expected %s. %s\n", mark, v.Check, v.Got, v.Expected, v.Text)
		for i, f := range v.Findings {
			if i == 10 {
				fmt.Fprintf(&b, "          and %d more\n", len(v.Findings)-i)
				break
			}
			fmt.Fprintf(&b, "          %s: %s\n", f.Kind, f.Text)
		}
	}
	if d.Died != nil {
		fmt.Fprintf(&b, "\nThe run came to no result (%s). What is told here is from its trace, as far as it goes.\nThe process said:\n\n%s\n", d.Died.End, d.Died.Output)
	}
	fmt.Fprintf(&b, "\n%d operations done, %d refused, %d with unknown outcome.\n", r.Ops.OK, r.Ops.Failed, r.Ops.Unknown)
	fmt.Fprintf(&b, "%v of virtual time in %v of real time.\n", r.Virtual, run.Took.Round(time.Millisecond))
	if d.Died == nil {
		b.WriteString(measured(run))
	}
	b.WriteString("\nWhat struck\n")
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "  %9.3fs to %9.3fs  %s\n", f.At.Seconds(), f.Until.Seconds(), f.Text)
	}
	b.WriteString("\nWho led\n")
	for _, l := range r.Reigns {
		fmt.Fprintf(&b, "  %9.3fs to %9.3fs  term %d  %s\n", l.At.Seconds(), l.Until.Seconds(), l.Term, l.Server)
	}
	b.WriteString("\nTo look further\n")
	for _, c := range d.Replay {
		fmt.Fprintf(&b, "  %s\n      %s\n", c.Line, c.About)
	}
	fmt.Fprintf(&b, "\nIn this folder: %s (open it in a browser), %s (print it with `simctl trace`), %s\n(the operations too)", PageFile, TraceFile, ResultFile)
	if d.Died != nil {
		fmt.Fprintf(&b, ", %s (all that the process said)", DeathFile)
	}
	if d.PictureFile != "" {
		fmt.Fprintf(&b, ", %s (the history that no order makes sense of)", PictureFile)
	}
	b.WriteString(".\n")
	return b.String()
}

// measured says what only a run that came to its end can say of itself.
func measured(run Run) string {
	r := run.Result
	return fmt.Sprintf("Fingerprint %s\nSchedule %v: %d turns of goroutines, %d of them taken away; about %.0f different pairs and %.0f\nsequences of four.\n\n%s",
		r.Fingerprint, run.Plan.Scenario.Schedule, r.Figures.Turns.Count, r.Figures.Turns.Preempted,
		r.Figures.Turns.Pairs.Estimate(), r.Figures.Turns.Windows.Estimate(), r.Figures.Text())
}
