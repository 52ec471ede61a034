package filter

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-bexpr"
	"github.com/hashicorp/go-bexpr/grammar"
)

// go-bexpr finds out that an expression makes no sense when it evaluates it: not while
// there is nothing to choose from, nor behind an "or" that is true. Whoever mistyped it
// is to hear so at once, and every time.

// reader reads an expression about items of a type for what makes no sense.
type reader struct {
	item  reflect.Type
	bound []name // by the collections around, the innermost last
}

// name is what a collection calls an item of its own, or the item's index or key.
type name struct {
	text string
	is   reflect.Type
}

// read returns why an expression could not be evaluated.
func (r reader) read(e grammar.Expression) error {
	switch e := e.(type) {
	case *grammar.UnaryExpression:
		return r.read(e.Operand)
	case *grammar.BinaryExpression:
		if err := r.read(e.Left); err != nil {
			return err
		}
		return r.read(e.Right)
	case *grammar.CollectionExpression:
		return r.collection(e)
	case *grammar.MatchExpression:
		return r.match(e)
	}
	panic(fmt.Sprintf("filter: an expression is a %T; want one of go-bexpr's four", e))
}

func (r reader) collection(e *grammar.CollectionExpression) error {
	of, err := r.find(e.Selector.Path, false)
	if err != nil {
		return err
	}
	index := reflect.TypeFor[int]()
	switch of.Kind() {
	case reflect.Slice:
	case reflect.Map:
		index = reflect.TypeFor[string]()
	default:
		return fmt.Errorf("%s is not a list or a map", strings.Join(e.Selector.Path, "."))
	}
	b := e.NameBinding
	if b.Mode == grammar.CollectionBindIndexAndValue && b.Index == b.Value {
		return fmt.Errorf("%q cannot be used as a placeholder for both the index and the value", b.Index)
	}
	inner := reader{r.item, slices.Clone(r.bound)}
	if of.Kind() == reflect.Map {
		inner.bound = append(inner.bound, name{b.Default, index})
	} else {
		inner.bound = append(inner.bound, name{b.Default, of.Elem()})
	}
	inner.bound = append(inner.bound, name{b.Index, index}, name{b.Value, of.Elem()})
	return inner.read(e.Inner)
}

// match has go-bexpr compare a value of the selector's type, in as many maps as the
// selector has parts: so it judges the operator and what is compared with.
func (r reader) match(e *grammar.MatchExpression) error {
	path := e.Selector.Path
	t, err := r.find(path, len(r.bound) == 0)
	if err != nil {
		return err
	}
	probe, err := bexpr.CreateEvaluator(match(e, path))
	if err != nil {
		return err
	}
	datum := reflect.Zero(t).Interface()
	for _, part := range slices.Backward(path) {
		datum = map[string]any{part: datum}
	}
	_, err = probe.Evaluate(datum)
	return err
}

// find returns the type of what a path leads to. It may lead through a list of objects
// once if that stands for a collection of them, see anyOf.
func (r reader) find(path []string, through bool) (reflect.Type, error) {
	t, rest := r.item, path
	for _, n := range slices.Backward(r.bound) {
		if len(path) > 0 && n.text == path[0] {
			t, rest = n.is, path[1:]
			break
		}
	}
	for i, part := range rest {
		t = direct(t)
		if _, err := strconv.Atoi(part); err != nil && through && t.Kind() == reflect.Slice {
			t, through = direct(t.Elem()), false
		}
		var ok bool
		if t, ok = step(t, part); !ok {
			return nil, noSelector(path[:len(path)-len(rest)+i+1])
		}
	}
	return direct(t), nil
}

// noSelector is a path that leads nowhere.
type noSelector []string

// Error has Consul's text.
func (p noSelector) Error() string {
	return fmt.Sprintf("Selector %q is not valid", strings.Join(p, "."))
}

// step is what a part of a path leads to.
func step(t reflect.Type, part string) (reflect.Type, bool) {
	switch t.Kind() {
	case reflect.Struct:
		f, ok := t.FieldByName(part)
		if !ok || len(f.Index) != 1 || !f.IsExported() || f.Tag.Get("bexpr") == "-" {
			return nil, false
		}
		return f.Type, true
	case reflect.Map:
		return t.Elem(), true
	case reflect.Slice:
		n, err := strconv.Atoi(part)
		return t.Elem(), err == nil && n >= 0
	}
	return nil, false
}

// direct is the type behind pointers.
func direct(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}
