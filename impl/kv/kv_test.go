package kv_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tribune/impl/api"
	"tribune/impl/kv"
	"tribune/impl/store"
)

func newStore(t interface{ Fatal(...any) }) *store.Store {
	s, err := store.New(kv.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// apply commits one write.
func apply(t interface{ Fatal(...any) }, s *store.Store, index uint64, op api.KVOp, e api.DirEntry) bool {
	tx := s.Write()
	defer tx.Abort()
	ok, err := kv.Apply(tx, index, api.KVApplyRequest{Op: op, Entry: e, AsOf: index})
	if err != nil {
		t.Fatal(err)
	}
	tx.Commit()
	return ok
}

// reference is the key/value store as a plain map.
type reference map[string]api.DirEntry

func (r reference) apply(index uint64, op api.KVOp, e api.DirEntry) bool {
	old, exists := r[e.Key]
	set := func() {
		if exists && string(old.Value) == string(e.Value) && old.Flags == e.Flags {
			return
		}
		created := index
		if exists {
			created = old.CreateIndex
		}
		r[e.Key] = api.DirEntry{Key: e.Key, Value: e.Value, Flags: e.Flags, RaftIndex: api.RaftIndex{CreateIndex: created, ModifyIndex: index}}
	}
	switch op {
	case api.KVSet:
		set()
	case api.KVCAS:
		if exists != (e.ModifyIndex != 0) || exists && old.ModifyIndex != e.ModifyIndex {
			return false
		}
		set()
	case api.KVDelete:
		delete(r, e.Key)
	case api.KVDeleteCAS:
		if exists && old.ModifyIndex != e.ModifyIndex {
			return false
		}
		delete(r, e.Key)
	case api.KVDeleteTree:
		maps.DeleteFunc(r, func(k string, _ api.DirEntry) bool { return strings.HasPrefix(k, e.Key) })
	}
	return true
}

func (r reference) list(prefix string) []string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(r)) {
		if strings.HasPrefix(k, prefix) {
			all = append(all, fmt.Sprintf("%+v", r[k]))
		}
	}
	return all
}

var keys = []string{"a", "a/", "a/b", "a/b/c", "ab", "b//x", "b/../y", "\x00", "z"}

func drawWrite(t *rapid.T, r reference) (api.KVOp, api.DirEntry) {
	op := rapid.SampledFrom([]api.KVOp{api.KVSet, api.KVSet, api.KVSet, api.KVCAS, api.KVDelete, api.KVDeleteCAS, api.KVDeleteTree}).Draw(t, "op")
	e := api.DirEntry{
		Key: rapid.SampledFrom(keys).Draw(t, "key"), Value: []byte(rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "value")),
		Flags: rapid.Uint64Range(0, 1).Draw(t, "flags"),
	}
	if rapid.Bool().Draw(t, "guess") {
		e.ModifyIndex = r[e.Key].ModifyIndex
	} else {
		e.ModifyIndex = rapid.Uint64Range(0, 20).Draw(t, "cas")
	}
	return op, e
}

func TestTheStoreIsAMapWithIndexes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, r := newStore(t), reference{}
		highest := map[string]uint64{}
		for i := range rapid.IntRange(1, 60).Draw(t, "writes") {
			op, e := drawWrite(t, r)
			index := uint64(i + 1)
			if got, want := apply(t, s, index, op, e), r.apply(index, op, e); got != want {
				t.Fatalf("write %d: %s %+v answers %t, want %t", index, op, e, got, want)
			}
			for _, prefix := range append(keys, "") {
				at, found, err := kv.List(s.Read(), nil, prefix)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, e := range found {
					got = append(got, fmt.Sprintf("%+v", e))
				}
				if want := r.list(prefix); !slices.Equal(got, want) {
					t.Fatalf("after write %d %q lists\n%v, want\n%v", index, prefix, got, want)
				}
				if len(found) > 0 && at < highest[prefix] {
					t.Fatalf("after write %d the index of %q went from %d to %d", index, prefix, highest[prefix], at)
				}
				highest[prefix] = max(highest[prefix], at)
			}
		}
	})
}

func TestADeletionUnderAPrefixRaisesItsIndex(t *testing.T) {
	s := newStore(t)
	apply(t, s, 5, api.KVSet, api.DirEntry{Key: "p/a"})
	apply(t, s, 6, api.KVSet, api.DirEntry{Key: "p/b"})
	apply(t, s, 9, api.KVDelete, api.DirEntry{Key: "p/b"})
	index, found, err := kv.List(s.Read(), nil, "p/")
	if err != nil || index != 9 || len(found) != 1 {
		t.Errorf("index %d, %d entries, %v", index, len(found), err)
	}
	tx := s.Write()
	if err := kv.Reap(tx, 9); err != nil {
		t.Fatal(err)
	}
	tx.Commit()
	if index, _, _ := kv.List(s.Read(), nil, "p/"); index != 5 {
		t.Errorf("once the tombstone is reaped the index is %d", index)
	}
}

func TestAWatchWakesForItsKeyAndNotForOthers(t *testing.T) {
	s := newStore(t)
	apply(t, s, 1, api.KVSet, api.DirEntry{Key: "a/x", Value: []byte("1")})
	apply(t, s, 2, api.KVSet, api.DirEntry{Key: "b/x", Value: []byte("1")})
	ws := store.WatchSet{}
	if _, _, err := kv.Get(s.Read(), ws, "a/x"); err != nil {
		t.Fatal(err)
	}
	woken := func() bool {
		for c := range ws {
			select {
			case <-c:
				return true
			default:
			}
		}
		return false
	}
	apply(t, s, 3, api.KVSet, api.DirEntry{Key: "b/x", Value: []byte("2")})
	if woken() {
		t.Error("another key woke it")
	}
	apply(t, s, 4, api.KVSet, api.DirEntry{Key: "a/x", Value: []byte("1")})
	if woken() {
		t.Error("a write that changed nothing woke it")
	}
	apply(t, s, 5, api.KVSet, api.DirEntry{Key: "a/x", Value: []byte("2")})
	if !woken() {
		t.Error("its key changed, and it sleeps")
	}
}

func TestKeysAreCutAtTheSeparator(t *testing.T) {
	s := newStore(t)
	for i, k := range []string{"web/a/1", "web/a/2", "web/b", "web/c/", "x"} {
		apply(t, s, uint64(i+1), api.KVSet, api.DirEntry{Key: k})
	}
	for _, c := range []struct {
		prefix, separator string
		want              []string
	}{
		{"web/", "/", []string{"web/a/", "web/b", "web/c/"}},
		{"web/", "", []string{"web/a/1", "web/a/2", "web/b", "web/c/"}},
		{"", "/", []string{"web/", "x"}},
		{"none", "/", nil},
	} {
		_, got, err := kv.Keys(s.Read(), nil, c.prefix, c.separator)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q by %q: %q, want %q (%v)", c.prefix, c.separator, got, c.want, err)
		}
	}
}

func TestWhatIsExportedIsImportedAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, r := newStore(t), reference{}
		for i := range rapid.IntRange(0, 30).Draw(t, "writes") {
			op, e := drawWrite(t, r)
			apply(t, s, uint64(i+1), op, e)
			r.apply(uint64(i+1), op, e)
		}
		d, err := kv.Export(s.Read())
		if err != nil {
			t.Fatal(err)
		}
		other := newStore(t)
		if err := other.Restore(func(tx *store.Txn) error { return kv.Import(tx, d) }); err != nil {
			t.Fatal(err)
		}
		again, err := kv.Export(other.Read())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(d) {
			t.Fatalf("%v\nis not\n%v\n%v", again, d, err)
		}
	})
}

func TestDeletingEverythingLeavesNoKeyAndTakesNoIndexBack(t *testing.T) {
	s := newStore(t)
	for i, k := range []string{"a", "a/b", "z"} {
		apply(t, s, uint64(i+1), api.KVSet, api.DirEntry{Key: k})
	}
	apply(t, s, 7, api.KVDeleteTree, api.DirEntry{})
	for _, prefix := range []string{"", "a", "a/b", "none"} {
		if index, found, err := kv.List(s.Read(), nil, prefix); err != nil || index != 7 || found != nil {
			t.Errorf("%q: index %d, %d entries, %v", prefix, index, len(found), err)
		}
	}
	apply(t, s, 8, api.KVSet, api.DirEntry{Key: "a"})
	if index, found, err := kv.List(s.Read(), nil, "a"); err != nil || index != 8 || len(found) != 1 || found[0].CreateIndex != 8 {
		t.Errorf("a key that is set anew: index %d, %+v, %v", index, found, err)
	}
}

func TestACheckAndSetFindsTheIndexItWasGivenOrDoesNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		op    api.KVOp
		there bool // the key, with index 5
		index uint64
		want  bool
	}{
		{"creates what is absent", api.KVCAS, false, 0, true},
		{"does not create with an index", api.KVCAS, false, 5, false},
		{"changes at its index", api.KVCAS, true, 5, true},
		{"does not change at another", api.KVCAS, true, 4, false},
		{"does not create what is there", api.KVCAS, true, 0, false},
		{"deletes at its index", api.KVDeleteCAS, true, 5, true},
		{"does not delete at another", api.KVDeleteCAS, true, 4, false},
		{"does not delete with nought", api.KVDeleteCAS, true, 0, false},
		{"takes what is absent for deleted", api.KVDeleteCAS, false, 5, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			if c.there {
				apply(t, s, 5, api.KVSet, api.DirEntry{Key: "k", Value: []byte("old")})
			}
			if got := apply(t, s, 9, c.op, api.DirEntry{Key: "k", Value: []byte("new"), RaftIndex: api.RaftIndex{ModifyIndex: c.index}}); got != c.want {
				t.Errorf("%t, want %t", got, c.want)
			}
			_, e, err := kv.Get(s.Read(), nil, "k")
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.want && c.op == api.KVCAS && (e == nil || string(e.Value) != "new" || e.ModifyIndex != 9),
				c.want && c.op == api.KVDeleteCAS && e != nil,
				!c.want && c.there && (e == nil || string(e.Value) != "old" || e.ModifyIndex != 5),
				!c.want && !c.there && e != nil:
				t.Errorf("it is %+v now", e)
			}
		})
	}
}
