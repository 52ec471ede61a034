package scenarios

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The files of a report.
const (
	ReportFile   = "report.txt"
	OrderFile    = "order.json" // what was run, for a replay
	ResultFile   = "result.json"
	TraceFile    = "trace.bin"
	TimelineFile = "timeline.svg"
	PictureFile  = "linearizability.html"
)

// WriteReport writes what came of a run into a folder, which it creates: a text
// for people, a picture, the trace, and what a replay needs. The trace is copied
// from the file traceFrom.
func WriteReport(dir string, o Order, p Plan, r Result, took time.Duration, traceFrom string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	write := func(name, text string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
	order, err := json.MarshalIndent(o, "", "\t")
	if err != nil {
		return err
	}
	bare := r
	bare.Picture = ""
	result, err := json.MarshalIndent(bare, "", "\t")
	if err != nil {
		return err
	}
	errs := []error{
		write(OrderFile, string(order)), write(ResultFile, string(result)),
		write(ReportFile, reportText(p, r, took)), write(TimelineFile, timeline(p, r)),
		copyFile(filepath.Join(dir, TraceFile), traceFrom),
	}
	if r.Picture != "" {
		errs = append(errs, write(PictureFile, r.Picture))
	}
	return errors.Join(errs...)
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// ReadReport returns what was run and what came of it.
func ReadReport(dir string) (Order, Result, error) {
	var o Order
	var r Result
	for name, into := range map[string]any{OrderFile: &o, ResultFile: &r} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return o, r, err
		}
		if err := json.Unmarshal(b, into); err != nil {
			return o, r, fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
	}
	return o, r, nil
}

func reportText(p Plan, r Result, took time.Duration) string {
	var b strings.Builder
	b.WriteString(p.Explain())
	b.WriteString("\nVerdicts\n")
	for _, v := range r.Verdicts {
		mark := "ok"
		if !v.OK {
			mark = "FAILED"
		}
		fmt.Fprintf(&b, "  %-7s %s: %s, expected %s. %s\n", mark, v.Check, v.Got, v.Expected, v.Text)
	}
	fmt.Fprintf(&b, "\n%d operations done, %d refused, %d with unknown outcome.\n", r.Ops.OK, r.Ops.Failed, r.Ops.Unknown)
	fmt.Fprintf(&b, "%v of virtual time in %v of real time.\nFingerprint %s\n", r.Virtual, took.Round(time.Millisecond), r.Fingerprint)
	b.WriteString("\n" + r.Figures.Text())
	b.WriteString("\nWhat struck\n")
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "  %9.3fs to %9.3fs  %s\n", f.At.Seconds(), f.Until.Seconds(), f.Text)
	}
	b.WriteString("\nWho led\n")
	for _, l := range r.Reigns {
		fmt.Fprintf(&b, "  %9.3fs  term %d  %s\n", l.At.Seconds(), l.Term, l.Server)
	}
	if len(r.Violations) > 0 {
		b.WriteString("\nInvariants that did not hold\n")
		for _, v := range r.Violations {
			fmt.Fprintf(&b, "  %9.3fs  %s: %s\n", v.At.Seconds(), v.Invariant, v.Text)
		}
	}
	fmt.Fprintf(&b, "\nIn this folder: %s (faults, leaders and operations over time), %s (print it with `simctl trace`),\n%s (the operations too)", TimelineFile, TraceFile, ResultFile)
	if r.Picture != "" {
		fmt.Fprintf(&b, ", %s (the history that no order makes sense of)", PictureFile)
	}
	b.WriteString(".\n")
	return b.String()
}
