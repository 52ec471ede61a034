package filter_test

import (
	"strings"
	"testing"

	"tribune/impl/fault"
	"tribune/impl/filter"
)

type item struct {
	Name string
	Tags []string
}

func TestItemsAreChosenByAnExpression(t *testing.T) {
	all := []item{{"a", []string{"x"}}, {"b", []string{"x", "y"}}, {"c", nil}}
	for expression, want := range map[string]string{
		``: "abc", `Name == "b"`: "b", `"x" in Tags`: "ab", `"x" in Tags and not "y" in Tags`: "a", `Name == "z"`: "",
	} {
		keep, err := filter.By[item](expression)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := keep(all)
		got := ""
		for _, i := range kept {
			got += i.Name
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", expression, got, err, want)
		}
	}
}

func TestAnExpressionThatMakesNoSenseIsInvalidEvenWithNothingToChooseFrom(t *testing.T) {
	for _, expression := range []string{
		`Name ==`, `Color == "red"`, `Name.First == "a"`, `Name == "a" or Color == "red"`, `not (Name == "a" and Color == "red")`,
		`Hidden == "x"`, `secret == "x"`, `Index == 1`, `Indexed.Index == 1 and Nothing is nil`, `"" == "x"`,
		`Tags == "x"`, `"x" in Count`, `Count == "many"`, `Count matches "x"`, `Name matches "("`, `Count is empty`, `"x" in Items`,
		`Items.Color == "red"`, `Items.first.Name == "x"`, `Items.Tags.Name == "x"`, `Items.-1.Name == "x"`,
		`any Items as i { i.Color == "red" }`, `any Items as i { Color == "red" }`, `any Items as n, i { n.Name == "x" }`, `any Items as i, i { i == 0 }`,
		`any Items as n, i { n == "x" }`, `any Name as n { n == "x" }`, `any Items.Tags as t { t == "x" }`, `any Labels as k, v { v.x == "y" }`,
		`all Items as i { Items.Name == "x" }`, `any Items as i { any i.Tags as t { t.x == "y" } }`,
	} {
		if _, err := filter.By[crate](expression); fault.Of(err) != fault.Invalid || !strings.HasPrefix(err.Error(), "Failed to create boolean expression evaluator: ") {
			t.Errorf("%s: %v", expression, err)
		}
	}
	_, err := filter.By[crate](`Items.Color == "red"`)
	if want := `Selector "Items.Color" is not valid`; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v; want %s", err, want)
	}
	for _, expression := range []string{
		`Indexed.Index == 1 and Lid is nil`, `Labels.any != "x" and "y" not in Labels`, `any Labels as k { k == "x" }`, `any Labels as _, v { v == "x" }`,
		`any Items as i { any i.Tags as n, t { t == "x" and n == 0 and i.Name != Name } }`, `Labels["a b"] == "x"`, `Lid.Tags.0 == "x" or Count == 1`,
	} {
		if _, err := filter.By[crate](expression); err != nil {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

type crate struct {
	Name   string
	Lid    *item
	Labels map[string]string
	Items  []item
	Count  int
	Hidden string `bexpr:"-"`
	secret string
	Indexed
}

type Indexed struct{ Index int }

func TestOneOfTheObjectsInAListMustMatch(t *testing.T) {
	all := []crate{
		{Name: "a", Lid: &item{}, Items: []item{{Name: "x", Tags: []string{"red"}}, {Name: "y"}}, Labels: map[string]string{`k "1"`: `v\`}},
		{Name: "b", Items: []item{{Name: "y"}}, Lid: &item{Name: "x"}},
		{Name: "c", Lid: &item{}, secret: "x"},
	}
	for expression, want := range map[string]string{
		`Items.Name == "x"`:                                           "a",
		`Items.Name == x`:                                             "a",
		`Items.Name != "y"`:                                           "a",
		`not Items.Name == "x"`:                                       "bc",
		`"red" in Items.Tags`:                                         "a",
		`"red" not in Items.Tags`:                                     "ab",
		`Items.Tags contains "red"`:                                   "a",
		`Items.Tags is empty`:                                         "ab",
		`Items.Tags is not empty`:                                     "a",
		`Items is empty`:                                              "c",
		`Items.Name matches "^[xz]$"`:                                 "a",
		`Items.Name == "y" and Name != "a"`:                           "b",
		`Items.Name == "x" or (Name == "c" or Name == b)`:             "abc",
		`Items is not empty and Items.0.Name == "y"`:                  "b",
		`"/Items/Name" == "x"`:                                        "a",
		`Lid.Name == "x" and Items.Name == "y"`:                       "b",
		`Items.Name == "y" and (any Items as i { i.Name == "x" })`:    "a",
		`Items.Name == "y" and (any Items as n, i { i.Name == "x" })`: "a",
		`Items.Name == "y" and (any Items as _, i { i.Name == "x" })`: "a",
		`Items.Name == "y" and (all Items as n, _ { n == 0 })`:        "b",
		"Items.Name == \"x\" and Labels[`k \"1\"`] == \"v\\\\\"":      "a",
	} {
		keep, err := filter.By[crate](expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		kept, err := keep(all)
		got := ""
		for _, c := range kept {
			got += c.Name
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", expression, got, err, want)
		}
	}
}

type port struct{ Host, Port string }

type place struct {
	Name  string
	Ports map[string]port
	Near  map[string]map[string]port
}

func TestWhatAnItemDoesNotHaveIsLikeNothing(t *testing.T) {
	all := []place{
		{Name: "a", Ports: map[string]port{"wan": {"h", "1"}}, Near: map[string]map[string]port{"x": {"y": {"h", "1"}}}},
		{Name: "b", Ports: map[string]port{"lan": {"h", "1"}, "wan": {"", "2"}}, Near: map[string]map[string]port{"x": {}}},
		{Name: "c", Ports: map[string]port{"lan": {"h", "1"}}},
		{Name: "d"},
	}
	for expression, want := range map[string]string{
		`Ports.wan.Port == "1"`:                         "a",
		`Ports.wan.Port == 1 or Name == "d"`:            "ad",
		`Ports.wan.Port != "1"`:                         "bcd",
		`not Ports.wan.Port == "1"`:                     "bcd",
		`Ports.wan.Host is empty`:                       "bcd",
		`Ports.wan.Host is not empty`:                   "a",
		`"h" in Ports.wan.Host`:                         "a",
		`"h" not in Ports.wan.Host`:                     "bcd",
		`Ports.wan.Host matches "^h$"`:                  "a",
		`Ports.wan.Host not matches "^h$"`:              "bcd",
		`"/Ports/wan/Host" contains "h"`:                "a",
		`Ports["no such"].Host == ""`:                   "",
		`Ports.wan.Port != "1" and Ports.lan.Port == 1`: "bc",
		`Near.x.y.Port == 1`:                            "a",
		`Near.x.y.Port != 1`:                            "bcd",
		`Near.x.y is nil`:                               "bcd",
	} {
		keep, err := filter.By[place](expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		kept, err := keep(all)
		got := ""
		for _, p := range kept {
			got += p.Name
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", expression, got, err, want)
		}
	}
}

func FuzzAnyExpressionIsEvaluatedOrRefused(f *testing.F) {
	for _, expression := range []string{
		`Items.Name == "x" and not (Name != y or "a" in Items.Tags)`, `"" == "x" or Items.Name is empty`, `"/Items/Name" matches "("`,
		`(all Items as i, v { v.Name is not nil and i == 0 }) or Items.Name is nil`, "Labels[`\"`] contains \"\\x22\" or Items.Name == `\"`", `Items.Items.Name == 1`,
	} {
		f.Add(expression)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		keep, err := filter.By[crate](expression)
		if err == nil {
			_, err = keep([]crate{{Name: "a", Items: []item{{Name: "x", Tags: []string{"y"}}}}})
		}
		if err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %v", expression, err)
		}
	})
}
