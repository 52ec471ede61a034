package sim_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"tribune/netmodel"
	"tribune/sim"
	"tribune/sim/launch"
	"tribune/sim/trace"
)

// taped writes the trace of a world out in which four talk.
func taped(in []byte, out io.Writer) {
	recording := trace.NewRecording(out, remembers)
	o := sim.Options{Seed: binary.BigEndian.Uint64(in), Model: netmodel.LAN(), Trace: recording}
	err := sim.Run(o, func(w *sim.World) { talk(false)(&scene{w, recording, io.Discard}) })
	if err := errors.Join(err, recording.Flush()); err != nil {
		panic(err)
	}
}

// stopped stops that world after an event, and says when that is, how much has
// happened, and what.
func stopped(in []byte, out io.Writer) {
	recording := trace.NewRecording(nil, remembers)
	var w *sim.World
	o := sim.Options{Seed: binary.BigEndian.Uint64(in), Model: netmodel.LAN(), Trace: recording}
	o.Stop = &sim.Stop{Event: binary.BigEndian.Uint64(in[8:]), After: time.Duration(binary.BigEndian.Uint64(in[16:])), Do: func() {
		fmt.Fprintf(out, "%d %d %s", w.Now(), recording.Count(), w.Fingerprint())
		os.Exit(0)
	}}
	err := sim.Run(o, func(world *sim.World) {
		w = world
		talk(false)(&scene{w, recording, io.Discard})
	})
	fmt.Fprintf(out, "it did not stop: %v", err)
}

func TestAWorldThatIsStoppedIsTheOneThatIsNot(t *testing.T) {
	for seed := range uint64(2) {
		input := binary.BigEndian.AppendUint64(nil, seed)
		tape, err := launch.Output(t.Context(), launch.Spec{Main: "taped", Input: input})
		if err != nil {
			t.Fatal(err)
		}
		var events []trace.Event
		prefix := trace.NewRecording(nil, 0)
		fingerprints := []string{prefix.Fingerprint()}
		for r := trace.NewReader(bytes.NewReader(tape)); ; {
			e, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
			prefix.Record(e)
			fingerprints = append(fingerprints, prefix.Fingerprint())
		}
		if len(events) < 1000 {
			t.Fatalf("only %d events", len(events))
		}
		for i := range 12 {
			event, after := i*len(events)/13, time.Duration(i%2)*time.Millisecond
			at := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(input, uint64(event)), uint64(after))
			out, err := launch.Output(t.Context(), launch.Spec{Main: "stopped", Input: at})
			var now time.Duration
			var count int
			var fingerprint string
			if _, serr := fmt.Sscan(string(out), &now, &count, &fingerprint); err != nil || serr != nil {
				t.Fatalf("event %d: %v, %s", event, err, out)
			}
			if want := events[event].At + after; now < want || now > want+10 {
				t.Errorf("event %d: it stopped at %v, not at %v", event, now, want)
			}
			if count <= event || count < len(events) && events[count].At <= events[event].At+after {
				t.Errorf("event %d: it stopped after %d events, and not at rest", event, count)
			}
			if fingerprint != fingerprints[count] {
				t.Errorf("seed %d, event %d: it was another world until event %d", seed, event, count)
			}
		}
	}
}
