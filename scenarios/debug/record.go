package debug

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"tribune/scenarios"
	"tribune/scenarios/look"
	"tribune/scenarios/report"
	"tribune/sim/launch"
	"tribune/sim/trace"
)

// Recorded is a run that was made, with its whole trace.
type Recorded struct {
	report.Made
	Binary string // the program that is to run it again; "" is this one
	Result scenarios.Result
	Events []trace.Event
}

// allPassages is how many of a point by one node are noted: all, in a run that
// anybody has the patience to go through.
const allPassages = 1 << 16

// Record makes a run and keeps its trace, and the points that nodes pass.
func Record(ctx context.Context, binary string, o scenarios.Order, l scenarios.Listener) (Recorded, error) {
	var kept bytes.Buffer
	o.Trace, o.Passages, l.Trace = true, allPassages, &kept
	r, err := scenarios.Run(ctx, binary, o, launch.Perturb{}, l)
	if err != nil {
		return Recorded{}, err
	}
	events, err := read(&kept)
	return Recorded{Made: report.Made{Order: o}, Binary: binary, Result: r, Events: events}, err
}

// Open takes the run and the trace of a report.
func Open(dir string) (Recorded, error) {
	made, r, err := report.Read(dir)
	if err != nil {
		return Recorded{}, err
	}
	name := filepath.Join(dir, report.TraceFile)
	in, err := os.Open(name)
	if err != nil {
		return Recorded{}, err
	}
	defer func() { _ = in.Close() }() // only read
	events, err := read(in)
	if err != nil {
		return Recorded{}, fmt.Errorf("%s: %w", name, err)
	}
	return Recorded{Made: made, Result: r, Events: events}, nil
}

var errEmpty = errors.New("the trace is empty")

func read(in io.Reader) ([]trace.Event, error) {
	var events []trace.Event
	r := trace.NewReader(in)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			if len(events) == 0 {
				return nil, errEmpty
			}
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
}

// look makes the run again up to a position and looks around.
func (r Recorded) look(ctx context.Context, at position) (look.Seen, error) {
	return scenarios.LookAt(ctx, r.Binary, r.Order, look.Stop{Event: uint64(at.event), After: at.after}, nil)
}

// fingerprint is that of the first n events.
func (r Recorded) fingerprint(n uint64) string {
	again := trace.NewRecording(nil, 0)
	for _, e := range r.Events[:min(n, uint64(len(r.Events)))] {
		again.Record(e)
	}
	return again.Fingerprint()
}
