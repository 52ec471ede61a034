package simdisk

import (
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"tribune/impl/host"
	"tribune/netmodel"
	"tribune/sim/trace"
)

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

func parts(name string) []string {
	return strings.FieldsFunc(path.Clean("/"+name), func(r rune) bool { return r == '/' })
}

// walk returns the inode of a name, nil if there is none, and the directory
// that holds it or would.
func (d *Disk) walk(name string) (parent, found *inode, err error) {
	all := parts(name)
	if len(all) == 0 {
		return nil, d.root, nil
	}
	parent = d.root
	for _, p := range all[:len(all)-1] {
		next := parent.live[p]
		if next == nil {
			return nil, nil, syscall.ENOENT
		}
		if !next.isDir {
			return nil, nil, syscall.ENOTDIR
		}
		parent = next
	}
	return parent, parent.live[all[len(all)-1]], nil
}

// Matches reports whether a file's name is of a pattern (path.Match): its last part, or if
// there is a slash in the pattern, the whole of it from the root on. All names are of "",
// and none is of a pattern that is none.
func Matches(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	if !strings.Contains(pattern, "/") {
		name = path.Base(name)
	} else {
		pattern, name = path.Join("/", pattern), path.Join("/", name)
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// last is the last part of a name.
func last(name string) string { return path.Base(path.Clean("/" + name)) }

// change carries out steps for programs, and keeps them for the platter.
func (d *Disk) change(op, name string, steps ...step) {
	for _, s := range steps {
		if old := s.dir.live[s.name]; old != nil && !slices.ContainsFunc(steps, func(s step) bool { return s.target == old }) {
			d.room(old, -len(old.pages))
			old.gone = true
		}
		if s.target == nil {
			delete(s.dir.live, s.name)
		} else {
			s.dir.live[s.name] = s.target
		}
	}
	d.journal = append(d.journal, change{steps})
	d.record(trace.DiskMeta, name, 0, 0, op)
}

// room counts pages that a file gained or lost.
func (d *Disk) room(n *inode, pages int) {
	if !n.gone {
		d.used += int64(pages) * pageSize
	}
}

// OpenFile implements host.FS.
func (d *Disk) OpenFile(name string, flag int, _ fs.FileMode) (host.File, error) {
	op := ""
	switch there := exists(d, name); {
	case !there && flag&os.O_CREATE != 0:
		op = "create"
	case there && flag&os.O_TRUNC != 0 && flag&os.O_EXCL == 0:
		op = "truncate"
	default:
		return d.open(name, flag)
	}
	var f host.File
	err := d.observed(Operation{Op: op, Name: name}, func() (err error) {
		f, err = d.open(name, flag)
		return err
	})
	return f, err
}

func exists(d *Disk, name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, n, err := d.walk(name)
	return err == nil && n != nil
}

func (d *Disk) open(name string, flag int) (host.File, error) {
	if err := d.enter("open", name, nil); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	parent, n, err := d.walk(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, pathError("open", name, syscall.ENOENT)
	case n == nil:
		n = newFile()
		d.change("create", name, step{place{parent, last(name)}, n})
	case flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, pathError("open", name, syscall.EEXIST)
	case n.isDir:
		return nil, pathError("open", name, syscall.EISDIR)
	case flag&os.O_TRUNC != 0:
		d.truncate(name, n, 0)
	}
	return &file{disk: d, epoch: d.epoch, name: name, node: n, flag: flag}, nil
}

// MkdirAll implements host.FS.
func (d *Disk) MkdirAll(name string, _ fs.FileMode) error {
	return d.observed(Operation{Op: "mkdir", Name: name}, func() error { return d.mkdirAll(name) })
}

func (d *Disk) mkdirAll(name string) error {
	if err := d.enter("mkdir", name, nil); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.root
	for _, p := range parts(name) {
		next := at.live[p]
		if next == nil {
			next = newDir()
			d.change("mkdir", name, step{place{at, p}, next})
		}
		if !next.isDir {
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
		at = next
	}
	return nil
}

// ReadDir implements host.FS.
func (d *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := d.enter("open", name, nil); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, n, err := d.walk(name)
	switch {
	case err != nil:
		return nil, pathError("open", name, err)
	case n == nil:
		return nil, pathError("open", name, syscall.ENOENT)
	case !n.isDir:
		return nil, pathError("open", name, syscall.ENOTDIR)
	}
	var entries []fs.DirEntry
	for _, child := range sortedKeys(n.live) {
		entries = append(entries, fs.FileInfoToDirEntry(n.live[child].info(child)))
	}
	return entries, nil
}

// Stat implements host.FS.
func (d *Disk) Stat(name string) (fs.FileInfo, error) {
	if err := d.enter("stat", name, nil); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, n, err := d.walk(name)
	if err == nil && n == nil {
		err = syscall.ENOENT
	}
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return n.info(last(name)), nil
}

// Rename implements host.FS. It is one change, even between directories.
func (d *Disk) Rename(oldName, newName string) error {
	return d.observed(Operation{Op: "rename", Name: newName, From: oldName}, func() error { return d.rename(oldName, newName) })
}

func (d *Disk) rename(oldName, newName string) error {
	if err := d.enter("rename", oldName, nil); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	from, n, err := d.walk(oldName)
	to, old, newErr := d.walk(newName)
	switch { // in the order in which package os and the kernel look
	case err != nil:
	case newErr != nil:
		err = newErr
	case n == nil || n == d.root:
		err = syscall.ENOENT
	case old != nil && old.isDir:
		err = syscall.EEXIST
	case old == n:
		return nil
	case within(newName, oldName):
		err = syscall.EINVAL
	case old != nil && n.isDir:
		err = syscall.ENOTDIR
	}
	if err != nil {
		return pathError("rename", oldName, err)
	}
	d.change("rename from "+oldName, newName, step{place{to, last(newName)}, n}, step{place{from, last(oldName)}, nil})
	return nil
}

// within reports whether a name lies in a directory.
func within(name, dir string) bool {
	of := parts(dir)
	all := parts(name)
	return len(all) > len(of) && slices.Equal(all[:len(of)], of)
}

// Remove implements host.FS.
func (d *Disk) Remove(name string) error {
	return d.observed(Operation{Op: "remove", Name: name}, func() error { return d.remove(name) })
}

func (d *Disk) remove(name string) error {
	if err := d.enter("remove", name, nil); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	parent, n, err := d.walk(name)
	switch {
	case err != nil:
	case n == nil || parent == nil:
		err = syscall.ENOENT
	case n.isDir && len(n.live) > 0:
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	d.change("remove", name, step{place{parent, last(name)}, nil})
	return nil
}

// RemoveAll implements host.FS.
func (d *Disk) RemoveAll(name string) error {
	return d.observed(Operation{Op: "remove", Name: name}, func() error { return d.removeAll(name) })
}

func (d *Disk) removeAll(name string) error {
	if err := d.enter("remove", name, nil); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	parent, n, err := d.walk(name)
	if err == syscall.ENOTDIR {
		return pathError("remove", name, err)
	}
	if err != nil || n == nil || parent == nil {
		return nil
	}
	d.removeTree(name, parent, last(name))
	return nil
}

func (d *Disk) removeTree(name string, parent *inode, base string) {
	n := parent.live[base]
	if n.isDir {
		for _, child := range sortedKeys(n.live) {
			d.removeTree(path.Join(name, child), n, child)
		}
	}
	d.change("remove", name, step{place{parent, base}, nil})
}

// SyncDir implements host.FS.
func (d *Disk) SyncDir(name string) error {
	return d.observed(Operation{Op: "syncdir", Name: name}, func() error { return d.syncDir(name) })
}

func (d *Disk) syncDir(name string) error {
	err := d.enter("syncdir", name, func(o Options) netmodel.Dist { return o.Sync })
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, n, err := d.walk(name)
	if err == nil && (n == nil || !n.isDir) {
		err = syscall.ENOENT
	}
	if err != nil {
		return pathError("syncdir", name, err)
	}
	d.journal = d.journal.synced(n)
	d.record(trace.DiskSync, name, 0, 0, "names")
	return nil
}

// lock is a lock that is held.
type lock struct {
	disk  *Disk
	epoch int
	name  string
	freed bool
}

// Lock implements host.FS.
func (d *Disk) Lock(name string) (io.Closer, error) {
	f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean("/" + name)
	if d.locks[name] {
		return nil, pathError("lock", name, syscall.EWOULDBLOCK)
	}
	d.locks[name] = true
	return &lock{disk: d, epoch: d.epoch, name: name}, nil
}

// Close frees the lock. One that was freed before, by Close or by the end of
// its process, is fs.ErrClosed.
func (l *lock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	if l.freed || l.epoch != l.disk.epoch {
		return pathError("unlock", l.name, fs.ErrClosed)
	}
	l.freed = true
	delete(l.disk.locks, l.name)
	return nil
}

type info struct {
	name  string
	size  int64
	isDir bool
}

func (n *inode) info(name string) fs.FileInfo { return info{name, n.size, n.isDir} }

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.isDir }
func (i info) Sys() any           { return nil }

func (i info) Mode() fs.FileMode {
	if i.isDir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}
