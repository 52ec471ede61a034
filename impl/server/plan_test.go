package server

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/impl/gossip"
)

// voters parses "a b@9 c?": servers a, b (at another address) and c (no voter).
func voters(text string) []consensus.Server {
	var group []consensus.Server
	for _, f := range strings.Fields(text) {
		f, nonvoter := strings.CutSuffix(f, "?")
		id, at, other := strings.Cut(f, "@")
		if !other {
			at = id
		}
		group = append(group, consensus.Server{ID: id, Address: at, Voter: !nonvoter})
	}
	return group
}

// seen parses "a b:failed c@9:alive"; alive may be left out.
func seen(text string) []peer {
	states := map[string]int{"": gossip.StatusAlive, "alive": gossip.StatusAlive, "leaving": gossip.StatusLeaving, "left": gossip.StatusLeft, "failed": gossip.StatusFailed}
	var found []peer
	for _, f := range strings.Fields(text) {
		f, state, _ := strings.Cut(f, ":")
		id, at, other := strings.Cut(f, "@")
		if !other {
			at = id
		}
		found = append(found, peer{name: "node-" + id, id: id, address: at, status: states[state]})
	}
	return found
}

func show(plan []step) string {
	var s []string
	for _, t := range plan {
		if t.remove {
			s = append(s, "-"+t.id)
		} else {
			s = append(s, "+"+t.id+"@"+t.to)
		}
	}
	return strings.Join(s, " ")
}

func TestTheRaftGroupFollowsGossip(t *testing.T) {
	for _, c := range []struct {
		name, group, seen, known string
		made                     int
		want                     string
	}{
		{"all is well", "a b c", "a b c", "", 3, ""},
		{"new servers come in", "a", "a b c", "", 1, "+b@b +c@c"},
		{"one moved", "a b c", "a b@9 c", "", 3, "+b@9"},
		{"the leader moved", "a b c", "a@9 b c", "", 3, "+a@9"},
		{"one left", "a b c", "a b:left c", "", 3, "-b"},
		{"one is leaving: not yet", "a b c", "a b:leaving c", "", 3, ""},
		{"one failed: it may come back", "a b c", "a b:failed c", "", 3, ""},
		{"one failed and another took its place", "a b c d", "a b:failed c d", "", 3, "-b"},
		{"two failed, one was replaced: one goes", "a b c d e f", "a b:failed c:failed d e f", "", 5, "-b"},
		{"failed ones stay when nobody said how many are meant", "a b c d", "a b:failed c d", "", 0, ""},
		{"failed ones stay in a group that grew from one", "a b c", "a b:failed c", "", 1, ""},
		{"a lost disk: the same address, another identity", "a b c", "a x@b c", "", 3, "-b +x@b"},
		{"one moved to where another had been", "a b c", "a b@c c@9", "", 3, "+c@9 +b@c"},
		{"two changed places", "a b c", "a b@c c@b", "", 3, "-b +c@b +b@c"},
		{"two claim one address: it must clear up", "a b c", "a b c x@b", "", 3, ""},
		{"its old name failed", "a b c", "a b:failed x@b c", "", 3, "-b +x@b"},
		{"forgotten by gossip", "a b c d", "a c d", "b:failed", 3, "-b"},
		{"not seen yet: the leader has just started", "a b c", "a", "", 3, ""},
		{"renamed: its old name failed", "a b c", "a b:failed b c", "", 3, ""},
		{"renamed: its old name comes last", "a b c", "a b c b:failed", "", 3, ""},
		{"two claim one identity: the first counts", "a b c", "a b b@9 c", "", 3, ""},
		{"the leader never removes itself", "a b c", "a:left b c", "", 3, ""},
		{"a removal that no living majority could carry out", "a b c", "a b:left c:failed", "", 3, ""},
		{"a non-voter that left", "a b? c", "a b:left c", "", 3, "-b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := roster{known: map[string]peer{}}
			r.steps(nil, seen(c.known), "a", c.made)
			if got := show(r.steps(voters(c.group), seen(c.seen), "a", c.made)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// However servers come and go, the plan never takes out a living one that
// gossip knows under its address, and repeating it comes to an end.
func TestThePlanNeverRemovesALivingServerAndComesToAnEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		states := []string{"alive", "failed", "left", "leaving"}
		r := roster{known: map[string]peer{}}
		group := voters("a b c")
		made := rapid.SampledFrom([]int{0, 1, 3, 5}).Draw(t, "made")
		for range rapid.IntRange(1, 6).Draw(t, "looks") {
			now := "a"
			for _, id := range strings.Fields("b c d e f") {
				if rapid.Bool().Draw(t, id+" is a member") {
					now += fmt.Sprintf(" %s@%d:%s", id, rapid.IntRange(1, 9).Draw(t, id+" at"), rapid.SampledFrom(states).Draw(t, id+" is"))
				}
			}
			for pass := 0; ; pass++ {
				plan := r.steps(group, seen(now), "a", made)
				if len(plan) == 0 {
					break
				}
				if pass == 10 {
					t.Fatalf("no end: %q with %v: %q", now, group, show(plan))
				}
				for _, p := range plan {
					group = apply(t, group, seen(now), p)
				}
			}
		}
	})
}

func apply(t *rapid.T, group []consensus.Server, members []peer, p step) []consensus.Server {
	group = slices.DeleteFunc(slices.Clone(group), func(m consensus.Server) bool {
		if m.ID == p.id && p.remove {
			for _, q := range members {
				if q.id == m.ID && q.status == gossip.StatusAlive && q.address == m.Address && !shared(members, q) {
					t.Fatalf("%s is alive at %s and removed: %s", m.ID, m.Address, p.why)
				}
			}
		}
		return m.ID == p.id
	})
	if !p.remove {
		group = append(group, consensus.Server{ID: p.id, Address: p.to, Voter: true})
	}
	return group
}

// shared reports whether another living member claims the same address: then
// one of them must go.
func shared(members []peer, p peer) bool {
	return slices.ContainsFunc(members, func(q peer) bool {
		return q.id != p.id && q.address == p.address && q.status == gossip.StatusAlive
	})
}

func TestFounders(t *testing.T) {
	expecting := func(n int, text string) []peer {
		found := seen(text)
		for i := range found {
			found[i].expect = n
		}
		return found
	}
	for _, c := range []struct {
		name     string
		seen     []peer
		expect   int
		want     string
		obstacle string
	}{
		{"too few", expecting(3, "a b"), 3, "a b", ""},
		{"enough", expecting(3, "c b a"), 3, "a b c", ""},
		{"more than enough: all choose the same", expecting(3, "d b a c"), 3, "a b c", ""},
		{"the dead do not count", expecting(3, "a b:failed c"), 3, "a c", ""},
		{"another expects another number", append(expecting(3, "a b"), expecting(5, "c")...), 3, "", "node-c"},
		{"one that expects nothing counts", append(expecting(3, "a b"), expecting(0, "c")...), 3, "a b c", ""},
		{"alone, whoever is there", expecting(1, "b a"), 1, "a", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			group, others, obstacle := founders(c.seen, "a", c.expect)
			if obstacle != c.obstacle || !reflect.DeepEqual(group, voters(c.want)) {
				t.Errorf("group %v, obstacle %q; want %q, %q", group, obstacle, c.want, c.obstacle)
			}
			if slices.ContainsFunc(others, func(p peer) bool { return p.id == "a" }) {
				t.Errorf("asks itself: %v", others)
			}
		})
	}
}

func TestStrangersHaveNoServerInCommon(t *testing.T) {
	for _, c := range []struct {
		ours, theirs string
		want         bool
	}{{"a b c", "", false}, {"a b c", "c d e", false}, {"a b c", "d e", true}, {"a", "a@9", false}} {
		if got := strangers(voters(c.ours), voters(c.theirs)); got != c.want {
			t.Errorf("%q and %q: %v", c.ours, c.theirs, got)
		}
	}
}

func TestOnlyServersOfTheDatacenterCount(t *testing.T) {
	good := map[string]string{"role": "consul", "dc": "dc1", "id": "a", "port": "8300", "expect": "3"}
	p, ok := serverOf(api.Member{Name: "n", Addr: "10.0.0.1", Tags: good, Status: 1}, "dc1")
	if want := (peer{"n", "a", "10.0.0.1:8300", 3, 1}); !ok || p != want {
		t.Errorf("%+v, %v", p, ok)
	}
	if p, ok := serverOf(api.Member{Addr: "fd00::1", Tags: good}, "dc1"); !ok || p.address != "[fd00::1]:8300" {
		t.Errorf("%+v, %v", p, ok)
	}
	for key, value := range map[string]string{"role": "node", "dc": "dc2", "id": "", "port": ""} {
		tags := map[string]string{"role": "consul", "dc": "dc1", "id": "a", "port": "8300"}
		tags[key] = value
		if _, ok := serverOf(api.Member{Tags: tags}, "dc1"); ok {
			t.Errorf("%s=%q counts", key, value)
		}
	}
}

func TestATombstoneIsDueOnceItIsOldAndNotBefore(t *testing.T) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	var g graveyard
	for _, c := range []struct {
		after  time.Duration
		latest uint64
		want   uint64
	}{
		{0, 0, 0},
		{time.Minute, 10, 0},
		{2 * time.Minute, 10, 0},
		{5 * time.Minute, 20, 0},
		{16*time.Minute - time.Second, 20, 0},
		{16 * time.Minute, 20, 10},
		{17 * time.Minute, 20, 0},
		{time.Hour, 30, 20},
		{2 * time.Hour, 30, 30},
		{3 * time.Hour, 30, 0},
	} {
		got := g.due(start.Add(c.after), c.latest)
		if got != c.want {
			t.Errorf("after %v, latest %d: due %d, want %d", c.after, c.latest, got, c.want)
		}
	}
}

func TestASessionWhoseEndFailedCanBeRenewed(t *testing.T) {
	var l leases
	s, now := api.Session{ID: "x", TTL: "10s"}, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	l.begin()
	l.renew(s, now)
	now = now.Add(20 * time.Second)
	if !l.end("x", now) || l.renew(s, now) {
		t.Error("it is renewed while it ends")
	}
	l.spare("x", now)
	if due := l.expired([]api.Session{s}, now); len(due) != 1 {
		t.Error("nobody tries again to end it")
	}
	if !l.renew(s, now) || l.end("x", now) {
		t.Error("it cannot be renewed")
	}
}

func TestOneMemberStandsForANodeIDAndAName(t *testing.T) {
	for _, c := range []struct{ name, members, nodes, want string }{
		{"each its own", "a=1 b=2", "a=1 b=2", "a b"},
		{"renamed: its old name failed", "a=1:failed b=1", "a=1", "b"},
		{"renamed, and seen before its old name failed", "a=1 b=1", "a=1", "a"},
		{"a copy of one that lives", "a=1 b=1", "b=1", "b"},
		{"a copy of one that failed lives on", "a=1:failed b=1", "a=1 b=9", "b"},
		{"both failed: as the catalog has it", "a=1:failed b=1:failed", "b=1", "b"},
		{"two copies that nobody knows", "b=1 a=1", "", "b"},
		{"no ID", "a= b=", "", "a b"},
		{"the same name in other capitals", "DB=1 db=2", "db=2", "db"},
		{"the same name in other capitals, as nobody has it yet", "DB=1 db=2", "", "DB"},
		{"the same name and ID in other capitals", "DB=1:failed db=1", "DB=1", "db"},
		{"another took the name of one that failed", "DB=1:failed db=2", "DB=1", "db"},
		{"a copy under a name that is taken", "DB=1 a=2:failed db=2", "DB=1 a=2", "DB a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rightful, _ := claims(claimants(c.members), held(c.nodes))
			if got := names(rightful); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// claimants parses "a=1 b=2:failed": members with their node IDs.
func claimants(text string) []api.Member {
	var found []api.Member
	for _, f := range strings.Fields(text) {
		f, failed := strings.CutSuffix(f, ":failed")
		name, id, _ := strings.Cut(f, "=")
		m := api.Member{Name: name, Status: gossip.StatusAlive, Tags: map[string]string{"id": id}}
		if failed {
			m.Status = gossip.StatusFailed
		}
		found = append(found, m)
	}
	return found
}

// held parses "a=1 b=2": nodes of the catalog with their IDs.
func held(text string) map[string]api.Node {
	nodes := map[string]api.Node{}
	for _, m := range claimants(text) {
		nodes[fold(m.Name)] = api.Node{Node: m.Name, ID: m.Tags["id"]}
	}
	return nodes
}

func names(members []api.Member) string {
	var list []string
	for _, m := range members {
		list = append(list, m.Name)
	}
	return strings.Join(list, " ")
}

// Whoever is copied, renamed or dies, each ID has one node, nobody who lives and has
// it loses it, and a second look changes nothing.
func TestANodeIDStaysWhereItIsWhileItsHolderLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := map[string]api.Node{}
		for range rapid.IntRange(1, 6).Draw(t, "looks") {
			var members []api.Member
			for _, name := range strings.Fields("a b c d") {
				if rapid.Bool().Draw(t, name+" is a member") {
					id, state := rapid.SampledFrom([]string{"1", "2"}).Draw(t, name+" is"), rapid.SampledFrom([]string{"", ":failed"}).Draw(t, name+" has")
					members = append(members, claimants(name+"="+id+state)...)
				}
			}
			rightful, others := claims(members, nodes)
			if len(rightful)+len(others) != len(members) {
				t.Fatalf("%s and %s of %s", names(rightful), names(others), names(members))
			}
			next := map[string]api.Node{}
			by := map[string]api.Member{}
			for _, m := range rightful {
				id := m.Tags["id"]
				if _, twice := by[id]; twice {
					t.Fatalf("two stand for %s", id)
				}
				by[id], next[m.Name] = m, api.Node{Node: m.Name, ID: id}
			}
			for _, m := range members {
				id := m.Tags["id"]
				lives := m.Status == gossip.StatusAlive
				if lives && by[id].Status != gossip.StatusAlive || lives && nodes[m.Name].ID == id && nodes[by[id].Name].ID != id {
					t.Fatalf("%s lost %s to %s", m.Name, id, by[id].Name)
				}
			}
			if again, _ := claims(members, next); names(again) != names(rightful) {
				t.Fatalf("at a second look %s, at the first %s", names(again), names(rightful))
			}
			nodes = next
		}
	})
}

// TestAWardCountsOnFromWhatAnotherLeaderHasWrittenDown looks at one check, also after
// the leader has changed.
func TestAWardCountsOnFromWhatAnotherLeaderHasWrittenDown(t *testing.T) {
	c := api.HealthCheck{Node: "n", CheckID: "c", ServiceID: "s", Spell: api.Spell{Since: 7}}
	c.Definition.DeregisterCriticalServiceAfter = api.Duration(8 * time.Minute)
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	w := ward{}
	look := func(after time.Duration) string {
		var text []string
		notes := w.notes([]api.HealthCheck{c}, start.Add(after))
		for _, n := range notes {
			text = append(text, fmt.Sprint(n.Spell.Since, " ", n.Spell.Lasted, " ", n.Over))
			c.Spell = n.Spell
		}
		w.noted(notes, start.Add(after))
		return strings.Join(text, ", ")
	}
	for _, s := range []struct {
		after time.Duration
		want  string
		then  func()
	}{
		{0, "", nil},
		{59 * time.Second, "", nil},
		{60 * time.Second, "7 1m0s false", nil},
		{119 * time.Second, "", nil},
		{125 * time.Second, "7 2m5s false", func() { w = ward{} }}, // another leads
		{time.Hour, "", nil},
		{time.Hour + 5*time.Minute, "7 7m5s false", nil},
		{time.Hour + 5*time.Minute + 54*time.Second, "", nil},
		{time.Hour + 5*time.Minute + 55*time.Second, "7 8m0s true", func() { c.Spell = api.Spell{Since: 9} }}, // it had passed, and failed again
		{2 * time.Hour, "", nil},
		{2*time.Hour + 7*time.Minute, "9 7m0s false", nil},
	} {
		if got := look(s.after); got != s.want {
			t.Errorf("after %v: %q, want %q", s.after, got, s.want)
		}
		if s.then != nil {
			s.then()
		}
	}
}
