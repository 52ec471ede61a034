package mutants

import "tribune/sim/overlay"

// staleConsistentRead answers a consistent read without asking a majority
// whether this server still leads.
func staleConsistentRead() Mutant {
	return Mutant{
		Name:     "stale-consistent-read",
		Area:     "consistent reads",
		Bug:      "consistent reads are answered without confirming leadership",
		Origin:   "etcd-io/etcd#741",
		Scenario: "consistent-under-drift.yaml",
		MaxSeeds: 20,
		Patches: []overlay.Patch{{
			Name: "stale-consistent-read",
			Why:  "a leader that was cut off answers with what it last knew",
			File: "tribune/impl/server/read.go",
			Old:  "case ended != nil && (old || opts.RequireConsistent):",
			New:  "case ended == nil && (old || opts.RequireConsistent):",
		}},
	}
}

// serveBeforeBarrier has a new leader answer before it has applied what earlier
// leaders committed.
func serveBeforeBarrier() Mutant {
	return Mutant{
		Name:     "serve-before-barrier",
		Area:     "consistent reads",
		Bug:      "a new leader answers before it has applied all that was committed",
		Origin:   "hashicorp/consul#2644",
		Scenario: "new-leader.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "serve-before-barrier",
			Why:  "a write that was acknowledged by the last leader is not seen",
			File: "tribune/impl/server/leader.go",
			Old:  "		err := s.watched(func() error { return s.raft.Barrier(barrier) })\n",
			New:  "		err := barrier.Err()\n",
		}},
	}
}

// trustedVerifyLeader confirms consistent reads as raft's own VerifyLeader does.
func trustedVerifyLeader() Mutant {
	return Mutant{
		Name:     "trusted-verify-leader",
		Area:     "consistent reads",
		Bug:      "leadership is confirmed by answers of followers that were on their way before anybody asked",
		Scenario: "leader-naps.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "trusted-verify-leader",
			Why:  "a leader that slept answers a consistent read with what it knew",
			File: "tribune/impl/server/confirm.go",
			Old:  "	if term == 0 || err != nil {\n		return 0\n	}\n",
			New:  "	if term == 0 || err != nil || s.raft.VerifyLeader() != nil {\n		return 0\n	}\n	if needed >= 0 {\n		return term\n	}\n",
		}},
	}
}

// endlessLease has a leader believe that it leads although nobody answers it.
func endlessLease() Mutant {
	return Mutant{
		Name:     "endless-lease",
		Area:     "leases",
		Bug:      "a leader that nobody hears does not step down",
		Origin:   "hashicorp/consul#54",
		Scenario: "default-reads.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "endless-lease",
			Why:  "it answers default reads with what it knew, for as long as it is cut off",
			File: "github.com/hashicorp/raft/raft.go",
			Old:  "	if contacted < quorum {\n		r.logger.Warn(\"failed to contact quorum of nodes, stepping down\")\n",
			New:  "	if contacted < 1 && quorum > 0 {\n		r.logger.Warn(\"failed to contact quorum of nodes, stepping down\")\n",
		}},
	}
}

// lateWatch has a blocking query watch what it read only after it has read it.
func lateWatch() Mutant {
	return Mutant{
		Name:     "late-watch",
		Area:     "blocking queries",
		Bug:      "a blocking query arms its watch after reading",
		Scenario: "watches.yaml",
		MaxSeeds: 40,
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

// sleepsThroughDeletes leaves those alone who watch a key, when it is deleted.
func sleepsThroughDeletes() Mutant {
	return Mutant{
		Name:     "sleeps-through-deletes",
		Area:     "blocking queries",
		Bug:      "a blocking query on a key is not woken when the key is deleted",
		Scenario: "watches.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "sleeps-through-deletes",
			Why:  "who watches does not learn that it has gone",
			File: "github.com/hashicorp/go-immutable-radix/iradix.go",
			Old:  "		// Remove the leaf node\n		nc := t.writeNode(n, true)\n",
			New:  "		// Remove the leaf node\n		nc := t.writeNode(n, false)\n",
		}},
	}
}

// oneKeyOfAList has a list under a prefix wait for one of its keys.
func oneKeyOfAList() Mutant {
	return Mutant{
		Name:     "one-key-of-a-list",
		Area:     "blocking queries",
		Bug:      "a blocking query on a prefix watches the key that is called as the prefix",
		Scenario: "snapshots-and-watches.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "one-key-of-a-list",
			Why:  "a change of any other key wakes nobody",
			File: "tribune/impl/kv/kv.go",
			Old:  "	ws.Add(rows.WatchCh())\n",
			New:  "	if _, watch, err := find(tx, prefix); err == nil {\n		ws.Add(watch)\n	}\n",
		}},
	}
}

// endlessWait has blocking queries wait for the change, and for nothing else.
func endlessWait() Mutant {
	return Mutant{
		Name:     "endless-wait",
		Area:     "blocking queries",
		Bug:      "a blocking query does not end when its time is up",
		Scenario: "watches.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "endless-wait",
			Why:  "who asks gets no answer, and cannot tell the server from one that is dead",
			File: "tribune/impl/server/read.go",
			Old:  "context.WithTimeout(ctx, most+rand.N(most/16+1))",
			New:  "context.WithTimeout(ctx, 1000*time.Hour+most+rand.N(most/16+1))",
		}},
	}
}

// filterKeepsOldResult leaves a filtered answer as it was when nothing fits any more.
func filterKeepsOldResult() Mutant {
	return Mutant{
		Name:     "filter-keeps-old-result",
		Area:     "blocking queries",
		Bug:      "a blocking query with a filter returns what it had found before when nothing fits any more",
		Origin:   "hashicorp/consul#12640",
		Scenario: "service-dies.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "filter-keeps-old-result",
			Why:  "who watches does not learn that the last one has gone",
			File: "tribune/impl/server/catalog.go",
			Old:  "			if a.Items, err = keep(found); err == nil {\n",
			New:  "			fits, err := keep(found)\n			if len(fits) > 0 {\n				a.Items = fits\n			}\n			if err == nil {\n",
		}},
	}
}

// missedFlip does not wake who watches a service when a check of it passes again.
func missedFlip() Mutant {
	return Mutant{
		Name:     "missed-flip",
		Area:     "blocking queries",
		Bug:      "a blocking query on a service misses that a check passes again",
		Origin:   "hashicorp/consul#2814",
		Scenario: "service-dies.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "missed-flip",
			Why:  "an instance that is well again is not used",
			File: "tribune/impl/catalog/register.go",
			Old:  "	return move(tx, index, of(services, c.ServiceName))\n",
			New:  "	if c.Status == api.HealthPassing {\n		return nil\n	}\n	return move(tx, index, of(services, c.ServiceName))\n",
		}},
	}
}

// tombstonesNotKept forgets at which index a key was deleted.
func tombstonesNotKept() Mutant {
	return Mutant{
		Name:     "tombstones-not-kept",
		Area:     "blocking queries",
		Bug:      "nothing remembers that a key under a prefix was deleted",
		Origin:   "hashicorp/consul#195",
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

// queryIncludesCritical has a prepared query find instances whatever their health.
func queryIncludesCritical() Mutant {
	return Mutant{
		Name:     "query-includes-critical",
		Area:     "prepared queries",
		Bug:      "a prepared query finds instances whose checks are critical",
		Scenario: "service-dies.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "query-includes-critical",
			Why:  "others are sent to a service that is down",
			File: "tribune/impl/query/choose.go",
			Old:  "		bad := c.Status == api.HealthCritical || ",
			New:  "		bad := ",
		}},
	}
}

// dnsIncludesCritical names all instances of a service, whatever their health.
func dnsIncludesCritical() Mutant {
	return Mutant{
		Name:     "dns-includes-critical",
		Area:     "DNS",
		Bug:      "DNS names instances whose checks are critical",
		Scenario: "service-dies.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "dns-includes-critical",
			Why:  "others are sent to a service that is down",
			File: "tribune/impl/dns/lookup.go",
			Old:  "		if r.healthy(n) {\n",
			New:  "		if r.healthy(n) || true {\n",
		}},
	}
}

// dnsOfAnyAge has DNS take whatever a server has.
func dnsOfAnyAge() Mutant {
	return Mutant{
		Name:     "dns-of-any-age",
		Area:     "DNS",
		Bug:      "DNS answers with what a server last knew, however old that is",
		Scenario: "max-stale.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "dns-of-any-age",
			Why:  "others are sent to a service that was down long before",
			File: "tribune/impl/dns/lookup.go",
			Old:  "	meta, err := from(r.ctx, api.QueryOptions{AllowStale: r.AllowStale, MaxStaleDuration: r.MaxStale})\n",
			New:  "	meta, err := from(r.ctx, api.QueryOptions{AllowStale: r.AllowStale})\n",
		}, {
			Name: "dns-of-any-age-after-all",
			Why:  "it does not ask the leader then either",
			File: "tribune/impl/dns/lookup.go",
			Old:  "	if err == nil && r.AllowStale && meta.LastContact > r.MaxStale {\n",
			New:  "	if err == nil && r.AllowStale && meta.LastContact > unknownAge {\n",
		}, {
			Name: "dns-of-any-age-limit",
			Why:  "it is longer than any run",
			File: "tribune/impl/dns/lookup.go",
			Old:  "const staleAfter = 5 * time.Second\n",
			New:  "const staleAfter, unknownAge = 5 * time.Second, 1000 * time.Hour\n",
		}},
	}
}
