package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tribune/page"
	"tribune/scenarios"
	"tribune/sim/trace"
)

// The files of a report.
const (
	PageFile    = "report.html"
	TextFile    = "report.txt"
	OrderFile   = "order.json" // what was run, for a replay
	ResultFile  = "result.json"
	TraceFile   = "trace.bin"
	PictureFile = page.PictureFile // only if it is too large for the page
	DeathFile   = "died.txt"       // only if the run's process died: what it said
	TurnsFile   = "turns.json"     // the sets of the goroutines' turns, which are long and for programs alone
)

// Run is a run that a report is about.
type Run struct {
	Order  scenarios.Order
	Plan   scenarios.Plan
	Result scenarios.Result
	Took   time.Duration // real time
	File   string        // of the scenario, to be named in commands
	Mutant string        // the deliberate bug that the agents had; "": none
	Flags  []string      // of simctl run, beside the seed and the mutant, that made it this run
	// Died says why there is no result, if there is none. What is reported then is
	// found in the trace, as far as it goes.
	Died *scenarios.Death
}

// Write writes a report into a folder, which it creates. The trace is copied from
// the file traceFrom.
func Write(dir string, r Run, traceFrom string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	copyTrace := copyFile
	if r.Died != nil {
		copyTrace = copyWhole
	}
	if err := copyTrace(filepath.Join(dir, TraceFile), traceFrom); err != nil {
		return err
	}
	events, err := os.Open(filepath.Join(dir, TraceFile))
	if err != nil {
		return err
	}
	defer func() { _ = events.Close() }() // only read
	if r.Died != nil {
		if r.Result, err = recovered(r, events); err != nil {
			return err
		}
		if _, err := events.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	data, err := Build(r, dir, events)
	if err != nil {
		return err
	}
	var html bytes.Buffer
	if err := page.Write(&html, data); err != nil {
		return err
	}
	write := func(name string, text []byte) error { return os.WriteFile(filepath.Join(dir, name), text, 0o644) }
	order, err := json.MarshalIndent(r.Order, "", "\t")
	if err != nil {
		return err
	}
	bare := r.Result
	bare.Picture, bare.Figures.Turns.Pairs, bare.Figures.Turns.Windows = "", nil, nil
	result, err := json.MarshalIndent(bare, "", "\t")
	if err != nil {
		return err
	}
	turns, err := json.Marshal(r.Result.Figures.Turns)
	if err != nil {
		return err
	}
	errs := []error{
		write(TurnsFile, turns),
		write(OrderFile, order), write(ResultFile, result),
		write(TextFile, []byte(Text(r, data))), write(PageFile, html.Bytes()),
	}
	if r.Died != nil {
		errs = append(errs, write(DeathFile, []byte(r.Died.Cause()+"\n\n"+r.Died.Error()+"\n")))
	}
	if data.PictureFile != "" {
		errs = append(errs, write(PictureFile, []byte(r.Result.Picture)))
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

// copyWhole copies the events of a trace that are whole: a process that died may have
// left a part of its last one.
func copyWhole(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	whole := trace.NewRecording(out, 0)
	r := trace.NewReader(in)
	for {
		e, err := r.Next()
		if err != nil {
			return errors.Join(whole.Flush(), out.Close())
		}
		whole.Record(e)
	}
}

// Folder is the folder of a report of which a person has named one of the files. Another
// name stays as it is.
func Folder(name string) string {
	files := []string{PageFile, TextFile, OrderFile, ResultFile, TraceFile, PictureFile, DeathFile, TurnsFile}
	if slices.Contains(files, filepath.Base(name)) {
		return filepath.Dir(name)
	}
	return name
}

// noReport says that a folder is no report, and which in it are.
func noReport(dir, name string) error {
	inside, _ := filepath.Glob(filepath.Join(dir, "*", OrderFile)) // the pattern is right
	if len(inside) == 0 {
		return fmt.Errorf("%s is not the folder of a report: it has no %s", dir, name)
	}
	for i := range inside {
		inside[i] = filepath.Dir(inside[i])
	}
	return fmt.Errorf("%s is not the folder of a report; take one of those in it: %s", dir, strings.Join(inside, " "))
}

// Read returns what was run and what came of it, but for the picture and the sets of
// turns. The result has no fingerprint if the
// run's process died: then it is what the trace tells, as far as that goes.
func Read(dir string) (scenarios.Order, scenarios.Result, error) {
	var o scenarios.Order
	var r scenarios.Result
	for _, file := range []struct {
		name string
		into any
	}{{OrderFile, &o}, {ResultFile, &r}} {
		b, err := os.ReadFile(filepath.Join(dir, file.name))
		if errors.Is(err, fs.ErrNotExist) {
			return o, r, noReport(dir, file.name)
		}
		if err != nil {
			return o, r, err
		}
		if err := json.Unmarshal(b, file.into); err != nil {
			return o, r, fmt.Errorf("%s: %w", filepath.Join(dir, file.name), err)
		}
	}
	return o, r, nil
}
