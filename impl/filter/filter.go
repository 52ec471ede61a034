// Package filter chooses items by a boolean expression over their fields, which a
// request may carry (Consul API: Filtering).
package filter

import (
	"reflect"

	"github.com/hashicorp/go-bexpr"
	"github.com/hashicorp/go-bexpr/grammar"

	"tribune/impl/fault"
)

// By returns what leaves out items that do not fulfil an expression; an empty one
// leaves out none. A selector of a field of the objects in a list, such as
// Checks.Status, asks for one of them. Errors are of kind fault.Invalid; that an
// expression makes no sense about such items is one at once.
func By[Item any](expression string) (func([]Item) ([]Item, error), error) {
	if expression == "" {
		return func(all []Item) ([]Item, error) { return all, nil }, nil
	}
	e, err := evaluator(expression, reflect.TypeFor[Item]())
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

// maxExpressions is go-bexpr's own bound on what the parser tries.
const maxExpressions = 2000000

// evaluator evaluates an expression about items of a type.
func evaluator(expression string, item reflect.Type) (*bexpr.Evaluator, error) {
	tree, err := grammar.Parse("", []byte(expression), grammar.MaxExpressions(maxExpressions))
	if err != nil {
		return nil, err
	}
	if err := (reader{item: item}).read(tree.(grammar.Expression)); err != nil {
		return nil, err
	}
	return bexpr.CreateEvaluator(anyOf(expression, tree.(grammar.Expression), item))
}
