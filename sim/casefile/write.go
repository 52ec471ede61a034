package casefile

import (
	"fmt"
	"reflect"
	"regexp"
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
	eachField(reflect.ValueOf(said), reflect.ValueOf(usual), func(key string, v, usual reflect.Value) {
		if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Struct || v.Len() == 0 {
			fmt.Fprintf(&b, "%s: %s\n", key, flow(v, usual))
			return
		}
		b.WriteString(key + ":\n")
		for i := range v.Len() {
			fmt.Fprintf(&b, "  - %s\n", flow(v.Index(i), reflect.Zero(v.Index(i).Type())))
		}
	})
	return []byte(b.String())
}

// eachField calls f for each field of a struct that is not as usual, with its key.
// The fields of a struct within it that is marked as inline are its own.
func eachField(said, usual reflect.Value, f func(key string, v, usual reflect.Value)) {
	for field, v := range said.Fields() {
		key, inline, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		before := usual.FieldByName(field.Name)
		switch {
		case inline == "inline":
			eachField(v, before, f)
		case !reflect.DeepEqual(v.Interface(), before.Interface()):
			f(key, v, before)
		}
	}
}

// flow writes a value on one line; of a struct only what is not as usual.
func flow(v, usual reflect.Value) string {
	if d, ok := v.Interface().(Duration); ok {
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
		eachField(v, usual, func(key string, v, usual reflect.Value) {
			parts = append(parts, key+": "+flow(v, usual))
		})
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Map:
		for _, key := range v.MapKeys() {
			parts = append(parts, key.String()+": "+flow(v.MapIndex(key), v.MapIndex(key)))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			parts = append(parts, flow(v.Index(i), v.Index(i)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.String:
		return quoted(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// quoted quotes a text unless YAML takes it for a text as it is: a plain one, and no
// word of YAML's own such as null.
func quoted(s string) string {
	plain := regexp.MustCompile(`^[A-Za-z/_][\w/.-]*$`)
	word := regexp.MustCompile(`^(?i:null|true|false|yes|no|on|off|y|n|nan|inf)$`)
	if plain.MatchString(s) && !word.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
