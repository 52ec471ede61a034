package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tribune/linearizability"
	"tribune/linearizability/versions"
	"tribune/scenarios/levels"
	"tribune/scenarios/outage"
)

// explainLimit is the real time that the search for a small contradiction in the
// history of one key may take.
const explainLimit = 10 * time.Second

const (
	holds    = string(linearizability.Holds)
	violated = string(linearizability.Violated)
	either   = "either" // nothing is expected
)

// judge turns what was seen into verdicts. It runs in the parent: the search
// for a linearization takes real time, and memory.
func (r *Result) judge(c Checks) {
	for _, o := range r.History {
		switch o.Outcome {
		case linearizability.OK:
			r.Ops.OK++
		case linearizability.Failed:
			r.Ops.Failed++
		default:
			r.Ops.Unknown++
		}
	}
	r.measure()
	if c.Linearizable != either {
		r.linearizable(c.Linearizable)
	}
	r.versions(c)
	if r.Transactions != nil {
		r.transactions(c.Transactions)
	}
	r.invariants(c.Invariants)
	r.recovery(c.Recovery)
	if limit := c.Outage.Duration; limit > 0 {
		longest := outage.Longest(r.wanted(), r.writes(), r.Healed)
		r.within("outage", longest.To-longest.From, limit, fmt.Sprintf("at most %v in which a write was wanted and none done, from %v on", longest.To-longest.From, longest.From))
	}
	if limit := c.Behind.Duration; limit > 0 {
		r.complaints("behind", holds, fmt.Sprint("default: ", r.Figures.Staleness["default"]), versions.Behind(r.History, "default", limit))
	}
	if r.Figures.Levels.Asked {
		r.leaks(c.Leaks)
	}
	if r.Lock != nil {
		r.exclusive(c.Exclusive)
		r.locks(c.Locks)
	}
}

func (r *Result) verdict(check, expected, got, text string, anomalies ...linearizability.Anomaly) {
	r.Verdicts = append(r.Verdicts, Verdict{check, expected, got, expected == got, text, anomalies})
}

// within is the verdict on a time that has a limit.
func (r *Result) within(check string, got, limit time.Duration, text string) {
	verdict := holds
	if got > limit {
		verdict = violated
	}
	r.verdict(check, holds, verdict, text)
}

// linearizable judges writes and reads. Stale reads promise nothing.
func (r *Result) linearizable(expected string) {
	var judged []linearizability.Op
	var from []int // their places in the history
	for i, o := range r.History {
		if o.Kind != linearizability.Get || o.Mode != "stale" {
			judged, from = append(judged, o), append(from, i)
		}
	}
	result := linearizability.Check(judged, linearizability.DefaultBudget)
	text := fmt.Sprintf("%d operations", result.Ops)
	if len(result.Keys) > 0 {
		text += ", no order makes sense of " + strings.Join(result.Keys, ", ")
	}
	if len(result.Relaxed) > 0 {
		text += fmt.Sprintf(" (refused CAS on %s not judged: the search took too long)", strings.Join(result.Relaxed, ", "))
	}
	anomalies := linearizability.Explain(judged, result, explainLimit)
	if result.Verdict == linearizability.Violated {
		r.Picture = result.Focus(judged, anomalies, explainLimit).Picture()
	}
	for _, a := range anomalies {
		for n, i := range a.Ops {
			a.Ops[n] = from[i]
		}
	}
	r.verdict("linearizable", expected, string(result.Verdict), text, anomalies...)
}

// measure sums up what is reported whether anybody judges it or not.
func (r *Result) measure() {
	r.Figures.Staleness = versions.Measure(r.History)
	var strikes []outage.Strike
	for _, f := range r.Faults {
		strikes = append(strikes, outage.Strike{Kind: f.Kind, Span: outage.Span{From: f.At, To: f.Until}})
	}
	// What is after the last operation is the judging.
	end := time.Duration(0)
	for _, o := range r.History {
		end = max(end, o.Return)
	}
	r.Figures.Outages = outage.ByKind(strikes, r.Figures.Leaderless, outage.Between(r.writes(), end))
}

// writes are the times at which writes returned that were done.
func (r *Result) writes() (at []time.Duration) {
	for _, o := range r.History {
		if o.Kind != linearizability.Get && o.Outcome == linearizability.OK {
			at = append(at, o.Return)
		}
	}
	return at
}

// wanted are the times of writes, whatever came of them.
func (r *Result) wanted() (times []outage.Span) {
	for _, o := range r.History {
		if o.Kind != linearizability.Get {
			times = append(times, outage.Span{From: o.Call, To: o.Return})
		}
	}
	return times
}

// versions judges what needs no search: the order of reads, their age, and whether
// acknowledged writes are there in the end.
func (r *Result) versions(c Checks) {
	r.complaints("sequential", c.Sequential, "", versions.Order(r.History))
	var modes []string
	for _, mode := range slices.Sorted(maps.Keys(r.Figures.Staleness)) {
		modes = append(modes, fmt.Sprintf("%s: %v", mode, r.Figures.Staleness[mode]))
	}
	r.complaints("staleness", c.Staleness, strings.Join(modes, "; "), versions.Beyond(r.History, c.Lag.Duration))
	d := versions.Durable(slices.Concat(r.History, versions.OfTransactions(r.Transactions)))
	r.complaints("durable", c.Durable, fmt.Sprintf("%d acknowledged writes, %d keys read in the end", d.Acknowledged, d.Keys), d.Lost)
}

// complaints is a verdict that holds if there are none.
func (r *Result) complaints(check, expected, text string, complaints []string) {
	got := holds
	if n := len(complaints); n > 0 {
		got = violated
		if text != "" {
			text += "; "
		}
		text += complaints[0]
		if n > 1 {
			text += fmt.Sprintf("; and %d more", n-1)
		}
	}
	r.verdict(check, expected, got, text)
}

// leaks judges whether processes hold no more in the end than in the beginning.
func (r *Result) leaks(expected string) {
	l := r.Figures.Levels
	var complaints, texts []string
	for _, text := range []string{l.Text, r.Figures.Memory.Above()} {
		if text != "" {
			complaints = append(complaints, text)
		}
	}
	for _, kind := range []string{levels.Server, levels.Agent} {
		if s := l.Start[kind]; s.Goroutines > 0 {
			texts = append(texts, fmt.Sprintf("%s had up to %v, and has %v in the end", levels.One(kind), s, l.End[kind]))
		}
	}
	if len(r.Figures.Memory.Held) > 0 {
		texts = append(texts, "memory: "+r.Figures.Memory.String())
	}
	r.complaints("leaks", expected, strings.Join(texts, "; "), complaints)
}

// transactions judges transactions, those of each group of keys together.
func (r *Result) transactions(expected string) {
	result := linearizability.CheckTxns(r.Transactions, linearizability.DefaultBudget)
	r.object("transactions", expected, fmt.Sprintf("%d transactions", result.Ops), result, linearizability.ExplainTxns(r.Transactions, result, explainLimit))
}

// object is the verdict on what a model other than that of a key has judged.
func (r *Result) object(check, expected, text string, result linearizability.Result, anomalies []linearizability.Anomaly) {
	if len(result.Keys) > 0 {
		text += ", no order makes sense of " + strings.Join(result.Keys, ", ")
	}
	if len(result.Relaxed) > 0 {
		text += " (refusals not judged: the search took too long)"
	}
	r.verdict(check, expected, string(result.Verdict), text, anomalies...)
	if result.Verdict == linearizability.Violated && r.Picture == "" {
		r.Picture = result.Picture()
	}
}

func (r *Result) invariants(expected string) {
	var texts []string
	for _, v := range r.Violations {
		texts = append(texts, fmt.Sprintf("at %v %s: %s", v.At, v.Invariant, v.Text))
	}
	got := holds
	if len(texts) > 0 {
		got = violated
	}
	if len(texts) > 3 {
		texts = append(texts[:3], fmt.Sprintf("and %d more", len(texts)-3))
	}
	r.verdict("invariants", expected, got, strings.Join(texts, "; "))
}

func (r *Result) recovery(expected string) {
	got := holds
	var texts []string
	for _, part := range r.Recovery.Parts() {
		if !part.Asked {
			continue
		}
		if part.OK {
			texts = append(texts, fmt.Sprintf("%s after %v", part.Name, part.After.Round(time.Millisecond)))
			continue
		}
		got = violated
		texts = append(texts, fmt.Sprintf("no %s in time (%s)", part.Name, part.Text))
	}
	if r.Unread != "" {
		got = violated
		texts = append(texts, r.Unread)
	}
	r.verdict("recovery", expected, got, strings.Join(texts, ", "))
}
