package hosttest

import (
	"io"
	"io/fs"
	"path"
	"syscall"
)

// file is an open file. Its fields belong to Disk.mu.
type file struct {
	disk   *Disk
	boot   int
	name   string
	node   *inode
	reads  bool // it was opened for that
	writes bool
	append bool
	offset int64
	closed bool
}

// enter takes the disk's lock and returns what gives it back, or why the
// operation cannot be.
func (f *file) enter(op string) (leave func(), err error) {
	f.disk.mu.Lock()
	switch {
	case f.boot != f.disk.boot:
		err = &fs.PathError{Op: op, Path: f.name, Err: errDown}
	case f.closed:
		err = &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	default:
		return f.disk.mu.Unlock, nil
	}
	f.disk.mu.Unlock()
	return nil, err
}

func (f *file) Name() string { return f.name }

func (f *file) Stat() (fs.FileInfo, error) {
	leave, err := f.enter("stat")
	if err != nil {
		return nil, err
	}
	defer leave()
	return info{path.Base(f.name), int64(len(f.node.live)), f.node.dir}, nil
}

// refuse returns why a place in the file cannot be read or written.
func (f *file) refuse(op string, allowed bool, at int64) error {
	switch {
	case !allowed:
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.EBADF}
	case f.node.dir:
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.EISDIR}
	case at < 0:
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.EINVAL}
	}
	return nil
}

// readAt needs the lock.
func (f *file) readAt(b []byte, at int64) (int, error) {
	if err := f.refuse("read", f.reads, at); err != nil {
		return 0, err
	}
	if err := f.disk.failing("read", f.name); err != nil {
		return 0, err
	}
	if at >= int64(len(f.node.live)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.live[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) ReadAt(b []byte, at int64) (int, error) {
	leave, err := f.enter("read")
	if err != nil {
		return 0, err
	}
	defer leave()
	return f.readAt(b, at)
}

func (f *file) Read(b []byte) (int, error) {
	leave, err := f.enter("read")
	if err != nil {
		return 0, err
	}
	defer leave()
	n, err := f.readAt(b, f.offset)
	f.offset += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// writeAt needs the lock.
func (f *file) writeAt(b []byte, at int64) (int, error) {
	if err := f.refuse("write", f.writes, at); err != nil {
		return 0, err
	}
	err := f.disk.failing("write", f.name)
	if err != nil {
		b = b[:len(b)/2]
	}
	end := int(at) + len(b)
	if end > len(f.node.live) {
		f.node.resize(end)
	}
	copy(f.node.live[at:], b)
	f.node.touch(int(at), end)
	return len(b), err
}

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	leave, err := f.enter("write")
	if err != nil {
		return 0, err
	}
	defer leave()
	if f.append {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.EINVAL}
	}
	return f.writeAt(b, at)
}

func (f *file) Write(b []byte) (int, error) {
	leave, err := f.enter("write")
	if err != nil {
		return 0, err
	}
	defer leave()
	if f.append {
		f.offset = int64(len(f.node.live))
	}
	n, err := f.writeAt(b, f.offset)
	f.offset += int64(n)
	return n, err
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	leave, err := f.enter("seek")
	if err != nil {
		return 0, err
	}
	defer leave()
	switch whence {
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		offset += int64(len(f.node.live))
	}
	if offset < 0 {
		return 0, &fs.PathError{Op: "seek", Path: f.name, Err: syscall.EINVAL}
	}
	f.offset = offset
	return offset, nil
}

func (f *file) Truncate(size int64) error {
	leave, err := f.enter("truncate")
	if err != nil {
		return err
	}
	defer leave()
	if !f.writes || size < 0 {
		return &fs.PathError{Op: "truncate", Path: f.name, Err: syscall.EINVAL}
	}
	if err := f.disk.failing("truncate", f.name); err != nil {
		return err
	}
	f.node.resize(int(size))
	return nil
}

func (f *file) Sync() error {
	leave, err := f.enter("sync")
	if err != nil {
		return err
	}
	defer leave()
	if err = f.disk.failing("sync", f.name); err == nil {
		f.node.sync()
	}
	f.node.dirty, f.node.sized = nil, false
	return err
}

func (f *file) Close() error {
	leave, err := f.enter("close")
	if err != nil {
		return err
	}
	defer leave()
	f.closed = true
	return nil
}
