package overlay

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// Roots says where the sources of a build lie.
type Roots struct {
	// GoVersion is named in errors: "go1.26.8".
	GoVersion string
	// GOROOT holds the standard library beneath src.
	GOROOT string
	// Module is the path of the module being built, Dir its root.
	Module, Dir string
	// Library returns the folder of a package of another module, and the
	// path and the root folder of that module.
	Library func(pkg string) (dir, module, root string, err error)
}

// Result is what Write made.
type Result struct {
	// Overlay is the file to give to go build as -overlay.
	Overlay string
	// Modfile is the file to give to go build as -modfile; empty when no
	// library is patched.
	Modfile string
}

// Write applies the patches to the sources in roots and writes the patched
// files and the overlay description into the folder dir, which it creates. It
// fails without having written a Result when an anchor does not occur as often
// as its patch says. Several may write the same into one folder, and build from it, at
// the same time.
func Write(dir string, roots Roots, patches []Patch) (Result, error) {
	w := writer{dir: dir, roots: roots, text: map[string]string{}, libraries: map[string]string{}}
	for _, p := range patches {
		if err := w.apply(p); err != nil {
			return Result{}, err
		}
	}
	return w.write()
}

type writer struct {
	dir       string
	roots     Roots
	text      map[string]string // file to be replaced -> patched text
	libraries map[string]string // module -> its root, of patched libraries
}

// locate returns the file on disk that holds a patch's target.
func (w *writer) locate(p Patch) (string, error) {
	pkg, file := path.Split(p.File)
	pkg = strings.TrimSuffix(pkg, "/")
	if pkg == w.roots.Module {
		return filepath.Join(w.roots.Dir, file), nil
	}
	if sub, ok := strings.CutPrefix(pkg, w.roots.Module+"/"); ok {
		return filepath.Join(w.roots.Dir, filepath.FromSlash(sub), file), nil
	}
	if first, _, _ := strings.Cut(pkg, "/"); !strings.Contains(first, ".") {
		return filepath.Join(w.roots.GOROOT, "src", filepath.FromSlash(pkg), file), nil
	}
	if w.roots.Library == nil {
		return "", w.wrong(p, "libraries cannot be patched in this build")
	}
	folder, module, root, err := w.roots.Library(pkg)
	if err != nil {
		return "", w.wrong(p, err.Error())
	}
	w.libraries[module] = root
	return filepath.Join(folder, file), nil
}

func (w *writer) wrong(p Patch, what string) error {
	return fmt.Errorf("patch %q of %s does not fit %s: %s", p.Name, p.File, w.roots.GoVersion, what)
}

func (w *writer) apply(p Patch) error {
	if p.Name == "" || p.Why == "" || p.File == "" {
		return fmt.Errorf("patch %q of %q: a patch needs a name, a file and a reason", p.Name, p.File)
	}
	file, err := w.locate(p)
	if err != nil {
		return err
	}
	text, known := w.text[file]
	if !known {
		b, err := os.ReadFile(file)
		switch {
		case p.Old == "" && os.IsNotExist(err):
			w.text[file] = p.New
			return nil
		case err != nil:
			return w.wrong(p, err.Error())
		}
		text = string(b)
	}
	if p.Old == "" {
		return w.wrong(p, "the file to be added exists")
	}
	if n, want := strings.Count(text, p.Old), max(p.Times, 1); n != want {
		return w.wrong(p, fmt.Sprintf("the text to be replaced occurs %d times, not %d: %q", n, want, firstLine(p.Old)))
	}
	w.text[file] = strings.ReplaceAll(text, p.Old, p.New)
	return nil
}

func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if strings.TrimSpace(line) != "" {
			return strings.TrimSpace(line)
		}
	}
	return s
}

func (w *writer) write() (Result, error) {
	copies := map[string]string{} // module root -> its copy
	for module, root := range w.libraries {
		to := filepath.Join(w.dir, "modules", filepath.FromSlash(module))
		if err := w.copyModule(to, root); err != nil {
			return Result{}, fmt.Errorf("copying module %s: %w", module, err)
		}
		// A replacement must have a go.mod; modules older than that lack one.
		if _, err := os.Stat(filepath.Join(to, "go.mod")); os.IsNotExist(err) {
			if err := writeFile(filepath.Join(to, "go.mod"), "module "+module+"\n"); err != nil {
				return Result{}, err
			}
		}
		copies[root] = to
	}
	replace := map[string]string{}
	for file, text := range w.text {
		out := filepath.Join(w.dir, "files", strings.ReplaceAll(strings.TrimPrefix(filepath.ToSlash(file), "/"), "/", "_"))
		for root, to := range copies {
			if rel, err := filepath.Rel(root, file); err == nil && !strings.HasPrefix(rel, "..") {
				out = filepath.Join(to, rel)
			}
		}
		if err := writeFile(out, text); err != nil {
			return Result{}, err
		}
		if !strings.HasPrefix(out, filepath.Join(w.dir, "modules")+string(filepath.Separator)) {
			replace[file] = out
		}
	}
	description, err := json.MarshalIndent(map[string]any{"Replace": replace}, "", "\t")
	if err != nil {
		return Result{}, err
	}
	r := Result{Overlay: filepath.Join(w.dir, "overlay.json")}
	if err := writeFile(r.Overlay, string(description)); err != nil {
		return Result{}, err
	}
	if len(copies) > 0 {
		r.Modfile = filepath.Join(w.dir, "go.mod")
		err = w.modfile(r.Modfile)
	}
	return r, err
}

// modfile writes a copy of the module's go.mod that replaces each patched
// library, and of its go.sum beside it, where the go tool looks.
func (w *writer) modfile(file string) error {
	mod, err := os.ReadFile(filepath.Join(w.roots.Dir, "go.mod"))
	if err != nil {
		return err
	}
	sum, err := os.ReadFile(filepath.Join(w.roots.Dir, "go.sum"))
	if err != nil {
		return err
	}
	text := string(mod)
	for _, module := range sortedKeys(w.libraries) {
		text += fmt.Sprintf("\nreplace %s => %s\n", module, filepath.Join(w.dir, "modules", filepath.FromSlash(module)))
	}
	if err := writeFile(file, text); err != nil {
		return err
	}
	return writeFile(strings.TrimSuffix(file, ".mod")+".sum", string(sum))
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// copyModule copies what is not patched: a build that reads the copy while it is written
// once more must not find a file as it is without its patch.
func (w *writer) copyModule(to, from string) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if strings.HasSuffix(name, "_test.go") || !d.Type().IsRegular() {
			return nil
		}
		if _, patched := w.text[name]; patched {
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(to, rel), string(b))
	})
}

// writeFile leaves a file that already holds the text untouched: the go tool
// goes by content, but a reader of a build in progress must not see it torn.
func writeFile(name, text string) error {
	if old, err := os.ReadFile(name); err == nil && string(old) == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(name), ".writing-*")
	if err != nil {
		return err
	}
	_, err = temp.WriteString(text)
	if cerr := temp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(temp.Name(), name)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
	}
	return err
}
