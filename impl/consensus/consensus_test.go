package consensus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"tribune/impl/consensus"
	"tribune/impl/host"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tape is a state machine that remembers what was applied.
type tape struct{ applied []string }

func (t *tape) Apply(l *raft.Log) any {
	t.applied = append(t.applied, string(l.Data))
	return len(t.applied)
}

func (t *tape) Snapshot() (raft.FSMSnapshot, error) {
	return tapeSnapshot(strings.Join(t.applied, "\n")), nil
}

func (t *tape) Restore(r io.ReadCloser) error {
	b, err := io.ReadAll(r)
	t.applied = strings.Split(string(b), "\n")
	return err
}

type tapeSnapshot string

func (s tapeSnapshot) Persist(k raft.SnapshotSink) error {
	if _, err := k.Write([]byte(s)); err != nil {
		return err
	}
	return k.Close()
}

func (tapeSnapshot) Release() {}

// loopback is a raft.StreamLayer on a TCP port.
type loopback struct{ net.Listener }

func (loopback) Dial(a raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(a), timeout)
}

func open(t *testing.T, dir string, fsm raft.FSM) (*consensus.Node, string, error) {
	t.Helper()
	return openOn(t, host.Real().FS(), dir, fsm)
}

func openOn(t *testing.T, fsys host.FS, dir string, fsm raft.FSM) (*consensus.Node, string, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, err := consensus.Open(consensus.Config{
		ID: "s1", FS: fsys, Dir: dir, FSM: fsm, Stream: loopback{l},
		Logger: slog.New(slog.DiscardHandler), Compaction: consensus.Compaction{Threshold: 1 << 40},
	})
	if err != nil {
		_ = l.Close() // Open closes it only once raft has it
	}
	return n, l.Addr().String(), err
}

// lead waits until the server leads.
func lead(t *testing.T, n *consensus.Node) {
	t.Helper()
	select {
	case leads := <-n.Leadership():
		if !leads {
			t.Fatal("it lost leadership")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no leader")
	}
}

func apply(t *testing.T, n *consensus.Node, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if _, answer, err := n.Apply(context.Background(), fmt.Appendf(nil, "command %d", i)); err != nil || answer != i+1 {
			t.Fatalf("command %d: %v, %v", i, answer, err)
		}
	}
}

func stop(t *testing.T, n *consensus.Node) {
	t.Helper()
	if n.Closed() {
		t.Error("a server that runs is closed")
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if !n.Closed() {
		t.Error("a server that was closed is not")
	}
}

// filled returns a directory with the log of a server that applied commands.
func filled(t *testing.T, commands int, snapshot bool) string {
	t.Helper()
	dir := t.TempDir()
	n, address, err := open(t, dir, &tape{})
	if err != nil {
		t.Fatal(err)
	}
	if n.HadState() {
		t.Error("an empty directory had state")
	}
	if err := n.Bootstrap([]consensus.Server{{ID: "s1", Address: address, Voter: true}}); err != nil {
		t.Fatal(err)
	}
	lead(t, n)
	apply(t, n, 0, commands)
	if snapshot {
		if err := n.Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	stop(t, n)
	return dir
}

func TestAServerThatIsOpenedAgainHasEveryCommand(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		dir := filled(t, 50, snapshot)
		var f tape
		n, _, err := open(t, dir, &f)
		if err != nil {
			t.Fatal(err)
		}
		if !n.HadState() {
			t.Error("the server has forgotten that it had state")
		}
		if v := n.Vote(); v.Term == 0 || v.For == "" {
			t.Errorf("the server has forgotten its vote: %+v", v)
		}
		lead(t, n)
		apply(t, n, 50, 60)
		if s := n.Status(); !s.Leader || s.Applied < 60 || s.Committed < s.Applied {
			t.Errorf("%+v", s)
		}
		e, err := n.Entry(n.Status().Last)
		if err != nil || e.Term != n.Status().Term || !e.Command || string(e.Data) != "command 59" {
			t.Errorf("the last entry is %q of term %d (%v)", e.Data, e.Term, err)
		}
		if _, self := n.Leader(); n.Vote() != (consensus.Vote{Term: n.Status().Term, For: self}) {
			t.Errorf("its vote is %+v, and it leads in term %d at %s", n.Vote(), n.Status().Term, self)
		}
		stop(t, n)
		if len(f.applied) != 60 || f.applied[7] != "command 7" {
			t.Errorf("snapshot %t: %d commands", snapshot, len(f.applied))
		}
	}
}

// damage flips a byte of the one file that matches.
func damage(t *testing.T, pattern string, at func(size int) int) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %v, %v", pattern, files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[at(len(bytes.TrimRight(b, "\x00")))] ^= 0xff
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	return files[0]
}

func TestADamagedDiskIsOneLineThatSaysWhereAndChangesNothing(t *testing.T) {
	for _, c := range []struct {
		name, pattern string
		at            func(int) int
		want          string
	}{
		{"the log's head", "raft/wal/*.wal", func(int) int { return 1 }, "wal cannot be opened"},
		{"the small file beside it", "raft/wal/meta.json", func(n int) int { return n / 2 }, "meta.json is corrupt: its checksum does not match"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filled(t, 20, false)
			file := damage(t, filepath.Join(dir, strings.TrimPrefix(c.pattern, "raft/")), c.at)
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			n, _, err := open(t, dir, &tape{})
			if err == nil {
				stop(t, n)
				t.Fatal("it was opened")
			}
			if text := err.Error(); !strings.Contains(text, c.want) || strings.Contains(text, "\n") {
				t.Errorf("the error is\n%s\nwant one line with %s", text, c.want)
			}
			after, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestADamagedSnapshotIsNotUsed(t *testing.T) {
	dir := filled(t, 20, true)
	damage(t, filepath.Join(dir, "snapshots", "*.snap"), func(n int) int { return n - 20 })
	var f tape
	n, _, err := open(t, dir, &f)
	if err != nil {
		return // refused: better than a state that nobody wrote
	}
	lead(t, n)
	if err := n.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	if len(f.applied) != 20 {
		t.Errorf("%d commands of 20 came back: %q", len(f.applied), f.applied)
	}
}

func TestAFollowerRefusesCommands(t *testing.T) {
	n, _, err := open(t, t.TempDir(), &tape{})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	if _, _, err := n.Apply(context.Background(), []byte("x")); err == nil {
		t.Error("a server without a group took a command")
	}
	if err := n.VerifyLeader(); err == nil {
		t.Error("a server without a group leads")
	}
}

// slowTape takes its time.
type slowTape struct{ tape }

func (s *slowTape) Apply(l *raft.Log) any {
	time.Sleep(2 * time.Millisecond)
	return s.tape.Apply(l)
}

func TestWhoWaitsForAnEntryIsAnsweredWhenTheNodeCloses(t *testing.T) {
	n, address, err := open(t, t.TempDir(), &slowTape{})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Bootstrap([]consensus.Server{{ID: "s1", Address: address, Voter: true}}); err != nil {
		t.Fatal(err)
	}
	lead(t, n)
	const callers = 400
	begun, answered := make(chan bool, callers), make(chan bool, callers)
	for i := range callers {
		go func() {
			begun <- true
			_, _, _ = n.Apply(t.Context(), []byte(fmt.Sprint(i))) // whatever comes of it
			answered <- true
		}()
	}
	for range callers {
		<-begun
	}
	<-answered
	stop(t, n)
	patience := time.After(time.Minute)
	for i := 1; i < callers; i++ {
		select {
		case <-answered:
		case <-patience:
			t.Fatalf("%d of %d wait for ever", callers-i, callers)
		}
	}
	if _, _, err := n.Apply(t.Context(), nil); !errors.Is(err, consensus.ErrNotLeader) {
		t.Errorf("a node that is closed: %v", err)
	}
}

func TestANodeCanBeAskedWhileItCloses(t *testing.T) {
	dir := t.TempDir()
	for range 40 {
		n, _, err := open(t, dir, &tape{})
		if err != nil {
			t.Fatal(err)
		}
		stopped := make(chan bool)
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				for {
					select {
					case <-stopped:
						return
					default:
						_ = n.Status()
					}
				}
			})
		}
		stop(t, n)
		close(stopped)
		asking.Wait()
	}
}
