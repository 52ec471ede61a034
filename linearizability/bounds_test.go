package linearizability_test

import (
	"testing"
	"time"

	"tribune/linearizability"
)

func written(value string, call, back time.Duration) linearizability.Op {
	return linearizability.Op{Kind: linearizability.Put, Key: "k", Value: value, Outcome: linearizability.OK, Call: call, Return: back}
}

func defaultRead(seen string, call time.Duration) linearizability.Op {
	return linearizability.Op{Kind: linearizability.Get, Mode: "default", Key: "k", Found: true, Seen: seen, Outcome: linearizability.OK, Call: call, Return: call + 1}
}

func TestStalenessIsTheTimeSinceWhatWasReadHasSurelyBeenReplaced(t *testing.T) {
	lost := written("3", 30, 35)
	lost.Outcome = linearizability.Unknown
	for _, c := range []struct {
		name    string
		history []linearizability.Op
		want    time.Duration
	}{
		{"the last value", []linearizability.Op{written("1", 0, 5), written("2", 10, 15), defaultRead("2", 50)}, 0},
		{"the one before", []linearizability.Op{written("1", 0, 5), written("2", 10, 15), defaultRead("1", 50)}, 35},
		{"two before: since the first that replaced it", []linearizability.Op{written("1", 0, 5), written("2", 10, 15), written("3", 20, 25), defaultRead("1", 50)}, 35},
		{"a write beside it may have been the first", []linearizability.Op{written("1", 0, 5), written("2", 4, 15), defaultRead("1", 50)}, 0},
		{"a write that was not over", []linearizability.Op{written("1", 0, 5), written("2", 10, 60), defaultRead("1", 50)}, 0},
		{"a write that may not have been", []linearizability.Op{written("1", 0, 5), lost, defaultRead("1", 50)}, 0},
		{"a read that may be stale", []linearizability.Op{written("1", 0, 5), written("2", 10, 15), {Kind: linearizability.Get, Mode: "stale", Key: "k", Seen: "1", Outcome: linearizability.OK, Call: 50}}, 0},
	} {
		if got, which := linearizability.Staleness(c.history, "default"); got != c.want || (which == "") != (c.want == 0) {
			t.Errorf("%s: %v %s, want %v", c.name, got, which, c.want)
		}
	}
}

func TestAnOutageIsTheLongestTimeWithoutAWrite(t *testing.T) {
	refused := written("x", 40, 45)
	refused.Outcome = linearizability.Failed
	history := []linearizability.Op{written("2", 50, 60), written("1", 0, 10), refused, defaultRead("1", 30), written("3", 65, 70)}
	if longest, from := linearizability.Outage(history, 90); longest != 50 || from != 10 {
		t.Errorf("%v from %v on", longest, from)
	}
	if longest, from := linearizability.Outage(history, 200); longest != 130 || from != 70 {
		t.Errorf("until the end: %v from %v on", longest, from)
	}
	if longest, _ := linearizability.Outage(nil, 90); longest != 90 {
		t.Errorf("without a write: %v", longest)
	}
}
