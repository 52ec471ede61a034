package catalog_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/store"
)

func newStore(t interface{ Fatal(...any) }) *store.Store {
	s, err := store.New(catalog.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// register commits a registration, also when it is refused: other commands share
// its transaction.
func register(s *store.Store, index uint64, r api.RegisterRequest) error {
	tx := s.Write()
	defer tx.Abort()
	_, err := catalog.Register(tx, index, r)
	tx.Commit()
	return err
}

func deregister(t interface{ Fatal(...any) }, s *store.Store, index uint64, r api.DeregisterRequest) {
	tx := s.Write()
	defer tx.Abort()
	if err := catalog.Deregister(tx, index, r); err != nil {
		t.Fatal(err)
	}
	tx.Commit()
}

// model is the catalog as plain maps, without indexes.
type model struct {
	nodes    map[string]api.Node
	services map[string]map[string]api.NodeService // by node and ID
	checks   map[string]map[string]api.HealthCheck // by node and ID
}

func newModel() model {
	return model{map[string]api.Node{}, map[string]map[string]api.NodeService{}, map[string]map[string]api.HealthCheck{}}
}

func (m model) register(r api.RegisterRequest) error {
	if c := r.Check; c != nil && c.ServiceID != "" {
		if _, known := m.services[r.Node][c.ServiceID]; !known {
			return errors.New("Missing service registration")
		}
	}
	if _, known := m.nodes[r.Node]; !known || !r.SkipNodeUpdate {
		m.nodes[r.Node] = api.Node{Node: r.Node, Address: r.Address, Meta: r.NodeMeta}
	}
	if m.services[r.Node] == nil {
		m.services[r.Node], m.checks[r.Node] = map[string]api.NodeService{}, map[string]api.HealthCheck{}
	}
	if r.Service != nil {
		s := *r.Service
		s.Weights = api.Weights{Passing: 1, Warning: 1}
		m.services[r.Node][s.ID] = s
		for id, c := range m.checks[r.Node] {
			if c.ServiceID == s.ID {
				c.ServiceName, c.ServiceTags = s.Service, s.Tags
				m.checks[r.Node][id] = c
			}
		}
	}
	if r.Check != nil {
		c := *r.Check
		c.Node = r.Node
		if c.ServiceID != "" {
			s := m.services[r.Node][c.ServiceID]
			c.ServiceName, c.ServiceTags = s.Service, s.Tags
		}
		m.checks[r.Node][c.CheckID] = c
	}
	return nil
}

func (m model) deregister(r api.DeregisterRequest) {
	switch {
	case r.ServiceID != "":
		delete(m.services[r.Node], r.ServiceID)
		maps.DeleteFunc(m.checks[r.Node], func(_ string, c api.HealthCheck) bool { return c.ServiceID == r.ServiceID })
	case r.CheckID != "":
		delete(m.checks[r.Node], r.CheckID)
	default:
		delete(m.nodes, r.Node)
		delete(m.services, r.Node)
		delete(m.checks, r.Node)
	}
}

func (m model) clone() model {
	c := newModel()
	maps.Copy(c.nodes, m.nodes)
	for n := range m.services {
		c.services[n], c.checks[n] = maps.Clone(m.services[n]), maps.Clone(m.checks[n])
	}
	return c
}

// The names that the property test uses.
var (
	nodeNames    = []string{"n1", "n2", "n3"}
	serviceNames = []string{"web", "db"}
	serviceIDs   = []string{"a", "b", "c"}
	checkIDs     = []string{"k1", "k2"}
	states       = []string{api.HealthPassing, api.HealthWarning, api.HealthCritical}
)

// answer is what a read found, as text without indexes, the index to wait on, and
// what to watch.
type answer struct {
	text  string
	index uint64
	ws    store.WatchSet
}

func plain(v any) string { return fmt.Sprintf("%+v", v) }

// answers are those of every read.
func answers(t interface{ Fatal(...any) }, s *store.Store) map[string]answer {
	tx := s.Read()
	all := map[string]answer{}
	take := func(name string, read func(ws store.WatchSet) (uint64, any, error)) {
		ws := store.WatchSet{}
		index, found, err := read(ws)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = answer{plain(found), index, ws}
	}
	take("nodes", func(ws store.WatchSet) (uint64, any, error) {
		i, found, err := catalog.Nodes(tx, ws, nil)
		for n := range found {
			found[n].RaftIndex = api.RaftIndex{}
		}
		return i, found, err
	})
	take("services", func(ws store.WatchSet) (uint64, any, error) { return strip3(catalog.Services(tx, ws, nil)) })
	for _, state := range append(states, api.HealthAny) {
		take("state "+state, func(ws store.WatchSet) (uint64, any, error) {
			i, found, err := catalog.ChecksInState(tx, ws, state, nil)
			return i, bare(found), err
		})
	}
	for _, n := range nodeNames {
		take("node "+n, func(ws store.WatchSet) (uint64, any, error) {
			i, node, found, err := catalog.Node(tx, ws, n)
			for j := range found {
				found[j].RaftIndex = api.RaftIndex{}
			}
			return i, fmt.Sprintf("%t %+v", node != nil, found), err
		})
		take("checks of "+n, func(ws store.WatchSet) (uint64, any, error) {
			i, found, err := catalog.ChecksOfNode(tx, ws, n)
			return i, bare(found), err
		})
	}
	for _, name := range serviceNames {
		take("health "+name, func(ws store.WatchSet) (uint64, any, error) {
			i, found, err := catalog.Health(tx, ws, strings.ToUpper(name), nil, nil, false)
			var lines []string
			for _, f := range found {
				lines = append(lines, fmt.Sprint(f.Node.Node, f.Node.Address, f.Service.ID, f.Service.Tags, bare(f.Checks)))
			}
			return i, lines, err
		})
	}
	return all
}

func strip3[T any](i uint64, v T, err error) (uint64, any, error) { return i, v, err }

func bare(checks []api.HealthCheck) []string {
	var lines []string
	for _, c := range checks {
		lines = append(lines, fmt.Sprint(c.Node, c.CheckID, c.Status, c.ServiceID, c.ServiceName, c.ServiceTags))
	}
	slices.Sort(lines)
	return lines
}

// expected are the answers that the model gives.
func (m model) expected() map[string]string {
	all := map[string]string{}
	nodes, services := []api.Node(nil), map[string][]string{}
	byState := map[string][]api.HealthCheck{}
	health := map[string][]string{}
	for _, n := range nodeNames {
		node, known := m.nodes[n]
		if known {
			nodes = append(nodes, node)
		}
		var own []api.NodeService
		for _, id := range serviceIDs {
			s, there := m.services[n][id]
			if !there {
				continue
			}
			own = append(own, s)
			tags := append(services[s.Service], s.Tags...)
			slices.Sort(tags)
			services[s.Service] = append([]string{}, slices.Compact(tags)...)
			var concern []api.HealthCheck
			for _, c := range m.checks[n] {
				if c.ServiceID == "" || c.ServiceID == id {
					concern = append(concern, c)
				}
			}
			health[s.Service] = append(health[s.Service], fmt.Sprint(n, node.Address, id, s.Tags, bare(concern)))
		}
		var checks []api.HealthCheck
		for _, c := range m.checks[n] {
			checks = append(checks, c)
			byState[c.Status] = append(byState[c.Status], c)
			byState[api.HealthAny] = append(byState[api.HealthAny], c)
		}
		all["node "+n] = fmt.Sprintf("%t %+v", known, own)
		all["checks of "+n] = plain(bare(checks))
	}
	all["nodes"], all["services"] = plain(nodes), plain(services)
	for _, state := range append(states, api.HealthAny) {
		all["state "+state] = plain(bare(byState[state]))
	}
	for _, name := range serviceNames {
		all["health "+name] = plain(health[name])
	}
	return all
}

// change draws a registration or a removal.
func change(t *rapid.T) (*api.RegisterRequest, api.DeregisterRequest) {
	node := rapid.SampledFrom(nodeNames).Draw(t, "node")
	id := rapid.SampledFrom(serviceIDs).Draw(t, "service ID")
	check := rapid.SampledFrom(checkIDs).Draw(t, "check ID")
	switch rapid.SampledFrom([]string{"node", "service", "service", "check", "check", "node goes", "service goes", "check goes"}).Draw(t, "change") {
	case "node goes":
		return nil, api.DeregisterRequest{Node: node}
	case "service goes":
		return nil, api.DeregisterRequest{Node: node, ServiceID: id}
	case "check goes":
		return nil, api.DeregisterRequest{Node: node, CheckID: check}
	case "service":
		return &api.RegisterRequest{Node: node, Address: "10.0.0.1", SkipNodeUpdate: rapid.Bool().Draw(t, "skip"), Service: &api.NodeService{
			ID: id, Service: rapid.SampledFrom(serviceNames).Draw(t, "service"), Tags: rapid.SampledFrom([][]string{nil, {"x"}, {"y", "x"}}).Draw(t, "tags"),
		}}, api.DeregisterRequest{}
	case "check":
		return &api.RegisterRequest{Node: node, Address: "10.0.0.1", SkipNodeUpdate: true, Check: &api.HealthCheck{
			CheckID: check, Status: rapid.SampledFrom(states).Draw(t, "state"), ServiceID: rapid.SampledFrom([]string{"", id}).Draw(t, "of"),
		}}, api.DeregisterRequest{}
	}
	return &api.RegisterRequest{Node: node, Address: rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2"}).Draw(t, "address")}, api.DeregisterRequest{}
}

// TestReadsAreThoseOfMapsAndAnswersThatChangeWake holds every read against the
// model after each change, and what blocking queries stand on: an answer that
// changed has a higher index and was woken; no index goes back; a service that
// has nothing to do with the change is not woken.
func TestReadsAreThoseOfMapsAndAnswersThatChangeWake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, m := newStore(t), newModel()
		before := answers(t, s)
		for i := range rapid.IntRange(1, 25).Draw(t, "changes") {
			r, d := change(t)
			next, touched := m.clone(), d.Node
			if r != nil {
				touched = r.Node
				want := next.register(*r)
				if got := register(s, uint64(i+1), *r); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("%+v: %v, want %v", r, got, want)
				}
			} else {
				deregister(t, s, uint64(i+1), d)
				next.deregister(d)
			}
			after, want := answers(t, s), next.expected()
			for _, name := range slices.Sorted(maps.Keys(after)) {
				a, b := after[name], before[name]
				if a.text != want[name] {
					t.Fatalf("%s:\n%s\nwant\n%s", name, a.text, want[name])
				}
				if a.index < b.index || a.text != b.text && a.index == b.index {
					t.Fatalf("%s: index %d, before %d, answer\n%s\nbefore\n%s", name, a.index, b.index, a.text, b.text)
				}
				if node := strings.TrimPrefix(strings.TrimPrefix(name, "node "), "checks of "); slices.Contains(nodeNames, node) && !strings.EqualFold(node, touched) {
					_, there := m.nodes[node]
					_, left := next.nodes[touched]
					_, was := m.nodes[touched]
					if a.index != b.index && (there || left || !was) {
						t.Fatalf("%s: the index went from %d to %d by a change of %s", name, b.index, a.index, touched)
					}
					if there && isWoken(b.ws) {
						t.Fatalf("%s was woken by a change of %s", name, touched)
					}
				}
				if woken := isWoken(b.ws); a.text != b.text && !woken {
					t.Fatalf("%s was not woken", name)
				} else if service, of := strings.CutPrefix(name, "health "); of && woken && m.has(service, "") && !m.has(service, touched) && !next.has(service, touched) {
					t.Fatalf("%s was woken by a change of %s, which has no instance of it", name, touched)
				}
			}
			before, m = after, next
		}
	})
}

// has reports whether there are instances of a service, on a node or on any.
func (m model) has(service, node string) bool {
	for n, own := range m.services {
		for _, s := range own {
			if s.Service == service && (node == "" || node == n) {
				return true
			}
		}
	}
	return false
}

func isWoken(ws store.WatchSet) bool {
	for c := range ws {
		select {
		case <-c:
			return true
		default:
		}
	}
	return false
}

func TestADumpMakesTheSameCatalog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStore(t)
		for i := range rapid.IntRange(0, 20).Draw(t, "changes") {
			if r, d := change(t); r != nil {
				_ = register(s, uint64(i+1), *r) // what is refused changes nothing
			} else {
				deregister(t, s, uint64(i+1), d)
			}
		}
		d, err := catalog.Export(s.Read())
		if err != nil {
			t.Fatal(err)
		}
		other := newStore(t)
		if err := other.Restore(func(tx *store.Txn) error { return catalog.Import(tx, d) }); err != nil {
			t.Fatal(err)
		}
		again, err := catalog.Export(other.Read())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(d, again) {
			t.Errorf("%+v\nwant\n%+v", again, d)
		}
		was, is := answers(t, s), answers(t, other)
		for name := range was {
			if was[name].text != is[name].text || was[name].index != is[name].index {
				t.Errorf("%s: %s at %d, want %s at %d", name, is[name].text, is[name].index, was[name].text, was[name].index)
			}
		}
	})
}

func TestWeightsAreThoseGivenAndAreOneWhereNoneAre(t *testing.T) {
	for given, want := range map[api.Weights]api.Weights{
		{}:                       {Passing: 1, Warning: 1},
		{Passing: 5}:             {Passing: 5},
		{Passing: 5, Warning: 2}: {Passing: 5, Warning: 2},
		{Passing: -1}:            {Passing: 1},
	} {
		s := newStore(t)
		if err := register(s, 1, api.RegisterRequest{Node: "a", Address: "10.0.0.1", Service: &api.NodeService{ID: "w", Service: "w", Weights: given}}); err != nil {
			t.Fatal(err)
		}
		_, _, found, err := catalog.Node(s.Read(), nil, "a")
		if err != nil || len(found) != 1 || found[0].Weights != want {
			t.Errorf("%+v: %+v, %v; want %+v", given, found, err, want)
		}
	}
}

func TestReadsLeaveOutWhatWasNotAskedFor(t *testing.T) {
	s := newStore(t)
	for i, r := range []api.RegisterRequest{
		{Node: "n1", Address: "10.0.0.1", NodeMeta: map[string]string{"rack": "1"}, Service: &api.NodeService{Service: "web", Tags: []string{"Blue", "v1"}}, Check: &api.HealthCheck{CheckID: "k", Status: "passing", ServiceID: "web"}},
		{Node: "n2", Address: "10.0.0.2", NodeMeta: map[string]string{"rack": "2"}, Service: &api.NodeService{Service: "web", Tags: []string{"blue"}}, Check: &api.HealthCheck{CheckID: "k", Status: "warning"}},
	} {
		if err := register(s, uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		tags    []string
		meta    map[string]string
		passing bool
		want    string
	}{
		{"everything", nil, nil, false, "n1 n2"},
		{"a tag, whatever its case", []string{"BLUE"}, nil, false, "n1 n2"},
		{"two tags", []string{"blue", "v1"}, nil, false, "n1"},
		{"an unknown tag", []string{"red"}, nil, false, ""},
		{"a rack", nil, map[string]string{"rack": "2"}, false, "n2"},
		{"metadata that no node has", nil, map[string]string{"canary": ""}, false, ""},
		{"what passes", nil, nil, true, "n1"},
	} {
		_, found, err := catalog.Health(s.Read(), nil, "web", c.tags, c.meta, c.passing)
		var names []string
		for _, f := range found {
			names = append(names, f.Node.Node)
		}
		if got := strings.Join(names, " "); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestTheLeaderLeavesANodeWhatItSaysOfItself(t *testing.T) {
	s := newStore(t)
	own := api.RegisterRequest{ID: "a", Node: "n1", Address: "1", NodeMeta: map[string]string{"rack": "7"}, TaggedAddresses: map[string]string{"lan": "1"}}
	for i, r := range []api.RegisterRequest{own, {ID: "a", Node: "n1", Address: "2", KeepMeta: true}} {
		if err := register(s, uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
	}
	_, n, _, err := catalog.Node(s.Read(), nil, "n1")
	if err != nil || n.Address != "2" || n.Meta["rack"] != "7" || n.TaggedAddresses["lan"] != "1" {
		t.Errorf("%+v, %v", n, err)
	}
}

func TestANodeIsMeantByItsNameOrTheBeginningOfItsIDAlone(t *testing.T) {
	s := newStore(t)
	for i, r := range []api.RegisterRequest{
		{Node: "one", Address: "1", ID: "aa000000-0000-0000-0000-000000000001"},
		{Node: "two", Address: "2", ID: "ab000000-0000-0000-0000-000000000002"},
		{Node: "three", Address: "3", ID: "ab000000-0000-0000-0000-000000000003"},
		{Node: "aa", Address: "4"},
	} {
		if err := register(s, uint64(i+1), r); err != nil {
			t.Fatal(err)
		}
	}
	for meant, want := range map[string]string{
		"ONE": "ONE", "AA00": "one", "aa0": "one", "aa000000-0000-0000-0000-000000000001": "one", "aa000000-0000-0000-0000-0000000000012": "aa000000-0000-0000-0000-0000000000012",
		"ab000000-0000-0000-0000-000000000003": "three", "ab": "ab", "a": "a", "aa": "aa", "": "", "nobody": "nobody",
	} {
		if got, err := catalog.Named(s.Read(), meant); got != want || err != nil {
			t.Errorf("%q means %q, %v; want %q", meant, got, err, want)
		}
	}
}
