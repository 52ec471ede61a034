package query_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tribune/impl/api"
	"tribune/impl/query"
	"tribune/impl/store"
)

type tb interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func fresh(t tb) *store.Store {
	t.Helper()
	s, err := store.New(query.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// apply carries out a command in a transaction of its own.
func apply(s *store.Store, index uint64, op api.QueryOp, q api.PreparedQuery) error {
	tx := s.Write()
	defer tx.Commit()
	return query.Apply(tx, index, api.QueryApplyRequest{Op: op, Query: q})
}

func resolve(t tb, s *store.Store, name string) *api.PreparedQuery {
	t.Helper()
	q, err := query.Resolve(s.Read(), name)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func named(id, name string) api.PreparedQuery {
	return api.PreparedQuery{ID: id, Name: name, Service: api.ServiceQuery{Service: "web"}}
}

func template(id, name string) api.PreparedQuery {
	q := named(id, name)
	q.Template.Type = api.QueryNamePrefix
	return q
}

func TestQueriesThatMakeNoSenseAreRefused(t *testing.T) {
	for _, c := range []struct {
		change func(*api.PreparedQuery)
		want   string
	}{
		{func(*api.PreparedQuery) {}, ""},
		{func(q *api.PreparedQuery) { q.Name = "" }, "Must be bound to a session"},
		{func(q *api.PreparedQuery) { q.Name, q.Session = "", "s" }, ""},
		{func(q *api.PreparedQuery) { q.Name, q.Template.Type = "", api.QueryNamePrefix }, ""},
		{func(q *api.PreparedQuery) { q.Token = "<hidden>" }, "Bad Token '<hidden>'"},
		{func(q *api.PreparedQuery) { q.Service.Service = "" }, "Must provide a Service name to query"},
		{func(q *api.PreparedQuery) { q.Service.Failover.NearestN = -1 }, "Bad NearestN '-1', must be >= 0"},
		{func(q *api.PreparedQuery) {
			q.Service.Failover = api.QueryFailover{NearestN: 1, Datacenters: []string{"dc2"}}
		}, ""},
		{func(q *api.PreparedQuery) {
			q.Service.Failover = api.QueryFailover{NearestN: 1, Targets: []api.QueryFailoverTarget{{Datacenter: "dc2"}}}
		}, "Targets cannot be populated with NearestN or Datacenters"},
		{func(q *api.PreparedQuery) { q.DNS.TTL = "10s" }, ""},
		{func(q *api.PreparedQuery) { q.DNS.TTL = "soon" }, "Bad DNS TTL 'soon'"},
		{func(q *api.PreparedQuery) { q.DNS.TTL = "-1s" }, "DNS TTL '-1000000000', must be >=0"},
	} {
		q := named("", "q")
		c.change(&q)
		if err := query.Check(q); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", q, err, c.want)
		}
	}
}

// TestOneNameStandsForOneQuery refuses what would make two queries answer to one
// name, and changes nothing then.
func TestOneNameStandsForOneQuery(t *testing.T) {
	s := fresh(t)
	for i, c := range []struct {
		op   api.QueryOp
		q    api.PreparedQuery
		want string
	}{
		{api.QueryCreate, named("1", "a"), ""},
		{api.QueryCreate, named("2", "A"), "name 'A' aliases an existing query name"},
		{api.QueryCreate, template("2", "a"), "name 'a' aliases an existing query name"},
		{api.QueryCreate, named("2", "1"), "name '1' aliases an existing query ID"},
		{api.QueryUpdate, named("1", "A"), ""},
		{api.QueryUpdate, named("2", "b"), "Cannot modify non-existent prepared query: '2'"},
		{api.QueryDelete, named("2", ""), "Cannot modify non-existent prepared query: '2'"},
		{api.QueryCreate, template("2", ""), ""},
		{api.QueryCreate, template("3", ""), "a query template with an empty name already exists"},
		{api.QueryUpdate, template("2", ""), ""},
		{api.QueryUpdate, template("2", "a"), "name 'a' aliases an existing query name"},
		{api.QueryCreate, named("3", ""), ""},
		{api.QueryCreate, named("4", ""), ""},
		{"merge", named("4", ""), `query: unknown operation "merge"`},
		{api.QueryDelete, named("1", ""), ""},
		{api.QueryCreate, named("5", "a"), ""},
	} {
		before, _ := query.Export(s.Read())
		err := apply(s, uint64(i+1), c.op, c.q)
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%s %+v: %v, want %q", c.op, c.q, err, c.want)
		}
		if after, _ := query.Export(s.Read()); (fmt.Sprint(before) == fmt.Sprint(after)) != (err != nil) {
			t.Errorf("%s %+v: %v, and %+v became %+v", c.op, c.q, err, before, after)
		}
	}
}

func TestAnUpdateKeepsWhenTheQueryWasCreated(t *testing.T) {
	s := fresh(t)
	for i, op := range []api.QueryOp{api.QueryCreate, api.QueryUpdate} {
		if err := apply(s, uint64(7+i), op, named("1", "a")); err != nil {
			t.Fatal(err)
		}
	}
	index, found, err := query.Read(s.Read(), nil, api.QueryRequest{ID: "1"})
	if err != nil || index != 8 || len(found) != 1 || found[0].RaftIndex != (api.RaftIndex{CreateIndex: 7, ModifyIndex: 8}) {
		t.Errorf("at %d %+v, %v", index, found, err)
	}
}

func TestAQueryIsFoundByIDThenByNameThenByItsBeginning(t *testing.T) {
	s := fresh(t)
	for i, q := range []api.PreparedQuery{named("id-1", "web"), template("id-2", "we"), template("id-3", "web-"), named("id-4", "web-x"), template("id-5", "Straße")} {
		if err := apply(s, uint64(i+1), api.QueryCreate, q); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"id-1": "id-1", "ID-1": "id-1", "web": "id-1", "WEB": "id-1", "we": "id-2", "wex": "id-2", "web-": "id-3", "web-y": "id-3", "web-x": "id-4",
		"WEB-X": "id-4", "web-xy": "id-3", "w": "", "": "", "id-9": "", "straßenbahn": "id-5",
	} {
		got := ""
		if q := resolve(t, s, name); q != nil {
			got = q.ID
		}
		if got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if q, err := query.Resolve(s.Read(), "id-2"); err == nil {
		t.Errorf("a template was found by its ID: %+v", q)
	}
}

// TestTheLongestTemplateWins compares what a name finds with a search through a
// list of all queries.
func TestTheLongestTemplateWins(t *testing.T) {
	name := rapid.StringOfN(rapid.SampledFrom([]rune("abABİſ")), 0, 5, -1)
	rapid.Check(t, func(t *rapid.T) {
		s := fresh(t)
		var all []api.PreparedQuery
		for i := range rapid.IntRange(0, 8).Draw(t, "queries") {
			q := named(fmt.Sprint("id-", i), name.Draw(t, "name"))
			if rapid.Bool().Draw(t, "template") {
				q = template(q.ID, q.Name)
				q.Template.Regexp = `^(.)(.)`
				q.Service.Service = "${name.full}|${name.prefix}|${name.suffix}|${match(2)}"
			}
			lower := strings.ToLower(q.Name)
			taken := slices.ContainsFunc(all, func(o api.PreparedQuery) bool {
				return strings.ToLower(o.Name) == lower && (q.Name != "" || q.Template.Type != "" && o.Template.Type != "")
			})
			if err := apply(s, uint64(i+1), api.QueryCreate, q); (err == nil) == taken {
				t.Fatalf("%+v beside %+v: %v", q, all, err)
			}
			if !taken {
				all = append(all, q)
			}
		}
		if len(all) > 0 && rapid.Bool().Draw(t, "delete one") {
			i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
			if err := apply(s, 100, api.QueryDelete, all[i]); err != nil {
				t.Fatal(err)
			}
			all = slices.Delete(all, i, i+1)
		}
		asked := name.Draw(t, "asked")
		want := expected(all, asked)
		got := ""
		if q := resolve(t, s, asked); q != nil {
			got = q.ID + " " + q.Service.Service
		}
		if got != want {
			t.Fatalf("%q is %q, want %q", asked, got, want)
		}
	})
}

// expected is what a name stands for: an ID and a service.
func expected(all []api.PreparedQuery, asked string) string {
	if asked == "" {
		return ""
	}
	length, best := -1, ""
	for _, q := range all {
		own, lower := []rune(strings.ToLower(q.Name)), []rune(strings.ToLower(asked))
		if q.Name != "" && string(own) == string(lower) {
			length, best = 100, q.ID+" web"
		}
		if q.Template.Type == "" || len(own) > len(lower) || string(lower[:len(own)]) != string(own) {
			continue
		}
		second := ""
		if len(lower) > 1 {
			second = string([]rune(asked)[1])
		}
		if full := len(own) == len(lower); len(own) > length || full {
			length = len(own)
			best = fmt.Sprintf("%s %s|%s|%s|%s", q.ID, asked, q.Name, string([]rune(asked)[len(own):]), second)
		}
	}
	return best
}

func TestASessionsQueriesEndWithIt(t *testing.T) {
	s := fresh(t)
	for i, session := range []string{"s1", "S1", "s2", ""} {
		q := named(fmt.Sprint("id-", i), fmt.Sprint("q", i))
		q.Session = session
		if err := apply(s, uint64(i+1), api.QueryCreate, q); err != nil {
			t.Fatal(err)
		}
	}
	tx := s.Write()
	if err := query.EndSession(tx, 9, "s1"); err != nil {
		t.Fatal(err)
	}
	tx.Commit()
	index, left, err := query.Read(s.Read(), nil, api.QueryRequest{})
	if err != nil || index != 9 || len(left) != 2 || left[0].ID != "id-2" || left[1].ID != "id-3" {
		t.Errorf("at %d %+v, %v", index, left, err)
	}
}

func TestADumpRestoresAllQueriesAndTheirTemplates(t *testing.T) {
	s := fresh(t)
	q := template("id-1", "web-")
	q.Template.Regexp, q.Service.Service = "^web-(.*)$", "${match(1)}"
	if err := apply(s, 3, api.QueryCreate, q); err != nil {
		t.Fatal(err)
	}
	dump, err := query.Export(s.Read())
	if err != nil {
		t.Fatal(err)
	}
	other := fresh(t)
	tx := other.Write()
	if err := query.Import(tx, dump); err != nil {
		t.Fatal(err)
	}
	tx.Commit()
	if again, err := query.Export(other.Read()); err != nil || fmt.Sprint(again) != fmt.Sprint(dump) || again.Index != 3 {
		t.Errorf("%+v became %+v, %v", dump, again, err)
	}
	if q := resolve(t, other, "web-db"); q == nil || q.Service.Service != "db" {
		t.Errorf("%+v", q)
	}
}
