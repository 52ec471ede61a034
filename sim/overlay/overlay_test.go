package overlay

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sources lays out a standard library, a module and a library module.
func sources(t *testing.T) (Roots, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go/src/runtime/proc.go": "package runtime\n\nfunc a() {}\n\nfunc b() {}\n",
		"main/go.mod":            "module mine\n\nrequire example.com/lib v1.0.0\n",
		"main/go.sum":            "example.com/lib v1.0.0 h1:x\n",
		"main/kv/kv.go":          "package kv\n\nconst x = 1\n",
		"lib@v1/raft.go":         "package lib\n\nconst y = 1\n",
		"lib@v1/sub/sub.go":      "package sub\n",
		"lib@v1/sub/sub_test.go": "package sub\n",
	} {
		if err := writeFile(filepath.Join(dir, name), text); err != nil {
			t.Fatal(err)
		}
	}
	lib := filepath.Join(dir, "lib@v1")
	return Roots{
		GoVersion: "go1.99", GOROOT: filepath.Join(dir, "go"), Module: "mine", Dir: filepath.Join(dir, "main"),
		Library: func(pkg string) (string, string, string, error) {
			sub, ok := strings.CutPrefix(pkg, "example.com/lib")
			if !ok {
				return "", "", "", fmt.Errorf("no package %s", pkg)
			}
			return filepath.Join(lib, sub), "example.com/lib", lib, nil
		},
	}, filepath.Join(dir, "out")
}

func replaced(t *testing.T, r Result) map[string]string {
	t.Helper()
	b, err := os.ReadFile(r.Overlay)
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Replace map[string]string }
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for from, to := range d.Replace {
		b, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		texts[from] = string(b)
	}
	return texts
}

func TestPatchesLandInTheStandardLibraryAndTheModule(t *testing.T) {
	roots, out := sources(t)
	r, err := Write(out, roots, []Patch{
		{"one", "because", "runtime/proc.go", "func a() {}\n", "func a() { c() }\n", 0},
		{"two", "because", "runtime/proc.go", "func b() {}\n", "func b() { c() }\n", 0},
		{"add", "because", "runtime/new.go", "", "package runtime\n\nfunc c() {}\n", 0},
		{"all", "because", "runtime/proc.go", "c()", "d()", 2},
		{"own", "because", "mine/kv/kv.go", "x = 1", "x = 2", 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := replaced(t, r)
	for name, want := range map[string]string{
		"go/src/runtime/proc.go": "package runtime\n\nfunc a() { d() }\n\nfunc b() { d() }\n",
		"go/src/runtime/new.go":  "package runtime\n\nfunc c() {}\n",
		"main/kv/kv.go":          "package kv\n\nconst x = 2\n",
	} {
		if text := got[filepath.Join(filepath.Dir(out), name)]; text != want {
			t.Errorf("%s: got %q, want %q", name, text, want)
		}
	}
	if len(got) != 3 || r.Modfile != "" {
		t.Errorf("replaced %d files, modfile %q", len(got), r.Modfile)
	}
}

func TestALibraryIsCopiedAndReplaced(t *testing.T) {
	roots, out := sources(t)
	r, err := Write(out, roots, []Patch{{"lib", "because", "example.com/lib/raft.go", "y = 1", "y = 2", 0}})
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(out, "modules", "example.com", "lib")
	for name, want := range map[string]string{
		r.Modfile:                              "replace example.com/lib => " + copied + "\n",
		filepath.Join(out, "go.sum"):           "example.com/lib v1.0.0",
		filepath.Join(copied, "raft.go"):       "y = 2",
		filepath.Join(copied, "sub", "sub.go"): "package sub",
		filepath.Join(copied, "go.mod"):        "module example.com/lib",
	} {
		if b, err := os.ReadFile(name); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: got %q, %v; want %q in it", name, b, err, want)
		}
	}
	if got := replaced(t, r); len(got) != 0 {
		t.Errorf("files of a library must not be in the overlay: %v", got)
	}
	if _, err := os.Stat(filepath.Join(copied, "sub", "sub_test.go")); err == nil {
		t.Error("tests were copied")
	}
}

func TestAPatchThatDoesNotFitNamesItselfTheFileAndTheVersion(t *testing.T) {
	for _, c := range []struct {
		patch Patch
		want  string
	}{
		{Patch{"p", "because", "runtime/proc.go", "func z() {}", "x", 0}, `patch "p" of runtime/proc.go does not fit go1.99: the text to be replaced occurs 0 times, not 1: "func z() {}"`},
		{Patch{"p", "because", "runtime/proc.go", "func ", "x", 0}, `patch "p" of runtime/proc.go does not fit go1.99: the text to be replaced occurs 2 times, not 1: "func"`},
		{Patch{"p", "because", "runtime/proc.go", "func ", "x", 3}, "the text to be replaced occurs 2 times, not 3"},
		{Patch{"p", "because", "runtime/proc.go", "", "x", 0}, "the file to be added exists"},
		{Patch{"p", "because", "runtime/none.go", "x", "y", 0}, `patch "p" of runtime/none.go does not fit go1.99: open `},
		{Patch{"p", "because", "example.org/other/x.go", "x", "y", 0}, "no package example.org/other"},
		{Patch{"p", "", "runtime/proc.go", "func a", "y", 0}, "needs a name, a file and a reason"},
	} {
		roots, out := sources(t)
		r, err := Write(out, roots, []Patch{c.patch})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.patch, err, c.want)
		}
		if _, err := os.Stat(filepath.Join(out, "overlay.json")); err == nil || r != (Result{}) {
			t.Errorf("%+v: an overlay was written", c.patch)
		}
	}
}

// Another process may build from the folder while this one writes.
func TestWritingAgainLeavesEqualFilesUntouched(t *testing.T) {
	roots, out := sources(t)
	patches := []Patch{
		{"own", "because", "mine/kv/kv.go", "x = 1", "x = 2", 0},
		{"lib", "because", "example.com/lib/raft.go", "y = 1", "y = 2", 0},
	}
	first, err := Write(out, roots, patches)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Hour)
	each := func(f func(name string) error) (files int) {
		t.Helper()
		err := filepath.WalkDir(out, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files++
				err = f(name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	written := each(func(name string) error { return os.Chtimes(name, before, before) })
	second, err := Write(out, roots, patches)
	if err != nil {
		t.Fatal(err)
	}
	again := each(func(name string) error {
		info, err := os.Stat(name)
		if err == nil && time.Since(info.ModTime()) < time.Minute {
			t.Errorf("%s was written anew", name)
		}
		return err
	})
	if first != second || written != again || written < 6 {
		t.Errorf("%+v with %d files became %+v with %d", first, written, second, again)
	}
}
