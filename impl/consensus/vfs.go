package consensus

import (
	"os"
	"path"
	"sync"

	"github.com/hashicorp/raft-wal/types"

	"tribune/impl/host"
)

// vfs is raft-wal's view of a host.FS.
type vfs struct{ fs host.FS }

var _ types.VFS = vfs{}

func (v vfs) ListDir(dir string) ([]string, error) {
	entries, err := v.fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (v vfs) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := v.fs.OpenFile(path.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(int64(size)); err != nil {
		_ = f.Close()
		return nil, err
	}
	return &segmentFile{File: f, fs: v.fs, dir: dir}, nil
}

func (v vfs) Delete(dir, name string) error {
	if err := v.fs.Remove(path.Join(dir, name)); err != nil {
		return err
	}
	return v.fs.SyncDir(dir)
}

func (v vfs) OpenReader(dir, name string) (types.ReadableFile, error) {
	return v.fs.OpenFile(path.Join(dir, name), os.O_RDONLY, 0)
}

func (v vfs) OpenWriter(dir, name string) (types.WritableFile, error) {
	return v.fs.OpenFile(path.Join(dir, name), os.O_RDWR, 0)
}

// segmentFile is a new file of the log, whose name becomes durable with its first
// bytes: until then nobody relies on it.
type segmentFile struct {
	host.File
	fs  host.FS
	dir string

	mu    sync.Mutex
	named bool
}

func (s *segmentFile) Sync() error {
	if err := s.File.Sync(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named {
		return nil
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return err
	}
	s.named = true
	return nil
}
