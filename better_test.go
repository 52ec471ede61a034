package house

import (
	"go/ast"
	"os"
	"regexp"
	"testing"
)

// TestWhatThePageOfComplaintsNamesExists holds docs/better.md: its tests and scenarios
// are there.
func TestWhatThePageOfComplaintsNamesExists(t *testing.T) {
	page, err := os.ReadFile("docs/better.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, s := range load(t).files {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test {
				there[f.Name.Name] = true
			}
		}
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllSubmatch(page, -1)
	if len(named) < 40 {
		t.Errorf("it names only %d tests", len(named))
	}
	for _, m := range named {
		if !there[string(m[1])] {
			t.Errorf("there is no %s", m[1])
		}
	}
	for _, list := range regexp.MustCompile("(?i:scenarios?) (`[a-z-]+`(?:, `[a-z-]+`)*)").FindAllSubmatch(page, -1) {
		for _, m := range regexp.MustCompile("[a-z-]+").FindAll(list[1], -1) {
			if _, err := os.Stat("scenarios/" + string(m) + ".yaml"); err != nil {
				t.Error(err)
			}
		}
	}
}
