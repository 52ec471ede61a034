// Package consensus runs hashicorp/raft on a host: the replicated log lies in
// raft-wal segments, snapshots in files beside it, and all of it on a host.FS.
//
// A Node is one server's part in the raft group. What raft promises (Ongaro,
// Ousterhout: In Search of an Understandable Consensus Algorithm, 2014) rests on
// three things here: a log entry, a vote and a term are durable before the
// server says so (meta.go, segments.go); a snapshot is durable and whole before the
// log before it is dropped (snapshots.go); and a server whose disk refuses any
// of these stops taking part.
//
// Pre-vote (Ongaro's thesis, section 9.6) is on, so a server that was cut off
// does not depose a leader when it comes back.
package consensus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"tribune/impl/host"
	"tribune/impl/logging"
)

// Config says who the server is and what it stands on.
type Config struct {
	// ID is the server's stable identity.
	ID string
	// FS and Dir say where the log and the snapshots lie; Dir is created.
	FS  host.FS
	Dir string
	// FSM applies what is committed.
	FSM raft.FSM
	// Stream carries raft's connections to and from other servers.
	Stream raft.StreamLayer
	// Address returns where another server is now, and "" if that is not known.
	// Then, and without it, the address in the raft group is taken, which is old
	// while servers that moved have no leader to write down the new one.
	Address func(id string) string
	Logger  *slog.Logger

	// Multiplier scales raft's timing: 1 is a heartbeat timeout of one second,
	// an election timeout of one second and a leader lease of half a second.
	// Zero counts as 1. (Consul: performance.raft_multiplier)
	Multiplier int
	// Alone says that no other server will ever be there to be heard: the timeouts
	// are a twentieth of that, so that it leads almost at once.
	Alone      bool
	Compaction Compaction
	// SegmentSize is at how many bytes a new file of the log is begun. Zero
	// means 16 MiB.
	SegmentSize int
}

// Errors that callers decide on.
var (
	// ErrNotLeader says that this server does not lead; nothing was done.
	ErrNotLeader = errors.New("node is not the leader")
	// ErrUnknownOutcome says that leadership or the server was lost while a
	// command was on its way: it may or may not take effect.
	ErrUnknownOutcome = errors.New("leadership lost while committing log: the write may or may not have happened")
)

const (
	baseTimeout    = time.Second
	baseLease      = 500 * time.Millisecond
	cachedEntries  = 512
	segmentSize    = 16 << 20
	connectionPool = 3
	ioTimeout      = 10 * time.Second
)

// Node is a member of the raft group.
type Node struct {
	raft      *raft.Raft
	transport *raft.NetworkTransport
	log       *guard
	entries   raft.LogStore
	snapshots *snapshotStore
	id        string
	leader    chan bool
	hadState  bool
	lane      oneLane
	state     *state
	contact   contact
	lease     time.Duration

	gate  sync.Mutex     // nobody joins calls once log.closing is closed
	calls sync.WaitGroup // of those who wait for an entry
}

// Open starts the server's part with what its disk holds. A log or snapshot
// that cannot be read is an error that names the file; nothing is changed then.
func Open(c Config) (*Node, error) {
	hc := logging.HCLog(c.Logger)
	dir := path.Join(c.Dir, "wal")
	for _, d := range []string{c.Dir, dir} {
		if err := host.MakeDir(c.FS, d, 0o700); err != nil {
			return nil, err
		}
	}
	snapshots, err := openSnapshots(c.FS, path.Join(c.Dir, "snapshots"), c.Logger)
	if err != nil {
		return nil, err
	}
	log, err := openLog(c.FS, dir, cmp.Or(c.SegmentSize, segmentSize), hc.Named("wal"))
	if err != nil {
		return nil, fmt.Errorf("the raft log in %s cannot be opened: %w", dir, err)
	}
	n := &Node{log: newGuard(log, c.Dir), snapshots: snapshots, id: c.ID, leader: make(chan bool, 1), state: &state{FSM: c.FSM}}
	n.contact.has = n.has
	if err := n.start(c); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return n, nil
}

func (n *Node) start(c Config) error {
	cache, err := raft.NewLogCache(cachedEntries, n.log)
	if err != nil {
		return err
	}
	n.entries = cache
	first, last, err := n.checkLog(c.Dir)
	if err != nil {
		return err
	}
	newest, err := n.snapshots.check(first, last)
	if err != nil {
		return err
	}
	if err := n.dropOld(first, last, newest); err != nil {
		return fmt.Errorf("the raft log in %s does not lead on from the snapshot, and cannot be dropped: %w", c.Dir, err)
	}
	if err := n.undoBootstrap(); err != nil {
		return err
	}
	if err := n.log.readVote(); err != nil {
		return fmt.Errorf("the last vote in %s cannot be read: %w", c.Dir, err)
	}
	n.hadState, err = raft.HasExistingState(n.log, n.log, n.snapshots)
	if err != nil {
		return fmt.Errorf("the raft log in %s cannot be read: %w", c.Dir, err)
	}
	logger := logging.HCLog(c.Logger)
	n.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: c.Stream, MaxPool: connectionPool, Timeout: ioTimeout, Logger: logger.Named("transport"),
		// No pipeline: in raft 1.8 a sender that waits for its turn in one waits
		// for ever when the reader of the answers has given the pipeline up, and
		// then that follower gets no entries, and the server cannot stop.
		MaxRPCsInFlight:       1,
		ServerAddressProvider: whereabouts{c.Address},
	})
	n.lane = newLane(n)
	if err := n.startRaft(c); err != nil {
		err = errors.Join(err, n.transport.Close())
		n.lane.close()
		return err
	}
	return nil
}

// whereabouts implements raft.ServerAddressProvider.
type whereabouts struct{ address func(id string) string }

// ServerAddr implements raft.ServerAddressProvider.
func (w whereabouts) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if w.address != nil {
		if a := w.address(string(id)); a != "" {
			return raft.ServerAddress(a), nil
		}
	}
	return "", errUnknownAddress
}

var errUnknownAddress = errors.New("where the server is is not known")

// startRaft starts raft. It panics when it cannot write its term.
func (n *Node) startRaft(c Config) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("starting raft on %s: %v", c.Dir, r)
		}
	}()
	if n.raft, err = raft.NewRaft(n.settings(c), n.state, n.entries, n.log, n.snapshots, n.lane); err != nil {
		return fmt.Errorf("starting raft on %s: %w", c.Dir, err)
	}
	n.log.running.Store(true)
	return nil
}

func (n *Node) settings(c Config) *raft.Config {
	timeout, lease := baseTimeout*time.Duration(max(c.Multiplier, 1)), baseLease*time.Duration(max(c.Multiplier, 1))
	if c.Alone {
		timeout, lease = timeout/20, lease/20
	}
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(c.ID)
	rc.Logger = logging.HCLog(c.Logger).Named("raft")
	rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = timeout, timeout, lease
	n.lease = lease
	rc.NotifyCh = n.leader
	rc.ShutdownOnRemove = false
	compact := c.Compaction.complete()
	rc.SnapshotThreshold, rc.SnapshotInterval, rc.TrailingLogs = compact.Threshold, compact.Interval, compact.Trailing
	return rc
}

// checkLog reads the log once from end to end, so that a damaged segment is
// found when the server starts and not when raft first needs the entry. It
// returns the first and the last index, 0 and 0 of an empty log.
func (n *Node) checkLog(dir string) (first, last uint64, err error) {
	if first, err = n.log.FirstIndex(); err != nil {
		return 0, 0, fmt.Errorf("the raft log in %s cannot be read: %w", dir, err)
	}
	if last, err = n.log.LastIndex(); err != nil {
		return 0, 0, fmt.Errorf("the raft log in %s cannot be read: %w", dir, err)
	}
	for i := first; i <= last && i > 0; i++ {
		var entry raft.Log
		if err := n.log.GetLog(i, &entry); err != nil {
			return 0, 0, fmt.Errorf("the raft log in %s is corrupt at entry %d (of %d to %d): %w", dir, i, first, last, err)
		}
		if entry.Index != i {
			return 0, 0, fmt.Errorf("the raft log in %s is corrupt at entry %d (of %d to %d): it holds entry %d", dir, i, first, last, entry.Index)
		}
	}
	return first, last, nil
}

// dropOld forgets the log, with the entries from first to last, if it does not lead on
// from the newest snapshot: if it ends before, or holds another entry in the place of the
// snapshot's last (section 7 of the paper, steps 6 and 7 in figure 13). So it is when the
// process ended after a leader's snapshot had its name, and before the log was dropped;
// raft 1.8 does not look, and would append behind a gap, which raft-wal refuses.
func (n *Node) dropOld(first, last uint64, newest raft.SnapshotMeta) error {
	if last == 0 || first > newest.Index {
		return nil
	}
	if last >= newest.Index {
		var entry raft.Log
		if err := n.log.GetLog(newest.Index, &entry); err != nil || entry.Term == newest.Term {
			return err
		}
	}
	return n.log.DeleteRange(first, last)
}

// undoBootstrap forgets a bootstrap that a crash interrupted. raft writes term 1
// first and then, as the first entry, the group; a server with the one and
// without the other would refuse to be bootstrapped again and never be in a
// group. Elections begin with term 2, so nobody was told of term 1.
func (n *Node) undoBootstrap() error {
	last, err := n.log.LastIndex()
	if err != nil {
		return err
	}
	term, err := n.log.GetUint64([]byte("CurrentTerm"))
	if err != nil {
		return err
	}
	snapshots, err := n.snapshots.names(snapshotSuffix)
	if err != nil || term != 1 || last > 0 || len(snapshots) > 0 {
		return err
	}
	return n.log.SetUint64([]byte("CurrentTerm"), 0)
}

// HadState reports whether the disk held a log, a vote or a snapshot when the
// server started: then it must not bootstrap.
func (n *Node) HadState() bool { return n.hadState }

// Close ends this server's part and waits until all of it has stopped. Those who wait for
// an entry get their answer before: raft 1.8 forgets entries that are committed and not
// applied when it stops, and whoever waited for one would wait for ever. A leader that
// hears nobody any more gives up what is not committed in the time of its lease.
func (n *Node) Close() error {
	err := n.transport.Close()
	n.gate.Lock()
	close(n.log.closing)
	n.gate.Unlock()
	n.calls.Wait()
	err = errors.Join(err, n.raft.Shutdown().Error())
	n.lane.close()
	return errors.Join(err, n.log.Close())
}

// Closed reports whether this server's part is over, or is about to be. What it says
// of its term and vote may not be on the disk then.
func (n *Node) Closed() bool {
	select {
	case <-n.log.closing:
		return true
	default:
		return false
	}
}

// Failed receives the error with which the server's disk refused a write, once:
// the Node takes no part any more and should be closed.
func (n *Node) Failed() <-chan error { return n.log.failed }

// Leadership tells when this server becomes the leader and when it ceases to
// be; it has one reader.
func (n *Node) Leadership() <-chan bool { return n.leader }

// Apply commits a command and returns its raft index and what the FSM answered.
// The context's deadline bounds the wait for a place in raft's queue; a command
// that has one comes to an end in the time that a leader needs to find out that
// it no longer leads. Errors: ErrNotLeader, ErrUnknownOutcome.
func (n *Node) Apply(ctx context.Context, command []byte) (index uint64, answer any, err error) {
	if !n.call() {
		return 0, nil, errClosed
	}
	defer n.calls.Done()
	f := n.raft.Apply(command, remaining(ctx))
	if err := f.Error(); err != nil {
		return 0, nil, wrap(err)
	}
	return f.Index(), f.Response(), nil
}

// errClosed says that nothing was done, since the Node is closed.
var errClosed = fmt.Errorf("%w: it is closed", ErrNotLeader)

// call announces somebody who waits for an entry, and says calls.Done then. It is false
// when the Node closes.
func (n *Node) call() bool {
	n.gate.Lock()
	defer n.gate.Unlock()
	if n.Closed() {
		return false
	}
	n.calls.Add(1)
	return true
}

// Barrier returns when everything committed before it has been applied here.
func (n *Node) Barrier(ctx context.Context) error {
	if !n.call() {
		return errClosed
	}
	defer n.calls.Done()
	term := n.raft.CurrentTerm()
	err := n.raft.Barrier(remaining(ctx)).Error()
	if err == nil {
		n.contact.settle(term)
	}
	return wrap(err)
}

// VerifyLeader returns nil if a majority confirmed, after it was called, that
// this server leads.
func (n *Node) VerifyLeader() error { return wrap(n.raft.VerifyLeader().Error()) }

// remaining is the time until the context's deadline; zero, raft's "no limit",
// if it has none.
func remaining(ctx context.Context) time.Duration {
	if at, ok := ctx.Deadline(); ok {
		return max(time.Until(at), time.Nanosecond)
	}
	return 0
}

func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", ErrNotLeader, err)
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrRaftShutdown), errors.Is(err, raft.ErrAbortedByRestore):
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	return fmt.Errorf("raft: %w", err)
}

// Entry is what a log holds at an index.
type Entry struct {
	Term    uint64
	Kind    string // raft's name for it: "LogCommand", "LogNoop", "LogConfiguration", "LogBarrier"
	Command bool   // for the FSM; others are raft's own
	Data    []byte // must not be changed
}

// Entry returns a log entry that this server holds.
func (n *Node) Entry(index uint64) (Entry, error) {
	var l raft.Log
	if err := n.entries.GetLog(index, &l); err != nil {
		return Entry{}, err
	}
	return Entry{l.Term, l.Type.String(), l.Type == raft.LogCommand, l.Data}, nil
}

// Vote returns the last vote that this server has given and that is on its disk.
func (n *Node) Vote() Vote { return *n.log.vote.Load() }

// Snapshot takes a snapshot now.
func (n *Node) Snapshot() error { return n.raft.Snapshot().Error() }

// Stats are raft's own figures, for people.
func (n *Node) Stats() map[string]string { return n.raft.Stats() }

var _ io.Closer = (*Node)(nil)
