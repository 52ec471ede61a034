package scenarios

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tribune/scenarios/look"
	"tribune/sim/launch"
)

// Children is the table for launch.ChildMain of a program that runs scenarios.
func Children() map[string]launch.Main {
	return map[string]launch.Main{"scenario": func(in []byte, out io.Writer) {
		var o Order
		err := json.Unmarshal(in, &o)
		if err == nil {
			err = execute(o, out)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}}
}

// Death is the error of a run whose process ended without a result: it panicked, it
// wanted more memory than it may have, its virtual time stood still, or somebody killed
// it.
type Death struct {
	Scenario string
	Seed     uint64
	Err      error  // how the process ended
	Output   string // what it said: the cause, and the stacks of its goroutines
}

// RunCheck is the name of what is judged of a run that came to no result.
const RunCheck = "the run"

// Error implements error: all that is known.
func (d *Death) Error() string {
	return fmt.Sprintf("%s, seed %d: %v\n%s", d.Scenario, d.Seed, d.Err, d.Output)
}

// Unwrap returns how the process ended.
func (d *Death) Unwrap() error { return d.Err }

// Cause says in a line why the process ended: the first line that it said, or how it
// ended if it said nothing.
func (d *Death) Cause() string {
	first, _, _ := strings.Cut(d.Output, "\n")
	if first = strings.TrimSpace(first); first == "" {
		return d.Err.Error()
	}
	return first
}

// Run carries out an order in a process of its own, the program binary or, if
// that is empty, this one. What the process says on its standard error, such as
// the stack of a panic, is part of the error: a *Death, if the process was started. What l cannot keep, such as a
// trace that finds no space, ends the run too, with that error.
func Run(ctx context.Context, binary string, o Order, perturb launch.Perturb, l Listener) (Result, error) {
	in, err := json.Marshal(o)
	if err != nil {
		return Result{}, err
	}
	var complaints bytes.Buffer
	child, err := launch.Spawn(ctx, launch.Spec{Binary: binary, Main: "scenario", Input: in, Perturb: perturb, Stderr: &complaints})
	if err != nil {
		return Result{}, err
	}
	r, err := receive(child, l)
	if err != nil {
		child.Kill()
	}
	werr := child.Wait()
	if err != nil && !errors.Is(err, errNoResult) { // it was killed because of this
		return r, fmt.Errorf("%s, seed %d: %w", o.Scenario.Name, o.Seed, err)
	}
	if werr != nil {
		err = werr
	}
	if err != nil {
		return r, &Death{o.Scenario.Name, o.Seed, err, strings.TrimSpace(complaints.String())}
	}
	if !o.Unjudged {
		r.judge(NewPlan(o.Scenario, o.Seed).Scenario.Checks)
	}
	if l.Line != nil && complaints.Len() > 0 {
		l.Line(strings.TrimSpace(complaints.String()))
	}
	return r, nil
}

// LookAt carries out an order up to a moment, in a process of its own as Run does,
// and returns what is seen there. The run is the same up to there, whoever looks.
// A moment after the end of the run is its end.
func LookAt(ctx context.Context, binary string, o Order, at look.Stop, progress func(Progress)) (look.Seen, error) {
	var seen look.Seen
	o.Look, o.Trace, o.Unjudged = &at, false, true
	_, err := Run(ctx, binary, o, launch.Perturb{}, Listener{Progress: progress, look: func(s look.Seen) { seen = s }})
	return seen, err
}
