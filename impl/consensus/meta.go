package consensus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"tribune/impl/host"
)

// metaFile is the small file beside the log's segments that says which segments
// there are, and holds raft's current term and vote. It is replaced as a whole,
// atomically and durably, at every change: these are rare (an election, a new
// segment). Its first line names the format and the CRC-32C of the rest.
const metaFile = "meta.json"

const metaHeader = "tribune raft meta 1 crc32c=%08x\n"

// metaStore implements raft-wal's types.MetaStore on a host.FS. (raft-wal's own
// is a memory-mapped database, which needs more than a host.FS.)
type metaStore struct {
	fs host.FS

	mu   sync.Mutex
	file string
	meta meta
}

type meta struct {
	Log    types.PersistentState
	Stable map[string][]byte
}

var _ types.MetaStore = (*metaStore)(nil)

func (m *metaStore) Load(dir string) (types.PersistentState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.file = path.Join(dir, metaFile)
	// Its name may not be durable: the process may have ended because that failed.
	if err := m.fs.SyncDir(dir); err != nil {
		return types.PersistentState{}, err
	}
	b, err := host.ReadFile(m.fs, m.file)
	if errors.Is(err, fs.ErrNotExist) {
		m.meta = meta{Stable: map[string][]byte{}}
		return m.meta.Log, m.unused(dir)
	}
	if err != nil {
		return types.PersistentState{}, err
	}
	if m.meta, err = decodeMeta(b); err != nil {
		return types.PersistentState{}, fmt.Errorf("%s is corrupt: %w", m.file, err)
	}
	if err := m.recoverTail(dir); err != nil {
		return types.PersistentState{}, err
	}
	return m.meta.Log, nil
}

// unused returns an error if a directory without a meta file holds segments:
// raft-wal would delete them.
func (m *metaStore) unused(dir string) error {
	entries, err := m.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if path.Ext(e.Name()) == ".wal" {
			return fmt.Errorf("%s is missing, though there is %s", m.file, e.Name())
		}
	}
	return nil
}

// recoverTail repairs the segment that was being written. If it is full it does
// what raft-wal had begun when the process ended: that makes the segment full on
// disk first, and then writes here that it is and that another one follows. A
// segment that is full only on disk it would open for writing, and refuse every
// write.
func (m *metaStore) recoverTail(dir string) error {
	s := m.meta.Log
	if len(s.Segments) == 0 {
		return nil
	}
	s.Segments = slices.Clone(s.Segments)
	tail := &s.Segments[len(s.Segments)-1]
	if !tail.SealTime.IsZero() {
		return nil
	}
	found, err := repair(m.fs, path.Join(dir, segment.FileName(*tail)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its creation is what was not finished
	}
	if err != nil {
		return err
	}
	if found.index == 0 {
		return nil
	}
	tail.SealTime, tail.IndexStart, tail.MaxIndex = time.Now(), found.index, tail.BaseIndex+found.entries-1
	s.Segments = append(s.Segments, types.SegmentInfo{
		ID: s.NextSegmentID, BaseIndex: tail.MaxIndex + 1, MinIndex: tail.MaxIndex + 1,
		SizeLimit: tail.SizeLimit, Codec: tail.Codec, CreateTime: time.Now(),
	})
	s.NextSegmentID++
	return m.replace(meta{Log: s, Stable: m.meta.Stable})
}

func decodeMeta(b []byte) (meta, error) {
	at := bytes.IndexByte(b, '\n') + 1
	var sum uint32
	if _, err := fmt.Sscanf(string(b[:at]), metaHeader, &sum); err != nil {
		return meta{}, errors.New("its first line is none of this format")
	}
	if crc32.Checksum(b[at:], castagnoli()) != sum {
		return meta{}, errors.New("its checksum does not match")
	}
	var found meta
	if err := json.Unmarshal(b[at:], &found); err != nil {
		return meta{}, err
	}
	if found.Stable == nil {
		found.Stable = map[string][]byte{}
	}
	return found, nil
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// replace makes a new state durable, then takes it. When that fails the file
// may hold either; the error makes raft stop using the store.
func (m *metaStore) replace(next meta) error {
	body, err := json.MarshalIndent(next, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", m.file, err)
	}
	header := fmt.Sprintf(metaHeader, crc32.Checksum(body, castagnoli()))
	if err := host.ReplaceFile(m.fs, m.file, append([]byte(header), body...)); err != nil {
		return err
	}
	m.meta = next
	return nil
}

func (m *metaStore) CommitState(s types.PersistentState) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.replace(meta{Log: s, Stable: m.meta.Stable})
}

func (m *metaStore) GetStable(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.meta.Stable[string(key)], nil
}

func (m *metaStore) SetStable(key, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	stable := maps.Clone(m.meta.Stable)
	stable[string(key)] = bytes.Clone(value)
	return m.replace(meta{Log: m.meta.Log, Stable: stable})
}

func (m *metaStore) Close() error { return nil }
