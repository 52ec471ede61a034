package consensus

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// ear is a follower's contact whose state machine has applied up to an index.
func ear(applied *uint64) *contact {
	return &contact{has: func(index uint64) bool { return index <= *applied }}
}

func TestAPromiseTravels(t *testing.T) {
	for _, p := range []promise{{1, 0, 7, unknown}, {1 << 40, 1<<40 - 1, 12, 83 * time.Millisecond}} {
		if got, ok := decodePromise(p.encode()); !ok || got != p {
			t.Errorf("%+v became %+v, %t", p, got, ok)
		}
	}
	for _, b := range []string{"", "10.0.0.1:8300", "[fe80::1234:5678:9abc:def0%e]:8300"[:promiseSize]} {
		if _, ok := decodePromise([]byte(b)); ok {
			t.Errorf("%q is a promise", b)
		}
	}
}

func TestAFollowerIsAsFreshAsTheAnswerThatThePromiseFollows(t *testing.T) {
	const ms = time.Millisecond
	type message struct {
		at      time.Duration
		term    uint64
		promise promise
	}
	for name, c := range map[string]struct {
		heard   []message
		applied uint64
		want    time.Duration // since the start; negative: never
	}{
		"the first message tells nothing":     {[]message{{0, 1, promise{1, 0, 5, 0}}}, 9, -1},
		"the second that the first is over":   {[]message{{10 * ms, 1, promise{1, 0, 5, 0}}, {90 * ms, 1, promise{2, 1, 5, 0}}}, 9, 10 * ms},
		"less what the majority is old":       {[]message{{30 * ms, 1, promise{1, 0, 5, 0}}, {90 * ms, 1, promise{2, 1, 5, 20 * ms}}}, 9, 10 * ms},
		"a message that was late is no newer": {[]message{{10 * ms, 1, promise{1, 0, 5, 0}}, {20 * ms, 1, promise{2, 1, 5, 0}}, {9000 * ms, 1, promise{3, 1, 5, 0}}}, 9, 10 * ms},
		"who is out of touch promises nothing": {
			[]message{{10 * ms, 1, promise{1, 0, 5, 0}}, {20 * ms, 1, promise{2, 1, 5, unknown}}}, 9, -1},
		"what is not applied does not count": {
			[]message{{10 * ms, 1, promise{1, 0, 5, 0}}, {20 * ms, 1, promise{2, 1, 5, 0}}, {30 * ms, 1, promise{3, 2, 6, 0}}}, 5, 10 * ms},
		"an answer of another term is none": {
			[]message{{10 * ms, 1, promise{1, 0, 5, 0}}, {20 * ms, 2, promise{2, 1, 5, 0}}}, 9, -1},
		"nor is one long forgotten": {
			[]message{{10 * ms, 1, promise{1, 0, 5, 0}}, {20 * ms, 1, promise{1 + recent, 0, 5, 0}}, {30 * ms, 1, promise{2 + recent, 1, 5, 0}}}, 9, -1},
		"an old leader's message tells nothing": {
			[]message{{10 * ms, 2, promise{1, 0, 5, 0}}, {20 * ms, 1, promise{2, 1, 5, 0}}}, 9, -1},
	} {
		synctest.Test(t, func(t *testing.T) {
			start, e := time.Now(), ear(&c.applied)
			for _, m := range c.heard {
				time.Sleep(m.at - time.Since(start))
				e.hear(m.term, m.promise, time.Now())
			}
			fresh := e.latest()
			if c.want < 0 && !fresh.IsZero() || c.want >= 0 && !fresh.Equal(start.Add(c.want)) {
				t.Errorf("%s: fresh until %v (%v), want %v", name, fresh, fresh.Sub(start), c.want)
			}
		})
	}
}

func TestAFollowerThatIsAlwaysALittleBehindIsStillFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		applied := uint64(0)
		e := ear(&applied)
		for n := uint64(1); n < 10000; n++ {
			e.hear(1, promise{n, n - 1, n, 0}, time.Now())
			if n > 10 {
				applied = n - 10
			}
			if age := time.Since(e.latest()); n > 20 && age > 12*time.Millisecond {
				t.Fatalf("message %d: %v old", n, age)
			}
			time.Sleep(time.Millisecond)
		}
		applied = 100
		stuck := e.latest()
		for n := uint64(10000); n < 20000; n++ {
			e.hear(1, promise{n, n - 1, n, 0}, time.Now())
		}
		if len(e.open) > mostOpen || !e.latest().Equal(stuck) {
			t.Errorf("%d promises are kept, fresh until %v", len(e.open), e.latest())
		}
	})
}

func TestALeaderPromisesWhatAMajorityConfirms(t *testing.T) {
	voters := []raft.ServerID{"a", "b", "c", "d", "e"}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		at := func(d time.Duration) time.Time { return start.Add(d) }
		c := ear(new(uint64))
		want := func(what string, want time.Time, present ...raft.ServerID) {
			t.Helper()
			if got := c.confirmed(3, voters, at(time.Second), present...); !got.Equal(want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		number := func(id raft.ServerID) uint64 {
			p, ok := c.next(id, 3)
			if !ok {
				t.Fatal("no message")
			}
			return p.number
		}
		c.answer("b", 3, number("b"), at(10))
		c.answer("c", 3, number("c"), at(20))
		want("what earlier terms committed is not applied", time.Time{}, "a")
		c.settle(3)
		want("itself and two others", at(10), "a")
		want("itself, one other and the follower", at(20), "a", "e")
		want("itself and a follower that answered", at(20), "a", "b")
		want("itself alone", time.Time{})
		c.answer("b", 3, number("b"), at(40))
		c.answer("b", 3, 1, at(30)) // an answer that was overtaken
		want("the second best", at(20), "a")
		if p, _ := c.next("b", 3); p.number != 3 || p.answered != 2 || p.age != unknown {
			t.Errorf("the next message is %+v", p)
		}
		c.answer("d", 2, 9, at(90))
		want("an answer to an earlier term", at(20), "a")
		if _, ok := c.next("b", 2); ok {
			t.Error("a leader of an earlier term promises something")
		}
		if p, _ := c.next("b", 4); p.number != 1 || p.answered != 0 {
			t.Errorf("the first message of the next term is %+v", p)
		}
		want("the term is over", time.Time{}, "a")
	})
}
