package mutants

import "tribune/sim/overlay"

// lostFsync takes a log append for durable when it has only been written.
// A power loss then eats entries that the server said it has.
func lostFsync() Mutant {
	return Mutant{
		Name:     "lost-fsync",
		Area:     "log and disk",
		Bug:      "the log store acknowledges entries without an fsync",
		Scenario: "torn-writes.yaml",
		MaxSeeds: 40,
		Patches: []overlay.Patch{{
			Name: "lost-fsync",
			Why:  "a log store that skips fsync loses acknowledged entries in a power loss",
			File: "github.com/hashicorp/raft-wal/segment/writer.go",
			Old: `	if err := w.wf.Sync(); err != nil {
		return err
	}

	// Update commitIdx atomically
`,
			New: `	// Update commitIdx atomically
`,
		}},
	}
}

// uncheckedLog takes what it reads of the log for what it wrote.
func uncheckedLog() Mutant {
	return Mutant{
		Name:     "unchecked-log",
		Area:     "log and disk",
		Bug:      "what is read of the log is not held against its checksums",
		Scenario: "bit-rot.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "unchecked-log-entry",
			Why:  "an entry that has rotted is applied, and sent to others",
			File: "tribune/impl/consensus/guard.go",
			Old:  "if l.Extensions = l.Extensions[:end]; checksum(l) != sum {",
			New:  "if l.Extensions = l.Extensions[:end]; checksum(l) != sum && l.Index == 0 {",
		}, {
			Name: "unchecked-log-batch",
			Why:  "a segment that has rotted is opened",
			File: "tribune/impl/consensus/segments.go",
			Old:  "return found, crc32.Checksum(b[start:at], castagnoli()) == uint32(size)",
			New:  "return found, crc32.Checksum(b[start:at], castagnoli()) == uint32(size) || size != 0",
		}},
	}
}

// unsyncedSnapshot takes a snapshot for durable when it has only been written, and
// then drops the entries that it stands for.
func unsyncedSnapshot() Mutant {
	return Mutant{
		Name:     "unsynced-snapshot",
		Area:     "snapshots",
		Bug:      "a snapshot is given its name without an fsync, and the entries that it stands for are dropped",
		Origin:   "hashicorp/consul#3362",
		Scenario: "torn-writes.yaml",
		MaxSeeds: 20,
		Patches: []overlay.Patch{{
			Name: "unsynced-snapshot",
			Why:  "after a power failure there is neither the snapshot nor what it was made of",
			File: "tribune/impl/consensus/snapshots.go",
			Old:  "	if err := k.file.Sync(); err != nil {\n		return err\n	}\n",
			New:  "",
		}},
	}
}

// logUsedAfterFailure goes on with a log that could not be written.
func logUsedAfterFailure() Mutant {
	return Mutant{
		Name:     "log-used-after-failure",
		Area:     "log and disk",
		Bug:      "the log goes on to be used after a write of it has failed",
		Scenario: "disk-full.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "log-used-after-failure",
			Why:  "raft-wal is wrong about its last entry then",
			File: "tribune/impl/consensus/guard.go",
			Old:  "	if g.err == nil {\n",
			New:  "	if err != nil {\n		return err\n	}\n	if g.err == nil {\n",
		}},
	}
}

// indexlessSegment takes a segment whose end was cut off for one that was finished.
func indexlessSegment() Mutant {
	return Mutant{
		Name:     "indexless-segment",
		Area:     "log and disk",
		Bug:      "a segment of the log that was cut off is refused at the next start, for it has no index",
		Scenario: "torn-writes.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "indexless-segment",
			Why:  "a server that is well does not come back",
			File: "tribune/impl/consensus/segments.go",
			Old:  "	if info.IndexStart == 0 {\n",
			New:  "	if info.IndexStart == 0 && info.BaseIndex == 0 {\n",
		}},
	}
}
