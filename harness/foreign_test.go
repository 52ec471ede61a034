package harness_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What docs/harness.md says under "A module of your own".
func TestAModuleOfSomebodyElsesUsesTheHarness(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds another program with the deterministic runtime")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	mine := t.TempDir()
	if err := os.CopyFS(filepath.Join(mine, "register"), os.DirFS(filepath.Join(root, "examples", "register"))); err != nil {
		t.Fatal(err)
	}
	test := filepath.Join(mine, "register", "register_test.go")
	text, err := os.ReadFile(test)
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.ReplaceAll(string(text), `"tribune/examples/register"`, `"example.com/mine/register"`)
	if err := os.WriteFile(test, []byte(moved), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mod", "init", "example.com/mine"},
		{"mod", "edit", "-require", "tribune@v0.0.0", "-replace", "tribune=" + root},
		{"mod", "tidy"},
		{"test", "./..."},
	} {
		c := exec.CommandContext(t.Context(), "go", args...)
		c.Dir = mine
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
