package check

import (
	"cmp"

	"tribune/impl/api"
)

// thresholds decides when what a probe found is the status of its check: passing
// and warning after enough successes in a row, critical after enough failures.
// Failures that are fewer, but enough for it, make a warning. What is found first
// counts at once.
type thresholds struct {
	toPass, toWarn, toFail int // in a row
	successes, failures    int // in a row
}

func newThresholds(d api.CheckDefinition) *thresholds {
	return &thresholds{
		toPass: d.SuccessBeforePassing, toWarn: cmp.Or(d.FailuresBeforeWarning, d.FailuresBeforeCritical), toFail: d.FailuresBeforeCritical,
		successes: d.SuccessBeforePassing, failures: d.FailuresBeforeCritical,
	}
}

// judge counts what a probe found and returns the status of the check, "" if it
// stays as it is.
func (t *thresholds) judge(found string) string {
	if found != api.HealthCritical {
		t.successes++
		t.failures = 0
		if t.successes >= t.toPass {
			return found
		}
		return ""
	}
	t.failures++
	t.successes = 0
	switch {
	case t.failures >= t.toFail:
		return api.HealthCritical
	case t.failures >= t.toWarn:
		return api.HealthWarning
	}
	return ""
}
