package launch

import (
	"context"
	"errors"
	"io"
	"time"

	"tribune/sim/overlay"
)

// Options says what Build builds.
type Options struct {
	// Package is the import path of the package to build, such as
	// "tribune/cmd/simctl".
	Package string
	// Test builds the package's test binary instead of the package.
	Test bool
	// Patches are applied in addition to those of sim/detrt: mutants.
	Patches []overlay.Patch
	// Omit names patches of sim/detrt to leave out, for the canaries.
	Omit []string
	// Output is the file to write; empty for one in the user's cache, which is
	// reused as long as nothing changed.
	Output string
}

// Perturb lists disturbances that must not change a run. simctl prove runs the
// same seed plain and perturbed and compares.
type Perturb struct {
	// EnvBytes adds a variable of that many bytes to the environment.
	EnvBytes int
	// Ticker runs a goroutine outside the bubble that wakes at this real
	// interval.
	Ticker time.Duration
	// Ballast is a number of bytes of live heap allocated before the run.
	Ballast int
	// ExtraGC is the number of additional collections at each detrt.Collect.
	ExtraGC int
	// Hash hides the AES instructions from the runtime, as a machine without
	// them would.
	Hash bool
}

// Spec says what Spawn runs.
type Spec struct {
	// Binary is a program built with the overlay; empty for this one.
	Binary string
	// Main is the key of the function in the child's ChildMain table.
	Main string
	// Input is handed to that function.
	Input []byte
	// Perturb disturbs the process.
	Perturb Perturb
	// Stderr receives what the child writes there, panics included; nil for
	// this process's.
	Stderr io.Writer
}

// Child is a running child process.
type Child struct{ out io.ReadCloser }

// Spawn starts a child process. When ctx ends, the child is killed.
func Spawn(ctx context.Context, s Spec) (*Child, error) {
	return nil, errors.New("launch: not yet")
}

// Read reads what the child's function wrote to its output; io.EOF follows when
// the child has ended or closed it.
func (c *Child) Read(p []byte) (int, error) { return c.out.Read(p) }

// Wait waits for the child's end and returns why it failed, if it did. All
// output must have been read before.
func (c *Child) Wait() error { return nil }

// Main is the work of a child process: it reads in, writes to out and returns;
// the process then exits with status 0.
type Main func(in []byte, out io.Writer)

// ChildMain must be called first in main or TestMain: in a process started by
// Spawn it runs the function that Spec.Main names and exits; in every other
// process it returns at once.
func ChildMain(mains map[string]Main) {}

// Ensure returns in a binary that was built with the overlay. In another it
// builds pkg (an import path; with test, its test binary) with the overlay and
// becomes that binary, with the same arguments, environment and directory. When
// that fails it prints why and exits with status 2.
func Ensure(pkg string, test bool) {}

// Build builds a package with the overlay and returns the binary's path.
func Build(o Options) (string, error) { return "", errors.New("launch: not yet") }
