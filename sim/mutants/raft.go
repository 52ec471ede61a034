package mutants

import "tribune/sim/overlay"

// lostFsync takes a log append for durable when it has only been written.
// A power loss then eats entries that the server said it has.
func lostFsync() Mutant {
	return Mutant{
		Name:     "lost-fsync",
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

// earlyAck tells the leader that entries are stored before they are: the
// answer goes out first, and the store follows. (The answer that the function
// sends at its end goes to nobody.)
func earlyAck() Mutant {
	return Mutant{
		Name:     "early-ack",
		Bug:      "a follower acknowledges entries before it has stored them",
		Scenario: "power-cut.yaml",
		MaxSeeds: 20,
		Patches: []overlay.Patch{{
			Name: "early-ack",
			Why:  "an entry that a majority acknowledged but did not store is committed and then gone",
			File: "github.com/hashicorp/raft/raft.go",
			Old: `			if err := r.logs.StoreLogs(newEntries); err != nil {
				r.logger.Error("failed to append to logs", "error", err)
`,
			New: `			early := *resp
			early.Success, early.LastLog = true, lastNewIndex
			rpc.Respond(&early, nil)
			rpc.RespChan = make(chan RPCResponse, 1)
			if err := r.logs.StoreLogs(newEntries); err != nil {
				r.logger.Error("failed to append to logs", "error", err)
`,
		}},
	}
}

// forgottenVote keeps a vote only in memory, so a server that is started again
// in the same term votes again.
func forgottenVote() Mutant {
	return Mutant{
		Name:     "forgotten-vote",
		Bug:      "a vote is not persisted before it is given",
		Scenario: "vote-storm.yaml",
		MaxSeeds: 100,
		Patches: []overlay.Patch{{
			Name: "forgotten-vote",
			Why:  "a server that forgets its vote can help two leaders into one term",
			File: "github.com/hashicorp/raft/raft.go",
			Old: `	if err := r.stable.SetUint64(keyLastVoteTerm, term); err != nil {
		return err
	}
	if err := r.stable.Set(keyLastVoteCand, candidate); err != nil {
		return err
	}
	return nil
`,
			New: `	return nil
`,
		}},
	}
}

// uncheckedLog takes what it reads of the log for what it wrote.
func uncheckedLog() Mutant {
	return Mutant{
		Name:     "unchecked-log",
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
