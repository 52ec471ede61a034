package linearizability_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/linearizability"
)

type (
	txn  = linearizability.Txn
	step = linearizability.Step
)

func TestTransactionsGetTheVerdictThatIsDue(t *testing.T) {
	done := func(client int, call, ret time.Duration, steps ...step) txn {
		return txn{Client: client, Steps: steps, Done: true, Outcome: ok, Call: call, Return: ret}
	}
	refused := func(t txn) txn {
		t.Done = false
		return t
	}
	lost := func(t txn) txn {
		t.Outcome, t.Done = unknown, false
		return t
	}
	set := func(key, value string, at uint64) step {
		return step{Verb: linearizability.StepSet, Key: key, Value: value, SeenAt: at}
	}
	get := func(key, value string, at uint64) step {
		return step{Verb: linearizability.StepGetOrEmpty, Key: key, Found: value != "", Seen: value, SeenAt: at}
	}
	cas := func(key, value string, index, at uint64) step {
		return step{Verb: linearizability.StepCAS, Key: key, Value: value, Index: index, SeenAt: at}
	}
	is := func(key string, index uint64) step {
		return step{Verb: linearizability.StepCheckIndex, Key: key, Index: index}
	}
	absent := func(key string) step { return step{Verb: linearizability.StepCheckNotExists, Key: key} }
	remove := func(key string) step { return step{Verb: linearizability.StepDelete, Key: key} }
	both := done(1, 0, 1, set("x", "x1", 5), set("y", "y1", 5))
	unanswered := lost(done(1, 0, 1, set("x", "x1", 0), set("y", "y1", 0)))
	for _, c := range []struct {
		name    string
		history []txn
		want    linearizability.Verdict
	}{
		{"both keys are read as they were written", []txn{both, done(2, 2, 3, get("x", "x1", 5), get("y", "y1", 5))}, linearizability.Holds},
		{"one of two writes is seen", []txn{done(1, 0, 9, set("x", "x1", 5), set("y", "y1", 5)), done(2, 2, 3, get("x", "x1", 5), get("y", "", 0))}, linearizability.Violated},
		{"one is seen, then neither", []txn{both, done(2, 2, 3, get("x", "x1", 5)), done(2, 4, 5, get("y", "", 0))}, linearizability.Violated},
		{"each key goes its way, and together they do not", []txn{
			done(1, 0, 9, set("x", "x1", 5), set("y", "y1", 5)), done(2, 0, 9, set("x", "x2", 6), set("y", "y2", 6)),
			done(3, 10, 11, get("x", "x1", 5), get("y", "y2", 6)),
		}, linearizability.Violated},
		{"the keys of one write are seen with two indexes", []txn{unanswered, done(2, 2, 3, get("x", "x1", 5)), done(2, 4, 5, get("y", "y1", 6))}, linearizability.Violated},
		{"the keys of one write are seen with one index", []txn{unanswered, done(2, 2, 3, get("x", "x1", 5)), done(2, 4, 5, is("y", 5))}, linearizability.Holds},
		{"a write has an index before the one that it asked for", []txn{unanswered, done(2, 2, 3, cas("x", "x2", 9, 8))}, linearizability.Violated},
		{"a write has the index after the one that it asked for", []txn{unanswered, done(2, 2, 3, cas("x", "x2", 8, 9))}, linearizability.Holds},
		{"an earlier write has the higher index", []txn{
			unanswered, done(2, 2, 3, get("x", "x1", 0)), done(2, 4, 5, set("y", "y2", 7)), done(2, 6, 7, get("x", "x1", 8)),
		}, linearizability.Violated},
		{"a later write has the lower index", []txn{
			lost(done(1, 0, 1, set("x", "x1", 0))), done(2, 2, 3, get("x", "x1", 0)), lost(done(3, 4, 5, set("y", "y2", 0), is("x", 7))), done(2, 6, 7, get("y", "y2", 6)),
		}, linearizability.Violated},
		{"the keys of one write have two indexes", []txn{lost(both), done(2, 2, 3, get("x", "x1", 5)), done(2, 4, 5, get("x", "x1", 5), set("z", "z1", 4))}, linearizability.Violated},
		{"a refused one leaves nothing", []txn{both, refused(done(2, 2, 3, set("x", "x2", 0), is("y", 4))), done(2, 4, 5, get("x", "x1", 5))}, linearizability.Holds},
		{"a refused one leaves its first step", []txn{both, refused(done(2, 2, 3, set("x", "x2", 0), is("y", 4))), done(2, 4, 5, get("x", "x2", 6))}, linearizability.Violated},
		{"one is refused that should not be", []txn{both, refused(done(2, 2, 3, is("x", 5), cas("y", "y2", 5, 0)))}, linearizability.Violated},
		{"one is done whose condition fails", []txn{both, done(2, 2, 3, is("x", 4), set("y", "y2", 6))}, linearizability.Violated},
		{"two are done with one index", []txn{both, done(1, 2, 9, cas("x", "x2", 5, 6), set("y", "y2", 6)), done(2, 2, 9, cas("x", "x3", 5, 7), set("y", "y3", 7))}, linearizability.Violated},
		{"a transfer over a deleted account", []txn{both, done(1, 2, 3, remove("x"), cas("y", "y2", 5, 6)), done(1, 4, 5, absent("x"), set("x", "x2", 7))}, linearizability.Holds},
		{"what was deleted is there", []txn{both, done(1, 2, 3, remove("x"), set("y", "y2", 6)), refused(done(1, 4, 5, absent("x")))}, linearizability.Violated},
		{"the unknown may be seen late", []txn{lost(both), done(2, 2, 3, get("x", "", 0)), done(2, 4, 5, get("x", "x1", 5), get("y", "y1", 5))}, linearizability.Holds},
		{"or never", []txn{lost(both), done(2, 2, 3, get("x", "", 0))}, linearizability.Holds},
		{"but not in part", []txn{lost(both), done(2, 4, 5, get("x", "x1", 5), get("y", "", 0))}, linearizability.Violated},
		{"an index that goes back", []txn{both, done(1, 2, 3, set("x", "x2", 4))}, linearizability.Violated},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := linearizability.CheckTxns(c.history, linearizability.DefaultBudget).Verdict; got != c.want {
				t.Errorf("the verdict is %s, want %s", got, c.want)
			}
		})
	}
}

// bank is a store that does one transaction after the other.
type bank map[string]struct {
	value string
	index uint64
}

// apply carries out a transaction, all of it or nothing, and fills in the answer.
func (b bank) apply(t *txn, index uint64) {
	after := bank{}
	for k, v := range b {
		after[k] = v
	}
	t.Done = true
	for i := range t.Steps {
		s := &t.Steps[i]
		e, exists := after[s.Key]
		switch s.Verb {
		case linearizability.StepGet, linearizability.StepGetOrEmpty:
			s.Found, s.Seen, s.SeenAt = exists, e.value, e.index
			t.Done = t.Done && (exists || s.Verb == linearizability.StepGetOrEmpty)
		case linearizability.StepCheckIndex:
			t.Done = t.Done && exists && e.index == s.Index
		case linearizability.StepCheckNotExists:
			t.Done = t.Done && !exists
		case linearizability.StepDelete:
			delete(after, s.Key)
		case linearizability.StepCAS:
			t.Done = t.Done && exists == (s.Index != 0) && e.index == s.Index
			fallthrough
		case linearizability.StepSet:
			s.SeenAt, e.value, e.index = index, s.Value, index
			after[s.Key] = e
		}
	}
	if !t.Done {
		return
	}
	clear(b)
	for k, v := range after {
		b[k] = v
	}
}

// transactions makes a history of a real store: each takes effect at a moment
// drawn within its time.
func transactions(t *rapid.T) []txn {
	b := bank{}
	var all []txn
	var now time.Duration
	verbs := []linearizability.Verb{
		linearizability.StepSet, linearizability.StepCAS, linearizability.StepGet, linearizability.StepGetOrEmpty,
		linearizability.StepDelete, linearizability.StepCheckIndex, linearizability.StepCheckNotExists,
	}
	for i := range rapid.IntRange(1, 40).Draw(t, "transactions") {
		now += time.Duration(rapid.IntRange(1, 5).Draw(t, "gap"))
		o := txn{
			Client: i, Outcome: ok,
			Call: now - time.Duration(rapid.IntRange(0, 8).Draw(t, "before")), Return: now + time.Duration(rapid.IntRange(0, 8).Draw(t, "after")),
		}
		for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 1, 3, func(k string) string { return k }).Draw(t, "keys") {
			s := step{Verb: rapid.SampledFrom(verbs).Draw(t, "verb"), Key: key}
			switch s.Verb {
			case linearizability.StepSet, linearizability.StepCAS:
				s.Value = fmt.Sprint("v", i)
			}
			if s.Verb == linearizability.StepCAS || s.Verb == linearizability.StepCheckIndex {
				if s.Index = b[key].index; rapid.IntRange(0, 4).Draw(t, "wrong") == 0 {
					s.Index += 1000
				}
			}
			o.Steps = append(o.Steps, s)
		}
		b.apply(&o, uint64(i+10))
		if rapid.IntRange(0, 9).Draw(t, "lost") == 0 {
			o.Outcome, o.Done = unknown, false
		}
		if !o.Done {
			for i := range o.Steps {
				o.Steps[i].Found, o.Steps[i].Seen, o.Steps[i].SeenAt = false, "", 0
			}
		}
		all = append(all, o)
	}
	return all
}

func TestWhatAStoreOfTransactionsDoesIsLinearizable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := transactions(t)
		if r := linearizability.CheckTxns(h, linearizability.DefaultBudget); r.Verdict != linearizability.Holds {
			t.Fatalf("groups %v: %s\n%+v", r.Keys, r.Verdict, h)
		}
	})
}
