// Package detrt makes the Go runtime deterministic, and is the face to what it
// made of it.
//
// A simulation is one testing/synctest bubble: goroutines on virtual time that
// jumps ahead when all of them wait. Stock Go leaves much of such a run to
// chance: which runnable goroutine goes next, which ready case a select takes,
// where the iteration of a map starts, what crypto/rand returns, when the
// garbage collector runs, at which address an object lies. The patches of this
// package (Patches) take each of these from a seed. They are anchored source
// replacements applied by sim/launch through `go build -overlay`, together with
// the build tag tribune_sim; patches.go lists every one with its reason, and
// runtime_sim.go.txt is the one file added to package runtime, to which the
// patches are short calls. Outside the bubble the runtime behaves as usual.
//
// The patches also give the runtime one notion that Go does not have: a node.
// A Node is a tag that goroutines and timers inherit from the goroutine that
// starts them. It carries a clock (offset and rate, so that time.Now, Sleep,
// timers and tickers of all code in it are skewed and drift together), a stream
// of random numbers (so that one node's draws never shift another's), and a
// life: a node can be paused and frozen.
//
// In which order the goroutines of a node run is a Schedule's; its documentation
// says which there are and why. Taken says how many different orders a run saw.
//
// Without the overlay (plain go build, go test) the package compiles and
// behaves as its functions document: Run refuses, goroutines of a Node are
// plain goroutines, clocks cannot be bent.
package detrt
