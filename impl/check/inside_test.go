package check

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tribune/impl/api"
)

// statusAfter is the dumb twin of thresholds: what the documentation says of the
// last of all that was found, by looking back over it. The first of its sort has
// been found often enough if nothing else was found before.
func statusAfter(d api.CheckDefinition, found []string) string {
	last, row := found[len(found)-1], 0
	failed := func(s string) bool { return s == api.HealthCritical }
	for i := len(found) - 1; i >= 0 && failed(found[i]) == failed(last); i-- {
		row++
	}
	if row == len(found) {
		row = 1 << 20
	}
	switch {
	case !failed(last) && row >= d.SuccessBeforePassing:
		return last
	case failed(last) && row >= d.FailuresBeforeCritical:
		return api.HealthCritical
	case failed(last) && d.FailuresBeforeWarning > 0 && row >= d.FailuresBeforeWarning:
		return api.HealthWarning
	}
	return ""
}

func TestThresholdsAreThoseOfTheDocumentation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := api.CheckDefinition{
			SuccessBeforePassing:   rapid.IntRange(0, 4).Draw(t, "passing"),
			FailuresBeforeCritical: rapid.IntRange(0, 4).Draw(t, "critical"),
		}
		d.FailuresBeforeWarning = rapid.IntRange(0, d.FailuresBeforeCritical).Draw(t, "warning")
		found := rapid.SliceOfN(rapid.SampledFrom([]string{api.HealthPassing, api.HealthWarning, api.HealthCritical, api.HealthCritical}), 1, 40).Draw(t, "found")
		counts := newThresholds(d)
		for i, status := range found {
			if got, want := counts.judge(status), statusAfter(d, found[:i+1]); got != want {
				t.Fatalf("after %q: %q, want %q", found[:i+1], got, want)
			}
		}
	})
}

func TestATailIsTheEndOfAllThatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		written, out := "", tail{limit: limit}
		for _, s := range rapid.SliceOf(rapid.StringMatching("[a-z]{0,30}")).Draw(t, "writes") {
			if n, err := out.Write([]byte(s)); n != len(s) || err != nil {
				t.Fatalf("writing %q: %d, %v", s, n, err)
			}
			written += s
			want := written
			if cut := len(written) - limit; cut > 0 {
				want = fmt.Sprintf("Captured %d of %d bytes\n...\n%s", limit, len(written), written[cut:])
			}
			if got := out.String(); got != want {
				t.Fatalf("after %q: %q, want %q", written, got, want)
			}
			if got := out.below(); got != strings.TrimRight("\n\n"+want, "\n") {
				t.Fatalf("below: %q", got)
			}
		}
	})
}
