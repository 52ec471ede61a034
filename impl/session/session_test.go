package session_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tribune/impl/api"
	"tribune/impl/session"
	"tribune/impl/store"
)

func newStore(t rapid.TB) *store.Store {
	t.Helper()
	s, err := store.New(session.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// model is what sessions are: a map, and the index of the last change.
type model struct {
	sessions map[string]api.Session // by ID
	index    uint64
}

// of lists the sessions that a function chooses, by ID.
func (m model) of(chosen func(api.Session) bool) []api.Session {
	var all []api.Session
	for _, id := range slices.Sorted(maps.Keys(m.sessions)) {
		if s := m.sessions[id]; chosen(s) {
			all = append(all, s)
		}
	}
	return all
}

func TestSessionsAreAMapWithAnIndex(t *testing.T) {
	ids := rapid.SampledFrom([]string{"a1", "a2", "b1", "b2", "c"})
	nodes := rapid.SampledFrom([]string{"n1", "N1", "n2"})
	rapid.Check(t, func(t *rapid.T) {
		s := newStore(t)
		m := model{sessions: map[string]api.Session{}}
		index := uint64(0)
		write := func(f func(tx *store.Txn) error) {
			index++
			tx := s.Write()
			if err := f(tx); err != nil {
				t.Fatal(err)
			}
			tx.Commit()
		}
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				want := api.Session{ID: ids.Draw(t, "id"), Node: nodes.Draw(t, "node"), TTL: "10s"}
				write(func(tx *store.Txn) error { return session.Create(tx, index, want) })
				want.CreateIndex, want.ModifyIndex = index, index
				m.sessions[want.ID], m.index = want, index
			},
			"end": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				var ended *api.Session
				write(func(tx *store.Txn) (err error) {
					ended, err = session.End(tx, index, id)
					return err
				})
				want, there := m.sessions[id]
				if there != (ended != nil) || there && cmp.Diff(want, *ended) != "" {
					t.Fatalf("ended %+v, want %+v", ended, want)
				}
				if there {
					delete(m.sessions, id)
					m.index = index
				}
			},
			"restore": func(t *rapid.T) {
				dump, err := session.Export(s.Read())
				if err != nil {
					t.Fatal(err)
				}
				s = newStore(t)
				if err := s.Restore(func(tx *store.Txn) error { return session.Import(tx, dump) }); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				id, node := ids.Draw(t, "id"), nodes.Draw(t, "node")
				for _, c := range []struct {
					r      api.SessionRequest
					chosen func(api.Session) bool
				}{
					{api.SessionRequest{}, func(api.Session) bool { return true }},
					{api.SessionRequest{ID: id}, func(x api.Session) bool { return x.ID == id }},
					{api.SessionRequest{Node: node}, func(x api.Session) bool { return strings.EqualFold(x.Node, node) }},
				} {
					at, got, err := session.Read(s.Read(), nil, c.r)
					if err != nil || at != m.index {
						t.Fatalf("%+v: index %d, %v, want %d", c.r, at, err, m.index)
					}
					if d := cmp.Diff(m.of(c.chosen), got, cmpopts.EquateEmpty()); d != "" {
						t.Fatalf("%+v: (-want +got)\n%s", c.r, d)
					}
				}
			},
		})
	})
}

func TestAReaderIsWokenByTheNextChangeOfSessions(t *testing.T) {
	for what, change := range map[string]func(tx *store.Txn) error{
		"one more": func(tx *store.Txn) error { return session.Create(tx, 2, api.Session{ID: "b", Node: "n"}) },
		"one less": func(tx *store.Txn) error { _, err := session.End(tx, 2, "a"); return err },
	} {
		s := newStore(t)
		tx := s.Write()
		if err := session.Create(tx, 1, api.Session{ID: "a", Node: "n"}); err != nil {
			t.Fatal(err)
		}
		tx.Commit()
		ws := store.WatchSet{}
		if _, _, err := session.Read(s.Read(), ws, api.SessionRequest{Node: "n"}); err != nil {
			t.Fatal(err)
		}
		tx = s.Write()
		if err := change(tx); err != nil {
			t.Fatal(err)
		}
		if woken(ws) {
			t.Errorf("%s: the reader is woken before the change is committed", what)
		}
		if tx.Commit(); !woken(ws) {
			t.Errorf("%s: the reader is not woken", what)
		}
	}
}

// woken reports whether one of the channels is closed.
func woken(ws store.WatchSet) bool {
	for c := range ws {
		select {
		case <-c:
			return true
		default:
		}
	}
	return false
}
