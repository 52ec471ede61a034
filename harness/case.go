package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"tribune/linearizability"
	"tribune/netmodel"
	"tribune/sim"
	"tribune/sim/launch"
	"tribune/sim/nemesis"
	"tribune/sim/trace"
)

// Case is all that decides a run of a system. Without clients or a duration it has those
// of the system.
type Case struct {
	System   string           `yaml:"system"`
	Seed     uint64           `yaml:"seed"`
	Clients  int              `yaml:"clients"`
	Duration nemesis.Duration `yaml:"duration"` // in which faults strike
	Faults   []nemesis.Fault  `yaml:"faults"`
}

// Result is what came of a run.
type Result struct {
	Case        Case
	Problem     string                    // what is wrong; "" if nothing
	Anomalies   []linearizability.Anomaly // the same in sentences, if no order makes sense of the history
	Fingerprint string                    // equal for runs that are equal
	Reached     []string                  // the states that a search is guided by
	Virtual     time.Duration
	Healed      time.Duration // since when nothing strikes any more
	History     []linearizability.Op
	Faults      []nemesis.Struck
	Roles       []Held // who had a role of the system, in the order of the beginning
	Violations  []sim.Violation
	Ends        []End  // of processes that ended by themselves, and not well
	Said        string // what the run's process said, such as the stacks of panics

	verdict linearizability.Result
	took    time.Duration // real time
}

// End is the end of a node's process that nobody ended: it panicked, or its Program
// returned an error.
type End struct {
	At   time.Duration
	Node string
	Text string // the error; of a panic it begins with "panic: "
}

// Run runs a case in a process of its own and judges it. The error says that the run
// could not be made or judged, not that something is wrong with the system.
func (all Systems) Run(ctx context.Context, c Case) (Result, error) {
	r, _, err := all.run(ctx, c, false)
	r.explain()
	return r, err
}

// watch is the real time after which a run is given up whose virtual time stands still.
const watch = 30 * time.Second

// run makes a run and returns its trace too, if that is wanted.
func (all Systems) run(ctx context.Context, c Case, traced bool) (r Result, recording []byte, err error) {
	var complaints bytes.Buffer
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s, seed %d: %w", c.System, c.Seed, err)
		}
	}()
	s, err := all.get(c.System)
	if err != nil {
		return r, nil, err
	}
	orElse(&c.Clients, s.Clients)
	orElse(&c.Duration.Duration, s.Duration)
	r.Case = c
	if err := s.validCase(c); err != nil {
		return r, nil, err
	}
	in, err := json.Marshal(order{c, traced})
	if err != nil {
		return r, nil, err
	}
	began := time.Now()
	out, err := launch.Output(ctx, launch.Spec{Main: childName, Input: in, Stderr: &complaints, Watch: watch})
	said := strings.TrimSpace(complaints.String())
	if err == nil && len(out) == 0 {
		err = errNothing
	}
	if err != nil {
		if said == "" {
			said = "It said nothing: a program in the world must not call os.Exit or log.Fatal."
		}
		return r, nil, fmt.Errorf("%w\n%s", err, said)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		return r, nil, err
	}
	a.Said, a.took = said, time.Since(began)
	if a.Broken != "" {
		return a.Result, a.Trace, fmt.Errorf("%s\n%s", a.Broken, said)
	}
	err = a.judge(s)
	return a.Result, a.Trace, err
}

// errNothing says that a run's process ended well and told nothing of the run.
var errNothing = errors.New("the run ended before it was done")

// order is what a run's process is told, and answer what it says.
type (
	order struct {
		Case  Case
		Trace bool
	}
	answer struct {
		Result
		Trace  []byte
		Broken string // why the run says nothing
	}
)

const childName = "harness"

// children is the table for launch.ChildMain.
func (all Systems) children() map[string]launch.Main {
	return map[string]launch.Main{childName: func(in []byte, out io.Writer) {
		if err := all.execute(in, out); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}}
}

// execute makes a run, in a process that is there for it.
func (all Systems) execute(in []byte, out io.Writer) error {
	var o order
	if err := json.Unmarshal(in, &o); err != nil {
		return err
	}
	s, err := all.get(o.Case.System)
	if err != nil {
		return err
	}
	model, err := netmodel.Named(s.Network)
	if err != nil {
		return err
	}
	const passages = 64 // of a point, by one node
	r := run{system: s, c: o.Case, register: nemesis.NewRegister(s.cast(), passages), result: Result{Case: o.Case}}
	options := sim.Options{Seed: o.Case.Seed, Model: model}
	var recording bytes.Buffer
	if o.Trace {
		options.Trace = trace.NewRecording(&recording, 0)
	}
	if err := sim.Run(options, r.main); err != nil {
		return err
	}
	if o.Trace {
		if err := options.Trace.Flush(); err != nil {
			return err
		}
	}
	b, err := json.Marshal(answer{r.result, recording.Bytes(), r.broken})
	if err != nil {
		return err
	}
	_, err = out.Write(b)
	return err
}
