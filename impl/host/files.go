package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// MakeDir creates a directory and its missing parents, durably.
func MakeDir(fsys FS, name string, perm fs.FileMode) error {
	parent := path.Dir(name)
	if _, err := fsys.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		if err := MakeDir(fsys, parent, perm); err != nil {
			return err
		}
	}
	if err := fsys.MkdirAll(name, perm); err != nil {
		return err
	}
	// Also when it was there: a process that was killed may not have come to this.
	if err := fsys.SyncDir(parent); err != nil && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("creating %s: %w", name, err)
	}
	return nil
}

// ReadFile returns the content of a file.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	b, err := readAll(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return b, nil
}

func readAll(f File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead)
	_, err = b.ReadFrom(f)
	return b.Bytes(), err
}

// ReplaceFile gives the file name the content data, durably and all at once: a
// crash leaves either the old content or the new one. It writes a second file
// beside it, which is left over only by a crash and is overwritten next time,
// so one file needs one caller at a time.
func ReplaceFile(fsys FS, name string, data []byte) error {
	temp := name + ".tmp"
	if err := writeSynced(fsys, temp, data); err != nil {
		_ = fsys.Remove(temp) // the first error is the one to tell
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := fsys.Rename(temp, name); err != nil {
		_ = fsys.Remove(temp)
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := fsys.SyncDir(path.Dir(name)); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func writeSynced(fsys FS, name string, data []byte) error {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
