package linearizability

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Verb says what a step of a transaction does.
type Verb string

// The steps. The texts are those of Consul's transaction API.
const (
	StepSet            Verb = "set"
	StepCAS            Verb = "cas" // set if the entry's index is Index; 0: if there is none
	StepGet            Verb = "get" // fails if there is no entry
	StepGetOrEmpty     Verb = "get-or-empty"
	StepDelete         Verb = "delete"
	StepDeleteCAS      Verb = "delete-cas"
	StepCheckIndex     Verb = "check-index"      // fails unless the entry's index is Index
	StepCheckNotExists Verb = "check-not-exists" // fails if there is an entry
)

// Step is one operation of a transaction on one key.
type Step struct {
	Verb  Verb   `json:"verb"`
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
	Index uint64 `json:"index,omitempty"` // that a condition compares with

	// What was returned, of a transaction that was done.
	Found  bool   `json:"found,omitempty"`   // of a get: there is an entry
	Seen   string `json:"seen,omitempty"`    // its value
	SeenAt uint64 `json:"seen_at,omitempty"` // of a get, set or CAS: the entry's index
}

// Txn is a transaction as its client saw it: all of its steps were done, or none.
// Values that are written must differ from each other within a key.
type Txn struct {
	Client  int           `json:"client"`
	Steps   []Step        `json:"steps"`
	Done    bool          `json:"done,omitempty"` // false: refused, since a step failed
	Outcome Outcome       `json:"outcome"`
	Call    time.Duration `json:"call"`
	Return  time.Duration `json:"return"`
	Error   string        `json:"error,omitempty"`
}

// CheckTxns judges a history of transactions over several keys. Keys that are used
// together, directly or through others, are one object and judged together; so
// there should be few of each such group. Result.Keys names groups by their keys,
// joined by "+". The budget is for each group.
func CheckTxns(history []Txn, budget Budget) Result {
	r := Result{Verdict: Holds, checked: map[string]checked{}}
	groups := group(history)
	for _, name := range sorted(groups) {
		r.Ops += len(groups[name])
		r.judge(name, ledgerModel(strings.Split(name, "+")), calls(groups[name]), budget)
	}
	return r
}

// group sorts transactions by the keys that they are connected through. Those that
// surely did nothing, and reads without an answer, say nothing.
func group(history []Txn) map[string][]Txn {
	root := map[string]string{} // union-find over keys
	var find func(string) string
	find = func(key string) string {
		if p, ok := root[key]; ok && p != key {
			root[key] = find(p)
		} else {
			root[key] = key
		}
		return root[key]
	}
	var judged []Txn
	for _, t := range history {
		if len(t.Steps) == 0 || t.Outcome == Failed || t.Outcome == Unknown && !t.writes() {
			continue
		}
		judged = append(judged, t)
		for _, s := range t.Steps {
			root[find(s.Key)] = find(t.Steps[0].Key)
		}
	}
	members := map[string][]string{}
	for _, key := range sorted(root) {
		members[find(key)] = append(members[find(key)], key)
	}
	groups := map[string][]Txn{}
	for _, t := range judged {
		name := strings.Join(members[find(t.Steps[0].Key)], "+")
		groups[name] = append(groups[name], t)
	}
	return groups
}

func (t Txn) writes() bool {
	return slices.ContainsFunc(t.Steps, func(s Step) bool {
		return s.Verb == StepSet || s.Verb == StepCAS || s.Verb == StepDelete || s.Verb == StepDeleteCAS
	})
}

// closing is an operation that comes after all that returned. What has an unknown
// outcome and comes before it took effect; what never took effect comes after it,
// where anything goes. So the search need not place what did nothing, among all
// the moments at which it could have done so.
type closing struct{}

// calls turns a group's history into porcupine's form, with a closing at its end.
func calls(history []Txn) []porcupine.Operation {
	var all []call
	for _, t := range history {
		all = append(all, call{t.Client, t.Call, t.Return, t.Outcome, t})
	}
	return closed(all)
}

// call is an operation of any model.
type call struct {
	client  int
	at, end time.Duration
	outcome Outcome
	what    any
}

// closed puts a closing at the end of a history. An operation of unknown outcome
// has a client of its own, since porcupine wants those of one client one after the
// other.
func closed(history []call) []porcupine.Operation {
	next, last := 0, time.Duration(0)
	for _, c := range history {
		next = max(next, c.client+1)
		last = max(last, c.at, c.end)
	}
	var all []porcupine.Operation
	for _, c := range history {
		p := porcupine.Operation{ClientId: c.client, Input: c.what, Output: c.what, Call: int64(c.at), Return: int64(c.end)}
		if c.outcome == Unknown {
			p.ClientId, p.Return = next, math.MaxInt64
			next++
		}
		all = append(all, p)
	}
	return append(all, porcupine.Operation{ClientId: next, Input: closing{}, Output: closing{}, Call: int64(last) + 1, Return: math.MaxInt64})
}

// ledger is the state of a group of keys, sorted.
type ledger struct {
	keys    []string
	entries []line // by key
	latest  uint64 // the highest index known in the group so far
	closed  bool
}

// line is the state of a key in a ledger. As long as its index is not known, it is
// more than latest and, if before is not 0, less than before; and all that the same
// transaction wrote has the same one.
type line struct {
	entry
	before uint64
	writer int // numbers those who wrote what has no known index, in their order
}

func ledgerModel(keys []string) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{ledger{keys: keys, entries: make([]line, len(keys))}} },
		Step: func(state, input, _ any) []any {
			l := state.(ledger)
			t, ok := input.(Txn)
			if !ok {
				l.closed = true
				return []any{l}
			}
			var next []any
			for _, n := range l.step(t) {
				next = append(next, n)
			}
			return next
		},
		Equal:             func(a, b any) bool { return a.(ledger).equal(b.(ledger)) },
		DescribeOperation: func(input, _ any) string { return describeTxn(input) },
		DescribeState:     func(state any) string { return state.(ledger).String() },
	}
	return m.ToModel()
}

func (l ledger) equal(o ledger) bool {
	return l.closed == o.closed && l.latest == o.latest && slices.Equal(l.entries, o.entries)
}

func (l ledger) String() string {
	var b strings.Builder
	for i, key := range l.keys {
		if e := l.entries[i]; e.exists {
			fmt.Fprintf(&b, "%s=%s@%d ", key, e.value, e.index)
		}
	}
	return b.String()
}

// step returns the states that a transaction can leave, none if what it returned
// cannot be.
func (l ledger) step(t Txn) []ledger {
	if t.Outcome == Unknown && l.closed {
		return []ledger{l}
	}
	done, refused := l.attempt(t)
	switch {
	case t.Outcome == Unknown || t.Done:
		return done
	case refused:
		return []ledger{l}
	}
	return nil
}

// attempt carries out all steps. It returns the states that they can lead to if none
// fails, and whether one can fail: as long as an entry's index is not known, a
// condition on it can do either.
func (l ledger) attempt(t Txn) (done []ledger, refused bool) {
	now := l
	now.entries = slices.Clone(l.entries)
	written := map[int]uint64{} // the index of this transaction, as far as its answer says
	for _, s := range t.Steps {
		i, _ := slices.BinarySearch(l.keys, s.Key)
		_, own := written[i]
		works, fails := now.carry(i, s, t, own)
		refused = refused || fails
		if !works {
			return nil, refused
		}
		if s.Verb == StepSet || s.Verb == StepCAS {
			written[i] = s.SeenAt
		}
	}
	// All that a transaction writes has one index, later than all before it.
	var index uint64
	for _, at := range written {
		if at != 0 && (at <= now.latest || index != 0 && at != index) {
			return nil, refused
		}
		index = cmp.Or(index, at)
	}
	now.sign(written, index)
	return []ledger{now}, refused
}

// sign puts under what a transaction has written its index, if that is known, and
// otherwise a number by which its lines find each other.
func (l *ledger) sign(written map[int]uint64, index uint64) {
	writer := 1
	for _, e := range l.entries {
		writer = max(writer, e.writer+1)
	}
	for i := range written {
		if e := &l.entries[i]; e.exists {
			e.latest, e.writer = l.latest, writer
		}
	}
	l.settle(writer, index)
}

// settle gives the lines of a writer their index, and those of others the bound that it
// is to theirs. Without an index it does nothing.
func (l *ledger) settle(writer int, index uint64) {
	if index == 0 {
		return
	}
	for i := range l.entries {
		switch e := &l.entries[i]; {
		case e.writer == 0: // there is nothing, or it has its index
		case e.writer == writer:
			*e = line{entry: entry{exists: true, value: e.value, index: index, latest: index}}
		case e.writer > writer:
			e.latest = max(e.latest, index)
		case e.before == 0 || e.before > index:
			e.before = index
		}
	}
	l.latest = max(l.latest, index)
}

// carry carries out one step on the i-th key, which may be one that the
// transaction has written itself, and reports whether it can work and whether it
// can fail.
func (l *ledger) carry(i int, s Step, t Txn, own bool) (works, fails bool) {
	e := &l.entries[i]
	switch s.Verb {
	case StepSet:
		*e = line{entry: entry{exists: true, value: s.Value}}
		return true, false
	case StepDelete:
		*e = line{}
		return true, false
	case StepGet, StepGetOrEmpty:
		if !e.exists {
			empty := s.Verb == StepGetOrEmpty
			return empty && (!t.Done || !s.Found), !empty
		}
		return !t.Done || s.Found && s.Seen == e.value && (own || l.learn(i, s.SeenAt)), false
	case StepCheckNotExists:
		return !e.exists, e.exists
	}
	works, fails = l.matches(i, s, own)
	if works && s.Verb == StepCAS {
		*e = line{entry: entry{exists: true, value: s.Value}}
	} else if works && s.Verb == StepDeleteCAS {
		*e = line{}
	}
	return works, fails
}

// matches reports whether the condition of a step on an index can hold, which
// makes the index known, and whether it can not.
func (l *ledger) matches(i int, s Step, own bool) (can, cannot bool) {
	e := &l.entries[i]
	switch {
	case s.Verb == StepDeleteCAS && !e.exists: // gone already: taken for deleted
		return true, false
	case s.Verb == StepCAS && s.Index == 0:
		return !e.exists, e.exists
	case !e.exists || own: // no client knows the index of a transaction that it is asking for
		return false, true
	}
	known := e.index != 0
	return l.learn(i, s.Index), !known || e.index != s.Index
}

// learn takes note of an entry's index and reports whether it can be that.
func (l *ledger) learn(i int, index uint64) bool {
	e := l.entries[i]
	switch {
	case e.index != 0 || index == 0:
		return index == 0 || index == e.index
	case index <= e.latest || e.before != 0 && index >= e.before:
		return false
	}
	l.settle(e.writer, index)
	return true
}

func describeTxn(input any) string {
	t, ok := input.(Txn)
	if !ok {
		return "the end"
	}
	var steps []string
	for _, s := range t.Steps {
		text := fmt.Sprintf("%s %s", s.Verb, s.Key)
		if s.Value != "" {
			text += "=" + s.Value
		}
		if s.Index != 0 {
			text += fmt.Sprintf(" if at %d", s.Index)
		}
		if s.Found {
			text += fmt.Sprintf(" → %s at %d", s.Seen, s.SeenAt)
		}
		steps = append(steps, text)
	}
	end := map[bool]string{true: "done", false: "refused"}[t.Done]
	if t.Outcome == Unknown {
		end = "?"
	}
	return strings.Join(steps, ", ") + " → " + end
}
