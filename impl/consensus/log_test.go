package consensus

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"tribune/impl/host/hosttest"
)

// stretch is the reference model of a log: its entries from first on.
type stretch struct {
	first   uint64
	entries []string
}

func (s stretch) last() uint64 { return s.first + uint64(len(s.entries)) - 1 }

func (s stretch) String() string {
	lengths := []int{}
	for _, e := range s.entries {
		lengths = append(lengths, len(e))
	}
	return fmt.Sprintf("from %d: %v", s.first, lengths)
}

// is reports whether the log that was read is the one of the model; an empty one
// has no first entry.
func (s stretch) is(model stretch) bool {
	return slices.Equal(s.entries, model.entries) && (s.first == model.first || len(s.entries) == 0)
}

const testSegment = 1024

// openTest opens the log on a disk as Open does.
func openTest(disk *hosttest.Disk) (*guard, error) {
	if err := disk.MkdirAll("/wal", 0o700); err != nil {
		return nil, err
	}
	log, err := openLog(disk, "/wal", testSegment, hclog.NewNullLogger())
	if err != nil {
		return nil, err
	}
	return newGuard(log, "/wal"), nil
}

// read returns what a log holds.
func read(g *guard) (stretch, error) {
	first, err := g.FirstIndex()
	if err != nil {
		return stretch{}, err
	}
	last, err := g.LastIndex()
	if err != nil {
		return stretch{}, err
	}
	s := stretch{first: first}
	for i := first; i > 0 && i <= last; i++ {
		var l raft.Log
		if err := g.GetLog(i, &l); err != nil {
			return stretch{}, fmt.Errorf("entry %d of %d to %d: %w", i, first, last, err)
		}
		if l.Index != i || l.Term != i/3 || string(l.Extensions) != "ext" {
			return stretch{}, fmt.Errorf("entry %d is %+v", i, l)
		}
		s.entries = append(s.entries, string(l.Data))
	}
	return s, nil
}

func batchOf(first uint64, data ...string) []*raft.Log {
	var logs []*raft.Log
	for i, d := range data {
		at := first + uint64(i)
		logs = append(logs, &raft.Log{Index: at, Term: at / 3, Data: []byte(d), Extensions: []byte("ext")})
	}
	return logs
}

// change is a step that is drawn: what it does to a log and to the model.
type change struct {
	do   func(g *guard) error
	next stretch
}

// draw draws a change of a log that holds what the model does.
func draw(t *rapid.T, model stretch, fill byte) change {
	kind := rapid.SampledFrom([]string{"store", "store", "store", "cut the end", "cut the start", "nothing"}).Draw(t, "change")
	switch {
	case kind == "store":
		data := []string{}
		for _, size := range rapid.SliceOfN(rapid.IntRange(0, 400), 1, 4).Draw(t, "sizes") {
			data = append(data, strings.Repeat(string(fill), size))
		}
		return change{
			func(g *guard) error { return g.StoreLogs(batchOf(model.last()+1, data...)) },
			stretch{model.first, slices.Concat(model.entries, data)},
		}
	case kind == "cut the end" && len(model.entries) > 0:
		from := rapid.Uint64Range(model.first, model.last()).Draw(t, "from")
		return change{
			func(g *guard) error { return g.DeleteRange(from, model.last()) },
			stretch{model.first, slices.Clone(model.entries[:from-model.first])},
		}
	case kind == "cut the start" && len(model.entries) > 0:
		to := rapid.Uint64Range(model.first, model.last()).Draw(t, "to")
		return change{
			func(g *guard) error { return g.DeleteRange(model.first, to) },
			stretch{to + 1, slices.Clone(model.entries[to-model.first+1:])},
		}
	}
	return change{func(*guard) error { return nil }, model}
}

// interrupt lets the disk refuse everything from some operation on, if drawn.
func interrupt(t *rapid.T, disk *hosttest.Disk) bool {
	if rapid.IntRange(0, 3).Draw(t, "interrupted") > 0 {
		return false
	}
	ops, limit := 0, rapid.IntRange(0, 12).Draw(t, "operations")
	disk.Fail(func(op, _ string) error {
		if ops++; ops > limit && op != "read" {
			return syscall.EIO
		}
		return nil
	})
	return true
}

// TestALogIsWhatWasStoredAndNotCutWhateverStopsIt holds the log against a slice.
// Whatever is done to it may be interrupted by a disk that refuses everything
// from some operation on; after that the process, or the machine, starts again.
func TestALogIsWhatWasStoredAndNotCutWhateverStopsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := hosttest.NewDisk()
		if err := errors.Join(disk.MkdirAll("/wal", 0o700), disk.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
		g, err := openTest(disk)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = g.Close() }()
		model := stretch{first: 1}
		for i := range rapid.IntRange(1, 30).Draw(t, "changes") {
			c := draw(t, model, 'a'+byte(i%26))
			interrupted := interrupt(t, disk)
			if err := c.do(g); err == nil {
				model = c.next
			}
			if interrupted || rapid.IntRange(0, 4).Draw(t, "restart") == 0 {
				_ = g.Close() // on a disk that refuses everything it may fail
				disk.Fail(nil)
				if rapid.Bool().Draw(t, "power fails") {
					disk.PowerFailure(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
				}
				again, err := openTest(disk)
				if err != nil {
					t.Fatalf("it cannot be opened: %v", err)
				}
				g = again
			}
			got, err := read(g)
			if err != nil {
				t.Fatal(err)
			}
			if got.is(c.next) { // interrupted, it may have happened or not
				model = c.next
			}
			if !got.is(model) {
				t.Fatalf("it holds %v, want %v or %v", got, model, c.next)
			}
		}
	})
}

// TestAFlippedBitIsFoundUnlessItLooksLikeACrash flips each bit of the log's files
// in turn. What remains is what was stored, or an error; damage to the batch that
// was written last may look like one that a crash interrupted.
func TestAFlippedBitIsFoundUnlessItLooksLikeACrash(t *testing.T) {
	disk := hosttest.NewDisk()
	g, err := openTest(disk)
	if err != nil {
		t.Fatal(err)
	}
	var stored stretch
	stored.first = 1
	for i, d := range []string{"one", strings.Repeat("2", 500), "", strings.Repeat("4", 500), "five", strings.Repeat("6", 40), "seven"} {
		if err := g.StoreLogs(batchOf(uint64(i+1), d)); err != nil {
			t.Fatal(err)
		}
		stored.entries = append(stored.entries, d)
	}
	if err := g.settle(); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := disk.ReadDir("/wal")
	if err != nil || len(entries) != 3 {
		t.Fatalf("want two segments and a meta file: %v, %v", entries, err)
	}
	found, crashes := 0, 0
	for _, e := range entries {
		name := "/wal/" + e.Name()
		f, err := disk.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		whole := make([]byte, info.Size())
		if _, err := f.ReadAt(whole, 0); err != nil {
			t.Fatal(err)
		}
		for at := range bytes.TrimRight(whole, "\x00") {
			flipped := slices.Clone(whole)
			flipped[at] ^= 1 << (at % 8)
			if _, err := f.WriteAt(flipped, 0); err != nil {
				t.Fatal(err)
			}
			got, err := reread(disk)
			switch {
			case err != nil:
				found++
			case slices.Equal(got.entries, stored.entries): // in the filling between frames
			case slices.Equal(got.entries, stored.entries[:len(stored.entries)-1]):
				crashes++
			default:
				t.Errorf("bit %d of byte %d of %s is flipped: %v, want %v", at%8, at, name, got, stored)
			}
			if _, err := f.WriteAt(whole, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if found < 1000 || crashes == 0 {
		t.Errorf("%d found, %d took for a crash", found, crashes)
	}
}

func reread(disk *hosttest.Disk) (stretch, error) {
	g, err := openTest(disk)
	if err != nil {
		return stretch{}, err
	}
	got, err := read(g)
	if cerr := g.Close(); err == nil {
		err = cerr
	}
	return got, err
}

func FuzzASegmentIsReadWithoutPanic(f *testing.F) {
	f.Add(make([]byte, 100))
	disk := hosttest.NewDisk()
	g, err := openTest(disk)
	if err != nil {
		f.Fatal(err)
	}
	for i := range uint64(4) {
		if err := g.StoreLogs(batchOf(i+1, strings.Repeat("x", int(i)*50))); err != nil {
			f.Fatal(err)
		}
	}
	if err := g.Close(); err != nil {
		f.Fatal(err)
	}
	entries, err := disk.ReadDir("/wal")
	if err != nil {
		f.Fatal(err)
	}
	file, err := disk.OpenFile("/wal/"+entries[0].Name(), os.O_RDONLY, 0)
	if err != nil {
		f.Fatal(err)
	}
	b := make([]byte, testSegment)
	if _, err := file.ReadAt(b, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if found, err := scan(b); err == nil && found.end > len(b) {
			t.Errorf("%d bytes of %d", found.end, len(b))
		}
	})
}
