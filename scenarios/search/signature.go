package search

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"tribune/scenarios"
)

// Signature says what failed in a run in words that are alike for failures that are
// alike: the checks that failed and the kinds of what was found wrong, of invariants their
// names, of a recovery what was not reached. It is empty for a run that ended as expected.
func Signature(r scenarios.Result) []string {
	var parts []string
	for _, v := range r.Verdicts {
		switch {
		case v.OK:
		case v.Check == "invariants" && len(r.Violations) > 0:
			for _, violation := range r.Violations {
				parts = append(parts, violation.Invariant)
			}
		case v.Check == "recovery" && len(r.Recovery.Missing()) > 0:
			parts = append(parts, missing(r.Recovery.Missing())...)
		case len(v.Anomalies) > 0:
			for _, a := range v.Anomalies {
				parts = append(parts, v.Check+": "+string(a.Kind))
			}
		default:
			parts = append(parts, v.Check+" "+v.Got)
		}
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}

// missing says what a healed cluster did not reach.
func missing(what []string) []string {
	var parts []string
	for _, w := range what {
		parts = append(parts, "no "+w)
	}
	return parts
}

// signatureOf is the signature of a run whose process may have ended without a result,
// which is a bug as well, be it the harness's. Another error says nothing of the run.
func signatureOf(r scenarios.Result, err error) ([]string, error) {
	died := (*scenarios.Death)(nil)
	switch {
	case err == nil:
		return Signature(r), nil
	case errors.As(err, &died):
		return []string{"no result: " + regexp.MustCompile(`[0-9]+`).ReplaceAllString(died.Cause(), "N")}, nil
	}
	return nil, err
}

// alike reports whether two runs failed in one way at least.
func alike(a, b []string) bool {
	return slices.ContainsFunc(a, func(part string) bool { return slices.Contains(b, part) })
}

// inWords is a signature as people read it.
func inWords(signature []string) string { return strings.Join(signature, ", ") }
