package consensus_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"tribune/impl/consensus"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

// boss is the leader of a group in which the server that is tested follows. It sends
// what the test wants it to.
type boss struct {
	t      *testing.T
	to     raft.ServerAddress
	sends  *raft.NetworkTransport
	header raft.RPCHeader
}

// follower opens a server that follows nobody yet, and a leader for it. Both end with
// the test.
func follower(t *testing.T) (*diary, boss) {
	t.Helper()
	n, f, b := followerOn(t, host.Real().FS(), t.TempDir())
	t.Cleanup(func() { stop(t, n) })
	return f, b
}

// followerOn is follower with a disk. The test stops the server.
func followerOn(t *testing.T, fsys host.FS, dir string) (*consensus.Node, *diary, boss) {
	t.Helper()
	f := &diary{}
	n, address, err := openOn(t, fsys, dir, f)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := boss{t: t, to: raft.ServerAddress(address), sends: raft.NewNetworkTransport(loopback{l}, 1, 10*time.Second, io.Discard)}
	b.header = raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("boss"), Addr: []byte(l.Addr().String())}
	t.Cleanup(func() {
		if err := b.sends.Close(); err != nil {
			t.Error(err)
		}
	})
	return n, f, b
}

// entries are commands with the indexes from first to last, written in a term.
func entries(term, first, last uint64) []*raft.Log {
	var all []*raft.Log
	for i := first; i <= last; i++ {
		all = append(all, &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: fmt.Appendf(nil, "%d of %d", i, term)})
	}
	return all
}

// append sends entries that follow one of a term, and returns whether they were taken.
func (b boss) append(term, previous, previousTerm, commit uint64, entries []*raft.Log) bool {
	b.t.Helper()
	ok, err := b.tryAppend(term, previous, previousTerm, commit, entries)
	if err != nil {
		b.t.Fatal(err)
	}
	return ok
}

func (b boss) tryAppend(term, previous, previousTerm, commit uint64, entries []*raft.Log) (bool, error) {
	var answer raft.AppendEntriesResponse
	err := b.sends.AppendEntries("s1", b.to, &raft.AppendEntriesRequest{
		RPCHeader: b.header, Term: term, PrevLogEntry: previous, PrevLogTerm: previousTerm, Entries: entries, LeaderCommitIndex: commit,
	}, &answer)
	return answer.Success, err
}

// install sends a snapshot, and returns whether the server has it.
func (b boss) install(term, index, indexTerm uint64, state string) bool {
	b.t.Helper()
	ok, err := b.tryInstall(term, index, indexTerm, state)
	if err != nil {
		b.t.Fatal(err)
	}
	return ok
}

func (b boss) tryInstall(term, index, indexTerm uint64, state string) (bool, error) {
	var answer raft.InstallSnapshotResponse
	err := b.sends.InstallSnapshot("s1", b.to, &raft.InstallSnapshotRequest{
		RPCHeader: b.header, SnapshotVersion: raft.SnapshotVersionMax, Term: term, LastLogIndex: index, LastLogTerm: indexTerm,
		Configuration: raft.EncodeConfiguration(raft.Configuration{}), Size: int64(len(state)),
	}, &answer, strings.NewReader(state))
	return answer.Success, err
}

// diary is a tape that the test may look at while raft writes on it.
type diary struct {
	mu sync.Mutex
	tape
}

func (d *diary) Apply(l *raft.Log) any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tape.Apply(l)
}

func (d *diary) Restore(r io.ReadCloser) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tape.Restore(r)
}

// has waits until all of the commands, and nothing else, were applied.
func (d *diary) has(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		d.mu.Lock()
		got = slices.Clone(d.applied)
		d.mu.Unlock()
		if slices.Equal(got, want) {
			return
		}
	}
	t.Fatalf("it has %q, want %q", got, want)
}

// The cluster's side of it was interrupted-snapshots, seed 3: a snapshot that stuck in a
// partition came after a newer one.
func TestASnapshotOfWhatAServerHasIsNotInstalled(t *testing.T) {
	f, b := follower(t)
	if !b.append(2, 0, 0, 3, entries(2, 1, 3)) {
		t.Fatal("the first entries are refused")
	}
	f.has(t, "1 of 2", "2 of 2", "3 of 2")
	if !b.install(2, 2, 2, "what was long ago") {
		t.Error("the leader hears that the server does not have the snapshot")
	}
	if !b.append(2, 3, 2, 4, entries(2, 4, 4)) {
		t.Error("the next entry is refused")
	}
	f.has(t, "1 of 2", "2 of 2", "3 of 2", "4 of 2")
}

// The cluster's side of it is scenarios/lost-answers.yaml: the answer to a snapshot was
// lost, and the leader went on to send it for ever.
func TestALeaderThatSendsASnapshotAgainHearsThatTheServerHasIt(t *testing.T) {
	f, b := follower(t)
	for range 3 {
		if !b.install(2, 10, 2, "one\ntwo") {
			t.Fatal("the leader hears that the server does not have the snapshot")
		}
	}
	if !b.append(2, 10, 2, 12, entries(2, 11, 12)) {
		t.Error("the entries after it are refused")
	}
	f.has(t, "one", "two", "11 of 2", "12 of 2")
}

func TestEntriesThatBeginBeforeASnapshotGoOnAfterIt(t *testing.T) {
	for name, r := range map[string]struct {
		first, last uint64
		want        []string
	}{
		"from the first entry on": {1, 12, []string{"one", "11 of 2", "12 of 2"}},
		"from the middle on":      {6, 12, []string{"one", "11 of 2", "12 of 2"}},
		"all of them before it":   {3, 8, []string{"one"}},
		"up to it":                {3, 10, []string{"one"}},
		"after it":                {11, 12, []string{"one", "11 of 2", "12 of 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, b := follower(t)
			if !b.install(2, 10, 2, "one") {
				t.Fatal("the snapshot is refused")
			}
			previousTerm := uint64(2)
			if r.first == 1 {
				previousTerm = 0
			}
			if !b.append(2, r.first-1, previousTerm, r.last, entries(2, r.first, r.last)) {
				t.Fatal("the entries are refused")
			}
			f.has(t, r.want...)
		})
	}
}

func TestEntriesThatFollowASnapshotCanBeSentAgain(t *testing.T) {
	f, b := follower(t)
	if !b.install(2, 10, 2, "one") {
		t.Fatal("the snapshot is refused")
	}
	for _, last := range []uint64{13, 12, 10} {
		if !b.append(2, 10, 2, 11, entries(2, 11, last)) {
			t.Fatalf("entries up to %d are refused", last)
		}
	}
	f.has(t, "one", "11 of 2")
	if !b.append(3, 10, 2, 12, append(entries(2, 11, 11), entries(3, 12, 12)...)) {
		t.Fatal("the entries of another leader are refused")
	}
	f.has(t, "one", "11 of 2", "12 of 3")
}

// Until it closes, which may take a while, nobody must take it for one who has something.
func TestAServerWhoseLogCannotBeWrittenTakesPartInNothing(t *testing.T) {
	disk := hosttest.NewDisk()
	n, f, b := followerOn(t, disk, "/raft")
	defer stop(t, n)
	if !b.append(2, 0, 0, 3, entries(2, 1, 3)) {
		t.Fatal("the first entries are refused")
	}
	f.has(t, "1 of 2", "2 of 2", "3 of 2")
	disk.Fail(func(op, name string) error {
		if op == "sync" && path.Ext(name) == ".wal" {
			return syscall.EIO
		}
		return nil
	})
	if ok, err := b.tryAppend(2, 3, 2, 4, entries(2, 4, 4)); ok {
		t.Errorf("it has stored what it cannot store: %v", err)
	}
	disk.Fail(nil)
	const why = "cannot be written, and this server stops"
	if ok, err := b.tryAppend(2, 3, 2, 3, nil); ok || err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("a heartbeat is answered with %t, %v", ok, err)
	}
	for range 2 { // what was sent is read to its end, so the second finds the connection in order
		if ok, err := b.tryInstall(2, 10, 2, "one"); ok || err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("a snapshot is answered with %t, %v", ok, err)
		}
	}
	f.has(t, "1 of 2", "2 of 2", "3 of 2")
	if err := <-n.Failed(); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
}

// The cluster's side of it was storm, seed 34420 with 60 s of faults.
func TestAServerThatStoppedWhileItTookASnapshotGoesOnFromIt(t *testing.T) {
	for name, r := range map[string]struct {
		term uint64 // of the snapshot of entries 1 to 10
		log  uint64 // the last entry of the log, all of term 2
	}{
		"the log ends before it":              {2, 5},
		"the log goes on, from other entries": {3, 12},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			n, _, b := followerOn(t, host.Real().FS(), dir)
			if !b.append(2, 0, 0, 0, entries(2, 1, r.log)) {
				t.Fatal("the first entries are refused")
			}
			stop(t, n)
			before := t.TempDir()
			if err := os.CopyFS(before, os.DirFS(filepath.Join(dir, "wal"))); err != nil {
				t.Fatal(err)
			}
			n, _, b = followerOn(t, host.Real().FS(), dir)
			if !b.install(3, 10, r.term, "one") {
				t.Fatal("the snapshot is refused")
			}
			stop(t, n)
			// It has the snapshot, and its log is as it was.
			if err := errors.Join(os.RemoveAll(filepath.Join(dir, "wal")), os.CopyFS(filepath.Join(dir, "wal"), os.DirFS(before))); err != nil {
				t.Fatal(err)
			}
			n, f, b := followerOn(t, host.Real().FS(), dir)
			defer stop(t, n)
			if !b.append(3, 10, r.term, 12, entries(3, 11, 12)) {
				t.Fatal("the entries after it are refused")
			}
			f.has(t, "one", "11 of 3", "12 of 3")
		})
	}
}

// An old leader's entries are still there when a new one sends again what both have.
func TestAServerCommitsOnlyWhatItsLeaderHas(t *testing.T) {
	f, b := follower(t)
	if !b.append(2, 0, 0, 2, entries(2, 1, 5)) {
		t.Fatal("the first entries are refused")
	}
	f.has(t, "1 of 2", "2 of 2")
	if !b.append(3, 0, 0, 9, entries(2, 1, 3)) {
		t.Fatal("entries that it has are refused")
	}
	if !b.append(3, 3, 2, 9, entries(3, 4, 6)) {
		t.Fatal("entries in the place of others are refused")
	}
	f.has(t, "1 of 2", "2 of 2", "3 of 2", "4 of 3", "5 of 3", "6 of 3")
}
