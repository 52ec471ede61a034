package simdisk

import (
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"tribune/impl/host"
	"tribune/netmodel"
	"tribune/sim/detrt"
	"tribune/sim/event"
	"tribune/sim/trace"
)

const (
	sectorSize = 512
	pageSize   = 4096
)

// Options are what a disk is like. The zero value is a fast disk without end.
type Options struct {
	Capacity int64         // bytes; 0: without end
	Sync     netmodel.Dist // time a sync takes; nil: none
	Write    netmodel.Dist // time a write takes; nil: none
	Read     netmodel.Dist // time a read takes; nil: none
}

// Disk is a disk with its file system and page cache.
type Disk struct {
	name  string
	seed  uint64
	sched event.Scheduler
	rec   trace.Recorder

	mu      detrt.Mutex
	options Options
	root    *inode
	journal journal
	used    int64 // bytes of pages
	epoch   int   // counts processes: handles of an earlier one are dead
	locks   map[string]bool
	rules   []*failRule
	added   map[string]int    // rules ever added, by name
	stalled chan struct{}     // closed when the last stall ends; nil: none
	stalls  int               // that last
	changes []*func(*Options) // of the options, while faults last, in the order in which they began

	observers []Observer

	crashes, delays, rots *rand.Rand
}

// inode is a file or a directory.
type inode struct {
	isDir bool
	gone  bool // has no name any more: takes no room

	// of a directory
	live, kept map[string]*inode // as programs see it, and as it is on the platter

	// of a file
	pages   map[int64]*[pageSize]byte
	size    int64
	durable int64            // size on the platter
	lengths []span           // other sizes that it had since the last sync
	undo    map[int64]sector // what the platter holds, of sectors written since the last sync
	syncing []*flush         // syncs that have begun, oldest first
	lost    map[int64]sector // the same, of sectors whose sync failed
}

// flush is a sync that has begun.
type flush struct {
	old  map[int64]sector // what the platter holds of the sectors it writes
	size int64            // the file's size that it writes
	past []span           // the lengths of the file before it, since the last sync
	err  error            // why another sync lost what it writes; nil: none did
}

// span is the lengths from one to another, both included.
type span struct{ from, to int64 }

// sector is the content of a sector on the platter; nil is zeroes.
type sector *[sectorSize]byte

// New returns an empty disk. Its draws come from streams made of seed and name.
func New(name string, s event.Scheduler, rec trace.Recorder, seed uint64, o Options) *Disk {
	return &Disk{
		name: name, seed: seed, sched: s, rec: rec, options: o, root: newDir(),
		locks: map[string]bool{}, added: map[string]int{}, crashes: stream(seed, "disk crash "+name),
		delays: stream(seed, "disk delay "+name), rots: stream(seed, "disk rot "+name),
	}
}

func stream(seed uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(purpose)) // never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func newDir() *inode {
	return &inode{isDir: true, live: map[string]*inode{}, kept: map[string]*inode{}}
}

func newFile() *inode {
	return &inode{pages: map[int64]*[pageSize]byte{}, undo: map[int64]sector{}, lost: map[int64]sector{}}
}

// Used is how many bytes the pages of the files that have a name take.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// Limit makes the disk one of so many bytes, more than 0, until undo is called; of
// several limits that last the least counts. What is stored stays, even if it is more.
func (d *Disk) Limit(bytes int64) (undo func()) {
	return d.alter(func(o *Options) {
		if o.Capacity == 0 || bytes < o.Capacity {
			o.Capacity = bytes
		}
	})
}

// Slow makes syncs take other times than usual until undo is called; of several,
// the latest that lasts counts.
func (d *Disk) Slow(syncs netmodel.Dist) (undo func()) {
	return d.alter(func(o *Options) { o.Sync = syncs })
}

func (d *Disk) alter(change func(*Options)) (undo func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &change
	d.changes = append(d.changes, c)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.changes = slices.DeleteFunc(d.changes, func(x *func(*Options)) bool { return x == c })
	}
}

// now are the options as faults have changed them.
func (d *Disk) now() Options {
	o := d.options
	for _, change := range d.changes {
		(*change)(&o)
	}
	return o
}

// Stall holds every operation back until resume is called; of several stalls,
// until the last one is resumed.
func (d *Disk) Stall() (resume func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stalls++; d.stalls == 1 {
		d.stalled = make(chan struct{})
	}
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.stalls--; d.stalls == 0 {
			close(d.stalled)
			d.stalled = nil
		}
	})
}

// Stalled reports whether operations are held back now.
func (d *Disk) Stalled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stalls > 0
}

// FailRule makes operations fail.
type FailRule struct {
	Name        string  // of its stream of draws; several of one name are counted
	Op          string  // "open", "read", "write", "sync", "syncdir", "rename", "remove", "truncate", "mkdir", "stat"; "" is each
	Glob        string  // of the file's name (Matches)
	Probability float64 // 0 counts as 1
	Skip        int     // so many operations that fit are let through first
	Times       int     // how often; 0: without end
	Err         error   // nil: syscall.EIO
}

type failRule struct {
	FailRule
	fit   int // operations that fitted
	left  int
	draws *rand.Rand // its own, so that another rule coming or going leaves it as it was
}

// Fail adds a rule and returns how to take it away.
func (d *Disk) Fail(r FailRule) (remove func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Err == nil {
		r.Err = syscall.EIO
	}
	d.added[r.Name]++
	f := &failRule{FailRule: r, left: r.Times, draws: stream(d.seed, fmt.Sprintf("disk fault %s %s %d", d.name, r.Name, d.added[r.Name]))}
	d.rules = append(d.rules, f)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for i, x := range d.rules {
			if x == f {
				d.rules = append(d.rules[:i:i], d.rules[i+1:]...)
				return
			}
		}
	}
}

// strike returns the error of the first rule that says so. Every rule that
// fits draws, whichever strikes.
func (d *Disk) strike(op, name string) error {
	var first *failRule
	for _, r := range d.rules {
		if r.Op != "" && r.Op != op || r.Times > 0 && r.left == 0 {
			continue
		}
		if !Matches(r.Glob, name) {
			continue
		}
		r.fit++
		if draw := r.draws.Float64(); first == nil && r.fit > r.Skip && (r.Probability <= 0 || draw < r.Probability) {
			first = r
		}
	}
	if first == nil {
		return nil
	}
	first.left--
	d.record(trace.DiskFail, name, 0, 0, op+": "+first.Err.Error())
	return pathError(op, name, first.Err)
}

// enter begins an operation: it waits out a stall and the time that the
// operation takes, and returns its injected error, or that the process ended
// meanwhile. The caller does not hold the lock.
func (d *Disk) enter(op, name string, takes func(Options) netmodel.Dist) error {
	d.mu.Lock()
	epoch := d.epoch
	for d.stalled != nil {
		gate := d.stalled
		d.mu.Unlock()
		<-gate
		d.mu.Lock()
	}
	if epoch != d.epoch {
		d.mu.Unlock()
		return pathError(op, name, fs.ErrClosed)
	}
	err := d.strike(op, name)
	var wait time.Duration
	if takes != nil {
		if dist := takes(d.now()); dist != nil {
			wait = dist.Draw(d.delays)
		}
	}
	d.mu.Unlock()
	if wait <= 0 {
		return err
	}
	done := make(chan struct{})
	d.sched.After(wait, func() { close(done) })
	<-done
	d.mu.Lock()
	defer d.mu.Unlock()
	if epoch != d.epoch {
		return pathError(op, name, fs.ErrClosed)
	}
	return err
}

func (d *Disk) record(kind trace.Kind, name string, size int64, sum uint64, text string) {
	d.rec.Record(trace.Event{At: d.sched.Now(), Node: d.name, Kind: kind, Peer: name, Size: size, Sum: sum, Text: text})
}

// Kill is the end of the process: its handles are dead and its locks free; the
// page cache stays.
func (d *Disk) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch++
	d.locks = map[string]bool{}
}

// Crash is a power failure: Kill, and the loss of what was not synced.
func (d *Disk) Crash() {
	d.Kill()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.journal.crash(d.crashes)
	d.journal = nil
	d.used = 0
	d.root.crash(d)
}

var _ host.FS = (*Disk)(nil)

var _ io.Closer = (*lock)(nil)
