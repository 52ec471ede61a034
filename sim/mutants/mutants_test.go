package mutants_test

import (
	"os"
	"path/filepath"
	"testing"

	"tribune/sim/launch"
	"tribune/sim/mutants"
)

// TestEveryMutantFitsTheCodeAndHasACatcher compiles the patched packages. That
// they are caught takes many runs: `simctl mutants`.
func TestEveryMutantFitsTheCodeAndHasACatcher(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutants.All() {
		t.Run(m.Name, func(t *testing.T) {
			if seen[m.Name] || m.Bug == "" || m.MaxSeeds < 1 {
				t.Errorf("%+v", m)
			}
			seen[m.Name] = true
			if _, err := os.Stat(filepath.Join("..", "..", "scenarios", m.Scenario)); err != nil {
				t.Error(err)
			}
			output := filepath.Join(t.TempDir(), "package")
			if _, err := launch.Build(launch.Options{Package: "tribune/impl/server", Patches: m.Patches, Output: output}); err != nil {
				t.Error(err)
			}
		})
	}
}
