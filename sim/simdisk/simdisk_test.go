package simdisk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/impl/host"
	"tribune/netmodel"
	"tribune/sim/event"
	"tribune/sim/simdisk"
	"tribune/sim/trace"
)

type ignore struct{}

func (ignore) Record(trace.Event) {}

// atOnce is an agenda on which no time passes; a disk without latency needs no
// other.
type atOnce struct{}

func (atOnce) Now() time.Duration { return 0 }

func (atOnce) After(_ time.Duration, f func()) *event.Event {
	f()
	return nil
}

func newDisk(seed uint64) *simdisk.Disk {
	return simdisk.New("d", atOnce{}, ignore{}, seed, simdisk.Options{})
}

func must(t interface {
	Helper()
	Fatal(...any)
}, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// model is what a file must hold: of every byte, the values that it may have
// after a crash. The last is what programs see.
type model struct {
	cache  []byte   // what programs see
	synced []byte   // what the last sync made durable
	was    [][]byte // contents since then, the synced one first
	grew   [][2]int // from and to which lengths it has grown by writes since then
}

const sector = 512

// possible reports whether a file can have content after a crash: each sector
// is that of one of the contents since the last sync, and the length is that of one of
// them, or one on the way of a write from one to the next.
func (m *model) possible(content []byte) error {
	n := len(content)
	had := slices.ContainsFunc(m.was, func(w []byte) bool { return len(w) == n })
	if !had && !slices.ContainsFunc(m.grew, func(g [2]int) bool { return g[0] <= n && n <= g[1] }) {
		return fmt.Errorf("%d bytes; synced were %d, and programs saw %d", n, len(m.synced), len(m.cache))
	}
	for at := 0; at < len(content); at += sector {
		got := content[at:min(at+sector, len(content))]
		ok := slices.ContainsFunc(m.was, func(w []byte) bool {
			padded := make([]byte, at+sector)
			copy(padded, w[:min(len(w), at+sector)])
			return bytes.Equal(padded[at:at+len(got)], got)
		})
		if !ok {
			return fmt.Errorf("sector %d holds what was never written", at/sector)
		}
	}
	return nil
}

func TestWhatWasSyncedIsThereAfterAnyCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDisk(rapid.Uint64().Draw(t, "seed"))
		f, err := d.OpenFile("f", os.O_RDWR|os.O_CREATE, 0o600)
		must(t, err)
		must(t, f.Sync())
		must(t, d.SyncDir("/"))
		m := &model{was: [][]byte{nil}}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"write", "write", "write", "sync", "truncate"}).Draw(t, "step") {
			case "write":
				at := rapid.IntRange(0, 5000).Draw(t, "at")
				b := rapid.SliceOfN(rapid.Byte(), 1, 3000).Draw(t, "bytes")
				_, err := f.WriteAt(b, int64(at))
				must(t, err)
				next := make([]byte, max(len(m.cache), at+len(b)))
				copy(next, m.cache)
				copy(next[at:], b)
				m.grew = append(m.grew, [2]int{max(at, len(m.cache)), len(next)})
				m.cache = next
				m.was = append(m.was, next)
			case "truncate":
				size := rapid.IntRange(0, 6000).Draw(t, "size")
				must(t, f.Truncate(int64(size)))
				next := make([]byte, size)
				copy(next, m.cache)
				m.cache = next
				m.was = append(m.was, next)
			case "sync":
				must(t, f.Sync())
				m.synced, m.was, m.grew = m.cache, [][]byte{m.cache}, nil
			}
		}
		seen, err := host.ReadFile(d, "f")
		must(t, err)
		if !bytes.Equal(seen, m.cache) {
			t.Fatalf("before the crash %d bytes are read, %d were written", len(seen), len(m.cache))
		}
		d.Crash()
		after, err := host.ReadFile(d, "f")
		must(t, err)
		if err := m.possible(after); err != nil {
			t.Fatal(err)
		}
		if len(m.was) == 1 && !bytes.Equal(after, m.synced) {
			t.Fatalf("all was synced, and %d bytes of %d are there", len(after), len(m.synced))
		}
		if _, err := f.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
			t.Fatalf("a handle outlived the process: %v", err)
		}
	})
}

func TestAReplacedFileIsTheOldOneOrTheNewOneAfterAnyCrash(t *testing.T) {
	for seed := range uint64(200) {
		d := newDisk(seed)
		must(t, host.ReplaceFile(d, "f", []byte("old")))
		temp, err := d.OpenFile("f.tmp", os.O_WRONLY|os.O_CREATE, 0o600)
		must(t, err)
		_, err = temp.Write([]byte("new"))
		must(t, err)
		must(t, temp.Sync())
		must(t, d.Rename("f.tmp", "f"))
		d.Crash()
		got, err := host.ReadFile(d, "f")
		must(t, err)
		if string(got) != "old" && string(got) != "new" {
			t.Fatalf("seed %d: %q", seed, got)
		}
	}
}

func TestNamesAreLostUntilTheirDirectoryIsSynced(t *testing.T) {
	lost := 0
	for seed := range uint64(100) {
		d := newDisk(seed)
		f, err := d.OpenFile("f", os.O_WRONLY|os.O_CREATE, 0o600)
		must(t, err)
		must(t, f.Sync())
		if seed%2 == 0 {
			must(t, d.SyncDir("/"))
		}
		d.Crash()
		_, err = d.Stat("f")
		switch {
		case seed%2 == 0 && err != nil:
			t.Fatalf("seed %d: a synced name is lost: %v", seed, err)
		case err != nil:
			lost++
		}
	}
	if lost == 0 || lost == 50 {
		t.Errorf("of 50 names that were not synced %d are lost", lost)
	}
}

func TestAKilledProcessLosesNothing(t *testing.T) {
	d := newDisk(1)
	f, err := d.OpenFile("f", os.O_WRONLY|os.O_CREATE, 0o600)
	must(t, err)
	_, err = f.Write([]byte("hello"))
	must(t, err)
	_, err = d.Lock("lock")
	must(t, err)
	if _, err := d.Lock("lock"); err == nil {
		t.Error("a lock was given twice")
	}
	d.Kill()
	got, err := host.ReadFile(d, "f")
	if err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := d.Lock("lock"); err != nil {
		t.Errorf("a lock outlived its process: %v", err)
	}
}

func TestFaultsAreErrorsOfTheOperatingSystem(t *testing.T) {
	d := newDisk(1)
	if _, err := d.OpenFile("no/such", os.O_RDONLY, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	f, err := d.OpenFile("f", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	must(t, err)
	if _, err := d.OpenFile("f", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	remove := d.Fail(simdisk.FailRule{Op: "sync", Glob: "f"})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("%v", err)
	}
	remove()
	must(t, f.Sync())
	d.Limit(8192)
	n, err := f.Write(make([]byte, 20000))
	if !errors.Is(err, syscall.ENOSPC) || n != 8192 {
		t.Errorf("%d bytes on a disk of 8192: %v", n, err)
	}
	if _, err := f.ReadAt(make([]byte, 1), 8192); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	must(t, d.Remove("f"))
	if used := d.Used(); used != 0 {
		t.Errorf("%d bytes are used after all was removed", used)
	}
}

func TestAFailedSyncIsNotMadeGoodByALaterOne(t *testing.T) {
	d := newDisk(1)
	f, err := d.OpenFile("f", os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	_, err = f.Write([]byte("old"))
	must(t, err)
	must(t, f.Sync())
	must(t, d.SyncDir("/"))
	_, err = f.WriteAt([]byte("new"), 0)
	must(t, err)
	remove := d.Fail(simdisk.FailRule{Op: "sync"})
	if err := f.Sync(); err == nil {
		t.Fatal("no error")
	}
	remove()
	must(t, f.Sync())
	d.Crash()
	got, err := host.ReadFile(d, "f")
	if err != nil || string(got) != "old" {
		t.Errorf("%q, %v: the bytes whose sync failed came back", got, err)
	}
}

func TestASlowSyncTakesTrueTimeAndACrashWithinItLosesTheBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, loop *event.Loop) {
		d := simdisk.New("d", loop, ignore{}, 1, simdisk.Options{Sync: netmodel.Constant(time.Second)})
		f, err := d.OpenFile("f", os.O_RDWR|os.O_CREATE, 0o600)
		must(t, err)
		start := time.Now()
		must(t, f.Sync())
		must(t, d.SyncDir("/"))
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("two syncs of a second took %v", took)
		}
		resume := d.Stall()
		time.AfterFunc(5*time.Second, resume)
		start = time.Now()
		must(t, f.Sync())
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("a sync on a stalled disk took %v", took)
		}
	})
}
