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
