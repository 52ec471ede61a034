package launch

import (
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"tribune/sim/detrt"
)

// Ensure returns in a binary that was built with the overlay. In another it
// builds pkg (an import path; with test, its test binary) with the overlay and the
// same build tags and becomes that binary, with the same arguments, environment and
// directory. When that fails it prints why and exits with status 2.
func Ensure(pkg string, test bool) {
	if detrt.Enabled() {
		return
	}
	// Most often the binary is there already, and nobody wants to read this.
	notice := time.AfterFunc(2*time.Second, func() {
		fmt.Fprintf(os.Stderr, "building %s with the deterministic runtime (a minute or two the first time)\n", pkg)
	})
	binary, err := Build(Options{Package: pkg, Test: test, Tags: tags()})
	notice.Stop()
	if err == nil {
		err = syscall.Exec(binary, os.Args, os.Environ())
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
	os.Exit(2)
}

// tags are the build tags of this binary: without them it would become one that lacks
// some of its files.
func tags() string {
	info, _ := debug.ReadBuildInfo() // nil in a binary without one
	if info == nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "-tags" {
			return s.Value
		}
	}
	return ""
}
