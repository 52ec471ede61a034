package kv_test

import (
	"fmt"
	"strings"
	"testing"

	"tribune/impl/api"
	"tribune/impl/kv"
)

// TestTheVerbsOfATransactionAnswerAsConsuls begins with a=1, modified at 1, and
// b=2, which the session "mine" has locked at 2.
func TestTheVerbsOfATransactionAnswerAsConsuls(t *testing.T) {
	for _, c := range []struct {
		op    api.TxnKVOp
		want  string // the entries, key=value@index each
		error string
	}{
		{api.TxnKVOp{Verb: "get", Key: "a"}, "a=1@1", ""},
		{api.TxnKVOp{Verb: "get", Key: "none"}, "", `key "none" doesn't exist`},
		{api.TxnKVOp{Verb: "get-or-empty", Key: "a"}, "a=1@1", ""},
		{api.TxnKVOp{Verb: "get-or-empty", Key: "none"}, "none=@0", ""},
		{api.TxnKVOp{Verb: "get-tree", Key: ""}, "a=1@1 b=2@2", ""},
		{api.TxnKVOp{Verb: "get-tree", Key: "none"}, "", ""},
		{api.TxnKVOp{Verb: "set", Key: "c", Value: []byte("3")}, "c=@9", ""},
		{api.TxnKVOp{Verb: "cas", Key: "a", Index: 1, Value: []byte("9")}, "a=@9", ""},
		{api.TxnKVOp{Verb: "cas", Key: "a", Index: 7}, "", `failed to set key "a", index is stale`},
		{api.TxnKVOp{Verb: "lock", Key: "a", Session: "s"}, "a=@9", ""},
		{api.TxnKVOp{Verb: "lock", Key: "b", Session: "s"}, "", `failed to lock key "b", lock is already held`},
		{api.TxnKVOp{Verb: "lock", Key: "b"}, "", "missing session"},
		{api.TxnKVOp{Verb: "unlock", Key: "b", Session: "mine"}, "b=@9", ""},
		{api.TxnKVOp{Verb: "unlock", Key: "b", Session: "s"}, "", `failed to unlock key "b", lock isn't held, or is held by another session`},
		{api.TxnKVOp{Verb: "delete", Key: "a"}, "", ""},
		{api.TxnKVOp{Verb: "delete-tree", Key: "a"}, "", ""},
		{api.TxnKVOp{Verb: "delete-cas", Key: "a", Index: 1}, "", ""},
		{api.TxnKVOp{Verb: "delete-cas", Key: "a", Index: 2}, "", `failed to delete key "a", index is stale`},
		{api.TxnKVOp{Verb: "check-index", Key: "a", Index: 1}, "a=@1", ""},
		{api.TxnKVOp{Verb: "check-index", Key: "a", Index: 2}, "", `failed index check for key "a", current modify index 1 != 2`},
		{api.TxnKVOp{Verb: "check-index", Key: "none", Index: 2}, "", `failed to check index, key "none" doesn't exist`},
		{api.TxnKVOp{Verb: "check-session", Key: "b", Session: "mine"}, "b=@2", ""},
		{api.TxnKVOp{Verb: "check-session", Key: "a", Session: "mine"}, "", `failed session check for key "a", current session "" != "mine"`},
		{api.TxnKVOp{Verb: "check-session", Key: "none"}, "", `failed to check session, key "none" doesn't exist`},
		{api.TxnKVOp{Verb: "check-not-exists", Key: "none"}, "", ""},
		{api.TxnKVOp{Verb: "check-not-exists", Key: "a"}, "", `key "a" exists`},
		{api.TxnKVOp{Verb: "frob", Key: "a"}, "", `unknown KV verb "frob"`},
	} {
		s := newStore(t)
		apply(t, s, 1, api.KVSet, api.DirEntry{Key: "a", Value: []byte("1")})
		apply(t, s, 2, api.KVLock, api.DirEntry{Key: "b", Value: []byte("2"), Session: "mine"})
		tx := s.Write()
		found, err := kv.Step(tx, 9, c.op, 9)
		tx.Abort()
		var got []string
		for _, e := range found {
			got = append(got, fmt.Sprintf("%s=%s@%d", e.Key, e.Value, e.ModifyIndex))
		}
		if strings.Join(got, " ") != c.want || (err == nil) != (c.error == "") || err != nil && err.Error() != c.error {
			t.Errorf("%+v: %q, %v; want %q, %s", c.op, got, err, c.want, c.error)
		}
	}
}
