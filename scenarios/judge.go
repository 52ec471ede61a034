package scenarios

import (
	"fmt"
	"os"
	"strings"
	"time"

	"tribune/linearizability"
)

// judgeLimit is the real time that the search for a linearization of one key may
// take. Running out of it is not a pass.
const judgeLimit = 20 * time.Second

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
	if c.Linearizable != either {
		r.linearizable(c.Linearizable)
	}
	if len(r.Transactions) > 0 {
		r.transactions(c.Transactions)
	}
	r.invariants(c.Invariants)
	r.recovery(c.Recovery)
	if limit := c.Outage.Duration; limit > 0 {
		longest, from := linearizability.Outage(r.History, r.Healed)
		r.within("outage", longest, limit, fmt.Sprintf("at most %v without a write, from %v on", longest, from))
	}
	if limit := c.Staleness.Duration; limit > 0 {
		behind, which := linearizability.Staleness(r.History, "default")
		r.within("staleness", behind, limit, fmt.Sprintf("at most %v %s", behind, which))
	}
	if r.Lock != nil {
		r.exclusive(c.Exclusive)
		r.locks(c.Locks)
	}
}

func (r *Result) verdict(check, expected, got, text string) {
	r.Verdicts = append(r.Verdicts, Verdict{check, expected, got, expected == got, text})
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
	for _, o := range r.History {
		if o.Kind != linearizability.Get || o.Mode != "stale" {
			judged = append(judged, o)
		}
	}
	result := linearizability.Check(judged, judgeLimit)
	text := fmt.Sprintf("%d operations", result.Ops)
	if len(result.Keys) > 0 {
		text += ", no order makes sense of " + strings.Join(result.Keys, ", ")
	}
	if len(result.Relaxed) > 0 {
		text += fmt.Sprintf(" (refused CAS on %s not judged: the search took too long)", strings.Join(result.Relaxed, ", "))
	}
	r.verdict("linearizable", expected, string(result.Verdict), text)
	if result.Verdict == linearizability.Violated {
		r.Picture = picture(result)
	}
}

// transactions judges transactions, those of each group of keys together.
func (r *Result) transactions(expected string) {
	result := linearizability.CheckTxns(r.Transactions, judgeLimit)
	r.object("transactions", expected, fmt.Sprintf("%d transactions", result.Ops), result)
}

// object is the verdict on what a model other than that of a key has judged.
func (r *Result) object(check, expected, text string, result linearizability.Result) {
	if len(result.Keys) > 0 {
		text += ", no order makes sense of " + strings.Join(result.Keys, ", ")
	}
	if len(result.Relaxed) > 0 {
		text += " (refusals not judged: the search took too long)"
	}
	r.verdict(check, expected, string(result.Verdict), text)
	if result.Verdict == linearizability.Violated && r.Picture == "" {
		r.Picture = picture(result)
	}
}

func picture(result linearizability.Result) string {
	f, err := os.CreateTemp("", "linearizability-*.html")
	if err != nil {
		return ""
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_ = f.Close() // it is written by name
	if err := result.Visualize(f.Name()); err != nil {
		return ""
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return ""
	}
	return string(b)
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
	c := r.Recovery
	got := holds
	var texts []string
	type named struct {
		name string
		Reached
	}
	for _, part := range []named{
		{"leader", c.Leader}, {"write", c.Write}, {"equal state machines", c.Converge}, {"lock", c.Lock},
		{"last values seen by watchers", c.Watches}, {"catalog and DNS that agree with all agents", c.Services}, {"events on all agents", c.Events},
		{"agents that see each other alive", c.Members},
	} {
		if !part.Asked {
			continue
		}
		if part.OK {
			texts = append(texts, fmt.Sprintf("%s after %v", part.name, part.After.Round(time.Millisecond)))
			continue
		}
		got = violated
		texts = append(texts, fmt.Sprintf("no %s in time (%s)", part.name, part.Text))
	}
	if r.Unread != "" {
		got = violated
		texts = append(texts, r.Unread)
	}
	r.verdict("recovery", expected, got, strings.Join(texts, ", "))
}
