package hosttest_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

// story is what happens on one file system, told in lines. Two file systems
// behave alike when they tell the same.
type story struct {
	*testing.T
	host.FS
	dir   string
	lines []string
}

func (s *story) at(name string) string { return path.Join(s.dir, name) }

// tell adds a line: what was done and how it ended.
func (s *story) tell(what string, outcome any) {
	if err, ok := outcome.(error); ok || outcome == nil {
		outcome = kind(err)
	}
	s.lines = append(s.lines, fmt.Sprintf("%s: %v", what, outcome))
}

// kind is what a program may ask of an error.
func kind(err error) string {
	for _, k := range []struct {
		is   error
		name string
	}{
		{syscall.ENOTEMPTY, "not empty"}, {syscall.EISDIR, "is a directory"}, {syscall.ENOTDIR, "not a directory"},
		{syscall.EBADF, "not opened for this"}, {syscall.EINVAL, "invalid"}, {syscall.EWOULDBLOCK, "held"},
		{fs.ErrNotExist, "does not exist"}, {fs.ErrExist, "exists"}, {fs.ErrClosed, "closed"}, {io.EOF, "end of file"},
	} {
		if errors.Is(err, k.is) {
			return k.name
		}
	}
	if err == nil {
		return "done"
	}
	return err.Error()
}

func (s *story) open(name string, flag int) host.File {
	s.Helper()
	f, err := s.OpenFile(s.at(name), flag, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	return f
}

// opening tells how an opening ends.
func (s *story) opening(what, name string, flag int) {
	f, err := s.OpenFile(s.at(name), flag, 0o600)
	if err == nil {
		err = f.Close()
	}
	s.tell(what, err)
}

// write makes a file.
func (s *story) write(name, content string) {
	s.Helper()
	f := s.open(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	_, err := io.WriteString(f, content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		s.Fatal(err)
	}
}

// mkdir makes a directory.
func (s *story) mkdir(name string) {
	s.Helper()
	if err := s.MkdirAll(s.at(name), 0o700); err != nil {
		s.Fatal(err)
	}
}

// holds tells what a file holds.
func (s *story) holds(name string) {
	b, err := host.ReadFile(s.FS, s.at(name))
	if err != nil {
		s.tell(name, err)
		return
	}
	s.tell(name, fmt.Sprintf("%q", b))
}

// lists tells what is in a directory.
func (s *story) lists(name string) {
	entries, err := s.ReadDir(s.at(name))
	if err != nil {
		s.tell("list "+name, err)
		return
	}
	found := []string{}
	for _, e := range entries {
		if e.IsDir() {
			found = append(found, e.Name()+"/")
		} else {
			found = append(found, e.Name())
		}
	}
	s.tell("list "+name, found)
}

// io tells how a reading or writing of some bytes ends.
func (s *story) io(what string, n int, err error) {
	s.tell(what, fmt.Sprintf("%d, %s", n, kind(err)))
}

var stories = []struct {
	name string
	tell func(s *story)
	want string
}{
	{"opening", func(s *story) {
		s.opening("open what is missing", "f", os.O_RDWR)
		s.opening("create", "f", os.O_RDWR|os.O_CREATE|os.O_EXCL)
		s.opening("create it again", "f", os.O_RDWR|os.O_CREATE|os.O_EXCL)
		s.opening("open it", "f", os.O_RDWR|os.O_CREATE)
		s.opening("create without its directory", "none/f", os.O_RDWR|os.O_CREATE)
		s.opening("create below a file", "f/g", os.O_RDWR|os.O_CREATE)
		s.opening("open below a file", "f/g", os.O_RDONLY)
		s.opening("read a directory", ".", os.O_RDONLY)
		s.opening("write a directory", ".", os.O_RDWR)
		s.lists(".")
	}, `
open what is missing: does not exist
create: done
create it again: exists
open it: done
create without its directory: does not exist
create below a file: not a directory
open below a file: not a directory
read a directory: done
write a directory: is a directory
list .: [f]`},

	{"reading and writing", func(s *story) {
		f := s.open("f", os.O_RDWR|os.O_CREATE)
		b := make([]byte, 4)
		do := func(what string, n int, err error) { s.io(what, n, err) }
		n, err := f.Read(b)
		do("read an empty file", n, err)
		n, err = f.WriteAt([]byte("world"), 6)
		do("write past the end", n, err)
		n, err = f.Write([]byte("hello"))
		do("write at the offset", n, err)
		s.holds("f")
		n, err = f.ReadAt(b, 8)
		do("read at the end", n, err)
		n, err = f.ReadAt(b, 20)
		do("read behind the end", n, err)
		n, err = f.ReadAt(b, -1)
		s.tell("read before the beginning", n == 0 && err != nil)
		at, err := f.Seek(-3, io.SeekEnd)
		do("seek from the end", int(at), err)
		n, err = f.Read(b)
		do("read the rest", n, err)
		n, err = f.Read(b)
		do("read on", n, err)
		_, err = f.Seek(-1, io.SeekStart)
		s.tell("seek before the beginning", err)
		at, err = f.Seek(-2, io.SeekCurrent)
		do("seek from here", int(at), err)
		s.tell("cut", f.Truncate(3))
		s.tell("lengthen", f.Truncate(5))
		s.tell("cut more than all", f.Truncate(-1))
		s.holds("f")
		info, err := f.Stat()
		s.tell("describe", fmt.Sprintf("%s %d %t %v %s %t", info.Name(), info.Size(), info.IsDir(), info.Mode(), kind(err), f.Name() == s.at("f")))
		s.tell("close", errors.Join(f.Sync(), f.Close()))
		n, err = f.Read(b)
		do("read what is closed", n, err)
		n, err = f.Write(b)
		do("write what is closed", n, err)
		s.tell("sync what is closed", f.Sync())
		s.tell("close it again", f.Close())
	}, `
read an empty file: 0, end of file
write past the end: 5, done
write at the offset: 5, done
f: "hello\x00world"
read at the end: 3, end of file
read behind the end: 0, end of file
read before the beginning: true
seek from the end: 8, done
read the rest: 3, done
read on: 0, end of file
seek before the beginning: invalid
seek from here: 9, done
cut: done
lengthen: done
cut more than all: invalid
f: "hel\x00\x00"
describe: f 5 false -rw------- done true
close: done
read what is closed: 0, closed
write what is closed: 0, closed
sync what is closed: closed
close it again: closed`},

	{"what a file was opened for", func(s *story) {
		s.write("f", "old")
		b := make([]byte, 3)
		f := s.open("f", os.O_RDONLY)
		n, err := f.Write(b)
		s.io("write", n, err)
		n, err = f.WriteAt(b, 0)
		s.io("write somewhere", n, err)
		s.tell("cut", f.Truncate(0))
		s.tell("close", f.Close())
		f = s.open("f", os.O_WRONLY)
		n, err = f.Read(b)
		s.io("read", n, err)
		n, err = f.ReadAt(b, 0)
		s.io("read somewhere", n, err)
		s.tell("close", f.Close())
		f = s.open("f", os.O_WRONLY|os.O_APPEND)
		n, err = f.Write([]byte(" and new"))
		s.io("append", n, err)
		_, err = f.WriteAt(b, 0)
		s.tell("append somewhere", err != nil)
		s.tell("close", f.Close())
		s.holds("f")
		s.opening("empty it", "f", os.O_RDWR|os.O_TRUNC)
		s.holds("f")
	}, `
write: 0, not opened for this
write somewhere: 0, not opened for this
cut: invalid
close: done
read: 0, not opened for this
read somewhere: 0, not opened for this
close: done
append: 8, done
append somewhere: true
close: done
f: "old and new"
empty it: done
f: ""`},

	{"directories", func(s *story) {
		s.tell("make", s.MkdirAll(s.at("a/b"), 0o700))
		s.tell("make again", s.MkdirAll(s.at("a/b"), 0o700))
		s.write("a/f", "x")
		s.tell("make where a file is", s.MkdirAll(s.at("a/f"), 0o700))
		s.tell("make below a file", s.MkdirAll(s.at("a/f/g"), 0o700))
		s.write("a/e", "")
		s.write("a/b/deep", "")
		s.lists("a")
		s.lists("none")
		s.lists("a/f")
		s.tell("sync", s.SyncDir(s.at("a")))
		s.tell("sync what is missing", s.SyncDir(s.at("none")))
		s.holds("a")
		info, err := s.Stat(s.at("a"))
		s.tell("describe", fmt.Sprintf("%s %t %v %s", info.Name(), info.IsDir(), info.Mode(), kind(err)))
		_, err = s.Stat(s.at("none"))
		s.tell("describe what is missing", err)
		_, err = s.Stat(s.at("a/f/g"))
		s.tell("describe what is below a file", err)
	}, `
make: done
make again: done
make where a file is: not a directory
make below a file: not a directory
list a: [b/ e f]
list none: does not exist
list a/f: not a directory
sync: done
sync what is missing: does not exist
a: is a directory
describe: a true drwx------ done
describe what is missing: does not exist
describe what is below a file: not a directory`},

	{"removing", func(s *story) {
		s.mkdir("a/b")
		s.write("a/f", "")
		s.tell("what is missing", s.Remove(s.at("none")))
		s.tell("a directory that is not empty", s.Remove(s.at("a")))
		s.tell("a file", s.Remove(s.at("a/f")))
		s.tell("an empty directory", s.Remove(s.at("a/b")))
		s.lists("a")
		s.mkdir("a/b/c")
		s.tell("a tree", s.RemoveAll(s.at("a")))
		s.tell("a missing tree", s.RemoveAll(s.at("a")))
		s.lists(".")
		s.write("open", "still there")
		f := s.open("open", os.O_RDONLY)
		s.tell("an open file", s.Remove(s.at("open")))
		b, err := io.ReadAll(f)
		s.tell("which still holds", fmt.Sprintf("%q %s", b, kind(err)))
		s.tell("close", f.Close())
	}, `
what is missing: does not exist
a directory that is not empty: not empty
a file: done
an empty directory: done
list a: []
a tree: done
a missing tree: done
list .: []
an open file: done
which still holds: "still there" done
close: done`},

	{"renaming", func(s *story) {
		s.write("f", "new")
		s.write("g", "old")
		s.mkdir("d/in")
		s.tell("what is missing", s.Rename(s.at("none"), s.at("h")))
		s.tell("into a missing directory", s.Rename(s.at("f"), s.at("none/f")))
		s.tell("over a directory", s.Rename(s.at("f"), s.at("d")))
		old := s.open("g", os.O_RDONLY)
		s.tell("over a file", s.Rename(s.at("f"), s.at("g")))
		b, err := io.ReadAll(old)
		s.tell("which, still open, holds", fmt.Sprintf("%q %s", b, kind(errors.Join(err, old.Close()))))
		s.holds("f")
		s.holds("g")
		s.tell("to itself", s.Rename(s.at("g"), s.at("g")))
		s.holds("g")
		s.lists(".")
	}, `
what is missing: does not exist
into a missing directory: does not exist
over a directory: exists
over a file: done
which, still open, holds: "old" done
f: does not exist
g: "new"
to itself: done
g: "new"
list .: [d/ g]`},

	{"locks", func(s *story) {
		_, err := s.Lock(s.at("none/lock"))
		s.tell("without its directory", err)
		held, err := s.Lock(s.at("lock"))
		s.tell("take", err)
		_, err = s.Lock(s.at("lock"))
		s.tell("take it again", err)
		other, err := s.Lock(s.at("other"))
		s.tell("take another", err)
		s.tell("give both back", errors.Join(held.Close(), other.Close()))
		s.lists(".")
		held, err = s.Lock(s.at("lock"))
		s.tell("take what was given back", err)
		s.tell("give it back", held.Close())
		s.tell("twice", held.Close())
	}, `
without its directory: does not exist
take: done
take it again: held
take another: done
give both back: done
list .: [lock other]
take what was given back: done
give it back: done
twice: closed`},
}

func TestTheDiskBehavesLikeARealOne(t *testing.T) {
	for _, c := range stories {
		for _, fsys := range []host.FS{host.Real().FS(), hosttest.NewDisk()} {
			t.Run(fmt.Sprintf("%s/%T", c.name, fsys), func(t *testing.T) {
				s := &story{T: t, FS: fsys, dir: t.TempDir()}
				if err := fsys.MkdirAll(s.dir, 0o700); err != nil {
					t.Fatal(err)
				}
				c.tell(s)
				want := strings.Split(strings.TrimSpace(c.want), "\n")
				for i := range max(len(want), len(s.lines)) {
					got, said := slices.Concat(s.lines, make([]string, len(want)))[i], slices.Concat(want, make([]string, len(s.lines)))[i]
					if got != said {
						t.Errorf("%s\nwant %s", got, said)
					}
				}
			})
		}
	}
}

func TestADirectoryThatWasMadeOutlivesAPowerFailure(t *testing.T) {
	crashes(t,
		func(d *hosttest.Disk) error { return host.MakeDir(d, "/there", 0o700) },
		func(d *hosttest.Disk) error { return host.MakeDir(d, "/there/a/b", 0o700) },
		func(d *hosttest.Disk, done bool) {
			if _, err := d.Stat("/there/a/b"); done && err != nil {
				t.Fatal(err)
			}
			if err := host.MakeDir(d, "/there/a/b", 0o700); err != nil {
				t.Fatalf("what the power failure left is in the way: %v", err)
			}
		})
}
