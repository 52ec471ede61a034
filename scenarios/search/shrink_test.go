package search_test

import (
	"testing"
	"time"

	"tribune/linearizability"
	"tribune/scenarios"
	"tribune/scenarios/search"
	"tribune/sim/nemesis"
)

func TestAStoryTellsWhatIsWrongWhatStruckAndWhoLed(t *testing.T) {
	r := scenarios.Result{
		Verdicts: []scenarios.Verdict{
			{Check: "durable", Expected: "holds", Got: "holds", OK: true},
			{Check: "linearizable", Expected: "holds", Got: "violated", Text: "7 operations", Anomalies: []linearizability.Anomaly{
				{Kind: "stale read", Text: "one"}, {Kind: "stale read", Text: "two"}, {Kind: "stale read", Text: "three"}, {Kind: "stale read", Text: "four"},
			}},
		},
		Reigns: []scenarios.Reign{{At: time.Second, Term: 2, Server: "s1"}, {At: 4 * time.Second, Term: 3, Server: "s2"}},
		Faults: []nemesis.Struck{{At: 2 * time.Second, Until: 3 * time.Second, Text: "kill -9 of s1"}},
	}
	const want = `linearizable is violated, expected holds: 7 operations
  stale read: one
  stale read: two
  stale read: three

    1.000s  s1 leads in term 2
    2.000s  kill -9 of s1, until 3.000s
    4.000s  s2 leads in term 3
`
	if got := search.Story(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
