package linearizability_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/linearizability"
)

type op = linearizability.Op

const (
	ok      = linearizability.OK
	unknown = linearizability.Unknown
)

func TestHistoriesGetTheVerdictThatIsDue(t *testing.T) {
	put := func(client int, value string, call, ret time.Duration) op {
		return op{Client: client, Kind: linearizability.Put, Value: value, Outcome: ok, Call: call, Return: ret}
	}
	get := func(client int, value string, index uint64, call, ret time.Duration) op {
		return op{Client: client, Kind: linearizability.Get, Found: value != "", Seen: value, SeenAt: index, Outcome: ok, Call: call, Return: ret}
	}
	cas := func(client int, value string, index uint64, done bool, call, ret time.Duration) op {
		return op{Client: client, Kind: linearizability.CAS, Value: value, Index: index, Done: done, Outcome: ok, Call: call, Return: ret}
	}
	lost := func(o op) op {
		o.Outcome = unknown
		return o
	}
	for _, c := range []struct {
		name    string
		history []op
		want    linearizability.Verdict
	}{
		{"a read of what was written", []op{put(1, "a", 0, 1), get(2, "a", 5, 2, 3)}, linearizability.Holds},
		{"a read that misses a write that returned", []op{put(1, "a", 0, 1), get(2, "", 0, 2, 3)}, linearizability.Violated},
		{"a read that goes back", []op{put(1, "a", 0, 1), put(1, "b", 2, 9), get(2, "b", 6, 3, 4), get(2, "a", 5, 5, 6)}, linearizability.Violated},
		{"a write whose outcome is unknown may be seen late", []op{lost(put(1, "a", 0, 1)), get(2, "", 0, 2, 3), get(2, "a", 5, 4, 5)}, linearizability.Holds},
		{"or never", []op{lost(put(1, "a", 0, 1)), get(2, "", 0, 2, 3)}, linearizability.Holds},
		{"but not come and go", []op{lost(put(1, "a", 0, 1)), get(2, "a", 5, 2, 3), get(2, "", 0, 4, 5)}, linearizability.Violated},
		{"a CAS with the index that was seen", []op{put(1, "a", 0, 1), get(1, "a", 5, 2, 3), cas(1, "b", 5, true, 4, 5)}, linearizability.Holds},
		{"a CAS that took effect with an old index", []op{put(1, "a", 0, 1), get(1, "a", 5, 2, 3), put(2, "b", 4, 5), get(2, "b", 6, 6, 7), cas(1, "c", 5, true, 8, 9)}, linearizability.Violated},
		{"two CAS with one index", []op{put(1, "a", 0, 1), get(1, "a", 5, 2, 3), cas(1, "b", 5, true, 4, 9), cas(2, "c", 5, true, 4, 9)}, linearizability.Violated},
		{"one index with two values", []op{put(1, "a", 0, 1), get(1, "a", 5, 2, 3), put(1, "b", 4, 5), get(1, "b", 5, 6, 7)}, linearizability.Violated},
		{"an index that goes back", []op{put(1, "a", 0, 1), get(1, "a", 5, 2, 3), put(1, "b", 4, 5), get(1, "b", 4, 6, 7)}, linearizability.Violated},
		{"a CAS for a key that is absent", []op{cas(1, "a", 0, true, 0, 1), cas(2, "b", 0, false, 2, 3)}, linearizability.Holds},
		{"twice", []op{cas(1, "a", 0, true, 0, 1), cas(2, "b", 0, true, 2, 3)}, linearizability.Violated},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := linearizability.Check(c.history, linearizability.DefaultBudget).Verdict; got != c.want {
				t.Errorf("the verdict is %s, want %s", got, c.want)
			}
		})
	}
}

// history makes a history of a real register: each operation takes effect at a
// moment drawn within its time.
func history(t *rapid.T) []op {
	type live struct {
		value  string
		index  uint64
		exists bool
	}
	state := map[string]live{}
	var all []op
	var now time.Duration
	for i := range rapid.IntRange(1, 60).Draw(t, "ops") {
		key := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "key")
		now += time.Duration(rapid.IntRange(1, 5).Draw(t, "gap"))
		o := op{
			Client: i, Key: key, Outcome: ok,
			Kind: rapid.SampledFrom([]linearizability.Kind{linearizability.Get, linearizability.Put, linearizability.CAS, linearizability.Delete}).Draw(t, "kind"),
			Call: now - time.Duration(rapid.IntRange(0, 8).Draw(t, "before")), Return: now + time.Duration(rapid.IntRange(0, 8).Draw(t, "after")),
		}
		s := state[key]
		value := fmt.Sprint("v", i)
		next := live{value, uint64(i + 10), true}
		switch o.Kind {
		case linearizability.Get:
			o.Found, o.Seen = s.exists, s.value
			if s.exists {
				o.SeenAt = s.index
			}
		case linearizability.Put:
			o.Value = value
			state[key] = next
		case linearizability.Delete:
			state[key] = live{}
		case linearizability.CAS:
			o.Value, o.Index = value, s.index
			if rapid.Bool().Draw(t, "wrong") {
				o.Index += 1000
			}
			if o.Done = o.Index == s.index; o.Done {
				state[key] = next
			}
		}
		if o.Kind != linearizability.Get && rapid.IntRange(0, 9).Draw(t, "lost") == 0 {
			o.Outcome, o.Done = unknown, false
		}
		all = append(all, o)
	}
	return all
}

func TestWhatARegisterDoesIsLinearizable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := history(t)
		if r := linearizability.Check(h, linearizability.DefaultBudget); r.Verdict != linearizability.Holds {
			t.Fatalf("keys %v: %s\n%+v", r.Keys, r.Verdict, h)
		}
	})
}

func TestAValueThatNobodyWroteIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := history(t)
		h = append(h, op{Client: 999, Key: "x", Kind: linearizability.Get, Found: true, Seen: "forged", Outcome: ok, Call: 1e6, Return: 1e6 + 1})
		if r := linearizability.Check(h, linearizability.DefaultBudget); r.Verdict != linearizability.Violated {
			t.Fatalf("the verdict is %s", r.Verdict)
		}
	})
}

// hard is a history that needs a long search: many writes at once of which nobody
// knows the order, and at the end a read of what nobody wrote.
func hard(writes int) []op {
	var all []op
	for i := range writes {
		all = append(all, op{Client: i, Key: "x", Kind: linearizability.Put, Value: fmt.Sprint("v", i), Outcome: ok, Call: 0, Return: 100})
	}
	return append(all, op{Client: 999, Key: "x", Kind: linearizability.Get, Found: true, Seen: "forged", Outcome: ok, Call: 200, Return: 201})
}

func TestASearchThatIsTooLongIsGivenUpWhereverItRuns(t *testing.T) {
	for range 2 {
		if r := linearizability.Check(hard(30), 10_000); r.Verdict != linearizability.Undecided {
			t.Errorf("the verdict is %s after 10,000 steps of a search that needs many more", r.Verdict)
		}
	}
	if r := linearizability.Check(hard(6), 100_000); r.Verdict != linearizability.Violated {
		t.Errorf("the verdict is %s: the budget is enough", r.Verdict)
	}
}

func TestThePictureIsOfWhatIsWrong(t *testing.T) {
	h := append(hard(30), // on x, which is given up
		op{Client: 1, Key: "y", Kind: linearizability.Put, Value: "y1", Outcome: ok, Call: 0, Return: 1},
		op{Client: 1, Key: "y", Kind: linearizability.Get, Found: true, Seen: "another", Outcome: ok, Call: 2, Return: 3})
	if picture := linearizability.Check(h, 10_000).Picture(); !strings.Contains(picture, "another at 0") {
		t.Error("it is of another key")
	}
}

func BenchmarkSearch(b *testing.B) {
	for b.Loop() {
		linearizability.Check(hard(30), 1_000_000)
	}
}
