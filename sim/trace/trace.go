// Package trace records what happens in a simulated world: every delivery,
// drop, connection, disk operation, fault, log line and client operation, with
// its virtual time and node. The events are folded, in order, into a running
// SHA-256: the run's fingerprint. Two runs with one fingerprint were the same
// run.
package trace

import "time"

// Kind says what sort of thing an event is.
type Kind uint8

// The kinds of events.
const (
	KindNone Kind = iota
	NetSend
	NetDeliver
	NetDrop
	NetOpen  // a stream was established
	NetClose // a stream was closed in order
	NetReset // a stream was lost by a reset, or a reset was sent, as Text says
	DiskWrite
	DiskSync
	DiskMeta // create, rename, remove, truncate, directory sync
	DiskFail // an injected or natural error
	Fault    // the planner struck, or stopped
	Life     // a node was started, stopped, killed, paused, resumed
	Log      // a line the node logged
	Op       // a client's operation was invoked or returned
	Check    // an invariant spoke
)

// Event is one thing that happened.
type Event struct {
	At   time.Duration // true virtual time since the world began
	Node string        // where; empty: the world itself
	Kind Kind
	Peer string // the other node, the file, the operation: what Kind calls for
	Size int64  // bytes, where it means something
	Sum  uint64 // hash of the payload, where there is one
	Text string // the rest, for a reader
	// After is how long a packet that is delivered was on its way.
	After time.Duration
}

// Recorder takes events in the order in which they happen.
type Recorder interface {
	Record(Event)
}
