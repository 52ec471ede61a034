//go:build !tribune_sim

package detrt

import (
	"errors"
	"runtime"
	"time"
)

// Enabled reports whether this binary was built with the overlay.
func Enabled() bool { return false }

// ErrStock is returned by Run in a binary that was built without the overlay.
var ErrStock = errors.New("this binary was built without the runtime overlay: start it through launch.Ensure, or build it with `go run ./cmd/simctl build`")

// Run refuses with ErrStock: a stock runtime cannot run deterministically.
func Run(o Options, f func()) error { return ErrStock }

// Taken returns nothing: a stock runtime remembers no turns.
func Taken() Turns { return Turns{} }

// Now is time.Now.
func Now() time.Time { return time.Now() }

// Nanos is Now in nanoseconds since 1970.
func Nanos() int64 { return time.Now().UnixNano() }

// Collect runs the garbage collector.
func Collect() { runtime.GC() }

// Outside a run there are no scheduling points.
func simHold()      {}
func simMask(int32) {}

// Aside calls f.
func Aside(f func()) { f() }

// Perturb does nothing without the overlay.
func Perturb(extraCollections int) {}

// Watch does nothing without the overlay.
func Watch(d time.Duration) {}

// Node is a stand-in for the node tag of the patched runtime: its goroutines
// are plain goroutines on the common clock.
type Node struct{ name string }

// NewNode returns a node.
func NewNode(name string, seed uint64) *Node { return &Node{name: name} }

// Name returns the name given to NewNode.
func (n *Node) Name() string { return n.name }

// Go starts f in a plain goroutine.
func (n *Node) Go(f func()) { go f() }

// SetRate does nothing without the overlay, for a rate other than 1 it panics.
func (n *Node) SetRate(num, den int64) {
	if num != den {
		panic("detrt: SetRate needs the runtime overlay")
	}
}

// Jump panics without the overlay unless d is zero.
func (n *Node) Jump(d time.Duration) {
	if d != 0 {
		panic("detrt: Jump needs the runtime overlay")
	}
}

// Pause panics without the overlay.
func (n *Node) Pause() { panic("detrt: Pause needs the runtime overlay") }

// Resume panics without the overlay.
func (n *Node) Resume() { panic("detrt: Resume needs the runtime overlay") }

// Freeze does nothing without the overlay: the node's goroutines go on, and
// must be ended by other means.
func (n *Node) Freeze() {}

// Goroutines is always zero without the overlay.
func (n *Node) Goroutines() int { return 0 }

// Panicked reports false: without the overlay a panic ends the whole process.
func (n *Node) Panicked() (text string, ok bool) { return "", false }

// Order is always zero without the overlay.
func (n *Node) Order() uint64 { return 0 }

// Panics is always zero without the overlay.
func Panics() int { return 0 }
