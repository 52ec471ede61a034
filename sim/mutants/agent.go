package mutants

import "tribune/sim/overlay"

// staleConsistentRead answers a consistent read without asking a majority
// whether this server still leads.
func staleConsistentRead() Mutant {
	return Mutant{
		Name:     "stale-consistent-read",
		Bug:      "consistent reads are answered without confirming leadership",
		Scenario: "consistent-under-drift.yaml",
		MaxSeeds: 20,
		Patches: []overlay.Patch{{
			Name: "stale-consistent-read",
			Why:  "a leader that was cut off answers with what it last knew",
			File: "tribune/impl/server/read.go",
			Old:  "if opts.RequireConsistent && ended != nil {",
			New:  "if opts.RequireConsistent && ended == nil {",
		}},
	}
}

// lateWatch has a blocking query watch what it read only after it has read it.
func lateWatch() Mutant {
	return Mutant{
		Name:     "late-watch",
		Bug:      "a blocking query arms its watch after reading",
		Scenario: "watches.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "late-watch",
			Why:  "a write between the two wakes nobody",
			File: "tribune/impl/server/read.go",
			Old:  "		ws.Add(abandoned)\n",
			New: `		time.Sleep(20 * time.Millisecond)
		ws = store.WatchSet{}
		if _, _, err := q(s.fsm.Store().Read(), ws); err != nil {
			return err
		}
		ws.Add(abandoned)
`,
		}},
	}
}

// ignoredLockDelay lets a key be locked as soon as the session that had locked it
// has ended.
func ignoredLockDelay() Mutant {
	return Mutant{
		Name:     "ignored-lock-delay",
		Bug:      "a key can be locked at once after the session that held it ended",
		Scenario: "locks.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "ignored-lock-delay",
			Why:  "a holder that does not know of its end writes beside the next one",
			File: "tribune/impl/server/kv.go",
			Old:  "if s.delays.active(r.Entry.Key) {",
			New:  "if r.Entry.Key == \"\" && s.delays.active(r.Entry.Key) {",
		}},
	}
}

// survivingLock leaves a key locked when the session that locked it ends.
func survivingLock() Mutant {
	return Mutant{
		Name:     "surviving-lock",
		Bug:      "the locks of a session outlive it",
		Scenario: "locks.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "surviving-lock",
			Why:  "nobody can take the lock of a holder that died",
			File: "tribune/impl/fsm/session.go",
			Old:  "keys, err := kv.EndLocks(tx, index, *s)",
			New:  "keys, err := kv.EndLocks(tx, index, api.Session{})",
		}},
	}
}

// blindCAS sets a key whatever its index is.
func blindCAS() Mutant {
	return Mutant{
		Name:     "blind-cas",
		Bug:      "a check-and-set ignores the index",
		Scenario: "partition.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "blind-cas",
			Why:  "two writers both believe to have won",
			File: "tribune/impl/kv/kv.go",
			Old:  "if old == nil && e.ModifyIndex != 0 || old != nil && old.ModifyIndex != e.ModifyIndex {",
			New:  "if old != nil && old.ModifyIndex == 0 {",
		}},
	}
}

// tombstonesNotKept forgets at which index a key was deleted.
func tombstonesNotKept() Mutant {
	return Mutant{
		Name:     "tombstones-not-kept",
		Bug:      "nothing remembers that a key under a prefix was deleted",
		Scenario: "snapshots-and-watches.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "tombstones-not-kept",
			Why:  "the index of a prefix goes back, and who waits for it is not woken",
			File: "tribune/impl/kv/kv.go",
			Old:  "	if err := tx.Insert(tombstones, &tombstone{key, index}); err != nil {\n		return fmt.Errorf(\"kv: tombstone of %q: %w\", key, err)\n	}\n	if err := tx.SetIndex",
			New:  "	if err := tx.SetIndex",
		}},
	}
}
