package page

import (
	"fmt"
	"strings"
	"time"

	"tribune/linearizability"
)

// Run is what a page shows of a run beside its trace. Nodes are given by their names,
// and operations in findings by their place in Ops.
type Run struct {
	Facts    Facts
	Verdicts []Verdict
	Ops      []Op
	Faults   []Strike
	Reigns   []Lead
	Clocks   []Start
	// Role is what a node is: server, agent, client or other. Lanes are in that order.
	Role func(node string) string

	Settings string // a file that makes the run
	Plan     string // the same in words; it may be empty
	// Replay are commands to go on with. The page names those that begin with "simctl
	// trace" or "simctl debug" for moments too.
	Replay  []Command
	Picture string // porcupine's; it may be empty
	Died    *Death
}

// Op is an operation of a client, in words.
type Op struct {
	Client, Server string // names; an empty Server is one that does not matter
	Kind, Key      string
	Outcome        string // one of the constants
	Call, Return   time.Duration
	What, Answer   string
	Error          string
}

// The outcomes of operations, as the page knows them.
const (
	Done    = "done"
	Unmet   = "condition not met"
	Refused = "refused"
	Unknown = "unknown"
)

// Outcome is that of an operation. One that was answered is Unmet if it took no effect.
func Outcome(o linearizability.Outcome, effective bool) string {
	switch {
	case o == linearizability.Failed:
		return Refused
	case o == linearizability.Unknown:
		return Unknown
	case !effective:
		return Unmet
	}
	return Done
}

// OfKey is an operation on a key.
func OfKey(client string, o linearizability.Op) Op {
	conditional := o.Kind == linearizability.CAS || o.Kind == linearizability.DeleteCAS
	what, answer := sayOp(o)
	return Op{
		Client: client, Server: o.ServedBy, Kind: string(o.Kind), Key: o.Key, Outcome: Outcome(o.Outcome, o.Done || !conditional),
		Call: o.Call, Return: o.Return, What: what, Answer: answer, Error: o.Error,
	}
}

// sayOp says what an operation on a key wanted, and what it was answered.
func sayOp(o linearizability.Op) (what, answer string) {
	switch o.Kind {
	case linearizability.Get:
		what = "get " + o.Key
		if o.Mode != "" {
			what += " (" + o.Mode + ")"
		}
	case linearizability.Put:
		what = fmt.Sprintf("put %s = %s", o.Key, o.Value)
	case linearizability.CAS:
		what = fmt.Sprintf("put %s = %s if its index is %d", o.Key, o.Value, o.Index)
	case linearizability.DeleteCAS:
		what = fmt.Sprintf("delete %s if its index is %d", o.Key, o.Index)
	default:
		what = strings.TrimSpace(fmt.Sprintf("%s %s", o.Kind, o.Key))
		if o.Value != "" {
			what += " = " + o.Value
		}
	}
	switch {
	case o.Outcome != linearizability.OK:
	case o.Kind == linearizability.Get && !o.Found:
		answer = "nothing"
	default:
		answer = o.Seen
		if o.SeenAt > 0 {
			answer += fmt.Sprintf(" at index %d", o.SeenAt)
		}
	}
	return what, answer
}

// Strike is a fault that happened. Until is 0 if it lasted until the end.
type Strike struct {
	At, Until time.Duration
	Kind      string
	Nodes     []string
	Text      string
}

// Lead is a stretch of time in which a node was seen having a role, such as that of
// the leader. Term is 0 where there are no terms.
type Lead struct {
	Node, Role string
	At, Until  time.Duration
	Term       uint64
}

// Start is how a node's clock goes at first, if it is not right: how far it is off,
// and its rate in units of true time.
type Start struct {
	Node   string
	Offset time.Duration
	Rate   float64
}
