package linearizability_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/linearizability"
)

const ms = time.Millisecond

func put(client int, value string, call, ret time.Duration) op {
	return op{Client: client, Key: "x", Kind: linearizability.Put, Value: value, Outcome: ok, Call: call * ms, Return: ret * ms}
}

func read(client int, value string, index uint64, call, ret time.Duration) op {
	return op{Client: client, Key: "x", Kind: linearizability.Get, Found: value != "", Seen: value, SeenAt: index, Outcome: ok, Call: call * ms, Return: ret * ms, ServedBy: "s2"}
}

func cas(client int, value string, index uint64, done bool, call, ret time.Duration) op {
	return op{Client: client, Key: "x", Kind: linearizability.CAS, Value: value, Index: index, Done: done, Outcome: ok, Call: call * ms, Return: ret * ms}
}

func remove(client int, call, ret time.Duration) op {
	return op{Client: client, Key: "x", Kind: linearizability.Delete, Outcome: ok, Call: call * ms, Return: ret * ms}
}

func lost(o op) op {
	o.Outcome = unknown
	return o
}

// sentence is a history that is not linearizable, and how that is said.
type sentence struct {
	name    string
	history []op
	kind    linearizability.AnomalyKind
	ops     []int
	text    string
}

func TestAWrongReadIsExplainedInASentence(t *testing.T) {
	explained(t, []sentence{
		{
			"a value that was overwritten", []op{put(1, "4", 0, 10), put(1, "7", 20, 30), read(2, "7", 0, 31, 32), read(3, "4", 0, 40, 50)},
			linearizability.StaleRead, []int{3, 1}, "client 3 read x=4 at 0.040 s from s2; 4 was overwritten by 7 of client 1, acknowledged at 0.030 s",
		},
		{
			"a value that was deleted", []op{put(1, "4", 0, 10), remove(2, 20, 30), read(3, "4", 0, 40, 50)},
			linearizability.StaleRead, []int{2, 1}, "client 3 read x=4 at 0.040 s from s2; 4 was deleted by client 2, acknowledged at 0.030 s",
		},
		{
			"a write that nobody ever saw", []op{put(1, "4", 0, 10), put(1, "7", 20, 30), read(3, "4", 0, 40, 50), read(3, "4", 0, 60, 70)},
			linearizability.LostWrite, []int{2, 1}, "client 3 read x=4 at 0.040 s from s2; 4 was overwritten by 7 of client 1, acknowledged at 0.030 s, and was never seen",
		},
		{
			"a first write that is missed", []op{put(1, "4", 0, 10), read(3, "", 0, 40, 50)},
			linearizability.LostWrite, []int{1, 0}, "client 3 read x at 0.040 s from s2 and found nothing; client 1 had written 4, acknowledged at 0.010 s, and nobody deleted it since",
		},
		{
			"a value that comes and goes", []op{lost(put(1, "4", 0, 10)), read(2, "4", 5, 20, 30), read(3, "", 0, 40, 50)},
			linearizability.StaleRead, []int{2, 1}, "client 3 read x at 0.040 s from s2 and found nothing; by 0.030 s client 2 had read 4 from s2, and nobody deleted it since",
		},
		{
			"two reads in the wrong order", []op{put(1, "4", 0, 10), lost(put(1, "7", 20, 90)), read(2, "7", 0, 30, 40), read(3, "4", 0, 50, 60)},
			linearizability.StaleRead, []int{3, 2}, "client 3 read x=4 at 0.050 s from s2; 4 was gone by then: client 2 had read 7 from s2 by 0.040 s",
		},
		{
			"a value out of nowhere", []op{put(1, "4", 0, 10), read(3, "9", 0, 40, 50)},
			linearizability.NeverWritten, []int{1}, "client 3 read x=9 at 0.040 s from s2; nobody ever wrote that",
		},
		{
			"a value that was refused", []op{put(1, "4", 0, 10), cas(2, "9", 77, false, 20, 30), read(3, "9", 0, 40, 50)},
			linearizability.NeverWritten, []int{2, 1}, "client 3 read x=9 at 0.040 s from s2, though the cas that wanted to write it was refused",
		},
		{
			"a value before its time", []op{read(3, "4", 0, 10, 20), put(1, "4", 30, 40)},
			linearizability.TooEarly, []int{0, 1}, "client 3 read x=4 at 0.010 s from s2; client 1 began to write it only at 0.030 s",
		},
	})
}

func TestAWrongIndexIsExplainedInASentence(t *testing.T) {
	explained(t, []sentence{
		{
			"one index twice", []op{put(1, "4", 0, 10), read(1, "4", 5, 20, 30), cas(1, "a", 5, true, 40, 90), cas(2, "b", 5, true, 41, 90)},
			linearizability.TwoSuccesses, []int{3, 2}, "both client 1, at 0.040 s, and client 2, at 0.041 s, changed x on the condition that its index is 5",
		},
		{
			"created twice", []op{cas(1, "a", 0, true, 0, 10), cas(2, "b", 0, true, 20, 30)},
			linearizability.TwoSuccesses, []int{1, 0}, "both client 1, at 0.000 s, and client 2, at 0.020 s, created x on the condition that it is not there, and nobody deleted it",
		},
		{
			"an index that was replaced", []op{put(1, "4", 0, 10), put(2, "7", 20, 30), read(1, "7", 6, 40, 50), cas(1, "a", 5, true, 60, 70)},
			linearizability.StaleCAS, []int{3, 2}, "client 1 changed x at 0.060 s on the condition that its index is 5; before that, by 0.050 s, client 1 had read 7 from s2 with index 6",
		},
		{
			"an index that goes back", []op{put(1, "4", 0, 10), read(1, "4", 5, 11, 12), put(2, "7", 13, 14), read(1, "7", 4, 20, 30)},
			linearizability.IndexWentBack, []int{3, 1}, "client 1 read x=7 at 0.020 s from s2 with index 4; before that, by 0.012 s, client 1 had read 4 from s2 with index 5",
		},
		{
			"an index that two values have", []op{put(1, "4", 0, 10), put(2, "7", 0, 40), read(1, "4", 5, 11, 12), read(2, "7", 5, 20, 30)},
			linearizability.IndexShared, []int{3, 2}, "client 2 read x=7 at 0.020 s from s2 with index 5; with that index client 1 had read 4 from s2",
		},
		{
			"a refusal without a reason", []op{put(9, "z", 0, 1), remove(9, 2, 3), put(1, "a", 10, 20), read(1, "a", 5, 30, 40), read(7, "a", 5, 30, 40), cas(2, "b", 5, false, 50, 60)},
			linearizability.NoOrder, []int{5, 2, 4}, "no order makes sense of this: client 2: cas b if at 5 → false, 0.050 s to 0.060 s; with client 1: put a, 0.010 s to 0.020 s; client 7: get → a at 5, 0.030 s to 0.040 s",
		},
	})
}

func explained(t *testing.T, cases []sentence) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := linearizability.Check(c.history, linearizability.DefaultBudget)
			if r.Verdict != linearizability.Violated {
				t.Fatalf("the history is %s: there is nothing to explain", r.Verdict)
			}
			all := linearizability.Explain(c.history, r, time.Minute)
			if len(all) == 0 {
				t.Fatal("no anomaly")
			}
			a := all[0]
			if a.Kind != c.kind || a.Text != c.text || !slices.Equal(a.Ops, c.ops) || a.Key != "x" || a.At != c.history[c.ops[0]].Call {
				t.Errorf("%s, operations %v, at %v:\n%s\nwant %s, %v\n%s", a.Kind, a.Ops, a.At, a.Text, c.kind, c.ops, c.text)
			}
		})
	}
}

// TestWhatIsExplainedIsWrong holds every anomaly against the search: a history with
// nothing but its operations, and the writes, makes no sense either.
func TestWhatIsExplainedIsWrong(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		h := history(t)
		for range rapid.IntRange(1, 3).Draw(t, "lies") {
			i := rapid.IntRange(0, len(h)-1).Draw(t, "at")
			o := &h[i]
			switch {
			case o.Kind == linearizability.Get:
				from := h[rapid.IntRange(0, len(h)-1).Draw(t, "from")]
				o.Found, o.Seen, o.SeenAt = from.Value != "", from.Value, 0
			case o.Kind == linearizability.CAS && o.Outcome == ok:
				o.Done = !o.Done
			}
		}
		r := linearizability.Check(h, linearizability.DefaultBudget)
		all := linearizability.Explain(h, r, time.Minute)
		if (r.Verdict == linearizability.Violated) != (len(all) > 0) {
			t.Fatalf("the verdict is %s, and there are %d anomalies", r.Verdict, len(all))
		}
		for _, a := range all {
			found++
			var less []op
			for i, o := range h {
				if o.Kind != linearizability.Get || slices.Contains(a.Ops, i) {
					less = append(less, o)
				}
			}
			if linearizability.Check(less, linearizability.DefaultBudget).Verdict != linearizability.Violated {
				t.Fatalf("%s: %s\nbut there is an order: %+v", a.Kind, a.Text, less)
			}
		}
	})
	if found < 20 {
		t.Errorf("only %d anomalies were made: nothing was tried", found)
	}
}

func TestThePictureEndsWhereTheHistoryCannotBe(t *testing.T) {
	var h []op
	for i := range time.Duration(2000) {
		h = append(h, put(1, fmt.Sprint(i), 20*i, 20*i+5), read(2, fmt.Sprint(i), 0, 20*i+6, 20*i+7))
	}
	h = append(h, read(3, "1500", 0, 38000, 38001), read(3, "1500", 0, 39000, 39001))
	r := linearizability.Check(h, linearizability.DefaultBudget)
	all := linearizability.Explain(h, r, time.Minute)
	f := r.Focus(h, all, time.Minute)
	// The last two seconds are left of 38, and what the anomaly is about.
	if f.Verdict != linearizability.Violated || f.Ops < 200 || f.Ops > 220 {
		t.Errorf("%s, %d operations", f.Verdict, f.Ops)
	}
	if !strings.Contains(f.Picture(), "1500") {
		t.Error("the picture has no stale read")
	}
}

func TestAPassingHistoryHasNothingToExplain(t *testing.T) {
	h := []op{put(1, "4", 0, 10), read(2, "4", 5, 20, 30)}
	if all := linearizability.Explain(h, linearizability.Check(h, linearizability.DefaultBudget), time.Minute); len(all) > 0 {
		t.Errorf("%v", all)
	}
}

func TestAViolationByTransactionsIsExplained(t *testing.T) {
	type step = linearizability.Step
	txn := func(client int, call, ret time.Duration, steps ...step) linearizability.Txn {
		return linearizability.Txn{Client: client, Steps: steps, Done: true, Outcome: ok, Call: call * ms, Return: ret * ms}
	}
	set := func(key, value string) step { return step{Verb: linearizability.StepSet, Key: key, Value: value} }
	get := func(key, value string) step {
		return step{Verb: linearizability.StepGet, Key: key, Found: true, Seen: value}
	}
	for _, c := range []struct {
		name    string
		history []linearizability.Txn
		text    string
		ops     []int
	}{
		{
			"a stale read", []linearizability.Txn{txn(1, 0, 10, set("a", "1"), set("b", "1")), txn(2, 20, 30, set("a", "2")), txn(3, 31, 32, get("a", "2")), txn(3, 40, 50, get("a", "1"), get("b", "1"))},
			"client 3 read a=1 at 0.040 s; 1 was overwritten by 2 of client 2, acknowledged at 0.030 s", []int{3, 1},
		},
		{
			"half of a transaction", []linearizability.Txn{txn(1, 0, 10, set("a", "1"), set("b", "1")), txn(2, 20, 90, set("a", "2"), set("b", "2")), txn(4, 22, 25, get("a", "1")), txn(3, 40, 50, get("a", "2"), get("b", "1"))},
			"no order makes sense of this: client 3: get a → 2 at 0, get b → 1 at 0 → done, 0.040 s to 0.050 s; with client 1: set a=1, set b=1 → done, 0.000 s to 0.010 s; client 2: set a=2, set b=2 → done, 0.020 s to 0.090 s", []int{3, 0, 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := linearizability.CheckTxns(c.history, linearizability.DefaultBudget)
			all := linearizability.ExplainTxns(c.history, r, time.Minute)
			if len(all) == 0 || all[0].Text != c.text || !slices.Equal(all[0].Ops, c.ops) {
				t.Errorf("%s: %+v, want %v\n%s", r.Verdict, all, c.ops, c.text)
			}
		})
	}
}

func TestAViolationByALockIsExplained(t *testing.T) {
	type lop = linearizability.LockOp
	at := func(o lop, client int, call, ret time.Duration) lop {
		o.Client, o.Outcome, o.Call, o.Return = client, ok, call*ms, ret*ms
		return o
	}
	acquire := func(s string) lop { return lop{Kind: linearizability.LockAcquire, Session: s, Done: true} }
	look := func(s string, token uint64) lop {
		return lop{Kind: linearizability.LockRead, Holder: s, Token: token}
	}
	for _, c := range []struct {
		name    string
		history []lop
		text    string
		ops     []int
	}{
		{
			"two holders", []lop{at(acquire("one"), 1, 0, 10), at(look("one", 1), 1, 20, 30), at(look("two", 1), 2, 40, 50)},
			"client 2 saw at 0.040 s that session two holds the lock with token 1, and client 1 had seen at 0.020 s that session one does", []int{2, 1},
		},
		{
			"a token that goes back", []lop{at(acquire("one"), 1, 0, 10), at(look("one", 2), 1, 20, 30), at(look("", 1), 2, 40, 50)},
			"client 2 saw the lock at 0.040 s with token 1; client 1 had seen token 2 by 0.030 s", []int{2, 1},
		},
		{
			"a session that comes back", []lop{
				at(lop{Kind: linearizability.LockDestroy, Session: "one", Done: true}, 1, 0, 10), at(lop{Kind: linearizability.LockRenew, Session: "one", Done: true}, 2, 20, 30),
			},
			"client 2 saw at 0.020 s that session one is alive (renew); it had ended by 0.010 s, as client 1 saw", []int{1, 0},
		},
		{
			"a refusal by a lock that is free", []lop{at(acquire("one"), 1, 0, 10), at(lop{Kind: linearizability.LockRelease, Session: "one", Done: true}, 1, 20, 30), at(lop{Kind: linearizability.LockAcquire, Session: "two"}, 2, 40, 50)},
			"no order makes sense of this: client 2: acquire two → false, 0.040 s to 0.050 s; with client 1: acquire one → true, 0.000 s to 0.010 s; client 1: release one → true, 0.020 s to 0.030 s", []int{2, 0, 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := linearizability.CheckLock(c.history, linearizability.DefaultBudget)
			all := linearizability.ExplainLock(c.history, r, time.Minute)
			if len(all) == 0 || all[0].Text != c.text || !slices.Equal(all[0].Ops, c.ops) {
				t.Errorf("%s: %+v, want %v\n%s", r.Verdict, all, c.ops, c.text)
			}
		})
	}
}
