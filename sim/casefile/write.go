package casefile

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Write is the reverse of Read: the text of a file that says a case, a struct with
// the tag "yaml" on each field, without what is as usual, a struct of the same type.
// A list of structs has a line an element. The comment, which may have several
// lines, stands above it.
func Write(said, usual any, comment string) []byte {
	var b strings.Builder
	if comment != "" {
		for line := range strings.SplitSeq(strings.TrimSpace(comment), "\n") {
			b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
		}
	}
	plain := reflect.ValueOf(usual)
	for f, v := range reflect.ValueOf(said).Fields() {
		key := f.Tag.Get("yaml")
		switch ordinary := plain.FieldByName(f.Name); {
		case reflect.DeepEqual(v.Interface(), ordinary.Interface()):
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct && v.Len() > 0:
			b.WriteString(key + ":\n")
			for i := range v.Len() {
				fmt.Fprintf(&b, "  - %s\n", flow(v.Index(i), reflect.Zero(v.Index(i).Type())))
			}
		default:
			fmt.Fprintf(&b, "%s: %s\n", key, flow(v, ordinary))
		}
	}
	return []byte(b.String())
}

// flow writes a value on one line; of a struct only what is not as usual.
func flow(v, usual reflect.Value) string {
	if d, ok := v.Interface().(fmt.Stringer); ok { // a duration
		text := d.String()
		for _, zero := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(text, zero) {
				text = text[:len(text)-2]
			}
		}
		return text
	}
	var parts []string
	switch v.Kind() {
	case reflect.Struct:
		for f, field := range v.Fields() {
			if before := usual.FieldByName(f.Name); !reflect.DeepEqual(field.Interface(), before.Interface()) {
				parts = append(parts, f.Tag.Get("yaml")+": "+flow(field, before))
			}
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Map:
		for _, key := range v.MapKeys() {
			parts = append(parts, key.String()+": "+flow(v.MapIndex(key), v.MapIndex(key)))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Slice:
		for i := range v.Len() {
			parts = append(parts, flow(v.Index(i), v.Index(i)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.String:
		return quoted(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// quoted quotes a text unless it is a plain word.
func quoted(s string) string {
	const special = " \t\n\"'#:,{}[]&*!|>%@`?"
	if s == "" || strings.ContainsAny(s, special) || s == "true" || s == "false" || s == "null" || s[0] == '-' || s[0] <= '9' {
		return strconv.Quote(s)
	}
	return s
}
