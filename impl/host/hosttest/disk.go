package hosttest

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"tribune/impl/host"
)

// Disk is a host.FS in memory that keeps to the letter of its durability rules:
// in a power failure it forgets whatever it may, each sector of a file and each
// name of a directory for itself. After a sync that failed the bytes look
// written, and are not.
type Disk struct {
	mu    sync.Mutex
	live  map[string]*inode // what programs see, by clean path
	kept  map[string]*inode // what a power failure leaves
	locks map[string]*lock
	boot  int // counts power failures: open files do not outlive one
	fault func(op, name string) error
}

// inode is a file or a directory.
type inode struct {
	dir   bool
	live  []byte
	kept  []byte
	dirty map[int]bool // sectors written since the last sync, also a failed one
	sized bool         // the length was changed since
}

const sectorSize = 512

var errDown = errors.New("the disk was without power since this was opened")

// NewDisk returns an empty disk.
func NewDisk() *Disk {
	root := &inode{dir: true}
	return &Disk{live: map[string]*inode{"/": root}, kept: map[string]*inode{"/": root}, locks: map[string]*lock{}}
}

// Fail asks fault before every operation that changes something or syncs
// ("create", "write", "truncate", "sync", "syncdir", "rename", "remove",
// "mkdir") or reads ("read"), and fails it with the error that fault returns. Of
// a write that fails the first half is carried out. Nil ends all faults.
func (d *Disk) Fail(fault func(op, name string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

// failing returns the fault of an operation. The caller holds mu.
func (d *Disk) failing(op, name string) error {
	if d.fault == nil {
		return nil
	}
	if err := d.fault(op, name); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// PowerFailure forgets what r says of all that was not synced.
func (d *Disk) PowerFailure(r *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.boot++
	d.locks = map[string]*lock{}
	names := maps.Clone(d.live)
	maps.Copy(names, d.kept)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		now, then := d.live[name], d.kept[name]
		if now != then && r.IntN(2) == 0 {
			now = then
		}
		switch {
		case now == nil || d.live[path.Dir(name)] == nil:
			delete(d.live, name)
		default:
			d.live[name] = now
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.live)) {
		d.live[name].powerFailure(r)
	}
	d.kept = maps.Clone(d.live)
}

func (n *inode) powerFailure(r *rand.Rand) {
	size := len(n.live)
	if !n.sized || r.IntN(2) == 0 {
		size = len(n.kept)
	}
	after := make([]byte, size)
	copy(after, n.kept)
	for _, s := range slices.Sorted(maps.Keys(n.dirty)) {
		if from := s * sectorSize; from < size && r.IntN(2) == 0 {
			part := after[from:min(from+sectorSize, size)]
			clear(part)
			if from < len(n.live) {
				copy(part, n.live[from:])
			}
		}
	}
	n.live, n.kept, n.dirty, n.sized = after, slices.Clone(after), nil, false
}

// touch marks the bytes from..to as written.
func (n *inode) touch(from, to int) {
	if n.dirty == nil {
		n.dirty = map[int]bool{}
	}
	for s := from / sectorSize; s*sectorSize < to; s++ {
		n.dirty[s] = true
	}
}

func (n *inode) resize(size int) {
	n.touch(min(size, len(n.live)), max(size, len(n.live)))
	n.sized = n.sized || size != len(n.live)
	grown := make([]byte, size)
	copy(grown, n.live)
	n.live = grown
}

func (n *inode) sync() {
	size := len(n.live)
	if !n.sized { // the length may be one that a failed sync lost
		size = len(n.kept)
		for s := range n.dirty {
			size = max(size, min((s+1)*sectorSize, len(n.live)))
		}
	}
	kept := make([]byte, size)
	copy(kept, n.kept)
	for s := range n.dirty {
		if from := s * sectorSize; from < size {
			copy(kept[from:min(from+sectorSize, size)], n.live[from:])
		}
	}
	n.kept = kept
}

// place returns why nothing can be at a name: its directory is missing, or is a
// file. The caller holds mu.
func (d *Disk) place(op, name string) error {
	at := path.Dir(clean(name))
	if n := d.live[at]; n != nil && n.dir {
		return nil
	}
	for d.live[at] == nil {
		at = path.Dir(at)
	}
	if d.live[at].dir {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
}

func clean(name string) string { return path.Clean("/" + name) }

// OpenFile implements host.FS.
func (d *Disk) OpenFile(name string, flag int, _ fs.FileMode) (host.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := clean(name)
	if err := d.place("open", name); err != nil {
		return nil, err
	}
	n, writes := d.live[p], flag&(os.O_WRONLY|os.O_RDWR) != 0
	switch {
	case n != nil && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case n != nil && n.dir && (writes || flag&os.O_CREATE != 0):
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	case n == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case n == nil:
		if err := d.failing("create", name); err != nil {
			return nil, err
		}
		n = &inode{}
		d.live[p] = n
	}
	if flag&os.O_TRUNC != 0 && len(n.live) > 0 {
		if err := d.failing("truncate", name); err != nil {
			return nil, err
		}
		n.resize(0)
	}
	return &file{
		disk: d, boot: d.boot, name: name, node: n,
		reads: flag&os.O_WRONLY == 0, writes: writes, append: flag&os.O_APPEND != 0,
	}, nil
}

// MkdirAll implements host.FS.
func (d *Disk) MkdirAll(name string, _ fs.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := "/"
	for _, part := range strings.FieldsFunc(clean(name), func(r rune) bool { return r == '/' }) {
		at = path.Join(at, part)
		if n := d.live[at]; n != nil && !n.dir {
			return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		} else if n != nil {
			continue
		}
		if err := d.failing("mkdir", at); err != nil {
			return err
		}
		d.live[at] = &inode{dir: true}
	}
	return nil
}

// ReadDir implements host.FS.
func (d *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := clean(name)
	if err := d.place("open", path.Join(dir, "entry")); err != nil {
		return nil, err
	}
	var found []fs.DirEntry
	for p, n := range d.live {
		if p != "/" && path.Dir(p) == dir {
			found = append(found, fs.FileInfoToDirEntry(info{path.Base(p), int64(len(n.live)), n.dir}))
		}
	}
	slices.SortFunc(found, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return found, nil
}

// Stat implements host.FS.
func (d *Disk) Stat(name string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.live[clean(name)]
	if err := d.place("stat", name); n == nil && err != nil {
		return nil, err
	}
	if n == nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return info{path.Base(name), int64(len(n.live)), n.dir}, nil
}

// Rename implements host.FS, for files; of a directory it is
// errors.ErrUnsupported.
func (d *Disk) Rename(oldName, newName string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	from, to := clean(oldName), clean(newName)
	if err := cmp.Or(d.place("rename", oldName), d.place("rename", newName)); err != nil {
		return err
	}
	var why error
	switch old, replaced := d.live[from], d.live[to]; {
	case old == nil:
		why = fs.ErrNotExist
	case replaced != nil && replaced.dir:
		why = fs.ErrExist
	case old.dir:
		why = errors.ErrUnsupported
	}
	if why != nil {
		return &fs.PathError{Op: "rename", Path: oldName, Err: why}
	}
	if err := d.failing("rename", newName); err != nil {
		return err
	}
	moved := d.live[from]
	delete(d.live, from)
	d.live[to] = moved
	return nil
}

// Remove implements host.FS.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := clean(name)
	if d.live[p] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	for other := range d.live {
		if path.Dir(other) == p && other != p {
			return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
		}
	}
	if err := d.failing("remove", name); err != nil {
		return err
	}
	delete(d.live, p)
	return nil
}

// RemoveAll implements host.FS.
func (d *Disk) RemoveAll(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.failing("remove", name); err != nil {
		return err
	}
	maps.DeleteFunc(d.live, func(p string, _ *inode) bool {
		return p == clean(name) || strings.HasPrefix(p, clean(name)+"/")
	})
	return nil
}

// SyncDir implements host.FS.
func (d *Disk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := clean(name)
	if d.live[dir] == nil {
		return &fs.PathError{Op: "syncdir", Path: name, Err: fs.ErrNotExist}
	}
	if err := d.failing("syncdir", name); err != nil {
		return err
	}
	maps.DeleteFunc(d.kept, func(p string, _ *inode) bool { return p != "/" && path.Dir(p) == dir })
	for p, n := range d.live {
		if path.Dir(p) == dir {
			d.kept[p] = n
		}
	}
	return nil
}

// Lock implements host.FS.
func (d *Disk) Lock(name string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := clean(name)
	if err := d.place("lock", name); err != nil {
		return nil, err
	}
	if d.locks[p] != nil {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: syscall.EWOULDBLOCK}
	}
	if d.live[p] == nil {
		if err := d.failing("create", name); err != nil {
			return nil, err
		}
		d.live[p] = &inode{}
	}
	l := &lock{disk: d, name: name}
	d.locks[p] = l
	return l, nil
}

// lock is a lock that somebody took. Its fields belong to Disk.mu.
type lock struct {
	disk   *Disk
	name   string
	closed bool
}

func (l *lock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	if l.closed {
		return &fs.PathError{Op: "close", Path: l.name, Err: fs.ErrClosed}
	}
	l.closed = true
	if p := clean(l.name); l.disk.locks[p] == l { // else a power failure took it
		delete(l.disk.locks, p)
	}
	return nil
}

// info describes a file.
type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }

func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}
