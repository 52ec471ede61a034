package linearizability_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/linearizability"
)

type lockOp = linearizability.LockOp

func TestLocksGetTheVerdictThatIsDue(t *testing.T) {
	op := func(kind linearizability.LockKind, session string, did bool, call, ret time.Duration) lockOp {
		return lockOp{Client: int(session[0]), Kind: kind, Session: session, Done: did, Outcome: ok, Call: call, Return: ret}
	}
	acquire := func(session string, took bool, call, ret time.Duration) lockOp {
		return op(linearizability.LockAcquire, session, took, call, ret)
	}
	release := func(session string, did bool, call, ret time.Duration) lockOp {
		return op(linearizability.LockRelease, session, did, call, ret)
	}
	renew := func(session string, alive bool, call, ret time.Duration) lockOp {
		return op(linearizability.LockRenew, session, alive, call, ret)
	}
	destroy := func(session string, call, ret time.Duration) lockOp {
		return op(linearizability.LockDestroy, session, true, call, ret)
	}
	read := func(holder string, token uint64, call, ret time.Duration) lockOp {
		return lockOp{Client: 999, Kind: linearizability.LockRead, Holder: holder, Token: token, Outcome: ok, Call: call, Return: ret}
	}
	lost := func(o lockOp) lockOp {
		o.Outcome, o.Done = unknown, false
		return o
	}
	gone := func(o lockOp) lockOp {
		o.Gone = true
		return o
	}
	for _, c := range []struct {
		name    string
		history []lockOp
		want    linearizability.Verdict
	}{
		{"one after the other", []lockOp{acquire("a", true, 0, 1), read("a", 1, 2, 3), release("a", true, 4, 5), acquire("b", true, 6, 7), read("b", 2, 8, 9)}, linearizability.Holds},
		{"two hold it, both alive", []lockOp{acquire("a", true, 0, 1), acquire("b", true, 2, 3), renew("a", true, 4, 5)}, linearizability.Violated},
		{"the first may have ended", []lockOp{acquire("a", true, 0, 1), acquire("b", true, 2, 3), read("b", 2, 4, 5), renew("a", false, 6, 7)}, linearizability.Holds},
		{"but then does not come back", []lockOp{acquire("a", true, 0, 1), acquire("b", true, 2, 3), read("a", 1, 4, 5)}, linearizability.Violated},
		{"a token that does not grow", []lockOp{acquire("a", true, 0, 1), release("a", true, 2, 3), acquire("b", true, 4, 5), read("b", 1, 6, 7)}, linearizability.Violated},
		{"a token that leaps", []lockOp{acquire("a", true, 0, 1), read("a", 2, 6, 7)}, linearizability.Violated},
		{"again by who has it", []lockOp{acquire("a", true, 0, 1), acquire("a", true, 2, 3), read("a", 1, 4, 5)}, linearizability.Holds},
		{"refused though it is free", []lockOp{acquire("a", true, 0, 1), release("a", true, 2, 3), acquire("b", false, 4, 5)}, linearizability.Violated},
		{"refused in a lock-delay", []lockOp{acquire("a", true, 0, 1), destroy("a", 2, 3), acquire("b", false, 4, 5), acquire("b", true, 6, 7)}, linearizability.Holds},
		{"refused to who holds it", []lockOp{acquire("a", true, 0, 1), acquire("a", false, 2, 3), read("a", 1, 4, 5)}, linearizability.Violated},
		{"by a session that was destroyed", []lockOp{destroy("a", 0, 1), acquire("a", true, 2, 3)}, linearizability.Violated},
		{"by one that was refused as ended", []lockOp{gone(acquire("a", false, 0, 1)), renew("a", true, 2, 3)}, linearizability.Violated},
		{"released by another", []lockOp{acquire("a", true, 0, 1), release("b", true, 2, 3)}, linearizability.Violated},
		{"held by who was destroyed", []lockOp{acquire("a", true, 0, 1), destroy("a", 2, 3), read("a", 1, 4, 5)}, linearizability.Violated},
		{"a lost acquisition may come late", []lockOp{lost(acquire("a", true, 0, 1)), read("", 0, 2, 3), acquire("b", false, 4, 5), read("a", 1, 6, 7)}, linearizability.Holds},
		{"or never", []lockOp{lost(acquire("a", true, 0, 1)), acquire("b", true, 2, 3), read("b", 1, 4, 5)}, linearizability.Holds},
		{"but not after the session's end", []lockOp{lost(acquire("a", true, 0, 1)), destroy("a", 2, 3), acquire("b", true, 4, 5), release("b", true, 6, 7), read("a", 2, 8, 9)}, linearizability.Violated},
		{"a lost release", []lockOp{acquire("a", true, 0, 1), lost(release("a", true, 2, 3)), read("a", 1, 4, 5), acquire("b", true, 6, 7)}, linearizability.Holds},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := linearizability.CheckLock(c.history, linearizability.DefaultBudget).Verdict; got != c.want {
				t.Errorf("the verdict is %s, want %s", got, c.want)
			}
		})
	}
}

// turns makes a history of a real lock: each operation takes effect at a moment
// drawn within its time, and between them sessions end.
func turns(t *rapid.T) []lockOp {
	holder, token, delayed, ended := "", uint64(0), false, map[string]bool{}
	end := func(s string) {
		if ended[s] = true; holder == s {
			holder, delayed = "", true
		}
	}
	var all []lockOp
	var now time.Duration
	kinds := []linearizability.LockKind{linearizability.LockAcquire, linearizability.LockAcquire, linearizability.LockRelease, linearizability.LockRead, linearizability.LockRenew, linearizability.LockDestroy}
	for i := range rapid.IntRange(1, 40).Draw(t, "operations") {
		now += time.Duration(rapid.IntRange(1, 5).Draw(t, "gap"))
		s := fmt.Sprint("s", rapid.IntRange(i/8, i/8+2).Draw(t, "session"))
		o := lockOp{
			Client: i, Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Session: s, Outcome: ok,
			Call: now - time.Duration(rapid.IntRange(0, 8).Draw(t, "before")), Return: now + time.Duration(rapid.IntRange(0, 8).Draw(t, "after")),
		}
		if rapid.IntRange(0, 9).Draw(t, "expires") == 0 {
			end(s)
		}
		switch o.Kind {
		case linearizability.LockAcquire:
			if o.Gone = ended[s]; o.Gone {
				break
			}
			free := holder == "" && !(delayed && rapid.Bool().Draw(t, "delay"))
			if o.Done = holder == s || free; free {
				holder, token, delayed = s, token+1, false
			}
		case linearizability.LockRelease:
			if o.Done = holder == s; o.Done {
				holder, delayed = "", false
			}
		case linearizability.LockRead:
			o.Session, o.Holder, o.Token = "", holder, token
		case linearizability.LockRenew:
			o.Done = !ended[s]
		case linearizability.LockDestroy:
			end(s)
		}
		if o.Kind != linearizability.LockRead && rapid.IntRange(0, 9).Draw(t, "lost") == 0 {
			o.Outcome, o.Done, o.Gone = unknown, false, false
		}
		all = append(all, o)
	}
	return all
}

func TestWhatALockDoesIsLinearizable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := turns(t)
		if r := linearizability.CheckLock(h, linearizability.DefaultBudget); r.Verdict != linearizability.Holds {
			t.Fatalf("%s\n%+v", r.Verdict, h)
		}
	})
}

func TestManyLostAcquisitionsDoNotMakeTheSearchLong(t *testing.T) {
	acquire := func(client int, session string, call, ret time.Duration) linearizability.LockOp {
		return linearizability.LockOp{Client: client, Kind: linearizability.LockAcquire, Session: session, Done: true, Outcome: ok, Call: call, Return: ret}
	}
	read := func(session string, token uint64, call, ret time.Duration) linearizability.LockOp {
		return linearizability.LockOp{Client: 1, Kind: linearizability.LockRead, Holder: session, Token: token, Outcome: ok, Call: call, Return: ret}
	}
	history := []linearizability.LockOp{acquire(1, "first", 0, 1), read("first", 1, 2, 3)}
	for i := range 20 {
		lost := acquire(10+i, fmt.Sprint("lost", i), 4, 5)
		lost.Done, lost.Outcome = false, unknown
		history = append(history, lost)
	}
	// One of them, and nobody knows which, had the second token.
	history = append(history, acquire(1, "last", 10, 11), read("last", 3, 12, 13))
	if r := linearizability.CheckLock(history, 10_000); r.Verdict != linearizability.Holds {
		t.Errorf("the verdict is %s", r.Verdict)
	}
	history = append(history, read("first", 1, 14, 15))
	if r := linearizability.CheckLock(history, 10_000); r.Verdict != linearizability.Violated {
		t.Errorf("the verdict on a read of an old holder is %s", r.Verdict)
	}
}

func TestAHolderThatIsKnownToLiveOnMakesTheSearchShort(t *testing.T) {
	history := []linearizability.LockOp{}
	op := func(kind linearizability.LockKind, session string, outcome linearizability.Outcome, at time.Duration) linearizability.LockOp {
		o := linearizability.LockOp{Client: len(history) + 1, Kind: kind, Session: session, Outcome: outcome, Done: outcome == ok, Call: at, Return: at + 1}
		if kind == linearizability.LockRead {
			o.Session, o.Holder, o.Token = "", session, 1
		}
		history = append(history, o)
		return o
	}
	for i := range 20 {
		op(linearizability.LockAcquire, fmt.Sprint("lost", i), unknown, time.Duration(i))
	}
	op(linearizability.LockAcquire, "held", ok, 30)
	op(linearizability.LockRead, "held", ok, 32)
	for i := range 5 {
		op(linearizability.LockRenew, "held", ok, 34+2*time.Duration(i))
	}
	op(linearizability.LockRelease, "held", unknown, 50)
	if r := linearizability.CheckLock(history, 10_000); r.Verdict != linearizability.Holds {
		t.Errorf("the verdict is %s", r.Verdict)
	}
	op(linearizability.LockAcquire, "other", ok, 60)
	op(linearizability.LockRenew, "held", ok, 70)
	op(linearizability.LockRead, "held", ok, 72)
	if r := linearizability.CheckLock(history, 10_000); r.Verdict != linearizability.Violated {
		t.Errorf("the verdict on a holder that comes back is %s", r.Verdict)
	}
}
