// Package overlay applies anchored source patches to a Go build.
//
// A Patch names a file of the standard library, of this module or of a library
// module, a text that must occur in it exactly once, or as often as the patch says,
// and what to put in its place. An anchor that is not found, or too often, fails the build and names
// the Go version, the patch and the file: a patch never lands in the wrong
// place when Go or a library moves on.
//
// The go tool's -overlay flag replaces files of the standard library and of the
// module being built. It refuses files beneath the module cache, so a library
// that is patched is copied, and the build gets a go.mod (-modfile) that
// replaces the library by the copy.
package overlay

// Patch is one anchored replacement.
type Patch struct {
	// Name identifies the patch in errors and lists, unique within a build.
	Name string
	// Why says in a sentence what goes wrong without it.
	Why string
	// File is an import path followed by a file name: "runtime/rand.go",
	// "tribune/impl/kv/kv.go", "github.com/hashicorp/raft/raft.go".
	File string
	// Old must occur exactly once in the file, or Times times. An empty Old adds the file
	// with New as its whole text; it must not exist.
	Old string
	// New replaces Old.
	New string
	// Times is how often Old must occur, if not once; all are replaced.
	Times int
}
