package filter

import (
	"reflect"

	"github.com/hashicorp/go-bexpr/grammar"
)

// Of a map without a key, go-bexpr says what the operator says of nothing: Meta.x == "a"
// is false and Meta.x != "a" is true. Where a selector goes on behind the key, as
// TaggedAddresses.wan.Port does, it fails instead, and with it the whole list because
// of one item. So such a comparison asks for the key first.

// guarded is a comparison of what a path leads to, behind the maps on its way.
func (w *writer) guarded(e *grammar.MatchExpression, path []string) string {
	text := match(e, path)
	for _, n := range entered(w.item, path) {
		w.found = true
		if e.Operator.NotPresentDisposition() {
			text = quoted(path[n]) + " not in " + selector(path[:n]) + " or (" + text + ")"
		} else {
			text = quoted(path[n]) + " in " + selector(path[:n]) + " and (" + text + ")"
		}
	}
	return text
}

// entered is how many parts of a path lead to each map in whose values it goes on, the
// innermost map first.
func entered(t reflect.Type, path []string) (maps []int) {
	for i, part := range path {
		t = direct(t)
		if t.Kind() == reflect.Map && i+1 < len(path) {
			maps = append([]int{i}, maps...)
		}
		next, ok := step(t, part)
		if !ok {
			return maps // there is no such field: whoever evaluates it says so
		}
		t = next
	}
	return maps
}
