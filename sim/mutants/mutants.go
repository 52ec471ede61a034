// Package mutants keeps deliberate bugs, to measure whether the harness finds
// them. A mutant is a set of anchored source patches (package overlay) applied
// to the agent or to a library it trusts; the scenario named with it is
// expected to catch it. `simctl mutants` builds each, runs seeds until the
// verdict is "failed", and runs the same seeds with the unmutated agent, which
// must pass.
//
// Many are made after bugs that really happened in Consul, etcd or the libraries;
// they name the public issue. They lie in the order in which a reader meets the
// code:
//
//   - reads.go: what clients read and wait for.
//   - state.go: the replicated state and its snapshots.
//   - sessions.go: sessions and locks.
//   - agents.go: what agents bring to the catalog, and requests on their way.
//   - gossip.go: membership, and what the leader makes of it.
//   - log.go: the log on the disk.
//   - raft.go: elections, replication, the raft group.
//   - leaks.go: what is never given back.
//
// table.go makes docs/mutants.md of them.
package mutants

import "tribune/sim/overlay"

// Mutant is a deliberate bug and how it is expected to be caught.
type Mutant struct {
	// Name is short and unique: "stale-consistent-read".
	Name string
	// Area is the part of the agent that is wrong: "raft".
	Area string
	// Bug says in a sentence what the agent does wrong.
	Bug string
	// Origin is the public issue or pull request of the bug that really happened
	// and that this one is made after, as "hashicorp/raft#697"; empty if it is
	// made up, or was found here.
	Origin string
	// Patches make the bug.
	Patches []overlay.Patch
	// Scenario is the file in scenarios/ whose verdict must turn to failed.
	Scenario string
	// MaxSeeds is the number of seeds after which it counts as not caught.
	MaxSeeds int
	// Escapes says why the scenario does not catch it; empty for those of All.
	Escapes string
}

// All returns the mutants that are to be caught.
func All() []Mutant {
	return []Mutant{
		staleConsistentRead(),
		serveBeforeBarrier(),
		trustedVerifyLeader(),
		endlessLease(),
		lateWatch(),
		sleepsThroughDeletes(),
		oneKeyOfAList(),
		endlessWait(),
		filterKeepsOldResult(),
		missedFlip(),
		tombstonesNotKept(),
		dnsIncludesCritical(),
		dnsOfAnyAge(),
		queryIncludesCritical(),
		blindCAS(),
		twoNames(),
		takenName(),
		txnHalfway(),
		clockInTheStateMachine(),
		restoreLosesIndex(),
		ignoredLockDelay(),
		expiredWithoutDelay(),
		lockDelayForgotten(),
		survivingLock(),
		ttlNotReset(),
		sessionOutlivesCheck(),
		resentWrite(),
		silentCheck(),
		greedyAntiEntropy(),
		orphanedService(),
		serviceWithoutChecks(),
		endlessSync(),
		lostRegistration(),
		immortalNode(),
		forgetfulLeader(),
		noRejoin(),
		meekRefutation(),
		saidOnce(),
		oldLeaveIntent(),
		nowhere(),
		eventTwice(),
		eventTakenForAnother(),
		lostFsync(),
		uncheckedLog(),
		unsyncedSnapshot(),
		logUsedAfterFailure(),
		indexlessSegment(),
		earlyAck(),
		forgottenVote(),
		noPreVote(),
		stalledLeader(),
		shrinkingGroup(),
		leaderLoopDies(),
		overtakenSnapshot(),
		unheardSnapshot(),
		logBehindItsSnapshot(),
		pipelinedReplication(),
		leakedWatch(),
		oldVersionsKept(),
	}
}

// Escaped returns those that no scenario catches within reasonable time.
func Escaped() []Mutant {
	return []Mutant{
		snapshotAheadOfItsIndex(),
		snapshotOfADeposedLeader(),
	}
}
