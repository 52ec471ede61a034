package mutants_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tribune/sim/launch"
	"tribune/sim/mutants"
	"tribune/sim/overlay"
)

// TestEveryMutantFitsTheCodeAndHasACatcher compiles the patched packages, those of several
// mutants at once if they patch different files. That they are caught takes many runs:
// `simctl mutants`.
func TestEveryMutantFitsTheCodeAndHasACatcher(t *testing.T) {
	const pkg = "tribune/impl/agent" // which has all parts in it
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	compiled := strings.Fields(string(out))
	seen := map[string]bool{}
	var builds [][]overlay.Patch
	for _, m := range append(mutants.All(), mutants.Escaped()...) {
		t.Run(m.Name, func(t *testing.T) {
			origin := regexp.MustCompile(`^([a-z-]+/[a-z-]+#\d+)?$`)
			if seen[m.Name] || m.Bug == "" || m.Area == "" || m.MaxSeeds < 1 || !origin.MatchString(m.Origin) {
				t.Errorf("%+v", m)
			}
			seen[m.Name] = true
			if _, err := os.Stat(filepath.Join("..", "..", "scenarios", m.Scenario)); err != nil {
				t.Error(err)
			}
			for _, p := range m.Patches {
				if !slices.Contains(compiled, path.Dir(p.File)) {
					t.Errorf("%s is not compiled", p.File)
				}
			}
			builds = together(builds, m.Patches)
		})
	}
	output := filepath.Join(t.TempDir(), "package")
	for _, patches := range builds {
		if _, err := launch.Build(launch.Options{Package: pkg, Patches: patches, Output: output}); err != nil {
			t.Error(err)
		}
	}
}

// together adds the patches of a mutant to the first build that leaves their files alone.
func together(builds [][]overlay.Patch, patches []overlay.Patch) [][]overlay.Patch {
	for i, all := range builds {
		if !slices.ContainsFunc(all, func(a overlay.Patch) bool {
			return slices.ContainsFunc(patches, func(b overlay.Patch) bool { return a.File == b.File })
		}) {
			builds[i] = append(all, patches...)
			return builds
		}
	}
	return append(builds, slices.Clone(patches))
}

// TestThePageIsWhatTheCodeSays holds docs/mutants.md true.
func TestThePageIsWhatTheCodeSays(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "mutants.md"))
	if err != nil {
		t.Fatal(err)
	}
	measured, err := mutants.ReadRates("rates.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != mutants.Table(measured) {
		t.Error("write it anew: go run ./cmd/simctl mutants -list -rates sim/mutants/rates.json >docs/mutants.md")
	}
}

func TestThoseThatEscapeSayWhyAndTheOthersDoNot(t *testing.T) {
	for _, m := range mutants.All() {
		if m.Escapes != "" {
			t.Errorf("%s is to be caught, and escapes: %s", m.Name, m.Escapes)
		}
	}
	for _, m := range mutants.Escaped() {
		if m.Escapes == "" {
			t.Errorf("nobody knows why %s escapes", m.Name)
		}
	}
}
