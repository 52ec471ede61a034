package simdisk

import (
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"

	"tribune/netmodel"
	"tribune/sim/trace"
)

// file is an open file.
type file struct {
	disk  *Disk
	epoch int
	name  string
	node  *inode
	flag  int

	mu     sync.Mutex
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
	if err := f.disk.enter("read", f.name, func(o Options) netmodel.Dist { return o.Read }); err != nil {
		return 0, err
	}
	if err := f.check("read"); err != nil {
		return 0, err
	}
	defer f.disk.mu.Unlock()
	if at < 0 {
		return 0, pathError("read", f.name, syscall.EINVAL)
	}
	if at >= f.node.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), f.node.size-at))
	for done := 0; done < n; {
		page, from := f.node.pages[(at+int64(done))/pageSize], (at+int64(done))%pageSize
		part := b[done:min(n, done+int(pageSize-from))]
		if page == nil {
			clear(part)
		} else {
			copy(part, page[from:])
		}
		done += len(part)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements host.File.
func (f *file) WriteAt(b []byte, at int64) (int, error) {
	if err := f.disk.enter("write", f.name, func(o Options) netmodel.Dist { return o.Write }); err != nil {
		return 0, err
	}
	if err := f.check("write"); err != nil {
		return 0, err
	}
	defer f.disk.mu.Unlock()
	if f.flag&(os.O_WRONLY|os.O_RDWR) == 0 || at < 0 {
		return 0, pathError("write", f.name, syscall.EBADF)
	}
	n, err := f.disk.write(f.node, b, at)
	f.disk.record(trace.DiskWrite, f.name, int64(n), uint64(crc32.ChecksumIEEE(b[:n])), "")
	if err != nil {
		err = pathError("write", f.name, err)
		f.disk.record(trace.DiskFail, f.name, int64(len(b)), 0, "disk full")
	}
	return n, err
}

// write writes as many pages as there is room for.
func (d *Disk) write(n *inode, b []byte, at int64) (int, error) {
	done := 0
	for done < len(b) {
		number, from := (at+int64(done))/pageSize, (at+int64(done))%pageSize
		part := b[done:min(len(b), done+int(pageSize-from))]
		first, last := (at+int64(done))/sectorSize, (at+int64(done+len(part))-1)/sectorSize
		page := n.pages[number]
		if page == nil && d.options.Capacity > 0 && d.used+pageSize > d.options.Capacity {
			return done, syscall.ENOSPC
		}
		for s := first; s <= last; s++ {
			n.touch(s)
		}
		if page == nil {
			page = new([pageSize]byte)
			n.pages[number] = page
			d.used += pageSize
		}
		copy(page[from:], part)
		done += len(part)
		n.size = max(n.size, at+int64(done))
	}
	return done, nil
}

// Sync implements host.File.
func (f *file) Sync() error {
	if err := f.check("sync"); err != nil {
		return err
	}
	begun := &flush{old: f.node.undo, size: f.node.size}
	f.node.syncing = append(f.node.syncing, begun)
	f.node.undo = map[int64]sector{}
	f.disk.mu.Unlock()
	err := f.disk.enter("sync", f.name, func(o Options) netmodel.Dist { return o.Sync })
	if cerr := f.check("sync"); cerr != nil {
		return cerr
	}
	defer f.disk.mu.Unlock()
	n := f.node
	// A flush that ends has ended all that began before it.
	done := slices.Index(n.syncing, begun) + 1
	if err != nil {
		for _, s := range n.syncing[:done] {
			for at, old := range s.old {
				if _, known := n.lost[at]; !known {
					n.lost[at] = old
				}
			}
		}
	} else if done > 0 {
		n.durable = begun.size
	}
	n.syncing = slices.Clone(n.syncing[done:])
	if err == nil {
		f.disk.record(trace.DiskSync, f.name, int64(len(begun.old))*sectorSize, 0, "")
	}
	return err
}

// Truncate implements host.File.
func (f *file) Truncate(size int64) error {
	if err := f.disk.enter("truncate", f.name, nil); err != nil {
		return err
	}
	if err := f.check("truncate"); err != nil {
		return err
	}
	defer f.disk.mu.Unlock()
	if size < 0 {
		return pathError("truncate", f.name, syscall.EINVAL)
	}
	f.disk.truncate(f.node, size)
	f.disk.record(trace.DiskMeta, f.name, size, 0, "truncate")
	return nil
}

func (d *Disk) truncate(n *inode, size int64) {
	before := len(n.pages)
	for _, number := range sortedKeys(n.pages) {
		if (number+1)*pageSize <= size {
			continue
		}
		for s := max(number*pageSize, size) / sectorSize; s < (number+1)*pageSize/sectorSize; s++ {
			n.touch(s)
		}
	}
	n.resize(size)
	d.used -= int64(before-len(n.pages)) * pageSize
}

// Read implements host.File.
func (f *file) Read(b []byte) (int, error) {
	f.mu.Lock()
	at := f.offset
	f.mu.Unlock()
	n, err := f.ReadAt(b, at)
	f.move(int64(n))
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
	if f.flag&os.O_APPEND != 0 {
		if err := f.check("write"); err != nil {
			return 0, err
		}
		at = f.node.size
		f.disk.mu.Unlock()
	}
	n, err := f.WriteAt(b, at)
	f.move(int64(n))
	return n, err
}

func (f *file) move(by int64) {
	f.mu.Lock()
	f.offset += by
	f.mu.Unlock()
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
