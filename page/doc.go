// Package page makes the page that shows a run in a browser: a lane a node, faults
// as bands, operations with their outcome, messages, and what is wrong in words.
//
// A [Run] is what whoever made the run knows of it; the rest is found in its trace.
// [Build] makes [Data] of the two, and [Write] the page.
//
//   - run.go: what a page is made of; build.go: how.
//   - data.go: what the page is given, as JSON.
//   - events.go: lives, clocks and lines of the trace; sample.go: what there is room for.
//   - write.go, browser/: the page itself, written by hand, without any library.
//
// The page must open from a disk, without a network, and be smooth for a run of ten
// minutes with tens of thousands of operations. So everything is in one file, the
// drawing is done on a canvas, and what grows with the length of a run is bounded.
package page
