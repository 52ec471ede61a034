package consensus

import (
	"errors"
	"io"
	"strconv"

	"github.com/hashicorp/raft"
)

// arriving is a snapshot that a leader sends to this server. What stuck in a network
// that stood still comes when it goes on, after the leader has given it up and has sent
// a newer one. raft 1.8 would install that too, and forget all that came after it, what
// was acknowledged as well; in the paper a server keeps what it has (Ongaro and
// Ousterhout, In Search of an Understandable Consensus Algorithm, section 7).
type arriving struct {
	io.Reader
	node        *Node
	index, term uint64
}

// errHas is why a snapshot is not installed. The leader hears that it was: it may not
// know, since the answer to an earlier attempt was lost, and would try for ever.
var errHas = errors.New("this server has what the snapshot stands for")

// Read implements io.Reader. It is called by raft's main goroutine, so nothing is
// appended or applied meanwhile.
func (a arriving) Read(b []byte) (int, error) {
	why := a.node.log.before()
	if why == nil && a.node.holds(a.index, a.term) {
		why = errHas
	}
	if why == nil {
		return a.Reader.Read(b)
	}
	_, err := io.Copy(io.Discard, a.Reader)
	return 0, errors.Join(why, err)
}

// content returns where raft puts its answer to a snapshot, and hands it on.
func (t oneLane) content(to chan<- raft.RPCResponse) chan<- raft.RPCResponse {
	answers := make(chan raft.RPCResponse, 1)
	t.relay.Go(func() {
		select {
		case a := <-answers:
			if r, ok := a.Response.(*raft.InstallSnapshotResponse); ok && errors.Is(a.Error, errHas) {
				r.Success, a.Error = true, nil
			}
			to <- a // there is room for it
		case <-t.stop:
		}
	})
	return answers
}

// skip takes those entries out of a request for which this server has a snapshot. The
// rest goes on from what the leader has as well, for a snapshot is of what is committed;
// so there is no entry before that must be compared. raft 1.8 looks for it in its log,
// where it is not any more, and refuses the request; the leader goes back until it sends
// its snapshot, and begins anew.
func (n *Node) skip(a *raft.AppendEntriesRequest) {
	if !n.log.running.Load() || a.PrevLogEntry == 0 && len(a.Entries) == 0 {
		return
	}
	if first, err := n.entries.FirstIndex(); err != nil || first > 0 && first <= a.PrevLogEntry {
		return
	}
	index := n.lastSnapshot()
	if a.PrevLogEntry > index {
		return
	}
	known := min(index-a.PrevLogEntry, uint64(len(a.Entries)))
	a.PrevLogEntry, a.PrevLogTerm, a.Entries = 0, 0, a.Entries[known:]
}

// verified has a request commit no more than what is known to be the same as in the
// leader's log once it is carried out (section 5.3 and figure 2 of the paper). raft 1.8
// commits all that there is up to the leader's commit index, and behind entries that are
// all known there may be some that an earlier leader left and nobody else has.
func verified(a *raft.AppendEntriesRequest) {
	a.LeaderCommitIndex = min(a.LeaderCommitIndex, a.PrevLogEntry+uint64(len(a.Entries)))
}

// lastSnapshot returns the index of the last entry in the newest snapshot that raft knows
// of, 0 if there is none.
func (n *Node) lastSnapshot() uint64 {
	index, _ := strconv.ParseUint(n.raft.Stats()["last_snapshot_index"], 10, 64) // raft wrote it so
	return index
}

// holds reports whether this server has applied an entry, or has it in its log.
func (n *Node) holds(index, term uint64) bool {
	if !n.log.running.Load() || index <= n.raft.AppliedIndex() {
		return true
	}
	var entry raft.Log
	return n.entries.GetLog(index, &entry) == nil && entry.Term == term
}
