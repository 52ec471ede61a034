package scenarios_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"tribune/scenarios"
)

// documented returns the text of the first block of the documentation of scenarios.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	var block strings.Builder
	for line := range strings.Lines(string(text)) {
		inside, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented:
			block.WriteString(inside)
		case block.Len() > 0:
			return block.String()
		}
	}
	t.Fatal("the documentation has no block")
	return ""
}

// keysOf lists the keys of a struct of a scenario and those within it; of faults there is
// a table of their own.
func keysOf(of reflect.Type) []string {
	var all []string
	for f := range of.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" {
			continue
		}
		all = append(all, key)
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[scenarios.Duration]() {
			all = append(all, keysOf(f.Type)...)
		}
	}
	return all
}

func TestTheDocumentedFileIsAScenarioWithAllKeys(t *testing.T) {
	text := documented(t)
	s, err := scenarios.Parse("docs.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if s.Name != "partition" || len(s.Faults) != 1 {
		t.Errorf("it is read as %+v", s)
	}
	for _, key := range keysOf(reflect.TypeFor[scenarios.Scenario]()) {
		if !regexp.MustCompile(`\b` + key + `:`).MatchString(text) {
			t.Errorf("it does not say %s", key)
		}
	}
}
