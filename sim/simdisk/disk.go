package simdisk

import (
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"sync"
	"syscall"
	"time"

	"tribune/impl/host"
	"tribune/netmodel"
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
	sched event.Scheduler
	rec   trace.Recorder

	mu      sync.Mutex
	options Options
	root    *inode
	journal []change // of names, in order, not yet durable
	used    int64    // bytes of pages
	epoch   int      // counts processes: handles of an earlier one are dead
	locks   map[string]bool
	rules   []*failRule
	stalled chan struct{} // closed when the stall ends; nil: none

	crashes, faults, delays, rots *rand.Rand
}

// inode is a file or a directory.
type inode struct {
	isDir bool

	// of a directory
	live, kept map[string]*inode // as programs see it, and as it is on the platter

	// of a file
	pages   map[int64]*[pageSize]byte
	size    int64
	durable int64            // size on the platter
	undo    map[int64]sector // what the platter holds, of sectors written since the last sync
	syncing []*flush         // syncs that have begun, oldest first
	lost    map[int64]sector // the same, of sectors whose sync failed
}

// flush is a sync that has begun.
type flush struct {
	old  map[int64]sector // what the platter holds of the sectors it writes
	size int64            // the file's size that it writes
}

// sector is the content of a sector on the platter; nil is zeroes.
type sector *[sectorSize]byte

// change is a change of one or two names, which becomes durable as a whole.
type change struct{ steps []step }

type step struct {
	dir    *inode
	name   string
	target *inode // nil: the name is removed
}

// New returns an empty disk. Its draws come from streams made of seed and name.
func New(name string, s event.Scheduler, rec trace.Recorder, seed uint64, o Options) *Disk {
	return &Disk{
		name: name, sched: s, rec: rec, options: o, root: newDir(), locks: map[string]bool{},
		crashes: stream(seed, "disk crash "+name), faults: stream(seed, "disk fault "+name),
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

// SetCapacity changes the disk's size in bytes; 0 is without end. What is
// stored stays, even if it is more.
func (d *Disk) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.options.Capacity = bytes
}

// Used is how many bytes the files take.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// SetLatency changes how long syncs, writes and reads take; nil is no time.
func (d *Disk) SetLatency(syncs, writes, reads netmodel.Dist) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.options.Sync, d.options.Write, d.options.Read = syncs, writes, reads
}

// Stall holds every operation back until resume is called.
func (d *Disk) Stall() (resume func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := make(chan struct{})
	d.stalled = c
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		close(c)
		if d.stalled == c {
			d.stalled = nil
		}
	})
}

// FailRule makes operations fail.
type FailRule struct {
	Op          string  // "open", "read", "write", "sync", "syncdir", "rename", "remove", "truncate", "mkdir"; "" is each
	Glob        string  // of the file's name without its directory (path.Match); "" is each
	Probability float64 // 0 counts as 1
	Times       int     // how often; 0: without end
	Err         error   // nil: syscall.EIO
}

type failRule struct {
	FailRule
	left int
}

// Fail adds a rule and returns how to take it away.
func (d *Disk) Fail(r FailRule) (remove func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Err == nil {
		r.Err = syscall.EIO
	}
	f := &failRule{r, r.Times}
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

// strike returns the error of the first rule that says so.
func (d *Disk) strike(op, name string) error {
	for _, r := range d.rules {
		if r.Op != "" && r.Op != op || r.Times > 0 && r.left == 0 {
			continue
		}
		if ok, err := path.Match(r.Glob, path.Base(name)); r.Glob != "" && (!ok || err != nil) {
			continue
		}
		if r.Probability > 0 && d.faults.Float64() >= r.Probability {
			continue
		}
		r.left--
		d.record(trace.DiskFail, name, 0, 0, op+": "+r.Err.Error())
		return &fs.PathError{Op: op, Path: name, Err: r.Err}
	}
	return nil
}

// enter begins an operation: it waits out a stall and the time that the
// operation takes, and returns its injected error. The caller does not hold the
// lock.
func (d *Disk) enter(op, name string, takes func(Options) netmodel.Dist) error {
	for {
		d.mu.Lock()
		gate := d.stalled
		if gate == nil {
			break
		}
		d.mu.Unlock()
		<-gate
	}
	err := d.strike(op, name)
	var wait time.Duration
	if takes != nil {
		if dist := takes(d.options); dist != nil {
			wait = dist.Draw(d.delays)
		}
	}
	d.mu.Unlock()
	if wait > 0 {
		done := make(chan struct{})
		d.sched.After(wait, func() { close(done) })
		<-done
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
	kept := len(d.journal)
	if kept > 0 {
		kept = d.crashes.IntN(kept + 1)
	}
	for _, c := range d.journal[:kept] {
		c.settle()
	}
	d.journal = nil
	d.used = 0
	d.root.crash(d)
}

func (c change) settle() {
	for _, s := range c.steps {
		if s.target == nil {
			delete(s.dir.kept, s.name)
		} else {
			s.dir.kept[s.name] = s.target
		}
	}
}

var _ host.FS = (*Disk)(nil)

var _ io.Closer = (*lock)(nil)
