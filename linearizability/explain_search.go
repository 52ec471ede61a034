package linearizability

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// puzzle is a set of operations that no order makes sense of, out of which few are
// to be found. Two things keep what is possible possible: to end a history at some
// moment, when what has not returned has an unknown outcome, and to leave out what
// changes nothing. So whatever is still impossible afterwards was so before.
type puzzle struct {
	ops  []int                             // in the order of their return; those without one last
	call func(i int) time.Duration         // of an operation
	end  func(i int) (time.Duration, bool) // false: its outcome is unknown
	// check returns porcupine's answer about operations as they were known at a time.
	check func(ops []int, at time.Duration, limit time.Duration) porcupine.CheckResult
	// idle chooses those that can be left out of a set.
	idle func(ops []int) []int
}

// solve returns a small set of operations that is impossible, and of them the one
// whose answer makes it so. It gives up, with what it has, when the limit is over,
// and has nothing if the whole cannot be judged by then.
func (p puzzle) solve(limit time.Duration) (set []int, last int, ok bool) {
	deadline := time.Now().Add(limit)
	impossible := func(ops []int, at time.Duration) bool {
		left := time.Until(deadline)
		return left > 0 && p.check(ops, at, left) == porcupine.Illegal
	}
	var ends []int
	for _, i := range p.ops {
		if _, returned := p.end(i); returned {
			ends = append(ends, i)
		}
	}
	slices.SortFunc(ends, func(a, b int) int {
		ea, _ := p.end(a)
		eb, _ := p.end(b)
		return int(ea - eb)
	})
	// The first return after which no order is left.
	low, high := 0, len(ends)
	for low < high {
		middle := (low + high) / 2
		at, _ := p.end(ends[middle])
		if impossible(p.known(at), at) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	if low == len(ends) {
		return nil, 0, false
	}
	last = ends[low]
	at, _ := p.end(last)
	set = p.known(at)
	for _, size := range []int{len(set) / 2, len(set) / 4, len(set) / 8, len(set) / 16, len(set) / 32, 1} {
		idle := slices.DeleteFunc(p.idle(set), func(i int) bool { return i == last })
		for chunk := range slices.Chunk(idle, max(size, 1)) {
			less := slices.DeleteFunc(slices.Clone(set), func(i int) bool { return slices.Contains(chunk, i) })
			if impossible(less, at) {
				set = less
			}
		}
	}
	return set, last, true
}

// known are the operations that had been invoked at a time.
func (p puzzle) known(at time.Duration) []int {
	var ops []int
	for _, i := range p.ops {
		if p.call(i) <= at {
			ops = append(ops, i)
		}
	}
	return ops
}

// told is the anomaly of a solved puzzle.
func (p puzzle) told(key string, limit time.Duration, describe func(i int) string) []Anomaly {
	set, last, ok := p.solve(limit)
	if !ok {
		return []Anomaly{{Kind: NoOrder, Key: key, Text: "no order makes sense of all operations on " + key + ", and no small set of them was found in time"}}
	}
	ops := append([]int{last}, slices.DeleteFunc(slices.Clone(set), func(i int) bool { return i == last })...)
	const shown = 6
	var texts []string
	for _, i := range ops[1:] {
		if len(texts) == shown {
			texts = append(texts, fmt.Sprintf("and %d more", len(ops)-1-shown))
			break
		}
		texts = append(texts, describe(i))
	}
	text := "no order makes sense of this: " + describe(last)
	if len(texts) > 0 {
		text += "; with " + strings.Join(texts, "; ")
	}
	return []Anomaly{{Kind: NoOrder, Key: key, At: p.call(last), Ops: ops, Text: text}}
}

// spoken says of an operation who did what, and when.
func spoken(client int, what string, call, end time.Duration, outcome Outcome) string {
	if outcome == Unknown {
		return fmt.Sprintf("client %d: %s, from %s on", client, what, seconds(call))
	}
	return fmt.Sprintf("client %d: %s, %s to %s", client, what, seconds(call), seconds(end))
}

// contradiction finds a small impossible set of operations on a key.
func contradiction(history []Op, ops []int, key string, limit time.Duration) []Anomaly {
	model := register()
	p := puzzle{
		ops:  ops,
		call: func(i int) time.Duration { return history[i].Call },
		end:  func(i int) (time.Duration, bool) { return history[i].Return, history[i].Outcome == OK },
		check: func(ops []int, at, limit time.Duration) porcupine.CheckResult {
			return porcupine.CheckOperationsTimeout(model, operations(prune(knownAt(history, ops, at))), limit)
		},
		idle: func(ops []int) []int { return idleOps(history, ops) },
	}
	return p.told(key, limit, func(i int) string {
		o := history[i]
		return spoken(o.Client, describe(o), o.Call, o.Return, o.Outcome)
	})
}

// idleOps are reads and refusals, and writes of values that none of the others has
// seen. As soon as an operation depends on an index, every write may matter.
func idleOps(history []Op, ops []int) []int {
	var idle []int
	seen, conditions, absent := map[string]bool{}, false, false
	for _, i := range ops {
		o := history[i]
		switch {
		case o.Kind == Get && o.Found:
			seen[o.Seen] = true
		case o.Kind == Get:
			absent = true
		case o.Kind != Put && o.Kind != Delete && !o.refused():
			conditions = true
		}
	}
	for _, i := range ops {
		switch o := history[i]; {
		case o.Kind == Get, o.refused():
			idle = append(idle, i)
		case conditions:
		case o.Kind == Put && !seen[o.Value], o.Kind == Delete && !absent:
			idle = append(idle, i)
		}
	}
	return idle
}

// ExplainTxns does what Explain does for transactions that CheckTxns has judged.
func ExplainTxns(history []Txn, r Result, limit time.Duration) []Anomaly {
	var all []Anomaly
	groups := map[string][]int{}
	for i, t := range history {
		if t.Outcome != Failed && len(t.Steps) > 0 && (t.Outcome == OK || t.writes()) {
			groups[t.Steps[0].Key] = append(groups[t.Steps[0].Key], i)
		}
	}
	for _, name := range r.Keys {
		var ops []int
		var found []Anomaly
		for key := range strings.SplitSeq(name, "+") {
			ops = append(ops, groups[key]...)
			found = append(found, onKey(history, key)...)
		}
		slices.Sort(ops)
		if len(found) == 0 {
			found = txnPuzzle(history, ops, name).told(name, limit, func(i int) string {
				t := history[i]
				return spoken(t.Client, describeTxn(t), t.Call, t.Return, t.Outcome)
			})
		}
		all = append(all, found...)
	}
	return all
}

// onKey looks at what transactions did with one key. Where they make sense
// together, they do so key by key.
func onKey(history []Txn, key string) []Anomaly {
	var ops []Op
	var from, all []int
	for i, t := range history {
		if t.Outcome == OK && !t.Done || t.Outcome == Failed {
			continue
		}
		own := false
		for _, s := range t.Steps {
			if s.Key != key {
				continue
			}
			o := Op{Client: t.Client, Key: key, Outcome: t.Outcome, Call: t.Call, Return: t.Return, Value: s.Value, Index: s.Index, Found: s.Found, Seen: s.Seen, SeenAt: s.SeenAt}
			switch s.Verb {
			case StepGet, StepGetOrEmpty:
				o.Kind, o.Value = Get, ""
			case StepSet:
				o.Kind = Put
			case StepCAS:
				o.Kind, o.Done = CAS, t.Done
			case StepDelete, StepDeleteCAS:
				o.Kind = Delete
			default:
				continue
			}
			if o.Kind == Get && (own || t.Outcome != OK) {
				continue
			}
			own = own || o.Kind != Get
			all = append(all, len(ops))
			ops, from = append(ops, o), append(from, i)
		}
	}
	found := newReader(key, ops, all).anomalies()
	for n := range found {
		for k, i := range found[n].Ops {
			found[n].Ops[k] = from[i]
		}
	}
	return found
}

func txnPuzzle(history []Txn, ops []int, name string) puzzle {
	model := ledgerModel(strings.Split(name, "+"))
	return puzzle{
		ops:  ops,
		call: func(i int) time.Duration { return history[i].Call },
		end:  func(i int) (time.Duration, bool) { return history[i].Return, history[i].Outcome == OK },
		check: func(ops []int, at, limit time.Duration) porcupine.CheckResult {
			var known []Txn
			for _, i := range ops {
				t := history[i]
				if t.Return > at && t.Outcome == OK {
					t.Outcome, t.Done = Unknown, false
				}
				if t.Outcome == OK || t.writes() {
					known = append(known, t)
				}
			}
			return porcupine.CheckOperationsTimeout(model, calls(known), limit)
		},
		idle: func(ops []int) []int {
			return slices.DeleteFunc(slices.Clone(ops), func(i int) bool {
				t := history[i]
				return t.writes() && (t.Done || t.Outcome == Unknown)
			})
		},
	}
}

// ExplainLock does what Explain does for a lock that CheckLock has judged.
func ExplainLock(history []LockOp, r Result, limit time.Duration) []Anomaly {
	if len(r.Keys) == 0 {
		return nil
	}
	if found := lockAnomalies(history); len(found) > 0 {
		return found
	}
	var ops []int
	for i, o := range history {
		if o.Outcome == OK || o.Outcome == Unknown && (o.Kind == LockAcquire || o.Kind == LockRelease) {
			ops = append(ops, i)
		}
	}
	p := puzzle{
		ops:  ops,
		call: func(i int) time.Duration { return history[i].Call },
		end:  func(i int) (time.Duration, bool) { return history[i].Return, history[i].Outcome == OK },
		check: func(ops []int, at, limit time.Duration) porcupine.CheckResult {
			var known []LockOp
			for _, i := range ops {
				o := history[i]
				if o.Return > at && o.Outcome == OK {
					o.Outcome, o.Done, o.Gone, o.Holder, o.Token = Unknown, false, false, "", 0
				}
				known = append(known, o)
			}
			all, w := lockCalls(known)
			return porcupine.CheckOperationsTimeout(lockModel(w), closed(all), limit)
		},
		idle: func(ops []int) []int {
			return slices.DeleteFunc(slices.Clone(ops), func(i int) bool {
				o := history[i]
				return o.Kind != LockRead && o.Kind != LockRenew && (o.Done || o.Gone || o.Outcome == Unknown || o.Kind == LockDestroy)
			})
		},
	}
	return p.told("lock", limit, func(i int) string {
		o := history[i]
		return spoken(o.Client, describeLockOp(o), o.Call, o.Return, o.Outcome)
	})
}

// lockAnomalies looks for what a lock never does, in pairs of operations.
func lockAnomalies(history []LockOp) []Anomaly {
	var all []Anomaly
	add := func(kind AnomalyKind, i, j int, format string, args ...any) {
		if len(all) < maxAnomalies {
			all = append(all, Anomaly{Kind: kind, Key: "lock", At: history[i].Call, Ops: []int{i, j}, Text: fmt.Sprintf(format, args...)})
		}
	}
	owner, dead := map[uint64]int{}, map[string]int{}
	highest := -1 // the read with the highest token that has returned
	order := make([]int, len(history))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(history[a].Return - history[b].Return) })
	for _, i := range order {
		o := history[i]
		if o.Outcome != OK {
			continue
		}
		session := o.Session
		if o.Kind == LockRead {
			session = o.Holder
			if h := highest; h >= 0 && history[h].Return < o.Call && history[h].Token > o.Token {
				add(TokenWentBack, i, h, "client %d saw the lock at %s with token %d; client %d had seen token %d by %s", o.Client, seconds(o.Call), o.Token, history[h].Client, history[h].Token, seconds(history[h].Return))
			}
			if highest < 0 || history[highest].Token < o.Token {
				highest = i
			}
			if j, ok := owner[o.Token]; o.Holder != "" && !ok {
				owner[o.Token] = i
			} else if o.Holder != "" && history[j].Holder != o.Holder {
				add(TwoHolders, i, j, "client %d saw at %s that session %s holds the lock with token %d, and client %d had seen at %s that session %s does", o.Client, seconds(o.Call), abbreviated(o.Holder), o.Token, history[j].Client, seconds(history[j].Call), abbreviated(history[j].Holder))
			}
		}
		alive := o.Kind == LockRead && o.Holder != "" || o.Done && (o.Kind == LockRenew || o.Kind == LockAcquire)
		ended := o.Gone || o.Kind == LockDestroy || o.Kind == LockRenew && !o.Done
		if j, ok := dead[session]; ok && alive && history[j].Return < o.Call {
			add(DeadSession, i, j, "client %d saw at %s that session %s is alive (%s); it had ended by %s, as client %d saw", o.Client, seconds(o.Call), abbreviated(session), o.Kind, seconds(history[j].Return), history[j].Client)
		} else if !ok && ended {
			dead[session] = i
		}
	}
	return all
}

func abbreviated(session string) string { return session[:min(len(session), 8)] }

// What a person can look at in a picture of a history.
const (
	pictured     = 600
	picturedTime = 2 * time.Second
)

// Focus returns a result whose picture ends at the first moment at which the
// anomalies show that a key's history cannot be, and leaves out reads long before
// that. What is left is judged again, for up to limit of real time; if that comes to
// no end, or there are no anomalies, the result is returned as it is.
func (r Result) Focus(history []Op, anomalies []Anomaly, limit time.Duration) Result {
	if len(anomalies) == 0 || len(anomalies[0].Ops) == 0 {
		return r
	}
	key, at := anomalies[0].Key, time.Duration(math.MaxInt64)
	for _, a := range anomalies {
		var shown time.Duration
		for _, i := range a.Ops {
			if history[i].Outcome == OK {
				shown = max(shown, history[i].Return)
			}
		}
		if a.Key == key && shown > 0 {
			at = min(at, shown)
		}
	}
	var ops []int
	for i, o := range history {
		if o.Key == key && o.Outcome != Failed && o.Call <= at {
			ops = append(ops, i)
		}
	}
	// Once reads are left out there are writes that nobody has seen.
	for pass := 0; pass < 2 && len(ops) > pictured; pass++ {
		idle := idleOps(history, ops)
		ops = slices.DeleteFunc(ops, func(i int) bool {
			named := slices.ContainsFunc(anomalies, func(a Anomaly) bool { return slices.Contains(a.Ops, i) })
			_, out := slices.BinarySearch(idle, i)
			return out && !named && history[i].Return < at-picturedTime
		})
	}
	model := register()
	answer, info := porcupine.CheckOperationsVerbose(model, operations(prune(knownAt(history, ops, at))), limit)
	if answer != porcupine.Illegal {
		return r
	}
	f := Result{Verdict: Violated, Ops: len(ops), Keys: []string{key}, checked: map[string]checked{}}
	f.checked[key] = checked{model, info}
	return f
}

// knownAt are operations as they were known at a time: what had not returned has an
// unknown outcome, and a read without an answer says nothing.
func knownAt(history []Op, ops []int, at time.Duration) []Op {
	var known []Op
	for _, i := range ops {
		o := history[i]
		if o.Return > at && o.Outcome == OK {
			o.Outcome, o.Done = Unknown, false
		}
		if o.Kind != Get || o.Outcome == OK {
			known = append(known, o)
		}
	}
	return known
}
