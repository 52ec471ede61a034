package scenarios

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"tribune/linearizability"
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
	Points   bool // note which points nodes pass
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
	Reigns       []Reign
	Recovery     Recovered
	Violations   []sim.Violation
	Passed       []nemesis.Passing // the points that nodes passed, if the order asked for them
	Unread       string            // why a key could not be read at the end
	Lock         *Locking
	History      []linearizability.Op
	Transactions []linearizability.Txn
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
}

// FaultLog is a strike that happened.
type FaultLog = nemesis.Struck

// Reign says that a server was first seen leading in a term.
type Reign struct {
	At     time.Duration
	Term   uint64
	Server string
}

// Recovered says how the healed cluster came back.
type Recovered struct{ Leader, Write, Lock, Converge, Services, Watches, Events, Members Reached }

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
}

// The parts of a run's output. Each is a byte that says what it is, its length
// in four bytes, and its bytes.
const (
	partProgress = 'p'
	partLine     = 'l'
	partTrace    = 't'
	partResult   = 'r'
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

// line and progress are lost if the parent is gone, and then nobody wants them.
func (o *output) line(text string) { _, _ = o.write(partLine, []byte(text)) }

func (o *output) progress(p Progress) {
	if b, err := json.Marshal(p); err == nil {
		_, _ = o.write(partProgress, b)
	}
}

func (o *output) result(r Result) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = o.write(partResult, b)
	return err
}

// errNoResult says that a run's process ended before it had a result.
var errNoResult = errors.New("the run ended without a result")

// Listener is told what a run says while it goes on; any may be nil.
type Listener struct {
	Progress func(Progress)
	Line     func(string)
	Trace    io.Writer
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
				_, err = l.Trace.Write(b)
			}
		case partResult:
			have = true
			err = json.Unmarshal(b, &r)
		default:
			err = fmt.Errorf("an unknown part %q in the output of a run", head[0])
		}
		if err != nil {
			return r, err
		}
	}
}
