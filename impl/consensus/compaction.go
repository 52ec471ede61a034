package consensus

import (
	"cmp"
	"time"
)

// Compaction says when a snapshot takes the place of the log.
type Compaction struct {
	Threshold uint64        // entries after which a snapshot is due; 0: 16384
	Interval  time.Duration // how often that is looked at, at least 5 ms; 0: 30 s
	Trailing  uint64        // entries that stay in the log behind a snapshot; 0: 10240
}

func (c Compaction) complete() Compaction {
	return Compaction{cmp.Or(c.Threshold, 16384), cmp.Or(c.Interval, 30*time.Second), cmp.Or(c.Trailing, 10240)}
}

// SetCompaction changes when snapshots take the place of the log. A new interval begins
// when the one that runs is over. An error, of an interval that is too short, means that
// nothing has changed.
func (n *Node) SetCompaction(c Compaction) error {
	c = c.complete()
	rc := n.raft.ReloadableConfig() // which nobody else changes
	rc.SnapshotThreshold, rc.SnapshotInterval, rc.TrailingLogs = c.Threshold, c.Interval, c.Trailing
	return n.raft.ReloadConfig(rc)
}
