package server

import (
	"context"
	"time"

	"tribune/impl/fsm"
	"tribune/impl/kv"
)

// tombstoneTTL is how long a deletion is remembered (Consul's default), and that a
// lock was lost: a server that restores that begins its lock-delay anew.
const tombstoneTTL = 15 * time.Minute

// graveyard remembers when which deletions and lost locks were the latest, to tell
// their age: they carry an index and no time.
type graveyard struct {
	marks []mark
}

type mark struct {
	at    time.Time
	index uint64
}

// due takes note of the latest of them and returns the index up to which they are
// older than tombstoneTTL, 0 if none is.
func (g *graveyard) due(now time.Time, latest uint64) uint64 {
	if n := len(g.marks); latest > 0 && (n == 0 || g.marks[n-1].index < latest) {
		g.marks = append(g.marks, mark{now, latest})
	}
	var due uint64
	for len(g.marks) > 0 && now.Sub(g.marks[0].at) >= tombstoneTTL {
		due = g.marks[0].index
		g.marks = g.marks[1:]
	}
	return due
}

// reap commits the removal of the tombstones and lost locks that are due.
func (s *Server) reap(ctx context.Context, g *graveyard) {
	latest, err := kv.LastReapable(s.fsm.Store().Read())
	if err != nil {
		s.log.Error("tombstones could not be read", "error", err)
		return
	}
	due := g.due(time.Now(), latest)
	if due == 0 {
		return
	}
	if _, _, err := s.commit(ctx, fsm.TombstoneType, fsm.ReapRequest{UpTo: due}); err != nil {
		s.log.Warn("old tombstones could not be reaped", "error", err)
		g.marks = append([]mark{{time.Now().Add(-tombstoneTTL), due}}, g.marks...) // next time
	}
}
