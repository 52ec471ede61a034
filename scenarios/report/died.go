package report

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tribune/linearizability"
	"tribune/page"
	"tribune/scenarios"
	"tribune/sim/trace"
)

// recovered is, of a run that died, as much of a result as its trace tells. It has no
// fingerprint.
func recovered(r Run, from io.Reader) (scenarios.Result, error) {
	s := newSurvivor(r.Plan)
	events := trace.NewReader(from)
	for {
		e, err := events.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return scenarios.Result{}, err
		}
		s.see(e)
	}
	s.end()
	s.result.Scenario, s.result.Seed = r.Plan.Scenario.Name, r.Plan.Seed
	s.result.Verdicts = []scenarios.Verdict{{Check: scenarios.RunCheck, Expected: "a result", Got: "without one", Text: r.Died.Cause()}}
	if n := len(s.result.Violations); n > 0 {
		s.result.Verdicts = append(s.result.Verdicts, scenarios.Verdict{Check: "invariants", Expected: "holds", Got: "violated", Text: fmt.Sprintf("%d violations before the end", n)})
	}
	return s.result, nil
}

// What a process says that died is mostly the stacks of all goroutines, of which there
// are thousands: the first tells who died, the last who waits.
const (
	firstLines = 400
	lastLines  = 100
)

func bothEnds(text string) string {
	lines := strings.Split(text, "\n")
	if left := len(lines) - firstLines - lastLines; left > 0 {
		lines = slices.Concat(lines[:firstLines], []string{"", fmt.Sprintf("... %d lines, which %s has ...", left, DeathFile), ""}, lines[len(lines)-lastLines:])
	}
	return strings.Join(lines, "\n")
}

// survivor finds in a trace what a result would have said.
type survivor struct {
	plan   scenarios.Plan
	result scenarios.Result
	open   map[int]int    // by client: its operation that goes on
	reigns map[string]int // by server: its reign that goes on
	terms  map[string]uint64

	begins, returns *regexp.Regexp // of lines of operations
}

func newSurvivor(p scenarios.Plan) *survivor {
	const op = `^(get|put|cas|delete|delete-cas) (\S+) `
	return &survivor{
		plan: p, open: map[int]int{}, reigns: map[string]int{}, terms: map[string]uint64{},
		begins:  regexp.MustCompile(op + `(.*)$`),
		returns: regexp.MustCompile(op + `returns (\S+) done=(true|false) found=(true|false) (\S*)@(\d+) ?(.*)$`),
	}
}

func (s *survivor) see(e trace.Event) {
	r := &s.result
	r.Virtual = e.At
	switch e.Kind {
	case trace.Fault:
		s.fault(e)
	case trace.Log:
		s.log(e)
	case trace.Life:
		if page.StateAfter(e.Text) == "down" {
			delete(s.reigns, e.Node)
		}
	case trace.Op:
		s.op(e)
	case trace.Check:
		invariant, text, _ := strings.Cut(e.Text, ": ")
		r.Violations = append(r.Violations, scenarios.Violation{At: e.At, Invariant: invariant, Text: text})
	}
	for _, i := range s.reigns {
		r.Reigns[i].Until = e.At
	}
}

func (s *survivor) fault(e trace.Event) {
	r := &s.result
	over, isOver := strings.CutPrefix(e.Text, "over: ")
	switch {
	case e.Node != "":
	case e.Text == "healed":
		r.Healed = e.At
	case isOver:
		for i := range r.Faults {
			if r.Faults[i].Text == over && r.Faults[i].Until == 0 {
				r.Faults[i].Until = e.At
				return
			}
		}
	default:
		words := strings.FieldsFunc(e.Text, func(c rune) bool { return c == ' ' || c == ',' })
		f := scenarios.FaultLog{At: e.At, Text: e.Text}
		for _, st := range s.plan.Strikes {
			if st.Begin == e.At && st.On == "" || st.On != "" && strings.HasSuffix(e.Text, ", on "+st.On) {
				f.Kind = st.Kind
			}
		}
		for _, name := range words {
			if role := s.plan.Role(name); (role == "server" || role == "agent") && !slices.Contains(f.Nodes, name) {
				f.Nodes = append(f.Nodes, name)
			}
		}
		if f.Kind != "" { // else it is no fault: a node gets an empty disk, bits have flipped
			r.Faults = append(r.Faults, f)
		}
	}
}

// log follows who leads.
func (s *survivor) log(e trace.Event) {
	if _, after, ok := strings.Cut(e.Text, " election won "); ok {
		if _, term, ok := strings.Cut(after, " term="); ok {
			term, _, _ = strings.Cut(term, " ")
			s.terms[e.Node], _ = strconv.ParseUint(term, 10, 64) // another form is no term
		}
	}
	switch {
	case strings.HasPrefix(e.Text, "INFO entering leader state"):
		s.reigns[e.Node] = len(s.result.Reigns)
		s.result.Reigns = append(s.result.Reigns, scenarios.Reign{At: e.At, Until: e.At, Term: s.terms[e.Node], Server: e.Node})
	case strings.HasPrefix(e.Text, "INFO entering follower state"):
		delete(s.reigns, e.Node)
	}
}

// op follows operations on keys. Of other operations the trace has lines.
func (s *survivor) op(e trace.Event) {
	client := s.number(e.Node)
	if client == 0 {
		return
	}
	r := &s.result
	if m := s.returns.FindStringSubmatch(e.Text); m != nil {
		i, ok := s.open[client]
		if !ok {
			return
		}
		delete(s.open, client)
		o := &r.History[i]
		o.Return, o.Outcome, o.Done, o.Found = e.At, linearizability.Outcome(m[3]), m[4] == "true", m[5] == "true"
		o.Seen, o.Error = m[6], m[8]
		o.SeenAt, _ = strconv.ParseUint(m[7], 10, 64) // they are digits
		switch o.Outcome {
		case linearizability.OK:
			r.Ops.OK++
		case linearizability.Failed:
			r.Ops.Failed++
		default:
			r.Ops.Unknown++
		}
	} else if m := s.begins.FindStringSubmatch(e.Text); m != nil {
		s.open[client] = len(r.History)
		o := linearizability.Op{Client: client, Kind: linearizability.Kind(m[1]), Key: m[2], Value: m[3], Call: e.At, Outcome: linearizability.Unknown, ServedBy: e.Peer}
		if o.Kind == linearizability.Get {
			o.Mode = s.plan.Scenario.Workload.Reads
		}
		r.History = append(r.History, o)
	}
}

// number is that of the client of a name, 0 if there is none.
func (s *survivor) number(name string) int {
	const further = 2 // the probe and the reader
	for n := 1; n <= s.plan.Scenario.Topology.Clients+further; n++ {
		if s.plan.ClientName(n) == name {
			return n
		}
	}
	return 0
}

// end ends what the end of the run cut off.
func (s *survivor) end() {
	r := &s.result
	for _, i := range s.open {
		r.History[i].Return, r.History[i].Error = r.Virtual, "the run ended before"
		r.Ops.Unknown++
	}
}

// death is the finding about a run that came to no result: where its trace ends.
func death(r scenarios.Result, v scenarios.Verdict) page.Finding {
	return page.Finding{Kind: "the end", Text: fmt.Sprintf("the trace ends at %.3f s: %s", r.Virtual.Seconds(), v.Text), At: int64(r.Virtual)}
}
