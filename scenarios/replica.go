package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"

	"tribune/impl/fsm"
	"tribune/linearizability/raftsafety"
	"tribune/scenarios/levels"
)

// replayLimit is how long the servers may go on applying what is committed while their
// states are held against a replay.
const replayLimit = 5 * time.Second

// replayed sees that each committed command was applied exactly once: all servers
// have, whatever snapshots and restarts they went through, the state that a state
// machine has that applies the committed entries one by one from the first on. (All of
// them may be wrong alike, which comparing them with each other does not show.)
func (w *watcher) replayed(applied func() (index uint64, digest string, err error)) {
	var gap error
	done := w.run.until(replayLimit, func() (bool, string) {
		index, theirs, err := applied()
		if err != nil {
			return false, fmt.Sprintf("the servers are not equal: %v", err)
		}
		w.see() // or the last entries, committed since somebody looked, would be missing
		var entries []raftsafety.Entry
		if entries, gap = w.raft.Committed(index); gap != nil {
			return true, ""
		}
		if w.replica, err = replay(entries, nil); err != nil {
			return false, err.Error()
		}
		own, err := w.replica.Digest()
		switch {
		case err != nil:
			return false, err.Error()
		case own != theirs:
			return false, fmt.Sprintf("the state of the servers at index %d is not what the %d entries make", index, len(entries))
		}
		if err := w.run.fleet.aged(entries, w.commits); err != nil {
			return false, err.Error()
		}
		return true, ""
	})
	switch {
	case gap != nil:
		w.run.result.Figures.Unreplayed = gap.Error()
	case !done.OK:
		w.run.world.Violate("exactly-once application", "%s", done.Text)
	}
}

// replay returns the state machine that has applied entries, the first of which has
// index 1. It calls each, if that is not nil, after every command.
func replay(entries []raftsafety.Entry, each func(index uint64, f *fsm.FSM) error) (*fsm.FSM, error) {
	f, err := fsm.New(slog.New(slog.DiscardHandler), func(string, time.Duration) {})
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		if e.Command {
			f.Apply(&raft.Log{Index: uint64(i + 1), Term: e.Term, Type: raft.LogCommand, Data: e.Data})
			if each != nil {
				err = errors.Join(err, each(uint64(i+1), f))
			}
		}
	}
	return f, err
}

// fresh returns a state machine with the state of another and nothing else that the
// other has: what a leak in applying commands has left is not in it.
func fresh(f *fsm.FSM) (*fsm.FSM, error) {
	snapshot, err := f.Snapshot()
	if err != nil {
		return nil, err
	}
	var s sink
	if err := snapshot.Persist(&s); err != nil {
		return nil, err
	}
	c, err := fsm.New(slog.New(slog.DiscardHandler), func(string, time.Duration) {})
	if err != nil {
		return nil, err
	}
	return c, c.Restore(io.NopCloser(&s))
}

// sink takes a snapshot.
type sink struct{ bytes.Buffer }

func (*sink) ID() string    { return "" }
func (*sink) Cancel() error { return nil }
func (*sink) Close() error  { return nil }

// weigh measures what processes hold, and ends them. Without a state to hold it against
// nothing can be said.
func (w *watcher) weigh() levels.Memory {
	if w.replica == nil {
		return levels.Memory{}
	}
	state, err := fresh(w.replica)
	if err != nil {
		w.run.result.Figures.Unreplayed = err.Error()
		return levels.Memory{}
	}
	w.replica = state
	return w.levels.Weigh(func() { w.replica = nil }, w.run.world.Live)
}

// committed is the index up to which the leader has committed entries.
func (f *fleet) committed() uint64 {
	if leader := f.run.agents[f.run.leader()]; leader != nil {
		return leader.Server().Raft().Status().Committed
	}
	return math.MaxUint64 // nobody knows what comes after it
}

// idle complains about registrations of client agents in the raft log after an index,
// at which the catalog agreed with all of them: nothing has changed since, so there is
// nothing to write. Each would wake all who watch.
func (f *fleet) idle(since uint64) {
	leader := f.run.agents[f.run.leader()]
	if leader == nil {
		return
	}
	raft := leader.Server().Raft()
	f.unchanged(since, raft.Status().Committed, func(i uint64) ([]byte, error) {
		entry, err := raft.Entry(i)
		return entry.Data, err
	})
}

// unchanged is idle for the commands at the indexes after since, up to end.
func (f *fleet) unchanged(since, end uint64, at func(uint64) ([]byte, error)) {
	n, example := 0, ""
	for i := since + 1; i <= end; i++ {
		command, err := at(i)
		if err != nil || len(command) == 0 || fsm.Type(command[0]) != fsm.RegisterType && fsm.Type(command[0]) != fsm.DeregisterType {
			continue
		}
		var about struct{ Node string }
		if err := codec.NewDecoderBytes(command[1:], &codec.MsgpackHandle{}).Decode(&about); err == nil && f.sites[about.Node] != nil {
			n++
			example = fmt.Sprintf("that of %s at %d", about.Node, i)
		}
	}
	if n > 0 {
		f.run.world.Violate("anti-entropy comes to rest", "%d registrations were written although nothing had changed, such as %s", n, example)
	}
}
