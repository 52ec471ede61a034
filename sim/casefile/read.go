// Package casefile reads and writes the files in which people say what is to be
// run: YAML whose keys are the fields of a struct. A mistake is one line that names
// the file, the line in it and what was meant; what goes without saying is not
// written.
package casefile

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Read reads the text of a file into a pointer to a struct that holds what is usual,
// and returns the text's tree, in which a caller finds the lines of what it does not
// like itself. A key that the struct does not have is an error, and so is a second
// document.
func Read(file string, text []byte, into any) (*ast.File, error) {
	tree, err := parser.ParseBytes(text, 0)
	if err == nil {
		err = single(tree)
	}
	if err == nil {
		err = yaml.UnmarshalWithOptions(text, into, yaml.DisallowUnknownField())
	}
	if err != nil {
		return nil, located(file, err, keys(reflect.TypeOf(into).Elem()))
	}
	if !slices.ContainsFunc(tree.Docs, func(d *ast.DocumentNode) bool { return d.Body != nil }) {
		return nil, fmt.Errorf("%s: there is nothing in it", file)
	}
	return tree, nil
}

// single complains about a document after the first, of which the library reads nothing.
func single(tree *ast.File) error {
	for i, d := range tree.Docs {
		if i == 0 || d.Body == nil {
			continue
		}
		begins := d.Body.GetToken()
		if d.Start != nil {
			begins = d.Start
		}
		return &yaml.SyntaxError{Message: "a second document begins here; a file has one", Token: begins}
	}
	return nil
}

// located makes one line of an error of the YAML library: file, line, what.
func located(file string, err error, known []string) error {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	what := e.GetMessage()
	if m := regexp.MustCompile(`^unknown field "(.*)"$`).FindStringSubmatch(what); m != nil {
		what = fmt.Sprintf("unknown key %q%s", m[1], DidYouMean(m[1], known))
	}
	if o := (*yaml.OverflowError)(nil); errors.As(err, &o) {
		what = outOfRange(o)
	}
	return fmt.Errorf("%s:%d: %s", file, e.GetToken().Position.Line, strings.ReplaceAll(what, "\n", " "))
}

// outOfRange says what whole numbers there are.
func outOfRange(e *yaml.OverflowError) string {
	least, most := "0", uint64(math.MaxUint64)>>(64-e.DstType.Bits())
	if reflect.Zero(e.DstType).CanInt() {
		most /= 2
		least = fmt.Sprintf("-%d", most+1)
	}
	return fmt.Sprintf("%s is not a whole number between %s and %d", e.SrcNum, least, most)
}

// keys lists all keys that a file may have, at any depth.
func keys(t reflect.Type) []string {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[Duration]() {
		return nil
	}
	var all []string
	for f := range t.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key != "" {
			all = append(all, key)
		}
		all = append(all, keys(f.Type)...)
	}
	return all
}
