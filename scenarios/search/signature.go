package search

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"tribune/scenarios"
)

// Signature says what failed in a run in words that are alike for failures that are
// alike: the checks that failed, and of invariants their names. It is "" for a run
// that ended as expected.
func Signature(r scenarios.Result) string {
	var parts []string
	for _, v := range r.Verdicts {
		switch {
		case v.OK:
		case v.Check == "invariants" && len(r.Violations) > 0:
			for _, violation := range r.Violations {
				parts = append(parts, violation.Invariant)
			}
		case v.Check == "recovery":
			parts = append(parts, "recovery: "+missing(v.Text))
		default:
			parts = append(parts, v.Check+" "+v.Got)
		}
	}
	slices.Sort(parts)
	return strings.Join(slices.Compact(parts), ", ")
}

// signatureOf is the signature of a run that may have ended without a result, which
// is a bug as well, be it the harness's.
func signatureOf(r scenarios.Result, err error) string {
	if err == nil {
		return Signature(r)
	}
	text := err.Error()
	if died := (*scenarios.Death)(nil); errors.As(err, &died) {
		text = died.Cause()
	}
	return "no result: " + regexp.MustCompile(`[0-9]+`).ReplaceAllString(text, "N")
}

// missing says what a cluster did not reach in time, without numbers and names.
func missing(text string) string {
	all := regexp.MustCompile(`no ([a-zA-Z ]+) in time`).FindAllStringSubmatch(text, -1)
	var what []string
	for _, m := range all {
		what = append(what, m[1])
	}
	if len(what) == 0 {
		return "what was written cannot be read"
	}
	return "no " + strings.Join(what, ", no ")
}
