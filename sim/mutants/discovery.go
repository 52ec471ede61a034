package mutants

import "tribune/sim/overlay"

// greedyAntiEntropy has an agent take for a stray what the leader keeps for it in
// the catalog.
func greedyAntiEntropy() Mutant {
	return Mutant{
		Name:     "greedy-anti-entropy",
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

// silentCheck keeps what a check found to the agent until it looks the catalog
// through.
func silentCheck() Mutant {
	return Mutant{
		Name:     "silent-check",
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

// lostRegistration answers a registration before it is on the disk.
func lostRegistration() Mutant {
	return Mutant{
		Name:     "lost-registration",
		Bug:      "a registration is acknowledged, and a power failure takes it",
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

// immortalNode takes a member that failed for one that lives.
func immortalNode() Mutant {
	return Mutant{
		Name:     "immortal-node",
		Bug:      "the leader does not write down that a member failed",
		Scenario: "service-dies.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "immortal-node",
			Why:  "the services of a dead machine stay in use",
			File: "tribune/impl/server/enroll.go",
			Old:  "if m.Status == gossip.StatusFailed {",
			New:  "if m.Status == gossip.StatusFailed && m.Name == \"\" {",
		}},
	}
}

// orphanedService leaves in the catalog what is registered there and not with its
// agent.
func orphanedService() Mutant {
	return Mutant{
		Name:     "orphaned-service",
		Bug:      "anti-entropy leaves what its agent does not have",
		Scenario: "services.yaml",
		MaxSeeds: 10,
		Patches: []overlay.Patch{{
			Name: "orphaned-service",
			Why:  "nobody deregisters it any more",
			File: "tribune/impl/local/diff.go",
			Old:  "			s.services[r.ID] = &service{NodeService: r, mark: mark{gone: true}}\n",
			New:  "",
		}},
	}
}

// resentWrite has a client agent send a write to another server when the first one
// did not answer.
func resentWrite() Mutant {
	return Mutant{
		Name:     "resent-write",
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

// forgetfulLeader takes nodes that it has never met for members that gossip has
// forgotten.
func forgetfulLeader() Mutant {
	return Mutant{
		Name:     "forgetful-leader",
		Bug:      "a leader that has just started deregisters everybody whom it does not know yet",
		Scenario: "newborn-leader.yaml",
		MaxSeeds: 20,
		Patches: []overlay.Patch{{
			Name: "forgetful-leader",
			Why:  "services, sessions and locks of nodes that live are lost",
			File: "tribune/impl/server/census.go",
			Old:  "	if c.met[name] {\n",
			New:  "	if !c.met[name] || c.met[name] {\n",
		}},
	}
}
