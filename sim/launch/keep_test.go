package launch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestABinaryThatIsAskedForAgainOutlivesADay: it is kept by path, and somebody may run it
// long after it was made.
func TestABinaryThatIsAskedForAgainOutlivesADay(t *testing.T) {
	dir := t.TempDir()
	made := func(content string) (kept string) {
		t.Helper()
		building := filepath.Join(dir, "program")
		if err := os.WriteFile(building, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		kept, err := keep(dir, building)
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	used, unused := made("used"), made("unused")
	before := time.Now().Add(-48 * time.Hour)
	for _, name := range []string{used, unused} {
		if err := os.Chtimes(name, before, before); err != nil {
			t.Fatal(err)
		}
	}
	if again := made("used"); again != used {
		t.Errorf("%s became %s", used, again)
	}
	made("another")
	if _, err := os.Stat(used); err != nil {
		t.Errorf("one that is in use is gone: %v", err)
	}
	if _, err := os.Stat(unused); !os.IsNotExist(err) {
		t.Errorf("one that nobody asks for stays: %v", err)
	}
}
