package kv_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/kv"
	"tribune/impl/store"
)

// TestALockIsASessionsUntilItIsGivenUp tells the story of a lock, step by step.
func TestALockIsASessionsUntilItIsGivenUp(t *testing.T) {
	s := newStore(t)
	index := uint64(10)
	for _, step := range []struct {
		op      api.KVOp
		session string
		took    bool
		after   string // value, session, LockIndex, ModifyIndex
	}{
		{api.KVUnlock, "a", false, "none"},
		{api.KVLock, "a", true, "lock a 1 12"},
		{api.KVLock, "b", false, "lock a 1 12"},
		{api.KVLock, "a", true, "lock a 1 12"}, // again: nothing changes
		{api.KVSet, "", true, "set a 1 15"},
		{api.KVLock, "a", true, "lock a 1 16"}, // again, with another value: LockIndex stays
		{api.KVUnlock, "b", false, "lock a 1 16"},
		{api.KVUnlock, "a", true, "unlock  1 18"},
		{api.KVLock, "b", true, "lock b 2 19"},
		{api.KVDelete, "", true, "none"},
		{api.KVLock, "b", true, "lock b 1 21"},
	} {
		index++
		if took := apply(t, s, index, step.op, api.DirEntry{Key: "k", Value: []byte(step.op), Session: step.session}); took != step.took {
			t.Errorf("%s by %q at %d: %t", step.op, step.session, index, took)
		}
		_, e, err := kv.Get(s.Read(), nil, "k")
		if err != nil {
			t.Fatal(err)
		}
		got := "none"
		if e != nil {
			got = fmt.Sprintf("%s %s %d %d", e.Value, e.Session, e.LockIndex, e.ModifyIndex)
		}
		if got != step.after {
			t.Errorf("after %s by %q at %d: %s, want %s", step.op, step.session, index, got, step.after)
		}
	}
}

func TestAHolderThatLocksAgainWakesNobodyUnlessItWritesSomethingElse(t *testing.T) {
	s := newStore(t)
	for i, step := range []struct {
		value string
		flags uint64
		want  uint64 // index to wait on
	}{{"v", 1, 1}, {"v", 1, 1}, {"v", 2, 3}, {"w", 2, 4}, {"w", 2, 4}} {
		if !apply(t, s, uint64(i+1), api.KVLock, api.DirEntry{Key: "k", Value: []byte(step.value), Flags: step.flags, Session: "a"}) {
			t.Errorf("step %d: refused", i)
		}
		if index, _, err := kv.List(s.Read(), nil, ""); err != nil || index != step.want {
			t.Errorf("step %d: the index is %d, %v, want %d", i, index, err, step.want)
		}
	}
}

func TestALockNeedsASession(t *testing.T) {
	for _, op := range []api.KVOp{api.KVLock, api.KVUnlock} {
		tx := newStore(t).Write()
		if _, err := kv.Apply(tx, 1, api.KVApplyRequest{Op: op, Entry: api.DirEntry{Key: "k"}}); err == nil || err.Error() != "missing session" {
			t.Errorf("%s: %v", op, err)
		}
		tx.Abort()
	}
}

func TestTheLocksOfASessionEndWithIt(t *testing.T) {
	for behavior, want := range map[string][]string{api.SessionRelease: {"a", "b", "other"}, api.SessionDelete: {"other"}} {
		s := newStore(t)
		for i, key := range []string{"b", "a"} {
			apply(t, s, uint64(i+1), api.KVLock, api.DirEntry{Key: key, Session: "mine"})
		}
		apply(t, s, 3, api.KVLock, api.DirEntry{Key: "other", Session: "theirs"})
		tx := s.Write()
		keys, err := kv.EndLocks(tx, 4, api.Session{ID: "mine", Behavior: behavior})
		tx.Commit()
		if err != nil || !slices.Equal(keys, []string{"a", "b"}) {
			t.Errorf("%s: %v, %v", behavior, keys, err)
		}
		index, left, err := kv.Keys(s.Read(), nil, "", "")
		if err != nil || index != 4 || !slices.Equal(left, want) {
			t.Errorf("%s: %v at %d, %v", behavior, left, index, err)
		}
		if _, e, _ := kv.Get(s.Read(), nil, "other"); e.Session != "theirs" {
			t.Errorf("%s: the other lock is %+v", behavior, e)
		}
	}
}

// TestALockThatWasProposedBeforeASessionEndedIsRefusedAfterIt is about a leader
// that looks whether a lock-delay forbids a lock while the command that begins the
// delay is still on its way.
func TestALockThatWasProposedBeforeASessionEndedIsRefusedAfterIt(t *testing.T) {
	s := newStore(t)
	apply(t, s, 1, api.KVLock, api.DirEntry{Key: "k", Session: "mine"})
	tx := s.Write()
	if _, err := kv.EndLocks(tx, 7, api.Session{ID: "mine", LockDelay: time.Second}); err != nil {
		t.Fatal(err)
	}
	tx.Commit()
	lock := func(s *store.Store, index, asOf uint64) bool {
		tx := s.Write()
		defer tx.Commit()
		ok, err := kv.Apply(tx, index, api.KVApplyRequest{Op: api.KVLock, Entry: api.DirEntry{Key: "k", Session: "theirs"}, AsOf: asOf})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	d, err := kv.Export(s.Read())
	if err != nil {
		t.Fatal(err)
	}
	restored := newStore(t)
	if err := restored.Restore(func(tx *store.Txn) error { return kv.Import(tx, d) }); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*store.Store{s, restored} {
		if lock(s, 8, 6) {
			t.Error("locked, though the leader did not know of the end")
		}
		if !lock(s, 9, 7) {
			t.Error("not locked, though the leader knew")
		}
		if d, err := kv.Export(s.Read()); err != nil || len(d.Freed) != 0 {
			t.Errorf("what was lost is still remembered: %+v, %v", d.Freed, err)
		}
	}
}
