// Package report writes what came of a run, for people and for programs: a page
// that a browser shows (report.html), a text, JSON, JUnit XML, and what a replay
// needs.
//
//   - report.go: the files of a report.
//   - text.go: the text; words.go: verdicts in words.
//   - data.go: what the page is given, as JSON; build.go, events.go: how that is made
//     from the result and the trace.
//   - sample.go: which messages and log lines there is room for.
//   - page.go, page/: the page itself, written by hand, without any library.
//   - machine.go: verdicts for programs.
//
// The page must open from a disk, without a network, and be smooth for a run of ten
// minutes with tens of thousands of operations. So everything is in one file, the
// drawing is done on a canvas, and what grows with the length of a run is bounded.
package report
