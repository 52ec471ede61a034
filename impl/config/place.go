package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/hcl"
	"github.com/hashicorp/hcl/hcl/ast"
)

// lines says on which line of a file a dotted key stands; of one that stands
// there twice, the last.
type lines map[string]int

// at puts the line of a key in front of an error about it.
func (l lines) at(key string, err error) error {
	if l[key] == 0 {
		return err
	}
	return fmt.Errorf("line %d: %w", l[key], err)
}

// lineOf is the number of the line that holds the byte at an offset.
func lineOf(text []byte, offset int64) int {
	return 1 + bytes.Count(text[:min(int(offset), len(text))], []byte("\n"))
}

// jsonLines finds the keys in JSON that has been decoded without an error.
func jsonLines(text []byte) lines {
	l := lines{}
	d := json.NewDecoder(bytes.NewReader(text))
	var value func(prefix string) bool
	value = func(prefix string) bool {
		open, err := d.Token()
		if err != nil {
			return false
		}
		if _, nested := open.(json.Delim); !nested {
			return true
		}
		for d.More() {
			key := prefix
			if open == json.Delim('{') {
				name, err := d.Token()
				if err != nil {
					return false
				}
				key = prefix + fmt.Sprint(name)
				l[key] = lineOf(text, d.InputOffset())
				key += "."
			}
			if !value(key) {
				return false
			}
		}
		_, err = d.Token()
		return err == nil
	}
	value("")
	return l
}

// hclLines finds the keys in HCL that has been decoded without an error.
func hclLines(text []byte) lines {
	l := lines{}
	file, err := hcl.ParseBytes(text)
	if err != nil {
		return l
	}
	var walk func(prefix string, n ast.Node)
	walk = func(prefix string, n ast.Node) {
		switch n := n.(type) {
		case *ast.ObjectList:
			for _, item := range n.Items {
				key := prefix
				for _, k := range item.Keys {
					key += fmt.Sprint(k.Token.Value())
					l[key] = k.Token.Pos.Line
					key += "."
				}
				walk(key, item.Val)
			}
		case *ast.ObjectType:
			walk(prefix, n.List)
		case *ast.ListType:
			for _, item := range n.List {
				walk(prefix, item)
			}
		}
	}
	walk("", file.Node)
	return l
}

// place puts the line in front of an error that JSON's decoder found.
func place(text []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("line %d: %w", lineOf(text, syntax.Offset), err)
	}
	return err
}
