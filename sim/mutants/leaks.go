package mutants

import "tribune/sim/overlay"

// leakedWatch has a blocking query wait in a goroutine that nobody ends.
func leakedWatch() Mutant {
	return Mutant{
		Name:     "leaked-watch",
		Area:     "blocking queries",
		Bug:      "a blocking query whose time is up, or whose client has gone, goes on to wait for the change",
		Scenario: "watches.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "leaked-watch",
			Why:  "what it waits for may never change again",
			File: "tribune/impl/server/read.go",
			Old:  "		if s.fsm.Store().Wait(wait, ws) != nil {\n",
			New: `		woken, over := make(chan error, 1), error(nil)
		go func() { woken <- s.fsm.Store().Wait(context.Background(), ws) }()
		select {
		case over = <-woken:
		case <-wait.Done():
			over = wait.Err()
		}
		if over != nil {
`,
		}},
	}
}

// oldVersionsKept never gives up a version of the state.
func oldVersionsKept() Mutant {
	return Mutant{
		Name:     "old-versions-kept",
		Area:     "state store",
		Bug:      "each version of the state is kept, as if somebody still read it",
		Scenario: "partition.yaml",
		MaxSeeds: 3,
		Patches: []overlay.Patch{{
			Name: "old-versions-kept",
			Why:  "memory grows with every write",
			File: "tribune/impl/store/store.go",
			Old:  "func (s *Store) Write() *Txn { return",
			New:  "func (s *Store) Write() *Txn { s.old = append(s.old, s.Read()); return",
		}, {
			Name: "old-versions-kept-there",
			Why:  "it needs a place",
			File: "tribune/impl/store/store.go",
			Old:  "	watched atomic.Int64\n",
			New:  "	watched atomic.Int64\n	old     []*Txn\n",
		}},
	}
}
