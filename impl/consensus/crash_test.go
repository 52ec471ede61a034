package consensus_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"tribune/impl/consensus"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

// layer is a raft.StreamLayer on a host's network.
type layer struct {
	net.Listener
	net host.Network
}

func (l layer) Dial(a raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return l.net.Dial(ctx, "tcp", string(a))
}

// lab is where servers with disks of their own are started and stopped.
type lab struct {
	t       *testing.T
	net     *hosttest.Network
	edit    func(*consensus.Config)
	servers []*server
}

// server is a host with a disk, and the process on it while it runs.
type server struct {
	lab     *lab
	id      string
	address string
	host    host.Host
	disk    *hosttest.Disk
	node    *consensus.Node
	tape    *tape
	quit    chan struct{} // closed to end the process
	done    chan struct{} // closed when it has ended
}

func newLab(t *testing.T, servers int, edit func(*consensus.Config)) *lab {
	l := &lab{t: t, net: hosttest.NewNetwork(), edit: edit}
	for i := range servers {
		s := &server{lab: l, id: fmt.Sprintf("s%d", i+1), disk: hosttest.NewDisk()}
		addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
		s.address = netip.AddrPortFrom(addr, 8300).String()
		s.host = l.net.Host(s.id, addr, s.disk)
		l.servers = append(l.servers, s)
	}
	return l
}

// start starts a server and returns why it could not.
func (s *server) start() error {
	listener, err := s.host.Network().Listen(s.lab.t.Context(), "tcp", s.address)
	if err != nil {
		s.lab.t.Fatal(err)
	}
	s.tape = &tape{}
	c := consensus.Config{
		ID: s.id, FS: s.disk, Dir: "/data/raft", FSM: s.tape, Stream: layer{listener, s.host.Network()},
		Logger: slog.New(slog.DiscardHandler), Compaction: consensus.Compaction{Threshold: 1 << 40}, SegmentSize: 2048,
	}
	if s.lab.edit != nil {
		s.lab.edit(&c)
	}
	s.node, err = consensus.Open(c)
	if err != nil {
		_ = listener.Close() // Open closes it only once raft has it
		return err
	}
	node, quit, done := s.node, make(chan struct{}), make(chan struct{})
	s.quit, s.done = quit, done
	go func() {
		defer close(done)
		select {
		case <-node.Failed():
		case <-quit:
		}
		_ = node.Close() // on a disk that refuses everything it may fail
	}()
	if !s.node.HadState() {
		var group []consensus.Server
		for _, o := range s.lab.servers {
			group = append(group, consensus.Server{ID: o.id, Address: o.address, Voter: true})
		}
		return s.node.Bootstrap(group)
	}
	return nil
}

func (s *server) stop() {
	if s.node != nil {
		close(s.quit)
		<-s.done
		s.node = nil
	}
}

// leads waits until the server leads; false if its disk fails before.
func (s *server) leads() bool {
	select {
	case <-s.node.Leadership():
		return true
	case <-s.done:
		return false
	case <-time.After(5 * time.Minute):
		return false
	}
}

// work starts a single server, applies commands numbered from next, and takes a
// snapshot now and then, until it has done all or something fails. It returns
// the commands that were acknowledged.
func (s *server) work(next, commands int) (acknowledged []string) {
	defer s.stop()
	if s.start() != nil || !s.leads() {
		return nil
	}
	for i := range commands {
		command := fmt.Sprintf("command %d %s", next+i, strings.Repeat("x", (next+i)%7*60))
		if _, _, err := s.node.Apply(context.Background(), []byte(command)); err != nil {
			return acknowledged
		}
		acknowledged = append(acknowledged, command)
		if i == commands/2 && s.node.Snapshot() != nil {
			return acknowledged
		}
	}
	return acknowledged
}

// remembers starts a single server and returns what it has applied once it
// leads.
func (s *server) remembers() []string {
	t := s.lab.t
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("the server does not start: %v", err)
	}
	defer s.stop()
	if !s.leads() {
		t.Fatal("the server does not lead")
	}
	if err := s.node.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.node.Apply(t.Context(), []byte("one more")); err != nil {
		t.Fatalf("the server cannot write: %v", err)
	}
	return slices.Clone(s.tape.applied)
}

// includes reports whether all of want are in got, in order.
func includes(got, want []string) bool {
	for _, c := range got {
		if len(want) > 0 && c == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}

// TestNoAcknowledgedCommandIsLostWhereverThePowerFails lets the disk refuse
// everything from some operation on, for each operation in turn. Then the
// process is started again on what programs see (kill -9), is stopped at some
// other operation, and the power fails.
func TestNoAcknowledgedCommandIsLostWhereverThePowerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for at, whole := 0, false; !whole; at++ {
			l := newLab(t, 1, func(c *consensus.Config) { c.Compaction.Trailing = 4 })
			s, r := l.servers[0], rand.New(rand.NewPCG(uint64(at), 7))
			ops := 0
			cut := func(limit int) {
				ops = 0
				s.disk.Fail(func(op, _ string) error {
					if ops++; ops > limit && op != "read" {
						return syscall.EIO
					}
					return nil
				})
			}
			cut(at)
			acknowledged := s.work(0, 24)
			whole = ops <= at
			if r.IntN(2) == 0 {
				cut(r.IntN(40))
				acknowledged = append(acknowledged, s.work(1000, 4)...)
			}
			s.disk.Fail(nil)
			s.disk.PowerFailure(r)
			if got := s.remembers(); !includes(got, acknowledged) {
				t.Fatalf("power failed at operation %d: acknowledged were\n%q\nand what came back is\n%q", at, acknowledged, got)
			}
		}
	})
}

// TestAServerGoesOnFromAnyStateThatItsDiskCanBeIn starts a server again and
// again, each time stopping it at a random operation, with or without a power
// failure.
func TestAServerGoesOnFromAnyStateThatItsDiskCanBeIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(30) {
			r := rand.New(rand.NewPCG(seed, 8))
			l := newLab(t, 1, func(c *consensus.Config) { c.Compaction.Trailing = 4 })
			s := l.servers[0]
			var acknowledged []string
			for round := range 8 {
				ops, limit := 0, r.IntN(120)
				s.disk.Fail(func(op, _ string) error {
					if ops++; ops > limit && op != "read" {
						return syscall.EIO
					}
					return nil
				})
				acknowledged = append(acknowledged, s.work(round*100, 12)...)
				s.disk.Fail(nil)
				if r.IntN(2) == 0 {
					s.disk.PowerFailure(r)
				}
			}
			if got := s.remembers(); !includes(got, acknowledged) {
				t.Fatalf("seed %d: acknowledged were\n%q\nand what came back is\n%q", seed, acknowledged, got)
			}
		}
	})
}

// last returns the last file of a directory with the suffix.
func last(t *testing.T, fsys host.FS, dir, suffix string) string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(entries) {
		if strings.HasSuffix(e.Name(), suffix) {
			return path.Join(dir, e.Name())
		}
	}
	t.Fatalf("%s holds no %s", dir, suffix)
	return ""
}

// flip changes a byte of a file.
func flip(t *testing.T, fsys host.FS, name string, at int64) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	b[0] ^= 0x55
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// TestADamagedSnapshotIsAnErrorUnlessTheLogHoldsTheSame damages the newest of
// two snapshots.
func TestADamagedSnapshotIsAnErrorUnlessTheLogHoldsTheSame(t *testing.T) {
	for _, c := range []struct {
		name     string
		trailing uint64
		missing  bool // the older one is
		want     string
	}{
		{"the log leads from the older one beyond it", 1000, false, ""},
		{"the log begins at the start", 1000, true, ""},
		{"the log begins after it", 1, false, ".snap is corrupt: its checksum does not match"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newLab(t, 1, func(conf *consensus.Config) { conf.Compaction.Trailing = c.trailing }).servers[0]
				acknowledged := s.work(0, 24)
				if c.missing {
					if err := s.disk.Remove(last(t, s.disk, "/data/raft/snapshots", ".snap")); err != nil {
						t.Fatal(err)
					}
				}
				acknowledged = append(acknowledged, s.work(24, 24)...)
				if len(acknowledged) != 48 {
					t.Fatalf("%d commands", len(acknowledged))
				}
				newest := last(t, s.disk, "/data/raft/snapshots", ".snap")
				flip(t, s.disk, newest, 300)
				if c.want == "" {
					if got := s.remembers(); !includes(got, acknowledged) {
						t.Errorf("acknowledged were\n%q\nand what came back is\n%q", acknowledged, got)
					}
					return
				}
				err := s.start()
				if err == nil {
					s.stop()
					t.Fatal("it was opened")
				}
				if text := err.Error(); !strings.Contains(text, c.want) || !strings.Contains(text, newest) || strings.Contains(text, "\n") {
					t.Errorf("the error is\n%s", text)
				}
			})
		})
	}
}

// TestALogThatBeginsInTheMiddleNeedsASnapshot takes the snapshot away.
func TestALogThatBeginsInTheMiddleNeedsASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLab(t, 1, func(c *consensus.Config) { c.Compaction.Trailing = 1 }).servers[0]
		if len(s.work(0, 10)) != 10 {
			t.Fatal("the server does not work")
		}
		if err := s.disk.Remove(last(t, s.disk, "/data/raft/snapshots", ".snap")); err != nil {
			t.Fatal(err)
		}
		if err := s.start(); err == nil || !strings.Contains(err.Error(), "holds no snapshot up to entry") {
			s.stop()
			t.Errorf("the error is %v", err)
		}
	})
}

// TestALogWithoutItsMetaFileIsLeftAlone takes away the file that names the
// segments.
func TestALogWithoutItsMetaFileIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLab(t, 1, nil).servers[0]
		if len(s.work(0, 10)) != 10 {
			t.Fatal("the server does not work")
		}
		if err := s.disk.Remove("/data/raft/wal/meta.json"); err != nil {
			t.Fatal(err)
		}
		before := last(t, s.disk, "/data/raft/wal", ".wal")
		if err := s.start(); err == nil || !strings.Contains(err.Error(), "meta.json is missing") {
			s.stop()
			t.Errorf("the error is %v", err)
		}
		if after := last(t, s.disk, "/data/raft/wal", ".wal"); after != before {
			t.Errorf("%s, before %s", after, before)
		}
	})
}

func TestASnapshotLeavesAsMuchOfTheLogAsWasSetLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLab(t, 1, nil).servers[0]
		if err := s.start(); err != nil || !s.leads() {
			t.Fatal(err)
		}
		defer s.stop()
		for i := range 30 {
			if _, _, err := s.node.Apply(t.Context(), fmt.Appendf(nil, "command %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.node.SetCompaction(consensus.Compaction{Interval: time.Millisecond}); err == nil {
			t.Error("it looks every millisecond")
		}
		if err := s.node.SetCompaction(consensus.Compaction{Threshold: 1 << 40, Trailing: 4}); err != nil {
			t.Error(err)
		}
		if err := s.node.Snapshot(); err != nil {
			t.Error(err)
		}
		if st := s.node.Status(); st.Last < 30 || st.First != st.Last-3 {
			t.Errorf("the log holds entries %d to %d", st.First, st.Last)
		}
	})
}
