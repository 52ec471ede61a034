package mutants

import "tribune/sim/overlay"

// blindCAS sets a key whatever its index is.
func blindCAS() Mutant {
	return Mutant{
		Name:     "blind-cas",
		Area:     "state store",
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

// twoNames leaves a node under its old name when it gets another.
func twoNames() Mutant {
	return Mutant{
		Name:     "two-names",
		Area:     "catalog",
		Bug:      "a node that gets another name stays in the catalog under the old one, with its services",
		Origin:   "hashicorp/consul#3974",
		Scenario: "renames.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "two-names",
			Why:  "others are sent to a node that is not there any more",
			File: "tribune/impl/catalog/register.go",
			Old:  "	if before != nil { // the node has another name now\n		n.CreateIndex = before.CreateIndex\n",
			New:  "	if before != nil && before.Node == \"\" {\n		n.CreateIndex = before.CreateIndex\n",
		}},
	}
}

// takenName lets a node have the name of another that lives.
func takenName() Mutant {
	return Mutant{
		Name:     "taken-name",
		Area:     "catalog",
		Bug:      "a node gets the name of another that lives",
		Scenario: "renames.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "taken-name",
			Why:  "who looks for the one finds the other",
			File: "tribune/impl/catalog/register.go",
			Old:  "	if holder == nil {\n		return nil\n	}\n	lives",
			New:  "	if holder == nil || holder.ID != \"\" {\n		return nil\n	}\n	lives",
		}},
	}
}

// txnHalfway keeps what the steps of a transaction did that did not fail.
func txnHalfway() Mutant {
	return Mutant{
		Name:     "txn-halfway",
		Area:     "state store",
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

// clockInTheStateMachine writes into the replicated state when a command was applied.
func clockInTheStateMachine() Mutant {
	return Mutant{
		Name:     "clock-in-the-state-machine",
		Area:     "state store",
		Bug:      "a command writes the time of its application into the replicated state",
		Scenario: "partition.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "clock-in-the-state-machine",
			Why:  "servers that have applied the same commands differ",
			File: "tribune/impl/fsm/fsm.go",
			Old:  "	ok, err := kv.Apply(tx, index, r)\n",
			New:  "	r.Entry.Flags = uint64(time.Now().UnixNano())\n	ok, err := kv.Apply(tx, index, r)\n",
		}},
	}
}

// restoreLosesIndex forgets at which index nodes were made when a snapshot is restored.
func restoreLosesIndex() Mutant {
	return Mutant{
		Name:     "restore-loses-index",
		Area:     "snapshots",
		Bug:      "nodes have other indexes after a snapshot was restored than before",
		Origin:   "hashicorp/consul#8474",
		Scenario: "snapshots-and-watches.yaml",
		MaxSeeds: 5,
		Patches: []overlay.Patch{{
			Name: "restore-loses-index",
			Why:  "servers that restored a snapshot differ from the others, and watchers wait for another index",
			File: "tribune/impl/catalog/persist.go",
			Old:  "	for i := range d.Nodes {\n",
			New:  "	for i := range d.Nodes {\n		d.Nodes[i].CreateIndex = d.Nodes[i].ModifyIndex\n",
		}},
	}
}

// snapshotAheadOfItsIndex writes into a snapshot what has been applied since raft
// asked for it, so that a server that starts from it applies that again.
func snapshotAheadOfItsIndex() Mutant {
	return Mutant{
		Name:     "snapshot-ahead-of-its-index",
		Area:     "snapshots",
		Bug:      "a snapshot holds commands that come after its index, and they are applied again after a restart",
		Origin:   "etcd-io/etcd#13967",
		Scenario: "locks-and-snapshots.yaml",
		MaxSeeds: 10,
		Escapes:  "at most one batch of commands is applied between the two moments, and to apply it again changes nothing, unless it holds a check-and-set of no entry or an attempt at a lock that failed, and later the deletion or release, with the right index or session, that would have let it succeed",
		Patches: []overlay.Patch{{
			Name: "snapshot-ahead-of-its-index",
			Why:  "the server that was restarted has another state than the others",
			File: "tribune/impl/fsm/snapshot.go",
			Old:  "	tx     *store.Txn\n",
			New:  "	tx     *store.Txn\n	now    *store.Store\n",
		}, {
			Name: "snapshot-ahead-of-its-index-persist",
			Why:  "what is written is the state as it is when it is written",
			File: "tribune/impl/fsm/snapshot.go",
			Old:  "dump(sink, s.tx, s.handle)",
			New:  "dump(sink, s.now.Read(), s.handle)",
		}, {
			Name: "snapshot-ahead-of-its-index-capture",
			Why:  "the snapshot has to know where the state is",
			File: "tribune/impl/fsm/fsm.go",
			Old:  "	return &snapshot{tx: f.store.Read(), handle: f.handle}, nil\n",
			New:  "	return &snapshot{tx: f.store.Read(), now: f.store, handle: f.handle}, nil\n",
		}},
	}
}
