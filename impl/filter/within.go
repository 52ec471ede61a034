package filter

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-bexpr/grammar"
)

// Consul's documentation lists selectors such as Checks.Status, of a field of the
// objects in a list: one of them must match. go-bexpr had that once and now wants
// it written as `any Checks as c { c.Status == "warning" }`.

// anyOf writes an expression about items of a type anew, with selectors that go
// through lists as collections. What has none is returned as it is.
func anyOf(expression string, tree grammar.Expression, item reflect.Type) string {
	w := writer{item: item}
	if text := w.text(tree, false); w.found {
		return text
	}
	return expression
}

// writer writes the text of a parsed expression.
type writer struct {
	item  reflect.Type
	found bool // a selector that goes through a list, or through a map and on
}

// text is an expression in parentheses. In one that is inside a collection, names
// may be those that it binds, so it is written as it was.
func (w *writer) text(e grammar.Expression, inside bool) string {
	switch e := e.(type) {
	case *grammar.UnaryExpression:
		return "(not " + w.text(e.Operand, inside) + ")"
	case *grammar.BinaryExpression:
		return "(" + w.text(e.Left, inside) + " " + strings.ToLower(e.Operator.String()) + " " + w.text(e.Right, inside) + ")"
	case *grammar.CollectionExpression:
		return fmt.Sprintf("(%s %s as %s { %s })", strings.ToLower(string(e.Op)), selector(e.Selector.Path), names(e.NameBinding), w.text(e.Inner, true))
	case *grammar.MatchExpression:
		path := e.Selector.Path
		if n := list(w.item, path); n > 0 && !inside {
			w.found = true
			return fmt.Sprintf("(any %s as one { %s })", selector(path[:n]), match(e, append([]string{"one"}, path[n:]...)))
		}
		if inside {
			return "(" + match(e, path) + ")"
		}
		return "(" + w.guarded(e, path) + ")"
	}
	panic(fmt.Sprintf("filter: an expression is a %T; want one of go-bexpr's four", e))
}

// list is how many parts of a path lead to the first list of objects of which it
// goes on to name a field, 0 if there is none.
func list(t reflect.Type, path []string) int {
	for i, part := range path {
		t = direct(t)
		next, ok := step(t, part)
		if !ok && t.Kind() == reflect.Slice {
			return i
		}
		if !ok {
			return 0 // a name that a collection binds
		}
		t = next
	}
	return 0
}

// match is a comparison of what a path leads to.
func match(e *grammar.MatchExpression, path []string) string {
	s := selector(path)
	value := ""
	if e.Value != nil {
		value = quoted(e.Value.Raw)
	}
	switch e.Operator {
	case grammar.MatchEqual:
		return s + " == " + value
	case grammar.MatchNotEqual:
		return s + " != " + value
	case grammar.MatchIn, grammar.MatchNotIn:
		return value + " " + strings.ToLower(e.Operator.String()) + " " + s
	case grammar.MatchIsEmpty, grammar.MatchIsNotEmpty, grammar.MatchIsNil:
		return s + " " + strings.ToLower(e.Operator.String())
	case grammar.MatchIsNotNil:
		return s + " is not nil"
	case grammar.MatchMatches, grammar.MatchNotMatches, grammar.MatchContains, grammar.MatchNotContains:
		return s + " " + strings.ToLower(e.Operator.String()) + " " + value
	}
	panic(fmt.Sprintf("filter: the operator %d is none of go-bexpr's", e.Operator))
}

// selector is a path as a person may write it, whatever is in its parts.
func selector(path []string) string {
	if len(path) == 0 {
		return `""` // the item itself
	}
	text := path[0]
	for _, part := range path[1:] {
		text += "[" + quoted(part) + "]"
	}
	return text
}

// quoted is a text in quotes, in which there may be none.
func quoted(text string) string {
	q := strconv.Quote(text)
	return `"` + strings.ReplaceAll(q[1:len(q)-1], `\"`, `\x22`) + `"`
}

// names are those that a collection gives to the index and the value of its items.
func names(b grammar.CollectionNameBinding) string {
	switch b.Mode {
	case grammar.CollectionBindDefault:
		return b.Default
	case grammar.CollectionBindIndex:
		return b.Index + ", _"
	case grammar.CollectionBindValue:
		return "_, " + b.Value
	}
	return strings.Join(slices.DeleteFunc([]string{b.Index, b.Value}, func(s string) bool { return s == "" }), ", ")
}
