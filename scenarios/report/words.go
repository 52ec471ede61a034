package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tribune/linearizability"
	"tribune/page"
	"tribune/scenarios"
)

// means says what a check asks; "" for one that speaks for itself.
func means(check string) string {
	return map[string]string{
		scenarios.RunCheck: "The run comes to its end, and has a result.",
		"linearizable":     "Each operation on a key seems to take effect at one moment between its call and its return.",
		"sequential":       "Reads go forward: stale and default ones on one process of a server, consistent ones everywhere.",
		"staleness":        "Reads are no older than their answers say, and the lag that the scenario allows.",
		"behind":           "Default reads are no further behind than the scenario allows.",
		"durable":          "No acknowledged write is missing in the end.",
		"outage":           "No time in which a client wants to write and none is acknowledged, from the first that is until all is healed, is longer than the scenario allows.",
		"leaks":            "In the end processes hold no more goroutines, streams, watch channels and memory than they need.",
		"transactions":     "Each transaction seems to take effect as a whole, at one moment between its call and its return.",
		"invariants":       "What raft, sessions, watches and the catalog promise holds at every moment of the run.",
		"recovery":         "Once the faults are over, the cluster does its work again within the times that the scenario states.",
		"exclusive":        "Nobody writes to what the lock guards after a later holder has written there.",
		"locks":            "Acquisitions, releases and ends of sessions happen in one order that a single lock allows.",
	}[check]
}

// promise says what an invariant is; "" for one that speaks for itself.
func promise(invariant string) string {
	return map[string]string{
		"election safety":          "at most one server leads in a term",
		"leader completeness":      "who leads has all that was committed before",
		"state machine safety":     "servers have the same entry at the same committed index",
		"monotonic term":           "the term on a server's disk never goes back, whatever becomes of its process",
		"monotonic commit index":   "what is committed stays committed",
		"monotonic applied index":  "what is applied stays applied",
		"monotonic index":          "the X-Consul-Index of a key or prefix never goes back on one process, nor in consistent reads",
		"monotonic vote":           "a server that has voted in a term remembers it, whatever becomes of its process",
		"one vote a term":          "a server votes once in a term",
		"votes of a majority":      "a leader has the votes of a majority",
		"size of the raft group":   "a group does not shrink until two of its majorities could be strangers",
		"undisturbed leader":       "a leader that nothing strikes goes on leading",
		"exactly-once application": "each committed command is applied once",
		"one answer an index":      "what was answered with an index is answered with it again",
		"lock-delay":               "nobody gets a lock before the lock-delay of its last holder is over",
		"watch of checks":          "a watcher of checks hears of a change",
		"wake-up":                  "a watcher hears of a write to what it watches",
		"blocking queries end":     "a blocking query ends when its time is up",
		"fencing tokens":           "each holder of a lock gets a higher token than those before",
		"session TTL":              "a session lives at least as long as its TTL after a renewal",
		"answers to transactions":  "an answer says which step failed, or has a result for each",
		"sum of accounts":          "transfers keep the sum of all accounts",
		"each event once":          "an agent lists a user event once",
		"renamed nodes":            "a node that has another name leaves nothing under the old one",
		"names are kept":           "no node gets the name of an agent that is alive",
		"no panic":                 "whatever happens, an agent ends in order",
		"clients go on":            "a client works until it is stopped",
		"coordinates":              "all numbers of a network coordinate are numbers",
		"age of DNS answers":       "the DNS names nothing older than dns_config.max_stale allows",
	}[invariant]
}

// Findings says in words what is wrong according to a verdict: at what time, and in
// which operations, as indices into the history that the check judges. It returns
// nothing for a verdict with which nothing is wrong.
func Findings(r scenarios.Result, v scenarios.Verdict) []page.Finding {
	var all []page.Finding
	for _, a := range v.Anomalies {
		all = append(all, page.Finding{Kind: string(a.Kind), Text: a.Text, At: int64(a.At), Ops: slices.Clone(a.Ops)})
	}
	switch {
	case v.Got == string(linearizability.Holds):
	case v.Check == scenarios.RunCheck:
		all = append(all, death(r, v))
	case v.Check == "invariants":
		for _, x := range r.Violations {
			text := x.Text
			if p := promise(x.Invariant); p != "" {
				text += " (" + p + ")"
			}
			all = append(all, page.Finding{Kind: x.Invariant, Text: fmt.Sprintf("at %.3f s %s", x.At.Seconds(), text), At: int64(x.At)})
		}
	case v.Check == "recovery":
		all = append(all, unrecovered(r)...)
	case v.Check == "exclusive" && r.Lock != nil:
		for _, text := range r.Lock.Late {
			at, who, _ := strings.Cut(strings.TrimPrefix(text, "at "), " ")
			when, err := time.ParseDuration(at)
			if err != nil {
				who = text
			}
			all = append(all, page.Finding{Kind: "late write", Text: fmt.Sprintf("at %.3f s a write of %s; its writer believed that it still held the lock", when.Seconds(), who), At: int64(when)})
		}
	}
	return all
}

// unrecovered says what a healed cluster did not do in time.
func unrecovered(r scenarios.Result) []page.Finding {
	var all []page.Finding
	for _, p := range r.Recovery.Parts() {
		if !p.Asked || p.OK {
			continue
		}
		text := fmt.Sprintf("all was healed at %.3f s, and there was no %s in time", r.Healed.Seconds(), p.Name)
		switch {
		case p.Text != "":
			text += ": " + p.Text
		case p.After > 0:
			text += fmt.Sprintf(": it came after %v", p.After.Round(time.Millisecond))
		}
		if n := len(r.Reigns); n > 0 {
			last := r.Reigns[n-1]
			text += fmt.Sprintf("; the last to lead was %s, in term %d, seen until %.3f s", last.Server, last.Term, last.Until.Seconds())
		}
		all = append(all, page.Finding{Kind: "no " + p.Name, Text: text, At: int64(r.Healed)})
	}
	if r.Unread != "" {
		all = append(all, page.Finding{Kind: "unread", Text: "after all was healed, " + r.Unread, At: int64(r.Virtual)})
	}
	return all
}

func sayTxn(t linearizability.Txn) (what, answer string) {
	var steps, answers []string
	for _, s := range t.Steps {
		step := string(s.Verb) + " " + s.Key
		if s.Value != "" {
			step += " = " + s.Value
		}
		if s.Index != 0 {
			step += fmt.Sprintf(" at index %d", s.Index)
		}
		steps = append(steps, step)
		if s.Found {
			answers = append(answers, fmt.Sprintf("%s = %s at index %d", s.Key, s.Seen, s.SeenAt))
		}
	}
	return strings.Join(steps, "; "), strings.Join(answers, "; ")
}

func sayLock(o linearizability.LockOp) (what, answer string) {
	what = string(o.Kind)
	if o.Session != "" {
		what += " with session " + o.Session
	}
	switch {
	case o.Outcome != linearizability.OK:
	case o.Gone:
		answer = "the session has ended"
	case o.Kind == linearizability.LockRead && o.Holder == "":
		answer = fmt.Sprintf("nobody holds it, token %d", o.Token)
	case o.Kind == linearizability.LockRead:
		answer = fmt.Sprintf("session %s holds it, token %d", o.Holder, o.Token)
	}
	return what, answer
}
