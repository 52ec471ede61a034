package filter_test

import (
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

func TestAnExpressionThatMakesNoSenseIsInvalid(t *testing.T) {
	if _, err := filter.By[item](`Name ==`); fault.Of(err) != fault.Invalid {
		t.Errorf("no expression: %v", err)
	}
	keep, err := filter.By[item](`Color == "red"`)
	if err == nil {
		_, err = keep([]item{{Name: "a"}})
	}
	if fault.Of(err) != fault.Invalid {
		t.Errorf("no field: %v", err)
	}
}
