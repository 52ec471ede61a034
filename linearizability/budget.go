package linearizability

import (
	"context"

	"github.com/anishathalye/porcupine"
)

// Budget bounds the search for an order: how many operations may be tried in a
// state before it is given up. It is a count and not a time, so that a verdict does
// not depend on how busy the machine is; a million of them take one or two seconds.
type Budget int

// DefaultBudget is far more than the history of a key of a healthy run of a few
// minutes has needed. What was tried is remembered, so it bounds memory too.
const DefaultBudget Budget = 5_000_000

// search has porcupine look for an order, and gives up when the budget is spent.
func (b Budget) search(model porcupine.Model, operations []porcupine.Operation) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	tried := Budget(0)
	step := model.StepContext
	// porcupine can only be cancelled by a clock of its own. When no operation is
	// possible any more it goes back to where it began, and ends. One goroutine does
	// that, since the models here do not divide histories.
	model.StepContext = func(ctx context.Context, state, input, output any) (bool, any) {
		if tried++; tried > b {
			return false, state
		}
		return step(ctx, state, input, output)
	}
	result, info := porcupine.CheckOperationsVerbose(model, operations, 0)
	if tried > b && result == porcupine.Illegal {
		result = porcupine.Unknown
	}
	return result, info
}
