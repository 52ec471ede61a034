package fsm_test

import (
	"strings"
	"testing"

	"tribune/impl/api"
	"tribune/impl/fsm"
)

func TestACommandIsDescribed(t *testing.T) {
	f := newFSM(t)
	for want, c := range map[string]struct {
		kind    fsm.Type
		request any
	}{
		"kv set a/b":             {fsm.KVSType, api.KVApplyRequest{Op: api.KVSet, Entry: api.DirEntry{Key: "a/b", Value: []byte("secret")}}},
		"kv cas a if at 7":       {fsm.KVSType, api.KVApplyRequest{Op: api.KVCAS, Entry: api.DirEntry{Key: "a", RaftIndex: api.RaftIndex{ModifyIndex: 7}}}},
		"kv lock a session x-y":  {fsm.KVSType, api.KVApplyRequest{Op: api.KVLock, Entry: api.DirEntry{Key: "a", Session: "x-y"}}},
		"deregister n service w": {fsm.DeregisterType, api.DeregisterRequest{Node: "n", ServiceID: "w"}},
		"register n service w check c passing": {fsm.RegisterType, api.RegisterRequest{
			Node: "n", Service: &api.NodeService{ID: "w"}, Check: &api.HealthCheck{CheckID: "c", Status: "passing"},
		}},
		"session create x-y of n ttl 15s": {fsm.SessionType, api.SessionApplyRequest{Op: api.SessionCreate, Session: api.Session{ID: "x-y", Node: "n", TTL: "15s"}}},
		"query create q-r best":           {fsm.QueryType, api.QueryApplyRequest{Op: api.QueryCreate, Query: api.PreparedQuery{ID: "q-r", Name: "best"}}},
		"tombstone up to 9":               {fsm.TombstoneType, fsm.ReapRequest{UpTo: 9}},
		"coordinates of 2 nodes":          {fsm.CoordinateType, api.CoordinateBatch{Updates: make([]api.NodeCoordinate, 2)}},
		"txn of 3 operations":             {fsm.TxnType, api.TxnRequest{Ops: make([]api.TxnOp, 3)}},
		"spell":                           {fsm.SpellType, api.SpellRequest{}},
		"type 200":                        {200, 1},
	} {
		b, err := f.Encode(c.kind, c.request)
		if err != nil {
			t.Fatal(err)
		}
		if got := fsm.Describe(b); got != want {
			t.Errorf("%q is described as %q", want, got)
		}
	}
	if got := fsm.Describe(nil); got != "empty" {
		t.Error(got)
	}
	if got := fsm.Describe([]byte{byte(fsm.KVSType), 0xc1, 0xff}); !strings.HasPrefix(got, "kv, which cannot be decoded: ") {
		t.Error(got)
	}
}

func FuzzDescribe(f *testing.F) {
	m := newFSM(f)
	for kind, r := range map[fsm.Type]any{
		fsm.KVSType: api.KVApplyRequest{Op: api.KVSet, Entry: api.DirEntry{Key: "a"}}, fsm.RegisterType: api.RegisterRequest{Node: "n"},
		fsm.SessionType: api.SessionApplyRequest{}, fsm.TxnType: api.TxnRequest{},
	} {
		b, err := m.Encode(kind, r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if text := fsm.Describe(b); text == "" {
			t.Errorf("%x: nothing", b)
		}
	})
}
