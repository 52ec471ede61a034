// Package report writes what came of a run, for people and for programs: a page
// that a browser shows (report.html), a text, JSON, JUnit XML, and what a replay
// needs.
//
//   - report.go: the files of a report.
//   - text.go: the text; words.go: verdicts in words.
//   - build.go: what package page is told, from the result.
//   - died.go: of a run without a result, what its trace tells.
//   - machine.go: verdicts for programs.
package report
