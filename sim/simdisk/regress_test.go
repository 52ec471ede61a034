package simdisk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tribune/impl/host"
	"tribune/netmodel"
	"tribune/sim/detrt"
	"tribune/sim/event"
	"tribune/sim/simdisk"
)

// inBubble runs f in a bubble in which an agenda runs.
func inBubble(t *testing.T, f func(t *testing.T, loop *event.Loop)) {
	synctest.Test(t, func(t *testing.T) {
		loop := event.New(detrt.Nanos)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { loop.Run(ctx, nil); close(ended) }()
		f(t, loop)
		cancel()
		<-ended
	})
}

func open(t *testing.T, d *simdisk.Disk, name string, flag int) host.File {
	t.Helper()
	f, err := d.OpenFile(name, flag, 0o600)
	must(t, err)
	return f
}

func TestBytesCutOffBeforeACrashReadAsZeroWhenTheFileGrowsAfterIt(t *testing.T) {
	for seed := range uint64(64) {
		d := newDisk(seed)
		f := open(t, d, "f", os.O_RDWR|os.O_CREATE)
		b := make([]byte, 3000)
		for i := range b {
			b[i] = 'x'
		}
		_, err := f.WriteAt(b, 0)
		must(t, err)
		must(t, f.Sync())
		must(t, d.SyncDir("/"))
		must(t, f.Truncate(100))
		d.Crash()
		f = open(t, d, "f", os.O_RDWR)
		info, err := f.Stat()
		must(t, err)
		size := info.Size()
		must(t, f.Truncate(6000))
		got, err := host.ReadFile(d, "f")
		must(t, err)
		for at := size; at < 6000; at++ {
			if got[at] != 0 {
				t.Fatalf("seed %d: the file had %d bytes after the crash; it grew, and byte %d is %q", seed, size, at, got[at])
			}
		}
	}
}

// Two syncs overlap, and bytes are written between them: the first fails, the
// second succeeds, and so what it wrote must be there.
func TestASectorWrittenAgainWhileItsSyncFailsIsDurableAfterTheNextSync(t *testing.T) {
	inBubble(t, func(t *testing.T, loop *event.Loop) {
		d := simdisk.New("d", loop, ignore{}, 1, simdisk.Options{Sync: netmodel.Constant(time.Second)})
		f := open(t, d, "f", os.O_RDWR|os.O_CREATE)
		must(t, d.SyncDir("/"))
		_, err := f.WriteAt([]byte("one"), 0)
		must(t, err)
		remove := d.Fail(simdisk.FailRule{Op: "sync"})
		failed := make(chan error)
		go func() { failed <- f.Sync() }()
		synctest.Wait()
		remove()
		_, err = f.WriteAt([]byte("two"), 0)
		must(t, err)
		if err := <-failed; !errors.Is(err, syscall.EIO) {
			t.Fatalf("%v", err)
		}
		must(t, f.Sync())
		d.Crash()
		if got, err := host.ReadFile(d, "f"); err != nil || string(got) != "two" {
			t.Errorf("a sync succeeded, and after the crash there is %q, %v", got, err)
		}
	})
}

func TestASyncWhoseBytesAnotherSyncLostFailsToo(t *testing.T) {
	inBubble(t, func(t *testing.T, loop *event.Loop) {
		d := simdisk.New("d", loop, ignore{}, 1, simdisk.Options{Sync: netmodel.Constant(2 * time.Second)})
		f := open(t, d, "f", os.O_RDWR|os.O_CREATE)
		must(t, d.SyncDir("/"))
		_, err := f.WriteAt([]byte("one"), 0)
		must(t, err)
		slow := make(chan error)
		go func() { slow <- f.Sync() }()
		synctest.Wait()
		d.Slow(netmodel.Constant(time.Second))
		d.Fail(simdisk.FailRule{Op: "sync", Times: 1})
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("%v", err)
		}
		err = <-slow
		d.Crash()
		got, rerr := host.ReadFile(d, "f")
		if err == nil && (rerr != nil || string(got) != "one") {
			t.Errorf("a sync succeeded, and after the crash there is %q, %v", got, rerr)
		}
	})
}

func TestTwoWhoAppendAtOnceLoseNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, loop *event.Loop) {
		d := simdisk.New("d", loop, ignore{}, 1, simdisk.Options{Write: netmodel.Constant(time.Second)})
		done := make(chan error)
		for range 2 {
			f := open(t, d, "f", os.O_WRONLY|os.O_CREATE|os.O_APPEND)
			go func() {
				_, err := f.Write([]byte("line\n"))
				done <- err
			}()
		}
		must(t, <-done)
		must(t, <-done)
		if got, err := host.ReadFile(d, "f"); err != nil || string(got) != "line\nline\n" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestARemovedFileThatIsOpenTakesNoRoomTwice(t *testing.T) {
	d := newDisk(1)
	f := open(t, d, "f", os.O_RDWR|os.O_CREATE)
	_, err := f.Write(make([]byte, 10000))
	must(t, err)
	must(t, d.Remove("f"))
	must(t, f.Truncate(0))
	if used := d.Used(); used != 0 {
		t.Errorf("%d bytes are used", used)
	}
}

func TestStallsAddUp(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *event.Loop) {
		d := newDisk(1)
		first, second := d.Stall(), d.Stall()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = d.Stat("/")
		}()
		synctest.Wait()
		second()
		synctest.Wait()
		select {
		case <-done:
			t.Error("the disk moves while a stall lasts")
		default:
		}
		first()
		<-done
	})
}

func TestAPatternIsOfTheLastPartOfANameOrOfAllOfIt(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "/data/raft/1.wal", true}, {"*.wal", "/data/raft/1.wal", true}, {"*.wal", "1.wal", true}, {"*.snap", "/data/raft/1.wal", false},
		{"/data/*/*.wal", "/data/raft/1.wal", true}, {"data/raft/*", "/data/raft/1.wal", true}, {"/data/*", "data/1.wal", true},
		{"/data/*", "/data/raft/1.wal", false}, {"raft/*", "/data/raft/1.wal", false}, {"[", "[", false},
	} {
		if got := simdisk.Matches(c.pattern, c.name); got != c.want {
			t.Errorf("%q matches %q: %t", c.pattern, c.name, got)
		}
	}
}

func TestFaultsOfADirectorysFilesStrikeThere(t *testing.T) {
	d := newDisk(1)
	must(t, d.MkdirAll("/a", 0o700))
	f, g := open(t, d, "/a/f", os.O_RDWR|os.O_CREATE), open(t, d, "/f", os.O_RDWR|os.O_CREATE)
	for _, file := range []host.File{f, g} {
		_, err := file.WriteAt(make([]byte, 100), 0)
		must(t, err)
	}
	if n := d.Rot("/a/*", 5); n != 5 || !bytes.Equal(d.Content("/f"), make([]byte, 100)) || bytes.Equal(d.Content("/a/f"), make([]byte, 100)) {
		t.Errorf("%d bits flipped", n)
	}
	if n := d.Rot("/b/*", 5); n != 0 {
		t.Errorf("%d bits flipped of files that there are not", n)
	}
	d.Fail(simdisk.FailRule{Op: "sync", Glob: "/a/*"})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("a rule of a directory's files: %v", err)
	}
	must(t, g.Sync())
}

func TestOfSeveralLimitsTheLeastThatLastsCounts(t *testing.T) {
	d := simdisk.New("d", atOnce{}, ignore{}, 1, simdisk.Options{Capacity: 5 * 4096})
	f := open(t, d, "f", os.O_RDWR|os.O_CREATE)
	holds := func(pages int) {
		t.Helper()
		must(t, f.Truncate(0))
		n, err := f.WriteAt(make([]byte, 6*4096), 0)
		if n != pages*4096 || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("it takes %d bytes and not %d pages: %v", n, pages, err)
		}
	}
	holds(5)
	first, second := d.Limit(2*4096), d.Limit(3*4096)
	holds(2)
	first()
	holds(3)
	second()
	holds(5)
}

func TestALockThatWasFreedCannotFreeTheNextOne(t *testing.T) {
	d := newDisk(1)
	one, err := d.Lock("lock")
	must(t, err)
	must(t, one.Close())
	_, err = d.Lock("lock")
	must(t, err)
	_ = one.Close() // the second time
	if _, err := d.Lock("lock"); err == nil {
		t.Error("a lock was given twice")
	}
}

func TestWhatAFileSystemRefuses(t *testing.T) {
	d := newDisk(1)
	must(t, d.MkdirAll("a/b", 0o700))
	open(t, d, "f", os.O_RDWR|os.O_CREATE)
	if err := d.Rename("a", "a/b/c"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a directory was moved into itself: %v", err)
	}
	if err := d.Rename("a", "f"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a directory replaced a file: %v", err)
	}
	w := open(t, d, "f", os.O_WRONLY)
	if _, err := w.ReadAt(make([]byte, 1), 0); !errors.Is(err, syscall.EBADF) {
		t.Errorf("a file open for writing was read: %v", err)
	}
	r := open(t, d, "f", os.O_RDONLY)
	if err := r.Truncate(5); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a file open for reading was cut: %v", err)
	}
	if n, err := r.ReadAt(nil, 0); n != 0 || err != nil {
		t.Errorf("nothing was asked for: %d, %v", n, err)
	}
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the end of a file: %v", err)
	}
}

func TestAnOperationThatItsProcessDoesNotOutliveFails(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *event.Loop) {
		d := newDisk(1)
		resume := d.Stall()
		done := make(chan error)
		go func() {
			_, err := d.OpenFile("f", os.O_RDWR|os.O_CREATE, 0o600)
			done <- err
		}()
		synctest.Wait()
		d.Kill()
		resume()
		if err := <-done; !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a dead process made a file: %v", err)
		}
	})
}

func TestARuleStrikesTheOperationsThatItCounts(t *testing.T) {
	d := newDisk(1)
	f, g := open(t, d, "f", os.O_RDWR|os.O_CREATE), open(t, d, "g", os.O_RDWR|os.O_CREATE)
	d.Fail(simdisk.FailRule{Op: "write", Glob: "f", Skip: 2, Times: 1})
	for i, want := range []error{nil, nil, syscall.EIO, nil} {
		must(t, g.Sync())
		if _, err := g.Write([]byte("x")); err != nil {
			t.Errorf("another file: %v", err)
		}
		if _, err := f.Write([]byte("x")); !errors.Is(err, want) {
			t.Errorf("write %d: %v, not %v", i+1, err, want)
		}
	}
}
