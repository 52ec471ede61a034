package query_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"tribune/impl/api"
	"tribune/impl/query"
)

func TestAllTextsOfTheServiceAreFilledIn(t *testing.T) {
	s := fresh(t)
	q := template("id", "geo-")
	q.Template.Regexp, q.Template.RemoveEmptyTags = `^geo-(\w+)-?(\w*)$`, true
	q.Service = api.ServiceQuery{
		Service: "${match(1)}", Near: "n-${match(2)}", Tags: []string{"${match(2)}", "v1", "!${ name.suffix }"}, IgnoreCheckIDs: []string{"c-${name.full}"},
		NodeMeta: map[string]string{"${name.full}": "$${${match( 1 )}}"}, ServiceMeta: map[string]string{"segment": "[${agent.segment}]"},
		Failover: api.QueryFailover{Targets: []api.QueryFailoverTarget{{Datacenter: "dc-${match(2)}", Peer: "${match(9)}"}}},
	}
	if err := apply(s, 1, api.QueryCreate, q); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"geo-db-eu":  "{db {0 [] [{ dc-eu}]} false [c-geo-db-eu] n-eu [eu v1 !db-eu] map[${name.full}:${db}] map[segment:[]] false}",
		"geo-db":     "{db {0 [] [{ dc-}]} false [c-geo-db] n- [v1 !db] map[${name.full}:${db}] map[segment:[]] false}",
		"GEO-db":     "{ {0 [] [{ dc-}]} false [c-GEO-db] n- [v1 !db] map[${name.full}:${}] map[segment:[]] false}",
		"geo-a-b-c!": "{ {0 [] [{ dc-}]} false [c-geo-a-b-c!] n- [v1 !a-b-c!] map[${name.full}:${}] map[segment:[]] false}",
	} {
		if got := fmt.Sprint(resolve(t, s, name).Service); got != want {
			t.Errorf("%s:\n%s, want\n%s", name, got, want)
		}
	}
	_, kept, err := query.Read(s.Read(), nil, api.QueryRequest{ID: "id"})
	if err != nil || fmt.Sprint(kept[0].Service) != fmt.Sprint(q.Service) {
		t.Errorf("the template became %+v, %v", kept, err)
	}
}

func TestTemplatesThatCannotBeFilledInAreRefused(t *testing.T) {
	for _, c := range []struct {
		change func(*api.PreparedQuery)
		want   string
	}{
		{func(q *api.PreparedQuery) { q.Template.Type = "name_suffix_match" }, "Bad Template.Type 'name_suffix_match'"},
		{func(q *api.PreparedQuery) { q.Template.Regexp = "(" }, "Bad Regexp: "},
		{func(q *api.PreparedQuery) { q.Service.Service = "${name.none}" }, "Bad format '${name.none}' in Service: "},
		{func(q *api.PreparedQuery) { q.Service.Tags = []string{"${name.full"} }, "Bad format '${name.full' in Service: ${name.full has no end"},
		{func(q *api.PreparedQuery) { q.Service.Near = "${match(x)}" }, "Bad format"},
		{func(q *api.PreparedQuery) { q.Service.Near = "${match(1}" }, "Bad format"},
		{func(q *api.PreparedQuery) { q.Service.NodeMeta = map[string]string{"a": "${}"} }, "Bad format"},
		{func(q *api.PreparedQuery) { q.Service.Failover.Targets = []api.QueryFailoverTarget{{Peer: "${x}"}} }, "Bad format"},
	} {
		q := template("id", "n")
		c.change(&q)
		if err := apply(fresh(t), 1, api.QueryCreate, q); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", q, err, c.want)
		}
	}
	q := named("id", "n")
	q.Service.Service = "${name.none}"
	s := fresh(t)
	if err := apply(s, 1, api.QueryCreate, q); err != nil || resolve(t, s, "n").Service.Service != "${name.none}" {
		t.Errorf("a query that is no template was taken for one: %v", err)
	}
}

// TestWhatIsFilledInIsAllThatChanges builds texts of pieces whose values are known.
func TestWhatIsFilledInIsAllThatChanges(t *testing.T) {
	pieces := map[string]string{
		"${name.full}": "ab-cd", "${name.prefix}": "ab-", "${name.suffix}": "cd", "${match(0)}": "b-c", "${match(1)}": "-", "${match(2)}": "", "${match(-1)}": "",
		"${ name.full }": "ab-cd", "${agent.segment}": "", "$${": "${", "x": "x", "}": "}", "{": "{", "name.full": "name.full", "é": "é",
	}
	keys := slices.Sorted(func(yield func(string) bool) {
		for k := range pieces {
			if !yield(k) {
				return
			}
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		text, want := "", ""
		for _, p := range rapid.SliceOfN(rapid.SampledFrom(keys), 1, 6).Draw(t, "pieces") {
			text, want = text+p, want+pieces[p]
		}
		q := template("id", "ab-")
		q.Template.Regexp, q.Service.Service = "b(-)c", text
		s := fresh(t)
		if err := apply(s, 1, api.QueryCreate, q); err != nil {
			t.Fatal(err)
		}
		if got := resolve(t, s, "ab-cd").Service.Service; got != want {
			t.Fatalf("%q became %q, want %q", text, got, want)
		}
	})
}

// FuzzATemplateThatIsAcceptedCanBeFilledInForAllNames makes a template and asks for
// a name that begins with its own.
func FuzzATemplateThatIsAcceptedCanBeFilledInForAllNames(f *testing.F) {
	f.Add("web-", "^web-(.*)$", "${match(1)}-${name.suffix}", "db")
	f.Add("", "", "$${${name.full}", "x")
	f.Add("é", "(", "${", "\xff")
	f.Add("a", "(?i)A", "${match(99999999999999999999)}", "")
	f.Fuzz(func(t *testing.T, name, expression, text, more string) {
		if !utf8.ValidString(name) {
			return // it was JSON
		}
		q := template("id", name)
		q.Template.Regexp, q.Service.Service, q.Service.Tags = expression, text, []string{text}
		s := fresh(t)
		if apply(s, 1, api.QueryCreate, q) != nil {
			return
		}
		if asked := name + more; asked != "" && strings.ToLower(asked) != q.ID {
			if got := resolve(t, s, asked); got == nil || got.Service.Tags[0] != got.Service.Service {
				t.Fatalf("%q: %+v", asked, got)
			}
		}
	})
}
