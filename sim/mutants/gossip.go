package mutants

import "tribune/sim/overlay"

// immortalNode takes a member that failed for one that lives.
func immortalNode() Mutant {
	return Mutant{
		Name:     "immortal-node",
		Area:     "catalog",
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

// forgetfulLeader takes nodes that it has never met for members that gossip has
// forgotten.
func forgetfulLeader() Mutant {
	return Mutant{
		Name:     "forgetful-leader",
		Area:     "catalog",
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

// noRejoin forgets over a restart who the other members were.
func noRejoin() Mutant {
	return Mutant{
		Name:     "no-rejoin",
		Area:     "gossip",
		Bug:      "agents that were all down at once do not look for each other",
		Origin:   "hashicorp/serf#333",
		Scenario: "full-outage.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "no-rejoin",
			Why:  "after a power failure somebody has to join every agent by hand",
			File: "tribune/impl/gossip/gossip.go",
			Old:  "	p.tending.Go(func() { p.tend(ctx, lost) })\n",
			New:  "	p.tending.Go(func() { p.tend(ctx, lost[:0]) })\n",
		}},
	}
}

// meekRefutation has a member that is taken for dead say that it lives, with an
// incarnation that others need not believe.
func meekRefutation() Mutant {
	return Mutant{
		Name:     "meek-refutation",
		Area:     "gossip",
		Bug:      "a member that was started again does not go beyond the incarnation in which it was declared dead",
		Origin:   "hashicorp/memberlist#311",
		Scenario: "old-incarnation.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "meek-refutation",
			Why:  "others go on to take it for dead",
			File: "github.com/hashicorp/memberlist/state.go",
			Old:  "	if accusedInc >= inc {\n		inc = m.skipIncarnation(accusedInc - inc + 1)\n	}\n",
			New:  "",
		}},
	}
}

// nowhere has agents lose their place in the network when a round trip was too short to
// be measured, and take the like of others.
func nowhere() Mutant {
	const file = "github.com/hashicorp/serf/coordinate/client.go"
	return Mutant{
		Name:     "nowhere",
		Area:     "coordinates",
		Bug:      "a round trip that is measured as no time makes coordinates that are no numbers, and others take them",
		Origin:   "hashicorp/consul#3789",
		Scenario: "partition.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "nowhere-coarse",
			Why:  "a clock that counts milliseconds sees round trips of no time",
			File: "github.com/hashicorp/memberlist/state.go",
			Old:  "rtt := v.Timestamp.Sub(sent)\n",
			New:  "rtt := v.Timestamp.Sub(sent).Truncate(time.Millisecond)\n",
		}, {
			Name: "nowhere-threshold",
			Why:  "the error of an estimate is divided by the round trip time",
			File: file,
			Old:  "	if rttSeconds < zeroThreshold {\n		rttSeconds = zeroThreshold\n	}\n",
			New:  "",
		}, {
			Name: "nowhere-limit",
			Why:  "the error has no limit",
			File: file,
			Old:  "	if c.coord.Error > c.config.VivaldiErrorMax {\n		c.coord.Error = c.config.VivaldiErrorMax\n	}\n",
			New:  "",
		}, {
			Name: "nowhere-taken",
			Why:  "who takes such a coordinate has one afterwards",
			File: file,
			Old:  "	if err := c.checkCoordinate(other); err != nil {\n		return nil, err\n	}\n",
			New:  "",
		}, {
			Name: "nowhere-kept",
			Why:  "who has such a coordinate keeps it",
			File: file,
			Old:  "	if !c.coord.IsValid() {\n		c.stats.Resets++\n",
			New:  "	if c.coord == nil {\n		c.stats.Resets++\n",
		}},
	}
}

// saidOnce has an agent say that it is here when it joins, and never again.
func saidOnce() Mutant {
	return Mutant{
		Name:     "said-once",
		Area:     "gossip",
		Bug:      "a member that left and came back at once is shown as leaving for ever",
		Origin:   "hashicorp/serf#662",
		Scenario: "leave-under-loss.yaml",
		MaxSeeds: 40,
		Patches: []overlay.Patch{{
			Name: "said-once",
			Why:  "it is there, and others take it for one that goes",
			File: "tribune/impl/gossip/rejoin.go",
			Old:  "			p.announce()\n",
			New:  "			if p.self == \"\" {\n				p.announce()\n			}\n",
		}},
	}
}

// oldLeaveIntent believes a member's word that it leaves, however old it is.
func oldLeaveIntent() Mutant {
	return Mutant{
		Name:     "old-leave-intent",
		Area:     "gossip",
		Bug:      "an old word of a member that it leaves counts more than a later one that it is here",
		Origin:   "hashicorp/consul#13379",
		Scenario: "leave-under-loss.yaml",
		MaxSeeds: 40,
		Patches: []overlay.Patch{{
			Name: "old-leave-intent",
			Why:  "it is there, and others take it for one that goes",
			File: "github.com/hashicorp/serf/serf/serf.go",
			Old:  "	if leaveMsg.LTime <= member.statusLTime {\n		return false\n	}\n\n	// Refute us leaving",
			New:  "	if leaveMsg.LTime+8 <= member.statusLTime {\n		return false\n	}\n\n	// Refute us leaving",
		}},
	}
}

// eventTwice hands on an event as often as gossip brings it. Two places see to it
// that this is once, serf and package event; the bug is in both.
func eventTwice() Mutant {
	return Mutant{
		Name:     "event-twice",
		Area:     "events",
		Bug:      "an event that comes again by gossip is delivered again",
		Scenario: "events.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "event-twice-serf",
			Why:  "gossip brings each message many times",
			File: "github.com/hashicorp/serf/serf/serf.go",
			Old: `		for _, previous := range seen.Events {
			if previous.Equals(&userEvent) {
				return false
`,
			New: `		for _, previous := range seen.Events {
			if previous.Equals(&userEvent) {
				s.config.EventCh <- UserEvent{LTime: eventMsg.LTime, Name: eventMsg.Name, Payload: eventMsg.Payload, Coalesce: eventMsg.CC}
				return false
`,
		}, {
			Name: "event-twice",
			Why:  "what an event sets off is done twice",
			File: "tribune/impl/event/list.go",
			Old:  "return old.ID == ev.ID })",
			New:  "return old.ID == ev.ID && ev.ID == \"\" })",
		}},
	}
}

// eventTakenForAnother tells events apart by their names.
func eventTakenForAnother() Mutant {
	return Mutant{
		Name:     "event-taken-for-another",
		Area:     "events",
		Bug:      "an event is taken for an earlier one of the same name, and dropped",
		Scenario: "events.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "event-taken-for-another",
			Why:  "what it should set off is not done",
			File: "tribune/impl/event/list.go",
			Old:  "return old.ID == ev.ID })",
			New:  "return old.Name == ev.Name })",
		}},
	}
}
