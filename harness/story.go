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

// Story runs a case and writes what happened, a line an event: which processes were
// started and ended, what faults struck, what nodes logged, what clients did. If every
// is not nil, it gets all events, packets and writes to disks too, in the form that
// trace.NewReader and simctl trace read.
func (all Systems) Story(ctx context.Context, c Case, to, every io.Writer) (Result, error) {
	r, recording, err := all.run(ctx, c, true)
	r.explain()
	if terr := tell(recording, to); err == nil {
		err = terr
	}
	if every != nil && err == nil {
		_, err = every.Write(recording)
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
}

// The names of the options.
const (
	caseFlag  = "harness.case"
	traceFlag = "harness.trace"
)

func flags() *options {
	var o options
	flag.StringVar(&o.file, caseFlag, "", "`FILE`: run the case in it instead of tests, and tell what happens")
	flag.StringVar(&o.every, traceFlag, "", "`FILE`: with -"+caseFlag+", write all events there, for simctl trace")
	return &o
}

// show runs a case for a person, and returns the status of the process: as that of a
// test, 1 if something is wrong.
func (all Systems) show(ctx context.Context, o options, to io.Writer) int {
	c, err := Load(o.file)
	if err == nil {
		err = all.narrate(ctx, c, o.every, to)
	}
	if err != nil {
		fmt.Fprintln(to, err)
		return 1
	}
	return 0
}

// errWrong says that something is wrong with the system, which was told already.
var errWrong = errors.New("FAIL")

func (all Systems) narrate(ctx context.Context, c Case, every string, to io.Writer) error {
	var events bytes.Buffer
	r, err := all.Story(ctx, c, to, &events)
	if err != nil {
		return err
	}
	fmt.Fprintf(to, "\n%s, seed %d: %v of virtual time, fingerprint %s\n", c.System, c.Seed, r.Virtual, r.Fingerprint)
	if every != "" {
		if err := os.WriteFile(every, events.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(to, "all events: simctl trace %s\n", every)
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
	number, a, b, err := trace.Diff(trace.NewReader(bytes.NewReader(one)), trace.NewReader(bytes.NewReader(other)))
	if err != nil || a == nil && b == nil {
		return err
	}
	line := func(e *trace.Event) string {
		if e == nil {
			return "(the end)"
		}
		return trace.Format(*e)
	}
	return fmt.Errorf("%w: %s\nthe first event that differs is number %d:\n  once %s\n  once %s", ErrDiverged, oneLine(c), number, line(a), line(b))
}
