package hosttest_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

func TestWhatWasSyncedOutlivesAPowerFailure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := hosttest.NewDisk()
		f, err := d.OpenFile("/f", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		var synced, now []byte
		grow := func(b []byte, n int) []byte { return append(b, make([]byte, max(0, n-len(b)))...) }
		for range rapid.IntRange(1, 20).Draw(t, "writes") {
			b := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.IntRange(1, 1500).Draw(t, "length"))
			at := rapid.IntRange(0, 2000).Draw(t, "at")
			if _, err := f.WriteAt(b, int64(at)); err != nil {
				t.Fatal(err)
			}
			now = grow(now, at+len(b))
			copy(now[at:], b)
			if rapid.Bool().Draw(t, "sync") {
				if err := errors.Join(f.Sync(), d.SyncDir("/")); err != nil {
					t.Fatal(err)
				}
				synced = bytes.Clone(now)
			}
		}
		d.PowerFailure(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		if _, err := f.Stat(); err == nil {
			t.Fatal("the file is still open")
		}
		got, err := host.ReadFile(d, "/f")
		if synced == nil && errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil || len(got) != len(synced) && len(got) != len(now) {
			t.Fatalf("%d bytes, of %d synced and %d written: %v", len(got), len(synced), len(now), err)
		}
		for i, b := range got {
			if was := grow(synced, len(now))[i]; b != was && b != now[i] {
				t.Fatalf("byte %d is %d: neither the synced %d nor the written %d", i, b, was, now[i])
			}
		}
	})
}

func TestAFailedSyncLosesWhatItShouldHaveKept(t *testing.T) {
	d := hosttest.NewDisk()
	f, err := d.OpenFile("/f", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	d.Fail(func(op, _ string) error {
		if op == "sync" {
			return syscall.EIO
		}
		return nil
	})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	d.Fail(nil)
	if err := errors.Join(f.Sync(), d.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	d.PowerFailure(rand.New(rand.NewPCG(1, 1)))
	if got, err := host.ReadFile(d, "/f"); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestNamesAreForgottenUntilTheirDirectoryIsSynced(t *testing.T) {
	lost, renamed := 0, 0
	for seed := range uint64(64) {
		d := hosttest.NewDisk()
		if err := errors.Join(d.MkdirAll("/a", 0o700), d.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
		if err := host.ReplaceFile(d, "/a/kept", []byte("old")); err != nil {
			t.Fatal(err)
		}
		f, err := d.OpenFile("/a/new", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, "new"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), d.Rename("/a/new", "/a/kept")); err != nil {
			t.Fatal(err)
		}
		d.PowerFailure(rand.New(rand.NewPCG(seed, 0)))
		switch got, err := host.ReadFile(d, "/a/kept"); string(got) {
		case "old":
			lost++
		case "new":
			renamed++
		default:
			t.Fatalf("seed %d: %q, %v", seed, got, err)
		}
	}
	if lost == 0 || renamed == 0 {
		t.Errorf("the name was lost %d times and kept %d times", lost, renamed)
	}
}

func TestALockExcludesUntilItIsGivenBack(t *testing.T) {
	for _, fsys := range []host.FS{hosttest.NewDisk(), host.Real().FS()} {
		name := t.TempDir() + "/lock"
		if err := fsys.MkdirAll(name[:len(name)-5], 0o700); err != nil {
			t.Fatal(err)
		}
		held, err := fsys.Lock(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fsys.Lock(name); !errors.Is(err, syscall.EWOULDBLOCK) {
			t.Errorf("%T: a second lock: %v", fsys, err)
		}
		if err := held.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := fsys.Lock(name)
		if err != nil {
			t.Fatalf("%T: it was given back, and %v", fsys, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// crashes runs f with the power failing at each of its disk operations in turn,
// and at none; f reports what then must hold in check.
func crashes(t *testing.T, prepare, f func(d *hosttest.Disk) error, check func(d *hosttest.Disk, done bool)) {
	t.Helper()
	for at, done := 0, false; !done; at++ {
		for seed := range uint64(16) {
			d := hosttest.NewDisk()
			if err := prepare(d); err != nil {
				t.Fatal(err)
			}
			ops := 0
			d.Fail(func(string, string) error {
				if ops++; ops > at {
					return syscall.EIO
				}
				return nil
			})
			done = f(d) == nil
			d.Fail(nil)
			d.PowerFailure(rand.New(rand.NewPCG(seed, uint64(at))))
			check(d, done)
		}
	}
}

func TestAReplacedFileHoldsTheOldOrTheNewWhereverThePowerFails(t *testing.T) {
	long := string(bytes.Repeat([]byte("new"), 700))
	crashes(t,
		func(d *hosttest.Disk) error { return host.ReplaceFile(d, "/f", []byte("old")) },
		func(d *hosttest.Disk) error { return host.ReplaceFile(d, "/f", []byte(long)) },
		func(d *hosttest.Disk, done bool) {
			got, err := host.ReadFile(d, "/f")
			if err != nil || string(got) != long && (done || string(got) != "old") {
				t.Fatalf("done %t: %.20q, %v", done, got, err)
			}
			if err := host.ReplaceFile(d, "/f", []byte("next")); err != nil {
				t.Fatalf("what the power failure left is in the way: %v", err)
			}
		})
}
