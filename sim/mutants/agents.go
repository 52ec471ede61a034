package mutants

import "tribune/sim/overlay"

// resentWrite has a client agent send a write to another server when the first one
// did not answer.
func resentWrite() Mutant {
	return Mutant{
		Name:     "resent-write",
		Area:     "forwarding",
		Bug:      "a client agent sends a write again that may have been carried out",
		Scenario: "through-agents.yaml",
		MaxSeeds: 30,
		Patches: []overlay.Patch{{
			Name: "resent-write",
			Why:  "the second one overwrites what others wrote in between",
			File: "tribune/impl/client/call.go",
			Old:  "func(kind fault.Kind) bool { return kind == fault.Unavailable })",
			New:  "func(kind fault.Kind) bool { return kind == fault.Unavailable || kind == fault.Unknown })",
		}},
	}
}

// silentCheck keeps what a check found to the agent until it looks the catalog
// through.
func silentCheck() Mutant {
	return Mutant{
		Name:     "silent-check",
		Area:     "anti-entropy",
		Bug:      "a check's new status waits for the next full sync",
		Scenario: "service-dies.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "silent-check",
			Why:  "others are sent to a service that is down",
			File: "tribune/impl/local/update.go",
			Old:  "	c.watch()\n	s.notify()\n	s.push()\n",
			New:  "	c.watch()\n	s.notify()\n",
		}},
	}
}

// greedyAntiEntropy has an agent take for a stray what the leader keeps for it in
// the catalog.
func greedyAntiEntropy() Mutant {
	return Mutant{
		Name:     "greedy-anti-entropy",
		Area:     "anti-entropy",
		Bug:      "anti-entropy deletes what another owns: the leader's serfHealth check",
		Scenario: "services.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "greedy-anti-entropy",
			Why:  "nobody can tell any more whether the node lives",
			File: "tribune/impl/local/diff.go",
			Old:  "case c == nil && r.CheckID == api.SerfCheckID:",
			New:  "case c == nil && r.CheckID == \"\":",
		}},
	}
}

// orphanedService leaves in the catalog what is registered there and not with its
// agent.
func orphanedService() Mutant {
	return Mutant{
		Name:     "orphaned-service",
		Area:     "anti-entropy",
		Bug:      "anti-entropy leaves what its agent does not have",
		Scenario: "services.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "orphaned-service",
			Why:  "nobody deregisters it any more",
			File: "tribune/impl/local/diff.go",
			Old:  "			s.services[r.ID] = &service{NodeService: r, mark: mark{gone: true}}\n",
			New:  "",
		}, {
			Name: "orphaned-service-of-a-check",
			Why:  "a check that goes does not take it along",
			File: "tribune/impl/local/push.go",
			Old:  "			r.ServiceID = c.ServiceID\n",
			New:  "",
		}},
	}
}

// serviceWithoutChecks leaves out the checks that the catalog had when a service is
// registered anew. So that there is a catalog that has lost the node, an agent that
// leaves goes on with anti-entropy.
func serviceWithoutChecks() Mutant {
	return Mutant{
		Name:     "service-without-checks",
		Area:     "anti-entropy",
		Bug:      "a service goes back without its checks into a catalog that has lost its node",
		Scenario: "leave-and-return.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "service-without-checks",
			Why:  "it counts as passing, whatever it is",
			File: "tribune/impl/local/push.go",
			Old:  "c.ServiceID == n.ID && !c.gone && c.definition.Token == token",
			New:  "c.ServiceID == n.ID && !c.gone && !c.same && c.definition.Token == token",
		}, {
			Name: "sync-while-leaving",
			Why:  "the catalog loses the node while its agent still writes",
			File: "tribune/impl/agent/agent.go",
			Old:  "		a.local.StopSync() // the leader takes the node out of the catalog, where anti-entropy would write it back\n",
			New:  "",
		}},
	}
}

// endlessSync has anti-entropy never be content with what the catalog has.
func endlessSync() Mutant {
	return Mutant{
		Name:     "endless-sync",
		Area:     "anti-entropy",
		Bug:      "anti-entropy writes checks to the catalog again that are there as they should be",
		Origin:   "hashicorp/consul#3259",
		Scenario: "services.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "endless-sync",
			Why:  "the raft log grows while nothing happens",
			File: "tribune/impl/local/diff.go",
			Old:  "			c.same = sameCheck(c.HealthCheck, r, !c.due.IsZero())\n",
			New:  "			c.same = c.HealthCheck.ServiceTags != nil && sameCheck(c.HealthCheck, r, !c.due.IsZero())\n",
		}},
	}
}

// lostRegistration answers a registration before it is on the disk.
func lostRegistration() Mutant {
	return Mutant{
		Name:     "lost-registration",
		Area:     "anti-entropy",
		Bug:      "a registration is acknowledged, and a power failure takes it",
		Origin:   "hashicorp/consul#1221",
		Scenario: "services.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "lost-registration",
			Why:  "a service that was told that it is registered is not",
			File: "tribune/impl/host/files.go",
			Old:  "	if err == nil {\n		err = f.Sync()\n	}\n",
			New:  "",
		}},
	}
}
