package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// guard stands between raft and its log. A log that could not be written is not
// used again: after a failed fsync nobody knows what is on the disk, and
// raft-wal's idea of its last entry is wrong after a failed write. So the first
// failure is told to the owner of the Node, who is to close it; started again,
// it reads what there is. And what it reads is what was written.
type guard struct {
	*wal.WAL
	dir     string
	failed  chan error
	closing chan struct{}
	running atomic.Bool // raft has started

	voting uint64 // the term of the vote that raft is about to write; raft's alone
	vote   atomic.Pointer[Vote]

	mu  sync.Mutex
	err error // the first failure

	// reading is held by who reads. raft-wal gives up its state when it is closed, and
	// who reads just then finds none.
	reading sync.RWMutex
}

var (
	_ raft.LogStore          = (*guard)(nil)
	_ raft.MonotonicLogStore = (*guard)(nil)
	_ raft.StableStore       = (*guard)(nil)
)

func newGuard(log *wal.WAL, dir string) *guard {
	return &guard{WAL: log, dir: dir, failed: make(chan error, 1), closing: make(chan struct{})}
}

// Vote is the last vote that a server has given and that is on its disk.
type Vote struct {
	Term uint64 // 0: it has not voted
	For  string // the candidate's address, "IP:PORT"
}

// The names under which raft keeps its last vote. It writes the term first, and then
// the candidate.
const (
	voteTerm      = "LastVoteTerm"
	voteCandidate = "LastVoteCand"
)

// readVote takes the last vote from the disk.
func (g *guard) readVote() error {
	term, err := g.GetUint64([]byte(voteTerm))
	if err != nil {
		return err
	}
	candidate, err := g.Get([]byte(voteCandidate))
	if err != nil {
		return err
	}
	g.voting = term
	g.vote.Store(&Vote{term, string(candidate)})
	return nil
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
	checked := make([]*raft.Log, len(logs))
	for i, l := range logs {
		c := *l
		c.Extensions = binary.BigEndian.AppendUint32(slices.Clone(l.Extensions), checksum(l))
		checked[i] = &c
	}
	return g.after(g.WAL.StoreLogs(checked))
}

// Close implements io.Closer. What is asked of the log afterwards is an error.
func (g *guard) Close() error {
	g.reading.Lock()
	defer g.reading.Unlock()
	return g.WAL.Close()
}

// FirstIndex implements raft.LogStore.
func (g *guard) FirstIndex() (uint64, error) {
	g.reading.RLock()
	defer g.reading.RUnlock()
	return g.WAL.FirstIndex()
}

// LastIndex implements raft.LogStore.
func (g *guard) LastIndex() (uint64, error) {
	g.reading.RLock()
	defer g.reading.RUnlock()
	return g.WAL.LastIndex()
}

// GetLog implements raft.LogStore. An entry that was cut off is not there:
// raft-wal would still read it while its segment exists.
func (g *guard) GetLog(index uint64, l *raft.Log) error {
	g.reading.RLock()
	defer g.reading.RUnlock()
	first, err := g.WAL.FirstIndex()
	if err != nil {
		return err
	}
	if index < first {
		return raft.ErrLogNotFound
	}
	if err := g.WAL.GetLog(index, l); err != nil {
		return err
	}
	end := len(l.Extensions) - crc32.Size
	if end < 0 {
		return errors.New("it has no checksum")
	}
	sum := binary.BigEndian.Uint32(l.Extensions[end:])
	if l.Extensions = l.Extensions[:end]; checksum(l) != sum {
		return errors.New("its checksum does not match")
	}
	return nil
}

// checksum is the CRC-32C of what an entry means. It lies behind the entry's
// extensions, since raft-wal does not check entries once they are written, and
// what a leader reads it sends to the others.
func checksum(l *raft.Log) uint32 {
	head := binary.BigEndian.AppendUint64(nil, l.Index)
	head = binary.BigEndian.AppendUint64(head, l.Term)
	head = binary.BigEndian.AppendUint64(head, uint64(len(l.Data)))
	sum := crc32.Checksum(append(head, byte(l.Type)), castagnoli())
	return crc32.Update(crc32.Update(sum, castagnoli(), l.Data), castagnoli(), l.Extensions)
}

// DeleteRange implements raft.LogStore.
func (g *guard) DeleteRange(first, last uint64) error {
	if err := g.before(); err != nil {
		return err
	}
	if err := g.settle(); err != nil {
		return err
	}
	return g.after(g.WAL.DeleteRange(first, last))
}

// settle waits until raft-wal has begun its next segment, if it is about to: it
// does so beside its caller, and takes the wrong segment for the full one when
// the log is cut meanwhile. Only StoreLogs waits for that. An entry with index 0
// it then refuses, unless the log is empty; but then no segment is full.
func (g *guard) settle() error {
	last, err := g.LastIndex()
	if err != nil {
		return err
	}
	if last > 0 {
		_ = g.WAL.StoreLogs([]*raft.Log{{}}) // always an error
	}
	return nil
}

// Set implements raft.StableStore.
func (g *guard) Set(key, value []byte) error {
	err := g.stable(func() error { return g.WAL.Set(key, value) })
	if err == nil && string(key) == voteCandidate {
		g.vote.Store(&Vote{g.voting, string(value)})
	}
	return err
}

// SetUint64 implements raft.StableStore.
func (g *guard) SetUint64(key []byte, value uint64) error {
	err := g.stable(func() error { return g.WAL.SetUint64(key, value) })
	if err == nil && string(key) == voteTerm {
		g.voting = value
	}
	return err
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
