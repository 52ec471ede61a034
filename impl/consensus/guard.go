package consensus

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// guard stands between raft and its log. A log that could not be written is not
// used again: after a failed fsync nobody knows what is on the disk, and
// raft-wal's idea of its last entry is wrong after a failed write. So the first
// failure is told to the owner of the Node, who is to close it; started again,
// it reads what there is.
type guard struct {
	*wal.WAL
	dir     string
	failed  chan error
	closing chan struct{}
	running atomic.Bool // raft has started

	mu  sync.Mutex
	err error // the first failure
}

var (
	_ raft.LogStore          = (*guard)(nil)
	_ raft.MonotonicLogStore = (*guard)(nil)
	_ raft.StableStore       = (*guard)(nil)
)

func newGuard(log *wal.WAL, dir string) *guard {
	return &guard{WAL: log, dir: dir, failed: make(chan error, 1), closing: make(chan struct{})}
}

// before returns the first failure, if there was one.
func (g *guard) before() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// after takes note of a failure.
func (g *guard) after(err error) error {
	if err == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = fmt.Errorf("the raft log in %s cannot be written, and this server stops: %w", g.dir, err)
		g.failed <- g.err
	}
	return g.err
}

// StoreLog implements raft.LogStore.
func (g *guard) StoreLog(l *raft.Log) error { return g.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (g *guard) StoreLogs(logs []*raft.Log) error {
	if err := g.before(); err != nil {
		return err
	}
	return g.after(g.WAL.StoreLogs(logs))
}

// DeleteRange implements raft.LogStore.
func (g *guard) DeleteRange(first, last uint64) error {
	if err := g.before(); err != nil {
		return err
	}
	return g.after(g.WAL.DeleteRange(first, last))
}

// Set implements raft.StableStore.
func (g *guard) Set(key, value []byte) error {
	return g.stable(func() error { return g.WAL.Set(key, value) })
}

// SetUint64 implements raft.StableStore.
func (g *guard) SetUint64(key []byte, value uint64) error {
	return g.stable(func() error { return g.WAL.SetUint64(key, value) })
}

// stable writes a term or a vote. raft panics when it cannot; while it starts,
// that is caught. Later it is held here until the Node closes. Then the transport
// is closed already, and nobody learns of the term or the vote that was not
// written.
func (g *guard) stable(write func() error) error {
	err := g.before()
	if err == nil {
		err = g.after(write())
	}
	if err != nil && !g.running.Load() {
		return err
	}
	if err != nil {
		<-g.closing
	}
	return nil
}

// filer opens sealed segments that lack an index, which raft-wal leaves when it
// cuts off the end of its last segment: it seals that without writing an index,
// and refuses it at the next start. Such a segment is read as one that was not
// sealed, entry by entry.
type filer struct{ *segment.Filer }

func (f filer) Open(info types.SegmentInfo) (types.SegmentReader, error) {
	if info.IndexStart == 0 {
		return f.RecoverTail(info)
	}
	return f.Filer.Open(info)
}
