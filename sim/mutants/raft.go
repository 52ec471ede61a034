package mutants

import "tribune/sim/overlay"

// earlyAck tells the leader that entries are stored before they are: the
// answer goes out first, and the store follows. (The answer that the function
// sends at its end goes to nobody.)
func earlyAck() Mutant {
	return Mutant{
		Name:     "early-ack",
		Area:     "raft",
		Bug:      "a follower acknowledges entries before it has stored them",
		Origin:   "etcd-io/etcd#14370",
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
		Area:     "raft",
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

// noPreVote has a server that was cut off call an election when it comes back.
func noPreVote() Mutant {
	return Mutant{
		Name:     "no-pre-vote",
		Area:     "raft",
		Bug:      "a server that was cut off deposes the leader when it comes back",
		Origin:   "hashicorp/raft#474",
		Scenario: "returning-follower.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "no-pre-vote",
			Why:  "each server that returns costs an election",
			File: "tribune/impl/consensus/consensus.go",
			Old:  "	rc.ShutdownOnRemove = false\n",
			New:  "	rc.ShutdownOnRemove, rc.PreVoteDisabled = false, true\n",
		}},
	}
}

// stalledLeader has a leader go on whose disk takes nothing any more.
func stalledLeader() Mutant {
	return Mutant{
		Name:     "stalled-leader",
		Area:     "raft",
		Bug:      "a leader whose disk has stalled goes on to send heartbeats, and no write comes to an end",
		Origin:   "hashicorp/raft#503",
		Scenario: "disk-stalled.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "stalled-leader",
			Why:  "nobody else can lead until somebody restarts it",
			File: "tribune/impl/server/stall.go",
			Old:  "		if s.raft.Status().Last > before {\n",
			New:  "		if s.raft.Status().Last >= before {\n",
		}},
	}
}

// shrinkingGroup takes servers that failed out of the raft group.
func shrinkingGroup() Mutant {
	return Mutant{
		Name:     "shrinking-group",
		Area:     "raft",
		Bug:      "servers that failed are taken out of the raft group, one after the other",
		Origin:   "hashicorp/consul#5922",
		Scenario: "one-by-one.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "shrinking-group",
			Why:  "a minority of the servers that there were goes on for itself",
			File: "tribune/impl/server/members.go",
			Old:  "case present && p.status == gossip.StatusFailed && made >= 3 && voters > made:",
			New:  "case present && p.status == gossip.StatusFailed && made >= 3:",
		}},
	}
}

// leaderLoopDies ends a leader's duties when something could not be done at once.
func leaderLoopDies() Mutant {
	return Mutant{
		Name:     "leader-loop-dies",
		Area:     "raft",
		Bug:      "a leader's duties end when it could not bring the catalog in line at once, and it leads on",
		Origin:   "hashicorp/consul#3545",
		Scenario: "servers-leave.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "leader-loop-dies",
			Why:  "nobody notices members that come and go, and no session ends",
			File: "tribune/impl/server/leader.go",
			Old:  "				look.Reset(reconcilePause)\n",
			New:  "				return\n",
		}},
	}
}

// snapshotOfADeposedLeader lets raft send snapshots for a leader that leads no more.
func snapshotOfADeposedLeader() Mutant {
	return Mutant{
		Name:     "snapshot-of-a-deposed-leader",
		Area:     "raft",
		Bug:      "a leader goes on to send its snapshot when it was deposed, or to an address that another server has now",
		Scenario: "bit-rot.yaml",
		MaxSeeds: 50,
		Escapes:  "a server refuses a snapshot of what it has, wherever it comes from, and so has nothing to forget; before it did, bit-rot found the bug with seed 2, and with both bugs at once none of 60 runs does since streams repair their losses sooner",
		Patches: []overlay.Patch{{
			Name: "snapshot-of-a-deposed-leader",
			Why:  "who gets an older snapshot than it has forgets what it acknowledged",
			File: "tribune/impl/consensus/lane.go",
			Old:  "	if args.LastLogTerm > args.Term || !t.node.leads(id, args.Term) {\n",
			New:  "	if args.Term == 0 || !t.node.log.running.Load() {\n",
		}},
	}
}

// overtakenSnapshot lets a server's own snapshot count as the newest when the leader's
// snapshot of a later state was installed while it was written.
func overtakenSnapshot() Mutant {
	return Mutant{
		Name:     "overtaken-snapshot",
		Area:     "raft",
		Bug:      "a server's own snapshot counts as the newest, though a later one was installed while it was written",
		Origin:   "hashicorp/raft#248",
		Scenario: "overtaken-snapshots.yaml",
		MaxSeeds: 20,
		Patches: []overlay.Patch{{
			Name: "overtaken-snapshot",
			Why:  "the server takes its log to end where its own snapshot does, and refuses what the leader sends",
			File: "tribune/impl/consensus/state.go",
			Old:  "	return &own{FSMSnapshot: from}, nil\n",
			New:  "	return from, nil\n",
		}},
	}
}

// unheardSnapshot has a server refuse a snapshot that it has, and say no more. Its leader,
// who has lost the answer to the first attempt, sends the snapshot for ever.
func unheardSnapshot() Mutant {
	return Mutant{
		Name:     "unheard-snapshot",
		Area:     "raft",
		Bug:      "a server refuses a snapshot that it has already, and its leader goes on to send it",
		Scenario: "lost-answers.yaml",
		MaxSeeds: 30,
		Patches: []overlay.Patch{{
			Name: "unheard-snapshot",
			Why:  "the server gets no entries until the leader has a newer snapshot",
			File: "tribune/impl/consensus/lane.go",
			Old:  "				rpc.RespChan = t.content(rpc.RespChan)\n",
			New:  "",
		}},
	}
}

// logBehindItsSnapshot has a server that is started again keep a log that does not lead
// on from its snapshot. What comes next it appends behind a gap, which the log refuses; the
// server stops, is started again, and so on.
func logBehindItsSnapshot() Mutant {
	return Mutant{
		Name:     "log-behind-its-snapshot",
		Area:     "snapshots",
		Bug:      "a server that ended while it took a leader's snapshot keeps the log from before it",
		Origin:   "canonical/raft#199",
		Scenario: "behind-its-snapshot.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "log-behind-its-snapshot",
			Why:  "the server stops at each entry that it gets",
			File: "tribune/impl/consensus/consensus.go",
			Old:  "	if last == 0 || first > newest.Index {\n",
			New:  "	if first > newest.Index || n.log != nil {\n",
		}},
	}
}

// pipelinedReplication has raft send entries in its pipeline. The leader waits for ever
// if a follower says no to entries, on a connection that is well, while others wait for
// their turn, and more have come by the time that the pipeline is given up.
func pipelinedReplication() Mutant {
	return Mutant{
		Name:     "pipelined-replication",
		Area:     "raft",
		Bug:      "a follower gets no entries any more: raft waits for ever for a turn in a pipeline that was given up",
		Origin:   "hashicorp/raft#612",
		Scenario: "failing-followers.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "pipelined-replication",
			Why:  "servers fall behind and cannot be stopped",
			File: "tribune/impl/consensus/consensus.go",
			Old:  "		MaxRPCsInFlight:       1,\n",
			New:  "		MaxRPCsInFlight:       2,\n",
		}},
	}
}
