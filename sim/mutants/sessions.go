package mutants

import "tribune/sim/overlay"

// ignoredLockDelay lets a key be locked as soon as the session that had locked it
// has ended.
func ignoredLockDelay() Mutant {
	return Mutant{
		Name:     "ignored-lock-delay",
		Area:     "locks",
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

// expiredWithoutDelay begins a lock-delay only when somebody ends a session.
func expiredWithoutDelay() Mutant {
	return Mutant{
		Name:     "expired-without-delay",
		Area:     "locks",
		Bug:      "a session whose TTL runs out begins no lock-delay",
		Scenario: "lock-holder-sleeps.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "expired-without-delay-said",
			Why:  "the state machine is to tell who expired from who was destroyed",
			File: "tribune/impl/server/session.go",
			Old:  "Session: api.Session{ID: id}})",
			New:  "Session: api.Session{ID: id, Name: \"expired\"}})",
		}, {
			Name: "expired-without-delay",
			Why:  "a holder that cannot renew writes beside the next one",
			File: "tribune/impl/fsm/session.go",
			Old:  "		err = f.end(tx, index, r.Session.ID)\n",
			New:  "		err = f.end(tx, index, r.Session.ID)\n		for i := range f.lost {\n			if r.Session.Name == \"expired\" {\n				f.lost[i].delay = 0\n			}\n		}\n",
		}},
	}
}

// lockDelayForgotten drops the lock-delays that a snapshot holds.
func lockDelayForgotten() Mutant {
	return Mutant{
		Name:     "lock-delay-forgotten",
		Area:     "locks",
		Bug:      "a server that was started again from a snapshot knows of no lock-delay",
		Scenario: "locks-and-snapshots.yaml",
		MaxSeeds: 20,
		Patches: []overlay.Patch{{
			Name: "lock-delay-forgotten",
			Why:  "it leads, and hands out a lock whose last holder does not know of its end",
			File: "tribune/impl/fsm/snapshot.go",
			Old:  "	for _, lost := range b.KV.Freed {\n		f.freed(lost.Key, lost.Delay)\n	}\n",
			New:  "",
		}},
	}
}

// survivingLock leaves a key locked when the session that locked it ends.
func survivingLock() Mutant {
	return Mutant{
		Name:     "surviving-lock",
		Area:     "locks",
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

// ttlNotReset has a new leader take the sessions that it has not heard of for ones
// that nobody renewed.
func ttlNotReset() Mutant {
	return Mutant{
		Name:     "ttl-not-reset",
		Area:     "sessions",
		Bug:      "a new leader expires sessions as if they had not been renewed with the last one",
		Scenario: "locks.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "ttl-not-reset-begin",
			Why:  "the first look of a new leader is to be told from later ones",
			File: "tribune/impl/server/session.go",
			Old:  "	l.due = map[string]time.Time{}\n",
			New:  "	l.due = map[string]time.Time{\"\": {}}\n",
		}, {
			Name: "ttl-not-reset",
			Why:  "a holder that renewed in time loses its lock",
			File: "tribune/impl/server/session.go",
			Old:  "			due = now.Add(d)\n",
			New:  "			due = now.Add(d)\n			if _, first := l.due[\"\"]; first {\n				due = now\n			}\n",
		}},
	}
}

// sessionOutlivesCheck ends a session with its node, and not with its checks.
func sessionOutlivesCheck() Mutant {
	return Mutant{
		Name:     "session-outlives-check",
		Area:     "sessions",
		Bug:      "a session lives on when a check that it stands on turns critical",
		Scenario: "session-health.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "session-outlives-check",
			Why:  "the lock stays with a holder whose service is down",
			File: "tribune/impl/fsm/session.go",
			Old:  "if catalog.Support(tx, node, needed(s)) == nil {",
			New:  "if catalog.Support(tx, node, nil) == nil {",
		}},
	}
}
