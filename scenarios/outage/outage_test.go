package outage_test

import (
	"reflect"
	"testing"
	"time"

	"tribune/scenarios/outage"
)

const s = time.Second

func TestAnOutageIsTheLongestTimeThatAFaultTouches(t *testing.T) {
	strikes := []outage.Strike{
		{Kind: "pause", Span: outage.Span{From: 10 * s, To: 12 * s}},
		{Kind: "kill", Span: outage.Span{From: 30 * s, To: 31 * s}},
		{Kind: "kill", Span: outage.Span{From: 50 * s, To: 51 * s}},
	}
	leaderless := []outage.Span{{From: 0, To: 2 * s}, {From: 11 * s, To: 16 * s}, {From: 33 * s, To: 34 * s}, {From: 80 * s, To: 99 * s}}
	writes := outage.Between([]time.Duration{29 * s, 36 * s, 1 * s, 9 * s, 17 * s, 51 * s, 49 * s}, 55*s)
	got := outage.ByKind(strikes, leaderless, writes)
	if len(got) != 3 || got[0].Kind != outage.All || got[1].Kind != "kill" || got[2].Kind != "pause" {
		t.Fatalf("%+v", got)
	}
	for i, want := range []struct{ count, leader, write time.Duration }{{3, 5 * s, 8 * s}, {2, 1 * s, 7 * s}, {1, 5 * s, 8 * s}} {
		o := got[i]
		if o.Leaderless.Count != int(want.count) || o.Leaderless.Max != want.leader || o.Writeless.Max != want.write {
			t.Errorf("%s: %+v, want %v without a leader and %v without a write", o.Kind, o, want.leader, want.write)
		}
	}
	if got := outage.ByKind(nil, leaderless, writes); got != nil {
		t.Errorf("nothing struck, and there is %+v", got)
	}
}

func TestTheTimesBetweenMomentsCoverTheRun(t *testing.T) {
	got := outage.Between([]time.Duration{3 * s, 1 * s, 3 * s}, 7*s)
	if want := []outage.Span{{From: 0, To: 1 * s}, {From: 1 * s, To: 3 * s}, {From: 3 * s, To: 7 * s}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := outage.Between(nil, 7*s); !reflect.DeepEqual(got, []outage.Span{{From: 0, To: 7 * s}}) {
		t.Errorf("without a moment: %v", got)
	}
}

func TestAnOutageIsWhenAWriteIsWantedAndNoneIsDone(t *testing.T) {
	always := []outage.Span{{From: 0, To: 300}}
	for what, c := range map[string]struct {
		wanted []outage.Span
		done   []time.Duration
		end    time.Duration
		want   outage.Span
	}{
		"between two":                            {always, []time.Duration{60, 10, 70}, 90, outage.Span{From: 10, To: 60}},
		"after the last":                         {always, []time.Duration{60, 10, 70}, 200, outage.Span{From: 70, To: 200}},
		"not before the first":                   {always, []time.Duration{60, 62}, 65, outage.Span{From: 62, To: 65}},
		"nothing counts after the end":           {always, []time.Duration{60, 62, 80}, 65, outage.Span{From: 62, To: 65}},
		"one at the end":                         {always, []time.Duration{90}, 90, outage.Span{To: 90}},
		"none is ever done":                      {always, nil, 90, outage.Span{To: 90}},
		"none is ever wanted":                    {nil, nil, 90, outage.Span{}},
		"wanted late":                            {[]outage.Span{{From: 5, To: 10}, {From: 55, To: 60}}, []time.Duration{10, 60}, 61, outage.Span{From: 55, To: 60}},
		"refused, and then done":                 {[]outage.Span{{From: 5, To: 10}, {From: 20, To: 21}, {From: 55, To: 60}}, []time.Duration{10, 60}, 61, outage.Span{From: 20, To: 60}},
		"wanted before another was done":         {[]outage.Span{{From: 5, To: 40}, {From: 6, To: 10}}, []time.Duration{10}, 50, outage.Span{From: 10, To: 50}},
		"a shorter time in which one was wanted": {[]outage.Span{{From: 5, To: 10}, {From: 99, To: 100}, {From: 101, To: 120}}, []time.Duration{10, 100, 120}, 121, outage.Span{From: 101, To: 120}},
	} {
		if got := outage.Longest(c.wanted, c.done, c.end); got != c.want {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}
