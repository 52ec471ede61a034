package simdisk

import (
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"tribune/netmodel"
	"tribune/sim/detrt"
	"tribune/sim/trace"
)

// As package os: these come from no system call.
var (
	errNegative = errors.New("negative offset")
	errAppend   = errors.New("WriteAt on a file opened with O_APPEND")
)

// file is an open file.
type file struct {
	disk  *Disk
	epoch int
	name  string
	node  *inode
	flag  int

	mu     detrt.Mutex
	offset int64
	closed bool
}

// check returns why an operation cannot be, and the lock is held if it is nil.
func (f *file) check(op string) error {
	f.disk.mu.Lock()
	if f.closed || f.epoch != f.disk.epoch {
		f.disk.mu.Unlock()
		return pathError(op, f.name, fs.ErrClosed)
	}
	return nil
}

// Name implements host.File.
func (f *file) Name() string { return f.name }

// ReadAt implements host.File.
func (f *file) ReadAt(b []byte, at int64) (int, error) {
	if at < 0 {
		return 0, pathError("read", f.name, errNegative)
	}
	if err := f.disk.enter("read", f.name, func(o Options) netmodel.Dist { return o.Read }); err != nil {
		return 0, err
	}
	if err := f.check("read"); err != nil {
		return 0, err
	}
	defer f.disk.mu.Unlock()
	if f.flag&os.O_WRONLY != 0 {
		return 0, pathError("read", f.name, syscall.EBADF)
	}
	if len(b) == 0 {
		return 0, nil
	}
	if at >= f.node.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), f.node.size-at))
	f.node.read(b[:n], at)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// read fills b with what the file has from a place on.
func (n *inode) read(b []byte, at int64) {
	for done := 0; done < len(b); {
		page, from := n.pages[(at+int64(done))/pageSize], (at+int64(done))%pageSize
		part := b[done:min(len(b), done+int(pageSize-from))]
		if page == nil {
			clear(part)
		} else {
			copy(part, page[from:])
		}
		done += len(part)
	}
}

// WriteAt implements host.File.
func (f *file) WriteAt(b []byte, at int64) (int, error) {
	if at < 0 {
		return 0, pathError("write", f.name, errNegative)
	}
	if f.flag&os.O_APPEND != 0 {
		return 0, pathError("write", f.name, errAppend)
	}
	n, _, err := f.write(b, func() int64 { return at })
	return n, err
}

// write writes at the place that where tells under the disk's lock, and returns
// where it ended.
func (f *file) write(b []byte, where func() int64) (n int, end int64, err error) {
	err = f.disk.observed(Operation{Op: "write", Name: f.name, Data: b}, func() error {
		n, end, err = f.doWrite(b, where)
		return err
	})
	return n, end, err
}

func (f *file) doWrite(b []byte, where func() int64) (n int, end int64, err error) {
	if err := f.disk.enter("write", f.name, func(o Options) netmodel.Dist { return o.Write }); err != nil {
		return 0, 0, err
	}
	if err := f.check("write"); err != nil {
		return 0, 0, err
	}
	defer f.disk.mu.Unlock()
	if f.flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		return 0, 0, pathError("write", f.name, syscall.EBADF)
	}
	at := where()
	n, err = f.disk.write(f.node, b, at)
	f.disk.record(trace.DiskWrite, f.name, int64(n), uint64(crc32.ChecksumIEEE(b[:n])), "")
	if err != nil {
		err = pathError("write", f.name, err)
		f.disk.record(trace.DiskFail, f.name, int64(len(b)), 0, "write: "+syscall.ENOSPC.Error())
	}
	return n, at + int64(n), err
}

// write writes as many pages as there is room for.
func (d *Disk) write(n *inode, b []byte, at int64) (int, error) {
	done, capacity := 0, d.now().Capacity
	for done < len(b) {
		number, from := (at+int64(done))/pageSize, (at+int64(done))%pageSize
		part := b[done:min(len(b), done+int(pageSize-from))]
		first, last := (at+int64(done))/sectorSize, (at+int64(done+len(part))-1)/sectorSize
		page := n.pages[number]
		if page == nil && !n.gone && capacity > 0 && d.used+pageSize > capacity {
			return done, syscall.ENOSPC
		}
		for s := first; s <= last; s++ {
			n.touch(s)
		}
		if page == nil {
			page = new([pageSize]byte)
			n.pages[number] = page
			d.room(n, 1)
		}
		copy(page[from:], part)
		done += len(part)
		n.grow(at, at+int64(done))
	}
	return done, nil
}

// Sync implements host.File.
func (f *file) Sync() error {
	return f.disk.observed(Operation{Op: "sync", Name: f.name}, f.sync)
}

func (f *file) sync() error {
	if err := f.check("sync"); err != nil {
		return err
	}
	begun := &flush{old: f.node.undo, size: f.node.size, past: f.node.lengths}
	f.node.syncing = append(f.node.syncing, begun)
	f.node.undo, f.node.lengths = map[int64]sector{}, nil
	f.disk.mu.Unlock()
	err := f.disk.enter("sync", f.name, func(o Options) netmodel.Dist { return o.Sync })
	if cerr := f.check("sync"); cerr != nil {
		return cerr
	}
	defer f.disk.mu.Unlock()
	if !f.node.flushed(begun, err) && err == nil && begun.err != nil {
		err = begun.err
		f.disk.record(trace.DiskFail, f.name, 0, 0, "sync: lost by another sync")
	}
	if err == nil {
		f.disk.record(trace.DiskSync, f.name, int64(len(begun.old))*sectorSize, 0, "")
	}
	return err
}

// flushed ends a flush, and with it all that began before it, as err tells. It
// reports false if a later one has ended it already.
func (n *inode) flushed(begun *flush, err error) bool {
	done := slices.Index(n.syncing, begun) + 1
	if done == 0 {
		return false
	}
	ended, later := n.syncing[:done], slices.Clone(n.syncing[done:])
	n.syncing = later
	if err == nil {
		n.durable = begun.size
		return true
	}
	// From the latest to the earliest, so that what remains is what the platter
	// held before all of them.
	for _, s := range slices.Backward(ended) {
		s.err = err
		for at, old := range s.old {
			n.lose(at, old, later)
		}
		past := &n.lengths
		if len(later) > 0 {
			past = &later[0].past
		}
		for _, l := range s.past {
			*past = add(*past, l)
		}
	}
	return true
}

// lose notes that what a failed flush wrote to a sector is not on the platter.
// If the sector was written again since, it is dirty: the next flush brings it
// there, and only until then does the platter hold the old content.
func (n *inode) lose(at int64, old sector, later []*flush) {
	for _, s := range later {
		if _, again := s.old[at]; again {
			s.old[at] = old
			return
		}
	}
	if _, again := n.undo[at]; again {
		n.undo[at] = old
		return
	}
	n.lost[at] = old
}

// Truncate implements host.File.
func (f *file) Truncate(size int64) error {
	return f.disk.observed(Operation{Op: "truncate", Name: f.name}, func() error { return f.truncate(size) })
}

func (f *file) truncate(size int64) error {
	if err := f.disk.enter("truncate", f.name, nil); err != nil {
		return err
	}
	if err := f.check("truncate"); err != nil {
		return err
	}
	defer f.disk.mu.Unlock()
	if size < 0 || f.flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		return pathError("truncate", f.name, syscall.EINVAL)
	}
	f.disk.truncate(f.name, f.node, size)
	return nil
}

func (d *Disk) truncate(name string, n *inode, size int64) {
	before := len(n.pages)
	for _, number := range sortedKeys(n.pages) {
		if (number+1)*pageSize <= size {
			continue
		}
		for s := max(number*pageSize, size) / sectorSize; s < (number+1)*pageSize/sectorSize; s++ {
			n.touch(s)
		}
	}
	if size != n.size {
		n.lengths = add(n.lengths, span{size, size})
	}
	n.resize(size)
	d.room(n, len(n.pages)-before)
	d.record(trace.DiskMeta, name, size, 0, "truncate")
}

// Read implements host.File.
func (f *file) Read(b []byte) (int, error) {
	f.mu.Lock()
	at := f.offset
	f.mu.Unlock()
	n, err := f.ReadAt(b, at)
	f.mu.Lock()
	f.offset += int64(n)
	f.mu.Unlock()
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Write implements host.File.
func (f *file) Write(b []byte) (int, error) {
	f.mu.Lock()
	at := f.offset
	f.mu.Unlock()
	n, end, err := f.write(b, func() int64 {
		if f.flag&os.O_APPEND != 0 {
			return f.node.size
		}
		return at
	})
	if n > 0 {
		f.mu.Lock()
		f.offset = end
		f.mu.Unlock()
	}
	return n, err
}

// Seek implements host.File.
func (f *file) Seek(offset int64, whence int) (int64, error) {
	if err := f.check("seek"); err != nil {
		return 0, err
	}
	size := f.node.size
	f.disk.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		offset += size
	}
	if offset < 0 {
		return 0, pathError("seek", f.name, syscall.EINVAL)
	}
	f.offset = offset
	return offset, nil
}

// Stat implements host.File.
func (f *file) Stat() (fs.FileInfo, error) {
	if err := f.check("stat"); err != nil {
		return nil, err
	}
	defer f.disk.mu.Unlock()
	return f.node.info(f.name), nil
}

// Close implements host.File.
func (f *file) Close() error {
	if err := f.check("close"); err != nil {
		return err
	}
	f.closed = true
	f.disk.mu.Unlock()
	return nil
}
