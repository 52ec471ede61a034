package simdisk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"tribune/impl/host"
)

// class is what a program may tell of an error.
func class(err error) string {
	for _, known := range []error{io.EOF, fs.ErrClosed, fs.ErrNotExist, fs.ErrExist, syscall.ENOTDIR, syscall.EISDIR, syscall.EBADF, syscall.EINVAL} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err != nil {
		return "some error"
	}
	return "no error"
}

// side is one of the two file systems, with the files that are open on it.
type side struct {
	fs   host.FS
	root string
	open []host.File
}

func (s *side) at(name string) string { return path.Join(s.root, name) }

// call is an operation with all that it needs; both sides get the same one.
type call struct {
	op, name, other string
	flag, handle    int
	at              int64
	data            []byte
}

func drawCall(t *rapid.T) call {
	names := rapid.SampledFrom([]string{"f", "g", "a", "a/f", "a/g", "a/b", "a/b/f", "no/f", "f/g"})
	access := rapid.SampledFrom([]int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR, os.O_RDWR}).Draw(t, "access")
	flag := access
	for _, bit := range []int{os.O_CREATE, os.O_EXCL, os.O_APPEND} {
		if rapid.Bool().Draw(t, "bit") && (bit == os.O_CREATE || access != os.O_RDONLY) {
			flag |= bit
		}
	}
	if flag&os.O_CREATE == 0 {
		flag &^= os.O_EXCL // POSIX leaves open what it means
	}
	if access == os.O_RDWR && rapid.Bool().Draw(t, "trunc") {
		flag |= os.O_TRUNC
	}
	return call{
		op: rapid.SampledFrom([]string{
			"open", "open", "open", "read", "write", "write", "readat", "writeat", "seek", "truncate", "fstat", "close",
			"mkdir", "list", "stat", "rename", "rename", "remove", "removeall",
		}).Draw(t, "op"),
		name: names.Draw(t, "name"), other: names.Draw(t, "other"), flag: flag,
		handle: rapid.IntRange(0, 3).Draw(t, "handle"), at: rapid.Int64Range(-1, 9000).Draw(t, "at"),
		data: rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "data"),
	}
}

// do makes a call and tells its outcome in text.
func (s *side) do(c call) string {
	switch c.op {
	case "open":
		if info, err := s.fs.Stat(s.at(c.name)); err == nil && info.IsDir() {
			return "a directory" // a program opens none
		}
		f, err := s.fs.OpenFile(s.at(c.name), c.flag, 0o600)
		if err == nil {
			s.open = append(s.open, f)
		}
		return class(err)
	case "mkdir":
		return class(s.fs.MkdirAll(s.at(c.name), 0o700))
	case "rename":
		return class(s.fs.Rename(s.at(c.name), s.at(c.other)))
	case "remove":
		return class(s.fs.Remove(s.at(c.name)))
	case "removeall":
		return class(s.fs.RemoveAll(s.at(c.name)))
	case "stat":
		return about(s.fs.Stat(s.at(c.name)))
	case "list":
		if info, err := s.fs.Stat(s.at(c.name)); err == nil && !info.IsDir() {
			return "a file"
		}
		entries, err := s.fs.ReadDir(s.at(c.name))
		var b strings.Builder
		for _, e := range entries {
			fmt.Fprintf(&b, "%s %t, ", e.Name(), e.IsDir())
		}
		return b.String() + class(err)
	}
	if len(s.open) == 0 {
		return "nothing is open"
	}
	return onFile(s.open[c.handle%len(s.open)], c)
}

func about(info fs.FileInfo, err error) string {
	if err != nil {
		return class(err)
	}
	if info.IsDir() {
		return info.Name() + ", a directory"
	}
	return fmt.Sprintf("%s, %d bytes", info.Name(), info.Size())
}

func onFile(f host.File, c call) string {
	n, at, b := 0, int64(0), make([]byte, len(c.data))
	var err error
	switch c.op {
	case "read":
		n, err = f.Read(b)
	case "readat":
		n, err = f.ReadAt(b, c.at)
	case "write":
		n, err = f.Write(c.data)
	case "writeat":
		n, err = f.WriteAt(c.data, c.at)
	case "seek":
		whence := c.handle % 3
		at, err = f.Seek(c.at, whence)
	case "truncate":
		err = f.Truncate(c.at)
	case "fstat":
		info, err := f.Stat()
		if err == nil {
			return fmt.Sprintf("%d bytes", info.Size())
		}
		return class(err)
	case "close":
		err = f.Close()
	}
	return fmt.Sprintf("%d bytes %q at %d, %s", n, bytes.TrimRight(b, "\x00"), at, class(err))
}

func TestAProgramCannotTellTheDiskFromARealOne(t *testing.T) {
	temp, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		real := &side{fs: host.Real().FS(), root: filepath.Join(temp, fmt.Sprint(runs))}
		simulated := &side{fs: newDisk(1), root: "/data"}
		defer func() {
			for _, f := range real.open {
				_ = f.Close() // a test may have closed it
			}
		}()
		must(t, real.fs.MkdirAll(real.root, 0o700))
		must(t, simulated.fs.MkdirAll(simulated.root, 0o700))
		for i := range rapid.IntRange(1, 40).Draw(t, "calls") {
			c := drawCall(t)
			want, got := real.do(c), simulated.do(c)
			if got != want {
				t.Fatalf("call %d, %+v:\n the real disk: %s\n this disk:     %s", i, c, want, got)
			}
		}
	})
}
