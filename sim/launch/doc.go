// Package launch builds programs with the runtime overlay of sim/detrt and runs
// them so that two runs start alike.
//
// A program that needs the deterministic runtime calls Ensure first of all: if
// it was built without, it builds itself again with the overlay into the user's
// cache directory and becomes that binary by exec. Build does the same for any
// package and is how mutants (deliberate bugs, applied as patches) come to be. What was
// asked for longest ago leaves the cache when it has grown to some gigabytes.
//
// One run is one process: addresses, hash seeds and collections are equal only
// between processes that start alike. Spawn starts such a child with a fixed
// environment and arguments; what it has to do reaches it on file descriptor 3
// and what it found out leaves it on file descriptor 4, both by plain blocking
// system calls, since the runtime's network poller would bring real time back
// in. The parent owns the terminal, the signals and the files. In the child,
// ChildMain recognises its situation and calls the function that Spawn named.
package launch
