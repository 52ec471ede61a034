package consensus

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// state is the state machine, with the index up to which it has applied. raft's own
// applied index is that of what it has handed over.
type state struct {
	raft.FSM
	index atomic.Uint64 // of the last entry that it was given, or of the snapshot
}

var _ raft.BatchingFSM = (*state)(nil)

// Apply implements raft.FSM.
func (s *state) Apply(l *raft.Log) any { return s.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM. raft answers who waits for the entries
// after it has returned.
func (s *state) ApplyBatch(logs []*raft.Log) []any {
	defer s.index.Store(logs[len(logs)-1].Index)
	if b, ok := s.FSM.(raft.BatchingFSM); ok {
		return b.ApplyBatch(logs)
	}
	answers := make([]any, len(logs))
	for i, l := range logs {
		if l.Type == raft.LogCommand {
			answers[i] = s.FSM.Apply(l)
		}
	}
	return answers
}

// Snapshot implements raft.FSM.
func (s *state) Snapshot() (raft.FSMSnapshot, error) {
	from, err := s.FSM.Snapshot()
	if err != nil {
		return nil, err
	}
	return &own{FSMSnapshot: from}, nil
}

// Restore implements raft.FSM. It takes the index from the snapshot, which raft has
// wrapped.
func (s *state) Restore(from io.ReadCloser) error {
	if err := s.FSM.Restore(from); err != nil {
		return err
	}
	for {
		switch r := from.(type) {
		case *snapshotReader:
			s.index.Store(r.index)
			return nil
		case raft.ReadCloserWrapper:
			from = r.WrappedReadCloser()
		default:
			return nil
		}
	}
}

// has reports whether the state machine has applied everything up to an index.
// Entries that are raft's own do not reach it.
func (n *Node) has(index uint64) bool {
	at := n.state.index.Load()
	if at >= index {
		return true
	}
	if !n.log.running.Load() || n.raft.AppliedIndex() < index {
		return false
	}
	for i := at + 1; i <= index; i++ {
		if e, err := n.Entry(i); err != nil || e.Command {
			return false
		}
	}
	return true
}

// Fresh returns a moment of this server's clock before which nothing was
// acknowledged, by whatever leader, that is not applied here; zero if none is known.
// It holds however slow the network is and whoever slept: how it is found stands in
// contact.go. A follower's is a fifth of a second old or so while all is well, and
// ages when its state is behind or the leader out of touch with a majority.
func (n *Node) Fresh() time.Time {
	n.contact.advance(n.inTerm(n.raft.CurrentTerm(), time.Now(), raft.ServerID(n.id)))
	return n.contact.latest()
}

// Lease is for how long a leader goes on to lead that is out of touch with a majority.
func (n *Node) Lease() time.Duration { return n.lease }
