package catalog_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/store"
)

// patient is a check of a service in the model.
type patient struct {
	critical, limited bool
	spell             api.Spell
}

func note(t interface{ Fatal(...any) }, s *store.Store, index uint64, n api.SpellNote) []string {
	tx := s.Write()
	defer tx.Abort()
	touched, err := catalog.Note(tx, index, []api.SpellNote{n})
	if err != nil {
		t.Fatal(err)
	}
	tx.Commit()
	return touched
}

// TestASpellLastsWhileACheckIsCriticalAndItsNotesAreOfItAlone holds spells against
// plain maps, while checks come and go and notes come late.
func TestASpellLastsWhileACheckIsCriticalAndItsNotesAreOfItAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, m := newStore(t), map[string]patient{}
		for i := range rapid.IntRange(1, 40).Draw(t, "changes") {
			index := uint64(i + 1)
			node := rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node")
			old, there := m[node]
			switch rapid.SampledFrom([]string{"check", "check", "check", "note", "note", "goes"}).Draw(t, "change") {
			case "check":
				p := patient{critical: rapid.Bool().Draw(t, "critical"), limited: rapid.IntRange(0, 3).Draw(t, "limited") > 0}
				c := api.HealthCheck{CheckID: "k", Status: api.HealthPassing, ServiceID: "web", Output: fmt.Sprint(i)}
				if p.critical {
					c.Status = api.HealthCritical
				}
				if p.limited {
					c.Definition.DeregisterCriticalServiceAfter = api.Duration(time.Minute)
				}
				if p.critical && p.limited {
					p.spell = old.spell
					if p.spell.Since == 0 {
						p.spell.Since = index
					}
				}
				m[node] = p
				c.Spell = api.Spell{Since: 999, Lasted: time.Hour} // nobody may say so from outside
				if err := register(s, index, api.RegisterRequest{Node: node, Address: "a", Service: &api.NodeService{Service: "web"}, Check: &c}); err != nil {
					t.Fatal(err)
				}
			case "note":
				n := api.SpellNote{Node: node, CheckID: "k", Over: rapid.Bool().Draw(t, "over")}
				n.Spell = api.Spell{Since: rapid.SampledFrom([]uint64{old.spell.Since, old.spell.Since, 0, 1}).Draw(t, "since"), Lasted: time.Duration(i) * time.Second}
				before := answers(t, s)
				touched := note(t, s, index, n)
				current := there && n.Spell.Since != 0 && n.Spell.Since == old.spell.Since
				switch {
				case current && n.Over:
					delete(m, node)
				case current:
					old.spell.Lasted = n.Spell.Lasted
					m[node] = old
				}
				if gone := slices.Equal(touched, []string{node}); gone != (current && n.Over) {
					t.Fatalf("%+v touched %v", n, touched)
				}
				if current && n.Over {
					break
				}
				for name, a := range before {
					if after := answers(t, s)[name]; isWoken(a.ws) || after.index != a.index || after.text != a.text {
						t.Fatalf("a note changed %s: %+v, before %+v", name, after, a)
					}
				}
			case "goes":
				deregister(t, s, index, api.DeregisterRequest{Node: node, CheckID: "k"})
				delete(m, node)
			}
			compareSpells(t, s, m)
		}
	})
}

func compareSpells(t *rapid.T, s *store.Store, m map[string]patient) {
	var want, got []string
	for _, n := range []string{"n1", "n2"} {
		if p := m[n]; p.spell.Since != 0 {
			want = append(want, fmt.Sprint(n, p.spell))
		}
	}
	found, err := catalog.Spells(s.Read())
	for _, c := range found {
		got = append(got, fmt.Sprint(c.Node, c.Spell))
	}
	if slices.Sort(got); err != nil || !slices.Equal(got, want) {
		t.Fatalf("spells %v, %v; want %v", got, err, want)
	}
}

// TestTheEffectiveStatusOfChecksOnADeadNodeIsCritical draws the status of all
// checks of two nodes, of which one may have no agent.
func TestTheEffectiveStatusOfChecksOnADeadNodeIsCritical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, want := newStore(t), map[string]string{}
		index := uint64(0)
		for _, node := range []string{"n1", "n2"} {
			serf := rapid.SampledFrom([]string{"", api.HealthPassing, api.HealthCritical}).Draw(t, "serfHealth of "+node)
			put := func(id, status string) {
				index++
				if err := register(s, index, api.RegisterRequest{Node: node, Address: "a", Check: &api.HealthCheck{CheckID: id, Status: status, Output: "said " + status}}); err != nil {
					t.Fatal(err)
				}
			}
			if serf != "" {
				put(api.SerfCheckID, serf)
				want[node+api.SerfCheckID] = serf + " said " + serf
			}
			for _, id := range []string{"a", "b"} {
				status := rapid.SampledFrom(states).Draw(t, "status")
				put(id, status)
				want[node+id] = status + " said " + status
				if serf == api.HealthCritical && status != api.HealthCritical {
					want[node+id] = "critical Agent not live or unreachable; it was " + status + ": said " + status
				}
			}
		}
		_, found, err := catalog.ChecksInState(s.Read(), nil, api.HealthAny, nil)
		if err == nil {
			err = catalog.Effective(s.Read(), found)
		}
		if err != nil || len(found) != len(want) {
			t.Fatal(found, err)
		}
		for _, c := range found {
			if got := c.Status + " " + c.Output; got != want[c.Node+c.CheckID] {
				t.Fatalf("%s on %s: %s, want %s", c.CheckID, c.Node, got, want[c.Node+c.CheckID])
			}
		}
	})
}
