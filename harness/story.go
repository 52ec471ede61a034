package harness

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"tribune/sim/trace"
)

// Told is where the story of a run is written to. What is nil is not written.
type Told struct {
	// Lines gets a line an event: which processes were started and ended, what faults
	// struck, what nodes logged, what clients did.
	Lines io.Writer
	// Every gets all events, packets and writes to disks too, in the form that
	// trace.NewReader and simctl trace read.
	Every io.Writer
	// Page gets a page for a browser, a single file that needs no network: a timeline
	// of nodes, faults, operations and messages, and what is wrong.
	Page io.Writer
	// File is that of the case, which the page names in commands.
	File string
}

// Story runs a case and tells what happened.
func (all Systems) Story(ctx context.Context, c Case, to Told) (Result, error) {
	r, recording, err := all.run(ctx, c, true)
	r.explain()
	if to.Lines != nil {
		if terr := tell(recording, to.Lines); err == nil {
			err = terr
		}
	}
	if to.Every != nil && err == nil {
		_, err = to.Every.Write(recording)
	}
	if to.Page != nil && err == nil {
		err = r.show(all[c.System], to.File, recording, to.Page)
	}
	return r, err
}

// tell writes those events of a recording that people read first.
func tell(recording []byte, to io.Writer) error {
	if len(recording) == 0 {
		return nil
	}
	events := trace.NewReader(bytes.NewReader(recording))
	for {
		e, err := events.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if slices.Contains([]trace.Kind{trace.Life, trace.Fault, trace.Log, trace.Op, trace.Check, trace.DiskFail}, e.Kind) {
			if _, err := fmt.Fprintln(to, trace.Format(e)); err != nil {
				return err
			}
		}
	}
}

// options are what go test hands on to a test program that uses systems.
type options struct {
	file  string // of the case to run instead of tests
	every string // file for all events
	page  string // file for the page
}

// The names of the options.
const (
	caseFlag  = "harness.case"
	traceFlag = "harness.trace"
	pageFlag  = "harness.page"
)

func flags() *options {
	var o options
	flag.StringVar(&o.file, caseFlag, "", "`FILE`: run the case in it instead of tests, and tell what happens")
	flag.StringVar(&o.every, traceFlag, "", "`FILE`: with -"+caseFlag+", write all events there, for simctl trace")
	flag.StringVar(&o.page, pageFlag, "", "`FILE`: with -"+caseFlag+", write a page for a browser there, with the timeline of the run")
	return &o
}

// show runs a case for a person, and returns the status of the process: as that of a
// test, 1 if something is wrong.
func (all Systems) show(ctx context.Context, o options, to io.Writer) int {
	c, err := Load(o.file)
	if err == nil {
		err = all.narrate(ctx, c, o, to)
	}
	if err != nil {
		fmt.Fprintln(to, err)
		return 1
	}
	return 0
}

// errWrong says that something is wrong with the system, which was told already.
var errWrong = errors.New("FAIL")

func (all Systems) narrate(ctx context.Context, c Case, o options, to io.Writer) error {
	var events, page bytes.Buffer
	told := Told{Lines: to, File: o.file}
	if o.every != "" {
		told.Every = &events
	}
	if o.page != "" {
		told.Page = &page
	}
	r, err := all.Story(ctx, c, told)
	if err != nil {
		return err
	}
	fmt.Fprintf(to, "\n%s, seed %d: %v of virtual time, fingerprint %s\n", c.System, c.Seed, r.Virtual, r.Fingerprint)
	if o.every != "" {
		if err := os.WriteFile(o.every, events.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(to, "all events: simctl trace %s\n", o.every)
	}
	if o.page != "" {
		if err := os.WriteFile(o.page, page.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(to, "the timeline, for a browser: %s\n", o.page)
	}
	if r.Problem == "" {
		fmt.Fprintln(to, "nothing is wrong")
		return nil
	}
	fmt.Fprint(to, r.Words())
	return errWrong
}

// Words say what is wrong: the problem, and what in the history cannot be.
func (r Result) Words() string {
	if r.Problem == "" {
		return ""
	}
	const most = 3
	var b strings.Builder
	fmt.Fprintln(&b, r.Problem)
	for i, a := range r.Anomalies {
		if i == most {
			fmt.Fprintf(&b, "  and %d more\n", len(r.Anomalies)-most)
			break
		}
		fmt.Fprintf(&b, "  %s: %s\n", a.Kind, a.Text)
	}
	if r.panicked() >= 0 && strings.HasPrefix(r.Problem, panicked) {
		fmt.Fprintln(&b, r.stack())
	}
	return b.String()
}

// stack is where the first panic was.
func (r Result) stack() string {
	const begin = "tribune: node "
	first, _, _ := strings.Cut(strings.TrimPrefix(r.Said, begin), "\n"+begin)
	return first
}

// testPackage is the import path of the package that is tested; "" if it is not known.
func testPackage() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return strings.TrimSuffix(info.Path, ".test")
}

// again is the command that runs a case in a file.
func again(file string) string {
	return fmt.Sprintf("go test -v %s -%s %s", testPackage(), caseFlag, file)
}

// same runs a case twice. If the runs differ the error wraps ErrDiverged and names the
// first event that does.
func (all Systems) same(ctx context.Context, c Case) error {
	_, one, err := all.run(ctx, c, true)
	if err != nil {
		return err
	}
	_, other, err := all.run(ctx, c, true)
	if err != nil {
		return err
	}
	difference, err := trace.Difference(bytes.NewReader(one), bytes.NewReader(other))
	if err != nil || difference == "" {
		return err
	}
	return fmt.Errorf("%w: %s\n%s", ErrDiverged, oneLine(c), difference)
}
