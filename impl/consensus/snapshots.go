package consensus

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"tribune/impl/host"
)

// A snapshot is one file, TERM-INDEX.snap: the line snapshotMagic, the length
// of the description (4 bytes, big endian), the description (a raft.SnapshotMeta
// as JSON), the state, and a trailer of the state's length (8 bytes) and the
// CRC-32C of all before the trailer (4 bytes). It is written under another name
// and renamed once it is durable, so a file of this name is whole.
const (
	snapshotMagic  = "tribune snapshot 1\n"
	snapshotSuffix = ".snap"
	snapshotTemp   = ".writing"
	trailerSize    = 12
	maxDescription = 1 << 20
)

// snapshotStore implements raft.SnapshotStore on a host.FS. It keeps the two
// newest snapshots.
type snapshotStore struct {
	fs  host.FS
	dir string
	log *slog.Logger

	naming sync.Mutex // who gives a snapshot its name has it; see own
	newest uint64     // the highest index of a snapshot that was given its name
}

const keptSnapshots = 2

func openSnapshots(fsys host.FS, dir string, log *slog.Logger) (*snapshotStore, error) {
	if err := host.MakeDir(fsys, dir, 0o700); err != nil {
		return nil, err
	}
	s := &snapshotStore{fs: fsys, dir: dir, log: log}
	names, err := s.names(snapshotTemp)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := fsys.Remove(path.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("removing what a crash left of a snapshot: %w", err)
		}
	}
	// The newest may have its name only since a sync failed.
	return s, fsys.SyncDir(dir)
}

// names lists the files with a suffix, newest first.
func (s *snapshotStore) names(suffix string) ([]string, error) {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
		}
	}
	slices.Reverse(names)
	return names, nil
}

// Create implements raft.SnapshotStore.
func (s *snapshotStore) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration, configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	meta := raft.SnapshotMeta{
		Version: version, ID: fmt.Sprintf("%016x-%016x", term, index), Index: index, Term: term,
		Configuration: configuration, ConfigurationIndex: configurationIndex,
	}
	description, err := json.Marshal(meta)
	if err != nil {
		return nil, fmt.Errorf("describing a snapshot: %w", err)
	}
	name := path.Join(s.dir, meta.ID+snapshotTemp)
	f, err := s.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	k := &snapshotSink{store: s, id: meta.ID, index: index, file: f, sum: crc32.New(castagnoli())}
	k.out = bufio.NewWriterSize(io.MultiWriter(f, k.sum), 1<<16)
	head := binary.BigEndian.AppendUint32([]byte(snapshotMagic), uint32(len(description)))
	if _, err := k.out.Write(append(head, description...)); err != nil {
		return nil, errors.Join(err, k.Cancel())
	}
	return k, nil
}

type snapshotSink struct {
	store *snapshotStore
	id    string
	index uint64
	own   *own      // nil: a leader sent it, or a user
	file  host.File // nil once closed
	sum   hash.Hash32
	out   *bufio.Writer
	size  uint64
}

func (k *snapshotSink) ID() string { return k.id }

func (k *snapshotSink) Write(p []byte) (int, error) {
	n, err := k.out.Write(p)
	k.size += uint64(n)
	return n, err
}

func (k *snapshotSink) path(suffix string) string { return path.Join(k.store.dir, k.id+suffix) }

// Close makes the snapshot durable and gives it its name; on an error nothing
// is left of it.
func (k *snapshotSink) Close() error {
	if k.file == nil {
		return nil
	}
	err := k.write()
	if err == nil {
		err = k.name()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing snapshot %s: %w", k.id, err), k.Cancel())
	}
	k.store.reap()
	return nil
}

// write makes what there is of the snapshot durable.
func (k *snapshotSink) write() error {
	if err := k.out.Flush(); err != nil {
		return err
	}
	trailer := binary.BigEndian.AppendUint64(nil, k.size)
	trailer = binary.BigEndian.AppendUint32(trailer, k.sum.Sum32())
	if _, err := k.file.Write(trailer); err != nil {
		return err
	}
	if err := k.file.Sync(); err != nil {
		return err
	}
	return k.file.Close()
}

// name gives the snapshot its name.
func (k *snapshotSink) name() error {
	s := k.store
	s.naming.Lock()
	if k.own == nil {
		defer s.naming.Unlock()
	} else if k.own.names = s; k.index < s.newest {
		return errOvertaken
	}
	if err := s.fs.Rename(k.path(snapshotTemp), k.path(snapshotSuffix)); err != nil {
		return err
	}
	k.file, s.newest = nil, max(s.newest, k.index)
	return s.fs.SyncDir(s.dir)
}

// Cancel drops the snapshot.
func (k *snapshotSink) Cancel() error {
	if k.file == nil {
		return nil
	}
	_ = k.file.Close() // it may be closed already, and goes away
	k.file = nil
	return k.store.fs.Remove(k.path(snapshotTemp))
}

// reap removes all but the newest snapshots. What cannot be removed only takes
// room.
func (s *snapshotStore) reap() {
	names, err := s.names(snapshotSuffix)
	for _, name := range names[min(keptSnapshots, len(names)):] {
		err = errors.Join(err, s.fs.Remove(path.Join(s.dir, name)))
	}
	if err != nil {
		s.log.Warn("old snapshots could not be removed", "error", err)
	}
}

// List implements raft.SnapshotStore: newest first. A snapshot that cannot be
// read is named in the log and left out.
func (s *snapshotStore) List() ([]*raft.SnapshotMeta, error) {
	names, err := s.names(snapshotSuffix)
	if err != nil {
		return nil, err
	}
	var list []*raft.SnapshotMeta
	for _, name := range names {
		meta, r, err := s.Open(strings.TrimSuffix(name, snapshotSuffix))
		if err != nil {
			s.log.Error("a snapshot cannot be used", "error", err)
			continue
		}
		list = append(list, meta)
		_ = r.Close() // only read
	}
	return list, nil
}

// check returns an error if the snapshots and the log, which holds the entries
// first to last, do not make up a state together. raft can do without a snapshot
// that is corrupt if the log leads from an older one, or from the start, beyond
// it. It returns the newest that is whole, whose index is 0 if there is none.
func (s *snapshotStore) check(first, last uint64) (whole raft.SnapshotMeta, err error) {
	names, err := s.names(snapshotSuffix)
	if err != nil {
		return whole, err
	}
	var lost uint64 // up to which entry a newer one reached that is corrupt
	var corrupt error
	for _, name := range names {
		meta, r, err := s.Open(strings.TrimSuffix(name, snapshotSuffix))
		if err == nil {
			_ = r.Close() // only read
			whole = *meta
			break
		}
		if corrupt != nil {
			continue
		}
		corrupt = err
		if _, err := fmt.Sscanf(name, "%x-%x", new(uint64), &lost); err != nil {
			return whole, fmt.Errorf("%s is no name of a snapshot", path.Join(s.dir, name))
		}
	}
	switch {
	case corrupt != nil && (first == 0 || first > whole.Index+1 || last < lost):
		return whole, corrupt
	case first > whole.Index+1:
		return whole, fmt.Errorf("%s holds no snapshot up to entry %d, where the log begins", s.dir, first)
	}
	return whole, nil
}

// Open implements raft.SnapshotStore. It checks the whole file before the first
// byte is handed out.
func (s *snapshotStore) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	name := path.Join(s.dir, id+snapshotSuffix)
	f, err := s.fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, nil, err
	}
	meta, start, err := checkSnapshot(f)
	if err != nil {
		_ = f.Close() // only read
		return nil, nil, fmt.Errorf("%s is corrupt: %w", name, err)
	}
	state := io.NewSectionReader(f, start, meta.Size)
	return meta, &snapshotReader{bufio.NewReaderSize(state, 1<<16), f, meta.Index}, nil
}

type snapshotReader struct {
	io.Reader
	io.Closer
	index uint64 // of the last entry that is in it
}

// checkSnapshot returns the description of a snapshot and where its state
// starts.
func checkSnapshot(f host.File) (*raft.SnapshotMeta, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	end := info.Size() - trailerSize
	head := make([]byte, len(snapshotMagic)+4)
	if end < int64(len(head)) {
		return nil, 0, errors.New("it is too short")
	}
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, 0, err
	}
	length := int64(binary.BigEndian.Uint32(head[len(snapshotMagic):]))
	start := int64(len(head)) + length
	if string(head[:len(snapshotMagic)]) != snapshotMagic || length > maxDescription || start > end {
		return nil, 0, errors.New("its head is none of this format")
	}
	trailer := make([]byte, trailerSize)
	if _, err := f.ReadAt(trailer, end); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	sum := crc32.New(castagnoli())
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, end)); err != nil {
		return nil, 0, err
	}
	if sum.Sum32() != binary.BigEndian.Uint32(trailer[8:]) || int64(binary.BigEndian.Uint64(trailer)) != end-start {
		return nil, 0, errors.New("its checksum does not match")
	}
	description := make([]byte, length)
	if _, err := f.ReadAt(description, int64(len(head))); err != nil {
		return nil, 0, err
	}
	var meta raft.SnapshotMeta
	if err := json.Unmarshal(description, &meta); err != nil {
		return nil, 0, err
	}
	meta.Size = end - start
	return &meta, start, nil
}
