package mutants

import "tribune/sim/overlay"

// sessionOutlivesCheck ends a session with its node, and not with its checks.
func sessionOutlivesCheck() Mutant {
	return Mutant{
		Name:     "session-outlives-check",
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

// ttlNotReset has a new leader take the sessions that it has not heard of for ones
// that nobody renewed.
func ttlNotReset() Mutant {
	return Mutant{
		Name:     "ttl-not-reset",
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

// txnHalfway keeps what the steps of a transaction did that did not fail.
func txnHalfway() Mutant {
	return Mutant{
		Name:     "txn-halfway",
		Bug:      "a transaction that fails leaves what its other operations did",
		Scenario: "transactions.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "txn-halfway",
			Why:  "money leaves one account and never reaches the other",
			File: "tribune/impl/fsm/txn.go",
			Old:  "		f.lost = nil\n		return a\n",
			New:  "		f.commit(tx)\n		return a\n",
		}},
	}
}
