// Package linearizability judges what clients saw of a key/value store: whether
// every operation can be given one moment between its invocation and its return
// at which it took effect, so that all of them in that order make sense (Herlihy
// and Wing, Linearizability: A Correctness Condition for Concurrent Objects,
// 1990). The search is porcupine's; the models of the operations are here.
//
// The package knows neither the agent nor the simulator: it is given histories.
package linearizability

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Kind says what an operation does.
type Kind string

// The operations on a key.
const (
	Get       Kind = "get"
	Put       Kind = "put"
	CAS       Kind = "cas"        // put if the entry's index is Index; 0: if there is none
	Delete    Kind = "delete"     //
	DeleteCAS Kind = "delete-cas" // delete if the entry's index is Index
)

// Outcome says what the client knows of an operation.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"      // it returned
	Failed  Outcome = "failed"  // it surely did not take effect
	Unknown Outcome = "unknown" // it may take effect at any later time, or never
)

// Op is an operation as its client saw it. Values that are written must differ
// from each other within a key.
type Op struct {
	Client  int           `json:"client"`
	Key     string        `json:"key"`
	Kind    Kind          `json:"kind"`
	Mode    string        `json:"mode,omitempty"` // of a get: consistent, default, stale
	Value   string        `json:"value,omitempty"`
	Index   uint64        `json:"index,omitempty"` // that a CAS compares with
	Outcome Outcome       `json:"outcome"`
	Call    time.Duration `json:"call"`
	Return  time.Duration `json:"return"`
	Error   string        `json:"error,omitempty"`

	// What was returned.
	Done     bool   `json:"done,omitempty"`      // of a CAS or DeleteCAS: it took effect
	Found    bool   `json:"found,omitempty"`     // of a get: there is an entry
	Seen     string `json:"seen,omitempty"`      // its value
	SeenAt   uint64 `json:"seen_at,omitempty"`   // its index; 0: the client did not see it
	ServedBy string `json:"served_by,omitempty"` // who answered
	Life     int    `json:"life,omitempty"`      // of a get: which process of it; 0: not known

	// What the answer to a get says about its age.
	Contact     time.Duration `json:"contact,omitempty"`   // how old the server said that its state may be
	MaxStale    time.Duration `json:"max_stale,omitempty"` // how old a stale read allows it to be; 0: no limit
	KnownLeader bool          `json:"known_leader,omitempty"`
}

// Verdict is the answer to whether a history is linearizable.
type Verdict string

// The verdicts.
const (
	Holds     Verdict = "holds"
	Violated  Verdict = "violated"
	Undecided Verdict = "undecided" // the search was given up
)

// Result is a verdict with what is needed to look into it.
type Result struct {
	Verdict Verdict
	Ops     int                // operations that were judged
	Keys    []string           // whose histories are not linearizable
	Relaxed []string           // keys judged without refusals (of a CAS, of a lock), since with them the search took too long
	checked map[string]checked // what was found of Keys
}

type checked struct {
	model porcupine.Model
	info  porcupine.LinearizationInfo
}

// Check judges a history. Each key is judged for itself, which is enough: an
// object made of linearizable ones is linearizable. Reads that did not return
// and writes that failed say nothing. The budget is for each key.
func Check(history []Op, budget Budget) Result {
	r := Result{Verdict: Holds, checked: map[string]checked{}}
	byKey := map[string][]Op{}
	for _, o := range history {
		if o.Outcome == Failed || o.Kind == Get && o.Outcome != OK {
			continue
		}
		byKey[o.Key] = append(byKey[o.Key], o)
		r.Ops++
	}
	model := register()
	for _, key := range sorted(byKey) {
		history := prune(byKey[key])
		result, info := budget.search(model, operations(history))
		if result == porcupine.Unknown {
			if relaxed := prune(withoutRefusals(history)); len(relaxed) < len(history) {
				r.Relaxed = append(r.Relaxed, key)
				result, info = budget.search(model, operations(relaxed))
			}
		}
		r.add(key, checked{model, info}, result)
	}
	return r
}

// judge searches for an order of the operations on one object.
func (r *Result) judge(name string, model porcupine.Model, operations []porcupine.Operation, budget Budget) {
	result, info := budget.search(model, operations)
	r.add(name, checked{model, info}, result)
}

// add takes the answer for one object into the result.
func (r *Result) add(name string, c checked, answer porcupine.CheckResult) {
	switch answer {
	case porcupine.Illegal:
		r.Verdict = Violated
		r.Keys = append(r.Keys, name)
		r.checked[name] = c
	case porcupine.Unknown:
		if r.Verdict == Holds {
			r.Verdict = Undecided
		}
	}
}

// Picture is porcupine's picture of the first key that is not linearizable, an HTML
// page; "" if all are, or if it cannot be drawn.
func (r Result) Picture() string {
	if len(r.Keys) == 0 {
		return ""
	}
	c := r.checked[r.Keys[0]]
	var b strings.Builder
	if err := porcupine.Visualize(c.model, c.info, &b); err != nil {
		return ""
	}
	return b.String()
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// prune leaves out writes of unknown outcome whose value nobody ever saw. Each of
// them could take effect at any later moment, so many of them make the search
// long. Such a write can be taken out of any order that makes sense, since
// between it and the next write nobody read; only a CAS may need it, one that
// was refused because it changed the index, or one that took effect with an
// index that nobody read. So a history with such a CAS is left as it is.
func prune(history []Op) []Op {
	seen, indexes := map[string]bool{}, map[uint64]bool{0: true}
	for _, o := range history {
		if o.Kind == Get {
			seen[o.Seen], indexes[o.SeenAt] = true, true
		}
	}
	for _, o := range history {
		if (o.Kind == CAS || o.Kind == DeleteCAS) && (o.Outcome == OK && !o.Done || !indexes[o.Index]) {
			return history
		}
	}
	var kept []Op
	for _, o := range history {
		if o.Outcome != Unknown || o.Kind != Put && o.Kind != CAS || seen[o.Value] {
			kept = append(kept, o)
		}
	}
	return kept
}

// withoutRefusals leaves out the CAS that did not take effect.
func withoutRefusals(history []Op) []Op {
	var kept []Op
	for _, o := range history {
		if o.Outcome != OK || o.Kind != CAS && o.Kind != DeleteCAS || o.Done {
			kept = append(kept, o)
		}
	}
	return kept
}

// operations turns a key's history into porcupine's form. An operation without
// a known outcome may take effect until the end of time; its client goes on
// under another number, since porcupine wants a client's operations one after
// the other.
func operations(history []Op) []porcupine.Operation {
	number := map[int]int{}
	next := 0
	for _, o := range history {
		next = max(next, o.Client+1)
	}
	var all []porcupine.Operation
	for _, o := range history {
		client, renamed := number[o.Client]
		if !renamed {
			client = o.Client
		}
		p := porcupine.Operation{ClientId: client, Input: o, Call: int64(o.Call), Output: o, Return: int64(o.Return)}
		if o.Outcome == Unknown {
			p.Return = math.MaxInt64
			number[o.Client] = next
			next++
		}
		all = append(all, p)
	}
	return all
}

// entry is the state of a key. Its index is that of the write that made it,
// which the writer is not told: it is unknown, 0, until somebody reads it.
type entry struct {
	exists bool
	value  string
	index  uint64
	latest uint64 // the highest index known so far: later ones are higher
}

// register is the model of one key.
func register() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{entry{}} },
		Step: func(state, input, _ any) []any {
			var next []any
			for _, e := range state.(entry).step(input.(Op)) {
				next = append(next, e)
			}
			return next
		},
		Equal:             func(a, b any) bool { return a == b },
		DescribeOperation: func(input, _ any) string { return describe(input.(Op)) },
		DescribeState:     func(state any) string { return fmt.Sprint(state) },
	}
	return m.ToModel()
}

// step returns the states in which an operation can leave the key, none if what
// it returned cannot be.
func (e entry) step(o Op) []entry {
	switch o.Kind {
	case Get:
		return e.read(o)
	case Put:
		return []entry{e.write(o.Value)}
	case Delete:
		return []entry{e.remove()}
	case CAS:
		return e.compare(o, e.write(o.Value))
	case DeleteCAS:
		if !e.exists { // gone already: taken for deleted
			if o.Outcome == Unknown || o.Done {
				return []entry{e}
			}
			return nil
		}
		return e.compare(o, e.remove())
	}
	return nil
}

func (e entry) read(o Op) []entry {
	if o.Found != e.exists {
		return nil
	}
	if !e.exists {
		return []entry{e}
	}
	if o.Seen != e.value {
		return nil
	}
	known, ok := e.learn(o.SeenAt)
	if !ok {
		return nil
	}
	return []entry{known}
}

// learn takes note of the entry's index and reports whether it can be that.
func (e entry) learn(index uint64) (entry, bool) {
	switch {
	case index == 0 || e.index == index:
		return e, true
	case e.index != 0 || index <= e.latest:
		return e, false
	}
	e.index, e.latest = index, index
	return e, true
}

func (e entry) write(value string) entry {
	return entry{exists: true, value: value, latest: e.latest}
}

func (e entry) remove() entry { return entry{latest: e.latest} }

// compare returns what a conditional change can lead to; then is the state if
// it takes effect.
func (e entry) compare(o Op, then entry) []entry {
	taken, ok := e, false
	switch {
	case o.Index == 0:
		ok = !e.exists && o.Kind == CAS
	case e.exists:
		taken, ok = e.learn(o.Index)
	}
	then.latest = taken.latest
	// While the index is not known it may be another one as well.
	refused := !ok || o.Index != 0 && e.index == 0
	var next []entry
	if ok && (o.Outcome == Unknown || o.Done) {
		next = append(next, then)
	}
	if refused && (o.Outcome == Unknown || !o.Done) {
		next = append(next, e)
	}
	return next
}

func describe(o Op) string {
	var b strings.Builder
	switch o.Kind {
	case Get:
		b.WriteString(strings.TrimSpace("get " + o.Mode))
	case CAS:
		fmt.Fprintf(&b, "cas %s if at %d", o.Value, o.Index)
	case DeleteCAS:
		fmt.Fprintf(&b, "delete if at %d", o.Index)
	default:
		fmt.Fprintf(&b, "%s %s", o.Kind, o.Value)
	}
	switch {
	case o.Outcome == Unknown:
		b.WriteString(" → ?")
	case o.Kind == Get && !o.Found:
		b.WriteString(" → nothing")
	case o.Kind == Get:
		fmt.Fprintf(&b, " → %s at %d", o.Seen, o.SeenAt)
	case o.Kind == CAS || o.Kind == DeleteCAS:
		fmt.Fprintf(&b, " → %t", o.Done)
	}
	return b.String()
}
