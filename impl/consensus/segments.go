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
func repair(fsys host.FS, name string) (found batch, err error) {
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return batch{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := written(f)
	if err != nil {
		return batch{}, fmt.Errorf("reading %s: %w", name, err)
	}
	if found, err = scan(b); err != nil {
		return batch{}, fmt.Errorf("%s is corrupt: %w", name, err)
	}
	clear(b[found.end:])
	if _, err := f.WriteAt(b, 0); err != nil {
		return batch{}, err
	}
	if err := f.Sync(); err != nil {
		return batch{}, err
	}
	// The process may have ended before the first sync of a new segment.
	return found, fsys.SyncDir(path.Dir(name))
}

// written reads what was written of a segment. That has its full size from the
// beginning, and most of it is zeros for long: what is zeros up to the end is left
// out, in steps that are a multiple of a frame header's size.
func written(f host.File) ([]byte, error) {
	const step = 64 << 10
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end, buffer := info.Size(), make([]byte, min(info.Size(), step))
	for end > 0 {
		begin := (end - 1) / step * step
		part := buffer[:end-begin]
		if err := readAt(f, part, begin); err != nil {
			return nil, err
		}
		if bytes.Count(part, []byte{0}) < len(part) {
			break
		}
		end = begin
	}
	b := make([]byte, end)
	return b, readAt(f, b, 0)
}

// readAt fills b with what a file has from a byte on.
func readAt(f host.File, b []byte, at int64) error {
	_, err := io.ReadFull(io.NewSectionReader(f, at, int64(len(b))), b)
	return err
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
