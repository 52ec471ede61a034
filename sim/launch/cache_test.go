package launch

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestABinaryThatIsAskedForAgainStays: it is kept by path, and somebody may run it long
// after it was made.
func TestABinaryThatIsAskedForAgainStays(t *testing.T) {
	dir := t.TempDir()
	made := func(content string) (kept string) {
		t.Helper()
		building := filepath.Join(dir, "program")
		if err := os.WriteFile(building, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		kept, _, err := keep(dir, building)
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

// TestWhatWasAskedForLongestAgoMakesRoom: each set of patches, and each clone, has folders
// of its own, and nobody would ever look for them again.
func TestWhatWasAskedForLongestAgoMakesRoom(t *testing.T) {
	cache := t.TempDir()
	ago := func(name string, since time.Duration) {
		t.Helper()
		dir := filepath.Join(cache, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Join(dir, "content"), 0o755); err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(dir, "content", "program")
		if err := os.WriteFile(program, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(program, cacheRoom/2-1000); err != nil { // holes take no room
			t.Fatal(err)
		}
		asked := time.Now().Add(-since)
		for _, name := range []string{program, filepath.Dir(program), dir} {
			if err := os.Chtimes(name, asked, asked); err != nil {
				t.Fatal(err)
			}
		}
	}
	ago("bin/now", 0)
	ago("bin/yesterday", 24*time.Hour)
	ago("overlay/last-week", 7*24*time.Hour)
	ago("bin/last-month", 30*24*time.Hour)
	left := func() (names []string) {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(cache, "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range all {
			names = append(names, filepath.Base(name))
		}
		return names
	}
	building, err := lock(cache, syscall.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	sweep(cache)
	if got := left(); len(got) != 4 {
		t.Errorf("while somebody builds there is only %v left", got)
	}
	building()
	sweep(cache)
	if got, want := left(), []string{"now", "yesterday", "last-week"}; !slices.Equal(got, want) {
		t.Errorf("there is %v left, want %v", got, want)
	}
}
