package simdisk_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"tribune/netmodel"
	"tribune/sim/event"
	"tribune/sim/simdisk"
)

func TestAnObserverIsToldOfEveryChangeBeforeAndAfter(t *testing.T) {
	d := newDisk(1)
	var told []string
	d.Observe(func(o simdisk.Operation) <-chan struct{} {
		when := "before"
		if o.After {
			when = "after"
		}
		told = append(told, fmt.Sprintf("%s %s %s%s%s", when, o.Op, o.Name, o.From, o.Data))
		if o.Op == "write" {
			told = append(told, fmt.Sprintf("the file has %q", d.Content(o.Name)))
		}
		if o.Err != nil {
			told = append(told, "failed")
		}
		return nil
	})
	must(t, d.MkdirAll("/a", 0o700))
	f, err := d.OpenFile("/a/b", os.O_CREATE|os.O_RDWR, 0o600)
	must(t, err)
	_, err = d.OpenFile("/a/b", os.O_CREATE|os.O_RDWR, 0o600) // it is there: nothing is created
	must(t, err)
	_, err = f.Write([]byte("x"))
	must(t, err)
	d.Fail(simdisk.FailRule{Op: "sync", Times: 1})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	must(t, f.Truncate(3))
	_, err = d.OpenFile("/a/b", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	must(t, err)
	must(t, d.Rename("/a/b", "/a/c"))
	must(t, d.SyncDir("/a"))
	must(t, d.Remove("/a/c"))
	must(t, d.RemoveAll("/a"))
	want := []string{
		"before mkdir /a", "after mkdir /a", "before create /a/b", "after create /a/b",
		"before write /a/bx", `the file has ""`, "after write /a/bx", `the file has "x"`,
		"before sync /a/b", "after sync /a/b", "failed", "before truncate /a/b", "after truncate /a/b",
		"before truncate /a/b", "after truncate /a/b",
		"before rename /a/c/a/b", "after rename /a/c/a/b", "before syncdir /a", "after syncdir /a",
		"before remove /a/c", "after remove /a/c", "before remove /a", "after remove /a",
	}
	if !slices.Equal(told, want) {
		t.Errorf("it was told\n%q\nand not\n%q", told, want)
	}
	if d.Content("/a/c") != nil {
		t.Error("a file that is not there has a content")
	}
}

func TestAnObserverHoldsAnOperation(t *testing.T) {
	d := newDisk(1)
	f, err := d.OpenFile("/a", os.O_CREATE|os.O_RDWR, 0o600)
	must(t, err)
	hold, done := make(chan struct{}), make(chan error)
	asked := make(chan struct{})
	d.Observe(func(o simdisk.Operation) <-chan struct{} {
		if o.Op == "write" && !o.After {
			close(asked)
			return hold
		}
		return nil
	})
	go func() {
		_, err := f.Write([]byte("x"))
		done <- err
	}()
	<-asked
	if len(d.Content("/a")) != 0 {
		t.Error("an operation that is held was done")
	}
	close(hold)
	must(t, <-done)
	if string(d.Content("/a")) != "x" {
		t.Error("an operation that was held is not done")
	}
}

func TestOfSeveralThatSlowADiskTheLatestCounts(t *testing.T) {
	inBubble(t, func(t *testing.T, loop *event.Loop) {
		usual := simdisk.Options{Sync: netmodel.Constant(time.Millisecond)}
		d := simdisk.New("d", loop, ignore{}, 1, usual)
		f, err := d.OpenFile("/a", os.O_CREATE|os.O_RDWR, 0o600)
		must(t, err)
		takes := func(want time.Duration) {
			t.Helper()
			start := time.Now()
			must(t, f.Sync())
			if got := time.Since(start); got != want {
				t.Errorf("a sync takes %v, not %v", got, want)
			}
		}
		takes(time.Millisecond)
		first := d.Slow(netmodel.Constant(time.Second))
		takes(time.Second)
		second := d.Slow(netmodel.Constant(time.Minute))
		takes(time.Minute)
		first()
		takes(time.Minute)
		second()
		takes(time.Millisecond)
	})
}
