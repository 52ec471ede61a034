package scenarios_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tribune/scenarios"
	"tribune/sim/launch"
)

// named lists, sorted, the texts that the code calls one of the functions with first:
// the names of checks.
func named(t *testing.T, functions ...string) []string {
	t.Helper()
	var names []string
	for _, root := range []string{".", "../linearizability"} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				f, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || !slices.Contains(functions, f.Sel.Name) {
					return true
				}
				if text, ok := call.Args[0].(*ast.BasicLit); ok {
					name, err := strconv.Unquote(text.Value)
					if err != nil {
						t.Fatal(err)
					}
					names = append(names, name)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestEveryInvariantRejectsItsCanary(t *testing.T) {
	child, err := launch.Spawn(t.Context(), launch.Spec{Main: "canaries"})
	if err != nil {
		t.Fatal(err)
	}
	var found map[string][]string
	if err := json.NewDecoder(child).Decode(&found); err != nil {
		t.Error(err)
	}
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	names := named(t, "Violate")
	if len(names) < 20 {
		t.Errorf("only %d invariants are found in the code: %q", len(names), names)
	}
	for _, name := range names {
		if !slices.Contains(found[name], name) {
			t.Errorf("the canary of %q violates %q", name, found[name])
		}
	}
	if found["release on its way"] != nil {
		t.Errorf("a lock that was taken while its release was on its way: %q", found["release on its way"])
	}
	if want := []string{"1", "4s"}; !slices.Equal(found["deaths"], want) {
		t.Errorf("of two deaths, one of which was found out after 4 s, %q are measured, want %q", found["deaths"], want)
	}
}

func TestEveryVerdictRejectsItsCanary(t *testing.T) {
	said := scenarios.JudgeCanaries()
	names := named(t, "verdict", "complaints", "object", "within")
	if len(names) < 10 {
		t.Errorf("only %d verdicts are found in the code: %q", len(names), names)
	}
	for _, name := range names {
		if said[name] != "violated" {
			t.Errorf("the verdict %q on its canary is %q", name, said[name])
		}
	}
	innocent := scenarios.JudgeInnocent()
	if len(innocent) != len(names) {
		t.Errorf("%d verdicts on a run in which nothing is wrong, want %d", len(innocent), len(names))
	}
	for _, v := range innocent {
		if !v.OK {
			t.Errorf("in a run in which nothing is wrong %s is %s: %s", v.Check, v.Got, v.Text)
		}
	}
}

// TestThePageHasEveryCheckAndInvariant holds docs/checks.md.
func TestThePageHasEveryCheckAndInvariant(t *testing.T) {
	page, err := os.ReadFile("../docs/checks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range named(t, "Violate", "verdict", "complaints", "object", "within") {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/checks.md says nothing of %q", name)
		}
	}
}
