package consensus

import (
	"errors"

	"github.com/hashicorp/raft"
)

// own is a snapshot that this server takes of its own state, beside everything else.
// raft 1.8 holds it for the newest as soon as it is written, even if the leader's
// snapshot of a later state was installed meanwhile (hashicorp/raft#248). Then the server
// takes its log to end where its own snapshot ends, refuses all that the leader sends,
// and could vote for who has less than it has. So
//
//   - an own snapshot that was overtaken fails, and
//   - from the moment when it gets its name until raft knows of it and releases it, no
//     other gets one.
type own struct {
	raft.FSMSnapshot
	names *snapshotStore // whose naming it has; nil: it has none
}

// errOvertaken refuses an own snapshot.
var errOvertaken = errors.New("a snapshot of a later state was installed meanwhile")

// Persist implements raft.FSMSnapshot.
func (o *own) Persist(sink raft.SnapshotSink) error {
	if k, ok := sink.(*snapshotSink); ok {
		k.own = o
	}
	return o.FSMSnapshot.Persist(sink)
}

// Release implements raft.FSMSnapshot. raft calls it in any case, after everything else.
func (o *own) Release() {
	if o.names != nil {
		o.names.naming.Unlock()
	}
	o.FSMSnapshot.Release()
}
