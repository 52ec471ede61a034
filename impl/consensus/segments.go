package consensus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path"

	"github.com/hashicorp/go-hclog"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"tribune/impl/host"
)

// openLog opens or creates the log in a directory, which exists.
func openLog(fsys host.FS, dir string, segmentSize int, logger hclog.Logger) (*wal.WAL, error) {
	return wal.Open(dir,
		wal.WithMetaStore(&metaStore{fs: fsys}),
		wal.WithSegmentFiler(filer{segment.NewFiler(dir, vfs{fsys})}),
		wal.WithSegmentSize(segmentSize),
		wal.WithLogger(logger))
}

// filer opens segments that are full but lack an index. When raft-wal cuts off
// the end of the segment that is being written it declares that full without
// writing an index, and refuses it at the next start. Such a segment is read
// entry by entry.
type filer struct{ *segment.Filer }

// Open implements types.SegmentFiler.
func (f filer) Open(info types.SegmentInfo) (types.SegmentReader, error) {
	if info.IndexStart == 0 {
		return f.RecoverTail(info)
	}
	return f.Filer.Open(info)
}

// repair makes the segment that was being written what it seems to be, and
// returns what it holds. It drops, for good, what a crash left of a batch:
// raft-wal leaves that where it is, to be read as part of a later one. And it
// writes the rest once more. The process may have ended because a sync failed:
// then what is read may lie in the page cache only, which takes it for clean, so
// a sync alone would not bring it to the disk (Rebello et al., Can Applications
// Recover from fsync Failures?, 2020).
func repair(fsys host.FS, name string) (batch, error) {
	b, err := host.ReadFile(fsys, name)
	if err != nil {
		return batch{}, err
	}
	found, err := scan(b)
	if err != nil {
		return batch{}, fmt.Errorf("%s is corrupt: %w", name, err)
	}
	clear(b[found.end:])
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return batch{}, err
	}
	if err := overwrite(f, b); err != nil {
		return batch{}, errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return batch{}, err
	}
	// The process may have ended before the first sync of a new segment.
	return found, fsys.SyncDir(path.Dir(name))
}

// overwrite makes the content of a file of the same length durable. Where it is
// to be zero and is already there is nothing to lose.
func overwrite(f host.File, b []byte) error {
	const chunk = 64 << 10
	old, zero := make([]byte, chunk), make([]byte, chunk)
	for at := 0; at < len(b); at += chunk {
		part := b[at:min(at+chunk, len(b))]
		n, err := f.ReadAt(old[:len(part)], int64(at))
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if bytes.Equal(part, zero[:len(part)]) && bytes.Equal(part, old[:n]) {
			continue
		}
		if _, err := f.WriteAt(part, int64(at)); err != nil {
			return err
		}
	}
	return f.Sync()
}

// The format of a segment (raft-wal, README, "Segment File Format"): a header,
// then frames, each a header and as many bytes as that says, filled up to a
// multiple of eight. A commit frame ends a batch; instead of a length it has the
// CRC-32C of all since the last one.
const (
	segmentHeader = 32
	frameHeader   = 8
	entryFrame    = 1
	indexFrame    = 2
	commitFrame   = 3
)

// batch is a run of frames up to a commit frame, or several such runs.
type batch struct {
	end     int    // in bytes
	entries uint64 // how many
	index   uint64 // where the segment's index starts, if it is full; else 0
}

// readBatch reads the batch whose frames begin at a byte; its checksum includes
// the bytes from start on. False if it is not whole.
func readBatch(b []byte, start, at int) (batch, bool) {
	var found batch
	for at+frameHeader <= len(b) {
		size := int(binary.LittleEndian.Uint32(b[at+4:]))
		switch b[at] {
		case entryFrame:
			found.entries++
		case indexFrame:
			found.index = uint64(at + frameHeader)
		case commitFrame:
			found.end = at + frameHeader
			return found, crc32.Checksum(b[start:at], castagnoli()) == uint32(size)
		default:
			return batch{}, false
		}
		at += frameHeader + (size+frameHeader-1)/frameHeader*frameHeader
	}
	return batch{}, false
}

// scan reads a segment and returns what it holds of whole batches. A batch that
// is not whole is the work of a crash if it is the last one, since a batch is
// durable before the next one is begun. Any other is damage; damage to the last
// one nobody can tell from a crash.
func scan(b []byte) (batch, error) {
	var whole batch
	b = b[:min(len(b), len(bytes.TrimRight(b, "\x00"))+frameHeader)] // a checksum may end in zeros
	for at := segmentHeader; ; at = whole.end {
		next, ok := readBatch(b, whole.end, at)
		if !ok {
			break
		}
		whole = batch{next.end, whole.entries + next.entries, next.index}
	}
	for at := max(whole.end, segmentHeader); at+frameHeader <= len(b); at += frameHeader {
		if later, ok := readBatch(b, at, at); ok && later.entries > 0 {
			return batch{}, fmt.Errorf("what is written at byte %d cannot be read, and at byte %d there is more", whole.end, later.end)
		}
	}
	return whole, nil
}
