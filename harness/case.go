package harness

import (
	"bytes"
	"context"
	"encoding/json"
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
)

// Case is all that decides a run of a system.
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
	Problem     string   // what is wrong; "" if nothing
	Fingerprint string   // equal for runs that are equal
	Reached     []string // the states that a search is guided by
	Virtual     time.Duration
	History     []linearizability.Op
	Faults      []nemesis.Struck
	Violations  []sim.Violation
}

// Run runs a case in a process of its own and judges it. The error says that the
// run could not be made, not that something is wrong with the system.
func (all Systems) Run(ctx context.Context, c Case) (Result, error) {
	s, err := all.get(c.System)
	if err != nil {
		return Result{}, err
	}
	in, err := json.Marshal(c)
	if err != nil {
		return Result{}, err
	}
	var complaints bytes.Buffer
	out, err := launch.Output(ctx, launch.Spec{Main: childName, Input: in, Stderr: &complaints})
	if err != nil {
		return Result{}, fmt.Errorf("%s, seed %d: %w\n%s", c.System, c.Seed, err, strings.TrimSpace(complaints.String()))
	}
	var r Result
	if err := json.Unmarshal(out, &r); err != nil {
		return Result{}, fmt.Errorf("%s, seed %d: %w", c.System, c.Seed, err)
	}
	if len(r.Violations) > 0 {
		v := r.Violations[0]
		r.Problem = fmt.Sprintf("%s: %s, at %v", v.Invariant, v.Text, v.At)
	} else {
		r.Problem = s.Check(r.History)
	}
	return r, nil
}

// linearizable is the check that a system has unless it says otherwise.
func linearizable(history []linearizability.Op) string {
	switch r := linearizability.Check(history, linearizability.DefaultBudget); r.Verdict {
	case linearizability.Holds:
		return ""
	case linearizability.Undecided:
		return "undecided: whether the history is linearizable could not be found out"
	default:
		return fmt.Sprintf("not linearizable: no order makes sense of the operations on %s", strings.Join(r.Keys, ", "))
	}
}

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
	var c Case
	if err := json.Unmarshal(in, &c); err != nil {
		return err
	}
	s, err := all.get(c.System)
	if err != nil {
		return err
	}
	model, err := netmodel.Named(s.Network)
	if err != nil {
		return err
	}
	const passages = 64 // of a point, by one node
	r := run{system: s, c: c, register: nemesis.NewRegister(s.cast(), passages), result: Result{Case: c}}
	if err := sim.Run(sim.Options{Seed: c.Seed, Model: model}, r.main); err != nil {
		return err
	}
	b, err := json.Marshal(r.result)
	if err != nil {
		return err
	}
	_, err = out.Write(b)
	return err
}
