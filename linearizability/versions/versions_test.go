package versions_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/linearizability"
	"tribune/linearizability/versions"
)

type op = linearizability.Op

const (
	ok      = linearizability.OK
	unknown = linearizability.Unknown
)

func put(value string, call, ret time.Duration) op {
	return op{Client: 1, Key: "x", Kind: linearizability.Put, Value: value, Outcome: ok, Call: call, Return: ret}
}

func remove(call, ret time.Duration) op {
	return op{Client: 1, Key: "x", Kind: linearizability.Delete, Outcome: ok, Call: call, Return: ret}
}

func lost(o op) op {
	o.Outcome = unknown
	return o
}

func get(mode, value string, version uint64, call, ret time.Duration) op {
	return op{Client: 2, Key: "x", Kind: linearizability.Get, Mode: mode, Found: value != "", Seen: value, SeenAt: version, Outcome: ok, Call: call, Return: ret}
}

// from is a stale read that one process of a server answered, with what it said about
// itself.
func from(server string, life int, contact time.Duration, o op) op {
	o.ServedBy, o.Life, o.Contact, o.KnownLeader = server, life, contact, true
	return o
}

// within is a stale read that allows the data to be so old.
func within(limit time.Duration, o op) op {
	o.MaxStale = limit
	return o
}

func TestTheAgeOfAReadIsTheTimeSinceItsValueWasOverwritten(t *testing.T) {
	for _, c := range []struct {
		name    string
		history []op
		want    time.Duration
	}{
		{"what was written last", []op{put("a", 0, 1), get("stale", "a", 5, 20, 21)}, 0},
		{"what was overwritten", []op{put("a", 0, 1), put("b", 2, 10), get("stale", "a", 5, 20, 21)}, 10},
		{"the first of several that overwrote it counts", []op{put("a", 0, 1), put("b", 2, 10), put("c", 11, 15), get("stale", "a", 5, 20, 21)}, 10},
		{"an overwriting that was not acknowledged before the read", []op{put("a", 0, 1), put("b", 2, 30), get("stale", "a", 5, 20, 21)}, 0},
		{"nor ever", []op{put("a", 0, 1), lost(put("b", 2, 3)), get("stale", "a", 5, 20, 21)}, 0},
		{"two writes at once, whose order nobody knows", []op{put("a", 0, 9), put("b", 0, 10), get("stale", "a", 5, 20, 21)}, 0},
		{"and whose versions tell it", []op{put("a", 0, 9), put("b", 0, 10), get("stale", "b", 6, 11, 12), get("stale", "a", 5, 20, 21)}, 10},
		{"the same the other way round", []op{put("a", 0, 9), put("b", 0, 10), get("stale", "b", 4, 11, 12), get("stale", "a", 5, 20, 21)}, 2},
		{"what was deleted", []op{put("a", 0, 1), remove(2, 12), get("stale", "a", 5, 20, 21)}, 8},
		{"nothing, before all writes", []op{put("a", 0, 4), get("stale", "", 0, 20, 21)}, 16},
		{"nothing, since it was deleted", []op{put("a", 0, 4), remove(5, 6), get("stale", "", 0, 20, 21)}, 0},
		{"nothing, and it was written again", []op{put("a", 0, 4), remove(5, 6), put("b", 7, 8), get("stale", "", 0, 20, 21)}, 12},
		{"nothing, and somebody may have deleted it", []op{put("a", 0, 4), lost(remove(5, 6)), put("b", 7, 8), get("stale", "", 0, 20, 21)}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := versions.Measure(c.history)["stale"]
			if s.Age.Max != c.want || (s.Fresh == s.Reads) != (c.want == 0) {
				t.Errorf("the oldest read is %v old, %d of %d fresh; want %v", s.Age.Max, s.Fresh, s.Reads, c.want)
			}
		})
	}
}

func TestReadsOfAModeThatAreOlderThanALimitAreFound(t *testing.T) {
	overwritten := []op{put("a", 0, 1), put("b", 2, 100)}
	for _, c := range []struct {
		name string
		read op
		want int
	}{
		{"within it", get("default", "a", 5, 110, 111), 0},
		{"beyond it", get("default", "a", 5, 111, 112), 1},
		{"fresh", get("default", "b", 6, 999, 1000), 0},
		{"of another mode", get("stale", "a", 5, 999, 1000), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := versions.Behind(append(overwritten, c.read), "default", 10); len(got) != c.want {
				t.Errorf("%d complaints, want %d: %q", len(got), c.want, got)
			}
		})
	}
}

func TestReadsThatAreOlderThanTheirAnswersSayAreFound(t *testing.T) {
	history := func(o op) []op { return []op{put("a", 0, 1), put("b", 2, 100), o} }
	for _, c := range []struct {
		name    string
		history []op
		want    int
	}{
		{"within the last contact", history(from("s1", 1, 40, get("stale", "a", 5, 140, 141))), 0},
		{"within the last contact and the lag", history(from("s1", 1, 40, get("stale", "a", 5, 149, 150))), 0},
		{"beyond them", history(from("s1", 1, 40, get("stale", "a", 5, 151, 152))), 1},
		{"from one that knows no leader", history(get("stale", "a", 5, 999, 1000)), 1},
		{"within what it allowed", history(within(30, from("s1", 1, 40, get("stale", "a", 5, 139, 140)))), 0},
		{"beyond what it allowed", history(within(30, from("s1", 1, 40, get("stale", "a", 5, 141, 142)))), 1},
		{"within that and beyond the last contact", history(within(60, from("s1", 1, 40, get("stale", "a", 5, 151, 152)))), 1},
		{"a default read", history(get("default", "a", 5, 999, 1000)), 0},
		{"a consistent read", history(get("consistent", "a", 5, 101, 102)), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := versions.Beyond(c.history, 10); len(got) != c.want {
				t.Errorf("%d complaints, want %d: %q", len(got), c.want, got)
			}
		})
	}
}

func TestReadsThatGoBackAreFound(t *testing.T) {
	s1 := func(value string, version uint64, call, ret time.Duration) op {
		return from("s1", 1, 0, get("stale", value, version, call, ret))
	}
	for _, c := range []struct {
		name    string
		history []op
		want    string
	}{
		{"forward", []op{s1("a", 5, 0, 1), s1("b", 6, 2, 3), s1("b", 6, 4, 5)}, ""},
		{"back", []op{s1("b", 6, 0, 1), s1("a", 5, 2, 3)}, "went back"},
		{"two at once say nothing of each other", []op{s1("b", 6, 0, 9), s1("a", 5, 2, 3)}, ""},
		{"on another server", []op{s1("b", 6, 0, 1), from("s2", 1, 0, get("stale", "a", 5, 2, 3))}, ""},
		{"after the server was started again", []op{s1("b", 6, 0, 1), from("s1", 2, 0, get("stale", "a", 5, 2, 3))}, ""},
		{"gone and back", []op{s1("a", 5, 0, 1), s1("", 0, 2, 3), s1("a", 5, 4, 5)}, "went back"},
		{"gone and written anew", []op{s1("a", 5, 0, 1), s1("", 0, 2, 3), s1("b", 8, 4, 5)}, ""},
		{"gone before it was seen", []op{s1("", 0, 0, 9), s1("a", 5, 0, 9), s1("a", 5, 10, 11)}, ""},
		{"consistent reads on two servers", []op{get("consistent", "b", 6, 0, 1), get("consistent", "a", 5, 2, 3)}, "went back"},
		{"default reads of one server", []op{from("s1", 1, 0, get("default", "b", 6, 0, 1)), from("s1", 1, 0, get("default", "a", 5, 2, 3))}, "went back"},
		{"default reads, of a server that was started again", []op{from("s1", 1, 0, get("default", "b", 6, 0, 1)), from("s1", 2, 0, get("default", "a", 5, 2, 3))}, ""},
		{"default reads on two servers", []op{get("default", "b", 6, 0, 1), get("default", "a", 5, 2, 3)}, ""},
		{"one version with two values", []op{get("default", "a", 5, 0, 1), get("default", "b", 5, 0, 1)}, "had been a"},
		{"one value with two versions", []op{get("default", "a", 5, 0, 1), get("default", "a", 6, 2, 3)}, "had version 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(versions.Order(c.history), "\n")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("complaints %q, want %q", got, c.want)
			}
		})
	}
}

func TestAnAcknowledgedWriteThatIsNotThereInTheEndIsLost(t *testing.T) {
	last := func(value string, version uint64) op { return get("consistent", value, version, 90, 91) }
	for _, c := range []struct {
		name    string
		history []op
		lost    bool
	}{
		{"it is there", []op{put("a", 0, 1), last("a", 5)}, false},
		{"it was overwritten", []op{put("a", 0, 1), put("b", 2, 3), last("b", 6)}, false},
		{"it may have been overwritten by an earlier one of unknown outcome", []op{lost(put("a", 0, 1)), put("b", 2, 3), last("a", 6)}, false},
		{"the one before it is there", []op{put("a", 0, 1), put("b", 2, 3), last("a", 5)}, true},
		{"nothing is there", []op{put("a", 0, 1), last("", 0)}, true},
		{"it was deleted", []op{put("a", 0, 1), remove(2, 3), last("", 0)}, false},
		{"a deletion is lost", []op{put("a", 0, 1), remove(2, 3), last("a", 5)}, true},
		{"one that was not acknowledged may be gone", []op{put("a", 0, 1), lost(put("b", 2, 3)), last("a", 5)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := versions.Durable(c.history)
			if (len(d.Lost) > 0) != c.lost || d.Keys != 1 || d.Acknowledged == 0 {
				t.Errorf("%+v, want a loss: %t", d, c.lost)
			}
		})
	}
}

func TestTransactionsAreTakenApart(t *testing.T) {
	steps := []linearizability.Step{
		{Verb: linearizability.StepCheckIndex, Key: "z", Index: 3},
		{Verb: linearizability.StepGet, Key: "y", Found: true, Seen: "y1", SeenAt: 4},
		{Verb: linearizability.StepSet, Key: "x", Value: "x1"},
		{Verb: linearizability.StepGet, Key: "x", Found: true, Seen: "x1", SeenAt: 5},
		{Verb: linearizability.StepSet, Key: "x", Value: "x2"},
		{Verb: linearizability.StepDelete, Key: "y"},
	}
	done := linearizability.Txn{Client: 1, Steps: steps, Done: true, Outcome: ok, Call: 2, Return: 3}
	var got []string
	for _, o := range versions.OfTransactions([]linearizability.Txn{done}) {
		got = append(got, fmt.Sprint(o.Kind, " ", o.Key, o.Value, o.Seen))
	}
	if want := []string{"get yy1", "put xx2", "delete y"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	done.Done = false
	failed := linearizability.Txn{Client: 1, Steps: steps, Outcome: linearizability.Failed, Call: 2, Return: 3}
	if got := versions.OfTransactions([]linearizability.Txn{done, failed}); got != nil {
		t.Errorf("a refused one, or one that failed, did something: %v", got)
	}
}

// replica makes a history of a store with a copy that is behind: writes take effect
// at a moment within their time, stale reads see the copy as it was `behind` before
// they began.
func replica(t *rapid.T, behind time.Duration) []op {
	type written struct {
		at    time.Duration
		value string
		index uint64
	}
	var log []written
	var all []op
	var now time.Duration
	for i := range rapid.IntRange(1, 60).Draw(t, "ops") {
		now += time.Duration(rapid.IntRange(1, 9).Draw(t, "gap"))
		call, ret := now-time.Duration(rapid.IntRange(0, 6).Draw(t, "before")), now+time.Duration(rapid.IntRange(0, 6).Draw(t, "after"))
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			log = append(log, written{now, fmt.Sprint("v", i), uint64(i + 1)})
			all = append(all, put(fmt.Sprint("v", i), call, ret))
		case 1:
			log = append(log, written{now, "", 0})
			all = append(all, remove(call, ret))
		default:
			o := from("s1", 1, 0, get("stale", "", 0, now, now))
			for _, w := range log {
				if w.at <= now-behind {
					o.Found, o.Seen, o.SeenAt = w.value != "", w.value, w.index
				}
			}
			all = append(all, o)
		}
	}
	return all
}

func TestACopyIsNotFoundToBeOlderThanItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		behind := time.Duration(rapid.IntRange(0, 30).Draw(t, "behind"))
		h := replica(t, behind)
		if got := versions.Beyond(h, behind); len(got) > 0 {
			t.Fatalf("a copy that is %v behind: %q\n%+v", behind, got, h)
		}
		if got := versions.Order(h); len(got) > 0 {
			t.Fatalf("a copy that goes forward: %q\n%+v", got, h)
		}
	})
}
