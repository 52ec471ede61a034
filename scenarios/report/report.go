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
	"syscall"
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

// Made says what a replay needs to know of a run.
type Made struct {
	scenarios.Order
	Mutant  string `json:",omitempty"` // the deliberate bug that the agents had; "": none
	Program string // the launch.Identity of what ran it
}

// Run is a run that a report is about.
type Run struct {
	Made
	Plan   scenarios.Plan
	Result scenarios.Result
	Took   time.Duration // real time
	File   string        // of the scenario, to be named in commands
	Flags  []string      // of simctl run, beside the seed and the mutant, that made it this run
	// Died says why there is no result, if there is none. What is reported then is
	// found in the trace, as far as it goes.
	Died *scenarios.Death
}

// Write writes a report into a folder, which it creates. Of another report that is there
// nothing stays. The trace is read from recording.
func Write(dir string, r Run, recording io.Reader) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range files {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := writeTrace(filepath.Join(dir, TraceFile), recording, r.Died != nil); err != nil {
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
	order, err := json.MarshalIndent(r.Made, "", "\t")
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

// writeTrace copies a trace: all of it, or, torn, the events that are whole, since a
// process that died may have left a part of its last one.
func writeTrace(to string, from io.Reader, torn bool) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if torn {
		err = copyWhole(out, from)
	} else {
		_, err = io.Copy(out, from)
	}
	return errors.Join(err, out.Close())
}

func copyWhole(out io.Writer, from io.Reader) error {
	whole := trace.NewRecording(out, 0)
	r := trace.NewReader(from)
	for {
		e, err := r.Next()
		if err != nil {
			return whole.Flush()
		}
		whole.Record(e)
	}
}

// files are those that a report may have.
var files = [...]string{PageFile, TextFile, OrderFile, ResultFile, TraceFile, PictureFile, DeathFile, TurnsFile}

// Folder is the folder of a report of which a person has named one of the files. Another
// name stays as it is.
func Folder(name string) string {
	if slices.Contains(files[:], filepath.Base(name)) {
		return filepath.Dir(name)
	}
	return name
}

// NoReport is the error of a folder that has no file of that name, and so is no report; it
// says which folders in it are.
func NoReport(dir, name string) error {
	inside, _ := filepath.Glob(filepath.Join(dir, "*", OrderFile)) // the pattern is right
	if len(inside) == 0 {
		return fmt.Errorf("%s is not the folder of a report: it has no %s", dir, name)
	}
	for i := range inside {
		inside[i] = filepath.Dir(inside[i])
	}
	return fmt.Errorf("%s is not the folder of a report; take one of those in it: %s", dir, strings.Join(inside, " "))
}

// ErrAnother says that a report was written by another version of this program.
var ErrAnother = errors.New("it was made by another version of this program")

// Read returns what was run and what came of it, but for the picture and the sets of
// turns. The result has no fingerprint if the run's process died: then it is what the
// trace tells, as far as that goes.
func Read(dir string) (Made, scenarios.Result, error) {
	var m Made
	var r scenarios.Result
	for _, file := range []struct {
		name string
		into any
	}{{OrderFile, &m}, {ResultFile, &r}} {
		b, err := os.ReadFile(filepath.Join(dir, file.name))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return m, r, NoReport(dir, file.name)
		}
		if err != nil {
			return m, r, err
		}
		decoder := json.NewDecoder(bytes.NewReader(b))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(file.into); err != nil {
			return m, r, fmt.Errorf("%s: %w: %w", filepath.Join(dir, file.name), ErrAnother, err)
		}
	}
	return m, r, nil
}
