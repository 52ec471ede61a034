package kv_test

import (
	"fmt"
	"slices"
	"testing"

	"tribune/impl/api"
	"tribune/impl/kv"
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
		{api.KVLock, "a", true, "lock a 1 14"}, // again: LockIndex stays
		{api.KVSet, "", true, "set a 1 15"},
		{api.KVUnlock, "b", false, "set a 1 15"},
		{api.KVUnlock, "a", true, "unlock  1 17"},
		{api.KVLock, "b", true, "lock b 2 18"},
		{api.KVDelete, "", true, "none"},
		{api.KVLock, "b", true, "lock b 1 20"},
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

func TestALockNeedsASession(t *testing.T) {
	for _, op := range []api.KVOp{api.KVLock, api.KVUnlock} {
		tx := newStore(t).Write()
		if _, err := kv.Apply(tx, 1, op, api.DirEntry{Key: "k"}); err == nil || err.Error() != "missing session" {
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
		keys, err := kv.EndLocks(tx, 4, "mine", behavior)
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
