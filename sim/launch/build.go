package launch

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"tribune/sim/detrt"
	"tribune/sim/overlay"
)

// Options says what Build builds.
type Options struct {
	// Package is the import path of the package to build, such as
	// "tribune/cmd/simctl".
	Package string
	// Test builds the package's test binary instead of the package.
	Test bool
	// Tags are build tags in addition to that of sim/detrt, with commas between.
	Tags string
	// Patches are applied in addition to those of sim/detrt: mutants.
	Patches []overlay.Patch
	// Omit names patches of sim/detrt to leave out, for the canaries.
	Omit []string
	// Output is the file to write; empty for one in the user's cache.
	Output string
}

// Build builds a package of this module with the overlay and returns the
// binary's path. The module is found from the working directory. Processes may
// build at the same time; a binary in the cache keeps its content under its
// name, so one that runs is never overwritten.
func Build(o Options) (string, error) {
	tool, err := findTool()
	if err != nil {
		return "", err
	}
	patches, err := choose(o)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	fresh := false
	defer func() {
		if fresh { // the cache has grown
			sweep(cache)
		}
	}()
	sources := filepath.Join(cache, "overlay", key(tool.Version, tool.GOROOT, tool.dir, patches))
	bin := filepath.Join(cache, "bin", key(tool.dir, o.Package, o.Test, o.Tags, sources))
	release, err := claim(cache, sources, bin)
	if err != nil {
		return "", err
	}
	defer release()
	written, err := overlay.Write(sources, tool.roots(), patches)
	if err != nil {
		return "", err
	}
	name := path.Base(o.Package)
	if o.Test {
		name += ".test"
	}
	building := filepath.Join(bin, name)
	if err := tool.build(o, written, building); err != nil {
		return "", err
	}
	if o.Output != "" {
		return o.Output, copyFile(o.Output, building)
	}
	binary, fresh, err := keep(bin, building)
	return binary, err
}

// choose returns the patches of a build in order.
func choose(o Options) ([]overlay.Patch, error) {
	var patches []overlay.Patch
	omit := slices.Clone(o.Omit)
	for _, p := range detrt.Patches() {
		if i := slices.Index(omit, p.Name); i >= 0 {
			omit = slices.Delete(omit, i, i+1)
			continue
		}
		patches = append(patches, p)
	}
	if len(omit) > 0 {
		return nil, fmt.Errorf("no such patch: %s", strings.Join(omit, ", "))
	}
	return append(patches, o.Patches...), nil
}

// tool is what the go tool says about itself and the module at hand.
type tool struct {
	path    string
	Version string `json:"GOVERSION"`
	GOROOT  string
	GOMOD   string
	dir     string // the module's root
	module  string // the module's path
}

// errNoTool tells a person what is missing.
var errNoTool = errors.New("the go tool is needed to build this program with the runtime overlay, and is not in PATH; install Go 1.26 (https://go.dev/dl)")

func findTool() (*tool, error) {
	t := &tool{}
	var err error
	if t.path, err = exec.LookPath("go"); err != nil {
		return nil, errNoTool
	}
	out, err := run(t.path, "env", "-json", "GOVERSION", "GOROOT", "GOMOD")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(out, t); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	if !strings.HasPrefix(t.Version, detrt.GoVersions+".") && t.Version != detrt.GoVersions {
		return nil, fmt.Errorf("the runtime overlay is made for %s, this is %s (%s)", detrt.GoVersions, t.Version, t.GOROOT)
	}
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" || runtime.GOOS != "linux" {
		return nil, fmt.Errorf("the runtime overlay is made for linux on amd64 and arm64, this is %s on %s", runtime.GOOS, runtime.GOARCH)
	}
	if t.GOMOD == "" || t.GOMOD == os.DevNull {
		return nil, errors.New("the working directory lies in no Go module; run this in the tribune repository")
	}
	t.dir = filepath.Dir(t.GOMOD)
	mod, err := os.ReadFile(t.GOMOD)
	if err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(string(mod), "\n")
	t.module = strings.TrimSpace(strings.TrimPrefix(first, "module "))
	return t, nil
}

// run runs the go tool and returns what it prints; its complaints are the
// error.
func run(name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(complaints.String()))
	}
	return out, nil
}

func (t *tool) roots() overlay.Roots {
	return overlay.Roots{
		GoVersion: t.Version, GOROOT: t.GOROOT, Module: t.module, Dir: t.dir,
		Library: func(pkg string) (dir, module, root string, err error) {
			out, err := run(t.path, "list", "-f", "{{.Dir}}\n{{.Module.Path}}\n{{.Module.Dir}}", pkg)
			if err != nil {
				return "", "", "", err
			}
			parts := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(parts) != 3 {
				return "", "", "", fmt.Errorf("go list %s printed %q", pkg, out)
			}
			return parts[0], parts[1], parts[2], nil
		},
	}
}

func (t *tool) build(o Options, w overlay.Result, output string) error {
	args := []string{"build"}
	if o.Test {
		args = []string{"test", "-c", "-vet=off"}
	}
	args = append(args, "-overlay", w.Overlay, "-tags", strings.TrimSuffix(detrt.Tag+","+o.Tags, ","), "-o", output)
	if w.Modfile != "" {
		args = append(args, "-modfile", w.Modfile)
	}
	_, err := run(t.path, append(args, o.Package)...)
	return err
}

// Identity tells builds apart: it is the SHA-256 of a program's file, in hexadecimal. An
// empty name is this program, even if its file is gone or another by now.
func Identity(binary string) (string, error) { return digest(cmp.Or(binary, self)) }

func digest(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// key names a folder after everything that decides its content.
func key(parts ...any) string {
	b, err := json.Marshal(parts)
	if err != nil {
		panic(err) // strings and patches have a JSON form
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])[:16]
}
