package scenarios_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tribune/scenarios"
	"tribune/sim/launch"
)

// complaint is a call that says what is wrong.
type complaint struct{ check, format, where string }

// named lists, sorted, the texts that the code calls one of the functions with first:
// the names of checks.
func named(t *testing.T, functions ...string) []string {
	t.Helper()
	var names []string
	for _, c := range complaints(t, functions...) {
		names = append(names, c.check)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// complaints lists the calls of one of the functions in the code that have a text first:
// the name of a check. The second argument is a format, if it is a text too.
func complaints(t *testing.T, functions ...string) []complaint {
	t.Helper()
	var all []complaint
	for _, root := range []string{".", "../linearizability"} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, file, nil, 0)
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
				c := complaint{check: literal(call.Args[0]), where: set.Position(call.Pos()).String()}
				if len(call.Args) > 1 {
					c.format = literal(call.Args[1])
				}
				if c.check != "" {
					all = append(all, c)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// literal is a text that the code has as such.
func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	text, err := strconv.Unquote(l.Value)
	if err != nil {
		return "" // a number
	}
	return text
}

// matches reports whether a text can come of a format.
func matches(format, text string) bool {
	parts := regexp.MustCompile(`%[-+#0-9.]*[a-z]`).Split(format, -1)
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(text)
}

// answer is what a process with a program of canaries answers.
func answer[T any](t *testing.T, program string) (found map[string]T) {
	t.Helper()
	child, err := launch.Spawn(t.Context(), launch.Spec{Main: program})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(child).Decode(&found); err != nil {
		t.Error(err)
	}
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEveryInvariantRejectsItsCanary(t *testing.T) {
	found := answer[[]string](t, "canaries")
	all := complaints(t, "Violate")
	if names := named(t, "Violate"); len(names) < 20 {
		t.Errorf("only %d invariants are found in the code: %q", len(names), names)
	}
	// Each way in which an invariant can be violated has a canary, not only each name.
	for _, c := range all {
		noticed := false
		for name, violated := range found {
			if name != c.check && !strings.HasPrefix(name, c.check+", ") {
				continue
			}
			noticed = noticed || slices.ContainsFunc(violated, func(v string) bool {
				text, ok := strings.CutPrefix(v, c.check+": ")
				return ok && matches(c.format, text)
			})
		}
		if !noticed {
			t.Errorf("%s: no canary of %q makes it say %q: %q", c.where, c.check, c.format, found[c.check])
		}
	}
	if len(found["no panic, of an agent"]) != 1 {
		t.Errorf("an agent panics, and that is complained of: %q", found["no panic, of an agent"])
	}
	right := []string{"release on its way", "session of a node that left", "another server behind an agent", "watcher of checks that has just begun", "fast clock of a server", "name of one who is taken for dead",
		"delete that found nothing", "delete-cas that was refused", "write of another key", "write of a key outside a list", "delete of what a list lacks",
		"list of a server that is behind", "query of a server that slept", "answer of a fast clock that was held up", "query that ends when its time is up",
		"renewal that was refused", "session that was destroyed", "lock-delay after a TTL"}
	for name, violated := range found {
		if fine := slices.Contains(right, name); fine != (len(violated) == 0) {
			t.Errorf("%s is all right: %t, and is complained of: %q", name, fine, violated)
		}
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
	for name, got := range said {
		if got != "violated" {
			t.Errorf("the canary %q is %q", name, got)
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

func TestEveryPartOfTheRecoveryRejectsItsCanary(t *testing.T) {
	found := answer[string](t, "recoveries")
	if why := found["nothing"]; why != "" {
		t.Error(why)
	}
	delete(found, "nothing")
	said := scenarios.JudgeRecovery()
	delete(said, "Write") // it is no more than a write that came in time
	for name, why := range found {
		if why == "" {
			t.Errorf("nobody minds: %s", name)
		}
		part, _, _ := strings.Cut(name, ", ")
		delete(said, part)
	}
	for part := range said {
		t.Errorf("there is no canary of %s", part)
	}
}

func TestEveryPartOfTheRecoveryIsJudged(t *testing.T) {
	said := scenarios.JudgeRecovery()
	if len(said) < 8 {
		t.Errorf("only %d parts", len(said))
	}
	for part, v := range said {
		if v.OK || !strings.Contains(v.Text, "not there") {
			t.Errorf("without %s, recovery is %s: %s", part, v.Got, v.Text)
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
