// Package filter chooses items by a boolean expression over their fields, which a
// request may carry (Consul API: Filtering).
package filter

import (
	"reflect"

	"github.com/hashicorp/go-bexpr"

	"tribune/impl/fault"
)

// By returns what leaves out items that do not fulfil an expression; an empty one
// leaves out none. A selector of a field of the objects in a list, such as
// Checks.Status, asks for one of them. Errors are of kind fault.Invalid.
func By[Item any](expression string) (func([]Item) ([]Item, error), error) {
	if expression == "" {
		return func(all []Item) ([]Item, error) { return all, nil }, nil
	}
	e, err := bexpr.CreateEvaluator(anyOf(expression, reflect.TypeFor[Item]()))
	if err != nil {
		return nil, fault.New(fault.Invalid, "Failed to create boolean expression evaluator: %w", err)
	}
	return func(all []Item) ([]Item, error) {
		var kept []Item
		for _, item := range all {
			fulfils, err := e.Evaluate(item)
			if err != nil {
				return nil, fault.New(fault.Invalid, "evaluating the filter: %w", err)
			}
			if fulfils {
				kept = append(kept, item)
			}
		}
		return kept, nil
	}, nil
}
