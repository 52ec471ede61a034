package scenarios

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"tribune/impl/config"
	"tribune/impl/gossip"
	"tribune/linearizability"
	"tribune/linearizability/versions"
	"tribune/scenarios/levels"
	"tribune/scenarios/outage"
	"tribune/sim"
)

// JudgeCanaries judges results, each of which the verdict that its name begins with must
// reject, and returns what it says.
func JudgeCanaries() map[string]string {
	const ok = linearizability.OK
	put := func(value string, call, ret time.Duration) linearizability.Op {
		return linearizability.Op{Client: 1, Key: "x", Kind: linearizability.Put, Value: value, Outcome: ok, Call: call, Return: ret}
	}
	get := func(mode, value string, at uint64, call, ret time.Duration) linearizability.Op {
		return linearizability.Op{
			Client: 2, Key: "x", Kind: linearizability.Get, Mode: mode, Found: true, Seen: value, SeenAt: at, Outcome: ok,
			Call: call, Return: ret, ServedBy: "s1", Life: 1, KnownLeader: true,
		}
	}
	old := []linearizability.Op{put("a", 0, 1), put("b", 2, 3)}
	within := defaults().Checks
	within.Outage.Duration, within.Behind.Duration = 30*second, second
	results := map[string]Result{
		"linearizable": {History: append(old, get("default", "a", 5, minute, 2*minute))},
		"outage":       {Healed: 3 * minute, History: append(old, put("c", 4, 2*minute))},
		"behind":       {History: append(old, get("default", "a", 5, minute, 2*minute))},
		"staleness":    {History: append(old, get("stale", "a", 5, minute, 2*minute))},
		"durable":      {History: append(old, get("consistent", "a", 5, minute, 2*minute))},
		"sequential":   {History: append(old, get("stale", "b", 6, 4, 5), get("stale", "a", 5, 6, 7))},
		"transactions": {Transactions: []linearizability.Txn{
			{Client: 1, Done: true, Outcome: ok, Call: 0, Return: 1, Steps: []linearizability.Step{{Verb: linearizability.StepSet, Key: "x", Value: "a", SeenAt: 5}}},
			{Client: 2, Done: true, Outcome: ok, Call: 2, Return: 3, Steps: []linearizability.Step{{Verb: linearizability.StepGetOrEmpty, Key: "x"}}},
		}},
		"locks": {Lock: &Locking{History: []linearizability.LockOp{
			{Client: 1, Kind: linearizability.LockAcquire, Session: "s", Done: true, Outcome: ok, Call: 0, Return: 1},
			{Client: 2, Kind: linearizability.LockAcquire, Session: "t", Done: true, Outcome: ok, Call: 2, Return: 3},
			{Client: 1, Kind: linearizability.LockRenew, Session: "s", Done: true, Outcome: ok, Call: 4, Return: 5},
		}}},
		"exclusive":        {Lock: &Locking{Late: []string{"a write"}}},
		"invariants":       {Violations: []sim.Violation{{Invariant: "any"}}},
		"recovery":         {Recovery: Recovered{Members: Reached{Asked: true, Text: notAlive("s1", []string{"s1", "s2"}, map[string]int{"s1": gossip.StatusAlive, "s2": gossip.StatusFailed})}}},
		"recovery, unread": {Unread: "a key could not be read"},
		"leaks, memory":    {Figures: Figures{Levels: levels.Levels{Asked: true}, Memory: levels.Memory{Held: map[string]uint64{levels.Server: levels.ServerMemory + 1}}}},
		"leaks": {Figures: Figures{Levels: levels.Levels{Asked: true, Text: levels.Higher(
			map[string]levels.Level{levels.Server: {Goroutines: 80, Streams: 20}}, map[string]levels.Level{levels.Server: {Goroutines: 80, Streams: 60}}, 2)}}},
	}
	said := map[string]string{}
	for name, r := range results {
		r.judge(within)
		check, _, _ := strings.Cut(name, ", ")
		said[name] = "not judged"
		for _, v := range r.Verdicts {
			if v.Check == check {
				said[name] = v.Got
			}
		}
	}
	return said
}

// JudgeRecovery judges results in which one part of the recovery was not reached, each by
// the name of the part's field, and returns the verdicts.
func JudgeRecovery() map[string]Verdict {
	said := map[string]Verdict{}
	parts := reflect.TypeFor[Recovered]()
	for i := range parts.NumField() {
		var r Result
		reflect.ValueOf(&r.Recovery).Elem().Field(i).Set(reflect.ValueOf(Reached{Asked: true, Text: "not there"}))
		r.recovery(holds)
		said[parts.Field(i).Name] = r.Verdicts[0]
	}
	return said
}

// JudgeInnocent judges a result in which nothing is wrong.
func JudgeInnocent() []Verdict {
	op := linearizability.Op{Client: 1, Key: "x", Kind: linearizability.Put, Value: "a", Outcome: linearizability.OK, Call: 0, Return: 1}
	r := Result{
		History: []linearizability.Op{op}, Lock: &Locking{},
		Transactions: []linearizability.Txn{{Client: 1, Done: true, Outcome: linearizability.OK, Call: 0, Return: 1, Steps: []linearizability.Step{{Verb: linearizability.StepSet, Key: "y", Value: "a"}}}},
		Figures:      Figures{Levels: levels.Levels{Asked: true}, Staleness: map[string]versions.Staleness{}, Leaderless: []outage.Span{}},
	}
	within := defaults().Checks
	within.Outage.Duration, within.Behind.Duration = second, second
	r.judge(within)
	return r.Verdicts
}

func TestTransactionsAreJudgedIfSomebodyWantedAny(t *testing.T) {
	judged := func(r Result) bool {
		r.judge(defaults().Checks)
		return slices.ContainsFunc(r.Verdicts, func(v Verdict) bool { return v.Check == "transactions" })
	}
	if judged(Result{}) || !judged(Result{Transactions: []linearizability.Txn{}}) {
		t.Errorf("nobody wanted any, and they are judged: %t; none was done, and they are judged: %t", judged(Result{}), judged(Result{Transactions: []linearizability.Txn{}}))
	}
}

func TestFalseDeathsAreAwaitedForAsLongAsGossipTakes(t *testing.T) {
	c := memberlist.DefaultLANConfig()
	for _, members := range []int{5, 12, 221} {
		s := defaults()
		s.Topology.Servers, s.Topology.Agents = 3, members-3
		suspicion := float64(c.SuspicionMult*c.SuspicionMaxTimeoutMult) * max(1, math.Log10(float64(members))) * float64(c.ProbeInterval)
		least := time.Duration(c.AwarenessMaxMultiplier)*c.ProbeInterval + time.Duration(suspicion) + second
		if got := (&fleet{run: &run{plan: NewPlan(*s, 1)}}).lateDeaths(); got < least {
			t.Errorf("of %d members for %v, and one may come after %v and be written down then", members, got, least)
		}
	}
}

func TestEachSettingOfSnapshotsIsOfItsOwn(t *testing.T) {
	usual := config.Default().Raft
	for _, c := range []struct{ threshold, trailing, wantThreshold, wantTrailing int }{
		{0, 0, usual.SnapshotThreshold, usual.TrailingLogs},
		{50, 0, 50, usual.TrailingLogs},
		{0, 7, usual.SnapshotThreshold, 7},
		{50, 7, 50, 7},
	} {
		s := defaults()
		s.Agent.SnapshotThreshold, s.Agent.TrailingLogs = c.threshold, c.trailing
		got := (&run{plan: NewPlan(*s, 1)}).settings("s1").Raft
		if got.SnapshotThreshold != c.wantThreshold || got.TrailingLogs != c.wantTrailing || (got.SnapshotInterval < usual.SnapshotInterval) != (c.threshold > 0) {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}
