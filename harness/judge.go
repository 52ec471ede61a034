package harness

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"tribune/linearizability"
)

// judge says what is wrong with a run. The error says that it cannot be judged.
func (r *Result) judge(s System) (err error) {
	switch {
	case len(r.Violations) > 0:
		v := r.Violations[0]
		r.Problem = fmt.Sprintf("%s: %s, at %v", v.Invariant, v.Text, v.At)
	case r.panicked() >= 0 && !s.MayPanic:
		e := r.Ends[r.panicked()]
		r.Problem = fmt.Sprintf(panicked+": %s at %.3f s: %s", e.Node, e.At.Seconds(), strings.TrimPrefix(e.Text, panics))
	case r.idle():
		r.Problem = "nothing works: " + r.excuse()
	case s.Check == nil:
		err = r.linearizable()
	default:
		r.Problem, err = guarded(s.Check, r.History)
	}
	return err
}

// panicked is how a problem begins that is a panic.
const panicked = "a node panics"

// panics is how the end of a process begins that panicked.
const panics = "panic: "

func (r *Result) panicked() int {
	return slices.IndexFunc(r.Ends, func(e End) bool { return strings.HasPrefix(e.Text, panics) })
}

// idle reports whether no operation was carried out that was begun when all was healed.
func (r *Result) idle() bool {
	return !slices.ContainsFunc(r.last(), func(o linearizability.Op) bool { return o.Outcome == linearizability.OK })
}

// last are the operations that were begun when all was healed.
func (r *Result) last() []linearizability.Op {
	return slices.DeleteFunc(slices.Clone(r.History), func(o linearizability.Op) bool { return o.Call < r.Healed })
}

// excuse says why nothing works, as far as is known.
func (r *Result) excuse() string {
	last := r.last()
	text := fmt.Sprintf("none of %d operations was carried out after all was healed", len(last))
	if n := len(last); n > 0 {
		text += fmt.Sprintf("; the last said: %s", last[n-1].Error)
	}
	if n := len(r.Ends); n > 0 {
		text += fmt.Sprintf("; processes ended by themselves %d times, the last of %s with: %s", n, r.Ends[n-1].Node, r.Ends[n-1].Text)
	}
	return text
}

// guarded is a check of the system's own. One that panics is the test's mistake, and
// must not take the whole search with it.
func guarded(check func([]linearizability.Op) string, history []linearizability.Op) (problem string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the system's Check panics: %v\n%s", p, debug.Stack())
		}
	}()
	return check(history), nil
}

// explaining is how long the search for a sentence may take, a key.
const explaining = time.Second

// linearizable is the check that a system has unless it has one of its own.
func (r *Result) linearizable() error {
	if err := judgeable(r.History); err != nil {
		return err
	}
	switch l := linearizability.Check(r.History, linearizability.DefaultBudget); l.Verdict {
	case linearizability.Holds:
	case linearizability.Undecided:
		r.Problem = "undecided: whether the history is linearizable could not be found out"
	default:
		r.Problem = "not linearizable: no order makes sense of the operations on " + strings.Join(l.Keys, ", ")
		r.verdict = l
	}
	return nil
}

// explain looks for the sentences that say what in the history cannot be, which may take
// longer than the run.
func (r *Result) explain() {
	if r.verdict.Verdict == linearizability.Violated {
		r.Anomalies = linearizability.Explain(r.History, r.verdict, explaining)
	}
}

// judgeable says what in a history the usual check would take for something else.
func judgeable(history []linearizability.Op) error {
	kinds := []linearizability.Kind{linearizability.Get, linearizability.Put, linearizability.CAS, linearizability.Delete, linearizability.DeleteCAS}
	wrote := map[string]int{} // by key and value
	for _, o := range history {
		if !slices.Contains(kinds, o.Kind) {
			return fmt.Errorf("an operation of kind %q is drawn, which the usual check does not know: draw %v, or give the system a Check of its own", o.Kind, kinds)
		}
		if o.Kind != linearizability.Put && o.Kind != linearizability.CAS {
			continue
		}
		k := o.Key + "\x00" + o.Value
		if first, twice := wrote[k]; twice {
			return fmt.Errorf("clients %d and %d both write %s=%s: Draw must draw values that differ, so that a read says which write it saw", first, o.Client, o.Key, o.Value)
		}
		wrote[k] = o.Client
	}
	return nil
}
