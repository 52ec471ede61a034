package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tribune/impl/config"
	"tribune/impl/host"
)

// logFile is a file that gets what is written, beside somebody else. When it is too
// long or too old, the time in nanoseconds becomes part of its name and another is begun
// (Consul documentation: Agent Configuration, log_file).
type logFile struct {
	fs       host.FS
	settings config.LogFile
	stem     string // of the names, with the directory
	ext      string
	beside   io.Writer

	mu    sync.Mutex
	file  host.File // nil: it could not be opened
	ended bool
	size  int
	begun time.Time
}

// openLogFile goes on with the file that is there, or begins one.
func openLogFile(fsys host.FS, s config.LogFile, beside io.Writer) (*logFile, error) {
	name := s.Name
	if strings.HasSuffix(name, "/") {
		name += "tribune.log"
	}
	ext := path.Ext(name)
	l := &logFile{fs: fsys, settings: s, stem: strings.TrimSuffix(name, ext), ext: cmp.Or(ext, ".log"), beside: beside}
	if err := fsys.MkdirAll(path.Dir(name), 0o755); err != nil {
		return nil, err
	}
	return l, l.open()
}

func (l *logFile) name() string { return l.stem + l.ext }

func (l *logFile) open() error {
	f, err := l.fs.OpenFile(l.name(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size, l.begun = f, int(info.Size()), time.Now()
	return nil
}

// Write implements io.Writer. That the file cannot be written keeps nothing from
// whom it stands beside.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.beside.Write(b)
	if l.ended {
		return len(b), err
	}
	if l.due() {
		err = errors.Join(err, l.rotate())
	}
	if l.file != nil {
		n, writeErr := l.file.Write(b)
		l.size += n
		err = errors.Join(err, writeErr)
	}
	return len(b), err
}

func (l *logFile) due() bool {
	s := l.settings
	return l.file == nil || s.Bytes > 0 && l.size >= s.Bytes || s.Age > 0 && time.Since(l.begun) >= s.Age
}

// rotate begins another file. Without room for a new name it goes on with the old one.
func (l *logFile) rotate() error {
	var errs []error
	if l.file != nil {
		errs = append(errs, l.file.Close(), l.fs.Rename(l.name(), fmt.Sprintf("%s-%d%s", l.stem, time.Now().UnixNano(), l.ext)))
	}
	l.file = nil
	return errors.Join(append(errs, l.open(), l.prune())...)
}

// prune removes the oldest of the files that are not written any more.
func (l *logFile) prune() error {
	keep := max(l.settings.Others, 0)
	if l.settings.Others == 0 {
		return nil
	}
	dir := path.Dir(l.stem)
	entries, err := l.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	var times []int64
	for _, e := range entries {
		text, ours := strings.CutPrefix(strings.TrimSuffix(e.Name(), l.ext), path.Base(l.stem)+"-")
		if n, err := strconv.ParseInt(text, 10, 64); ours && err == nil && strings.HasSuffix(e.Name(), l.ext) {
			times = append(times, n)
		}
	}
	slices.Sort(times)
	var errs []error
	for _, n := range times[:max(len(times)-keep, 0)] {
		errs = append(errs, l.fs.Remove(fmt.Sprintf("%s-%d%s", l.stem, n, l.ext)))
	}
	return errors.Join(errs...)
}

// Close closes the file; what is written later goes only to whom it stands beside.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
