// Package mutants keeps deliberate bugs, to measure whether the harness finds
// them. A mutant is a set of anchored source patches (package overlay) applied
// to the agent or to a library it trusts; the scenario named with it is
// expected to catch it. `simctl mutants` builds each, runs seeds until the
// verdict is "failed", and runs the same seeds with the unmutated agent, which
// must pass.
//
// Each mutant is a bug that somebody has really written. They lie in the order
// in which a reader meets the code: face, law, agents, log, election.
package mutants

import "tribune/sim/overlay"

// Mutant is a deliberate bug and how it is expected to be caught.
type Mutant struct {
	// Name is short and unique: "stale-consistent-read".
	Name string
	// Bug says in a sentence what the agent does wrong.
	Bug string
	// Patches make the bug.
	Patches []overlay.Patch
	// Scenario is the file in scenarios/ whose verdict must turn to failed.
	Scenario string
	// MaxSeeds is the number of seeds after which it counts as not caught.
	MaxSeeds int
}

// All returns every mutant.
func All() []Mutant {
	return []Mutant{
		staleConsistentRead(),
		blindCAS(),
		lateWatch(),
		ignoredLockDelay(),
		survivingLock(),
		resentWrite(),
		silentCheck(),
		greedyAntiEntropy(),
		orphanedService(),
		lostRegistration(),
		immortalNode(),
		forgetfulLeader(),
		lostFsync(),
		uncheckedLog(),
		earlyAck(),
		forgottenVote(),
	}
}
