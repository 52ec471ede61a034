package scenarios

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"tribune/linearizability"
	"tribune/linearizability/versions"
	"tribune/scenarios/levels"
	"tribune/scenarios/look"
	"tribune/scenarios/outage"
	"tribune/sim"
	"tribune/sim/nemesis"
)

// Order is what a parent asks of a run's process.
type Order struct {
	Scenario Scenario
	Seed     uint64
	Trace    bool // send the whole trace
	Verbose  bool // send the servers' log lines
	Unjudged bool // only the fingerprint is wanted
	// Passages wants the points that were passed, of each the first so many passages
	// of each server and agent.
	Passages int
	// Look, if not nil, stops the run to look at it; it has no result then. LookAt
	// sets it.
	Look *look.Stop `json:",omitempty"`
}

// Result is what came of a run.
type Result struct {
	Scenario     string
	Seed         uint64
	Fingerprint  string
	Virtual      time.Duration
	Events       uint64
	PeakMemory   uint64        // bytes of the run's process, resident
	Healed       time.Duration // when the second phase began
	Ops          Counts
	Verdicts     []Verdict
	Faults       []FaultLog
	Passages     []nemesis.Passage // if they were asked for
	Reigns       []Reign
	Recovery     Recovered
	Violations   []Violation
	Unread       string // why a key could not be read at the end
	Lock         *Locking
	History      []linearizability.Op
	Transactions []linearizability.Txn // nil: nobody wanted any
	Figures      Figures
	Picture      string // porcupine's, an HTML page; only when the history is not linearizable
}

// OK reports whether everything is as the scenario expects.
func (r Result) OK() bool {
	for _, v := range r.Verdicts {
		if !v.OK {
			return false
		}
	}
	return len(r.Verdicts) > 0
}

// Counts are numbers of operations by outcome.
type Counts struct{ OK, Failed, Unknown int }

// Verdict is the answer to one check.
type Verdict struct {
	Check, Expected, Got string
	OK                   bool
	Text                 string
	// Anomalies say, in words, what cannot be.
	Anomalies []linearizability.Anomaly `json:",omitempty"`
}

// Violation is an invariant that did not hold.
type Violation = sim.Violation

// FaultLog is a strike that happened.
type FaultLog = nemesis.Struck

// Reign says when a server was seen leading in a term, first and last.
type Reign struct {
	At, Until time.Duration
	Term      uint64
	Server    string
}

// Recovered says how the healed cluster came back.
type Recovered struct{ Leader, Write, Lock, Converge, Members, Services, Watches, Events Reached }

// Parts are what a healed cluster must reach.
func (c Recovered) Parts() []Part {
	return []Part{
		{"leader", c.Leader}, {"write", c.Write}, {"equal state of all servers", c.Converge}, {"lock", c.Lock}, {"agreement on who is alive", c.Members},
		{"last value seen by all watchers", c.Watches}, {"catalog and DNS that agree with all agents", c.Services}, {"event on every agent", c.Events},
	}
}

// Part is one thing that a healed cluster must reach, such as "leader".
type Part struct {
	Name string
	Reached
}

// Missing names what was not reached in time, such as "leader".
func (c Recovered) Missing() []string {
	var names []string
	for _, p := range c.Parts() {
		if p.Asked && !p.OK {
			names = append(names, p.Name)
		}
	}
	return names
}

// Figures are what was measured, judged or not.
type Figures struct {
	Staleness  map[string]versions.Staleness // of KV reads, by consistency mode
	Outages    []outage.Outage               // by kind of fault, all of them first
	Detection  Detection
	Turns      sim.Turns // of goroutines: how much of what schedules there are it saw
	Levels     levels.Levels
	Memory     levels.Memory
	Leaderless []outage.Span // the times without a leader
	Unreplayed string        // why what was committed could not be applied once more
}

// Outage says in a line for how long the cluster could not do its work.
func (f Figures) Outage() string {
	if len(f.Outages) == 0 {
		return "nothing struck"
	}
	all := f.Outages[0]
	return fmt.Sprintf("per fault (%d): without a leader %v; without a write %v", all.Leaderless.Count, all.Leaderless, all.Writeless)
}

// Text says in lines what was measured.
func (f Figures) Text() string {
	var b strings.Builder
	b.WriteString("How old what was read was (since it had been overwritten)\n")
	for _, mode := range slices.Sorted(maps.Keys(f.Staleness)) {
		fmt.Fprintf(&b, "  %-12s %v\n", mode, f.Staleness[mode])
	}
	fmt.Fprintf(&b, "\nLongest times without a leader, and without a write that succeeded, per fault\n")
	for _, o := range f.Outages {
		fmt.Fprintf(&b, "  %-12s %3d  leader: %v; write: %v\n", o.Kind, o.Leaderless.Count, o.Leaderless, o.Writeless)
	}
	fmt.Fprintf(&b, "\nUntil a dead member was found out: %d, %v; %d were back before\n", f.Detection.Time.Count, f.Detection.Time, f.Detection.Missed)
	if len(f.Memory.Held) > 0 {
		fmt.Fprintf(&b, "Memory in the end, without buffers: %v\n", f.Memory)
	}
	if f.Unreplayed != "" {
		fmt.Fprintf(&b, "What was committed was not applied once more: %s\n", f.Unreplayed)
	}
	return b.String()
}

// Reached says whether and after how long something was so.
type Reached struct {
	Asked bool // the scenario has what could be reached
	OK    bool
	After time.Duration
	Text  string // why not
}

// Locking is what became of a lock, if there were clients that want one.
type Locking struct {
	Writes int      // by its holders
	Tokens int      // acquisitions
	Late   []string // writes that came after those of a later holder

	History []linearizability.LockOp
}

// Progress is where a run is.
type Progress struct {
	At     time.Duration
	Ops    int
	Failed int
	Faults int // that last
	Leader string
	// Violated are the invariants that did not hold so far, Missing what the healed
	// cluster did not reach in time.
	Violated, Missing []string
}

// The parts of a run's output. Each is a byte that says what it is, its length
// in four bytes, and its bytes.
const (
	partProgress = 'p'
	partLine     = 'l'
	partTrace    = 't'
	partResult   = 'r'
	partLook     = 's' // what is seen, instead of a result
)

// output writes the parts. It is used by one goroutine at a time.
type output struct{ to io.Writer }

func (o *output) write(kind byte, b []byte) (int, error) {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(b)))
	if _, err := o.to.Write(append(head, b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

type partWriter struct {
	output *output
	kind   byte
}

func (w partWriter) Write(b []byte) (int, error) { return w.output.write(w.kind, b) }

func (o *output) part(kind byte) io.Writer { return partWriter{o, kind} }

// line is lost if the parent is gone, and then nobody wants it.
func (o *output) line(text string) { _, _ = o.write(partLine, []byte(text)) }

// progress ends the process if the parent is gone: nobody wants the run any more.
func (o *output) progress(p Progress) {
	if err := o.json(partProgress, p); errors.Is(err, syscall.EPIPE) {
		os.Exit(1)
	}
}

func (o *output) result(r Result) error { return o.json(partResult, r) }

func (o *output) json(part byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = o.write(part, b)
	return err
}

// errNoResult says that a run's process ended before it had a result.
var errNoResult = errors.New("the run ended without a result")

// Listener is told what a run says while it goes on; any may be nil.
type Listener struct {
	Progress func(Progress)
	Line     func(string)
	Trace    io.Writer

	look func(look.Seen)
}

// receive reads a run's output to its end.
func receive(from io.Reader, l Listener) (Result, error) {
	var r Result
	have := false
	head := make([]byte, 5)
	for {
		if _, err := io.ReadFull(from, head); errors.Is(err, io.EOF) {
			if !have {
				return r, errNoResult
			}
			return r, nil
		} else if err != nil {
			return r, fmt.Errorf("%w: %w", errNoResult, err)
		}
		b := make([]byte, binary.BigEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(from, b); err != nil {
			return r, fmt.Errorf("%w: %w", errNoResult, err)
		}
		var err error
		switch head[0] {
		case partProgress:
			var p Progress
			if err = json.Unmarshal(b, &p); err == nil && l.Progress != nil {
				l.Progress(p)
			}
		case partLine:
			if l.Line != nil {
				l.Line(string(b))
			}
		case partTrace:
			if l.Trace != nil {
				if _, err = l.Trace.Write(b); err != nil {
					err = fmt.Errorf("keeping the trace: %w", err)
				}
			}
		case partResult:
			have = true
			err = json.Unmarshal(b, &r)
		case partLook:
			have = true
			var s look.Seen
			if err = json.Unmarshal(b, &s); err == nil {
				l.look(s)
			}
		default:
			err = fmt.Errorf("an unknown part %q in the output of a run", head[0])
		}
		if err != nil {
			return r, err
		}
	}
}
