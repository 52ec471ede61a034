package config

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// assign sets a setting from text.
func assign(target any, text string) (err error) {
	switch t := target.(type) {
	case *string:
		*t = text
	case *bool:
		*t, err = strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
	case *int:
		*t, err = strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
	case *uint32:
		var n uint64
		n, err = strconv.ParseUint(text, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a whole number of seconds", text)
		}
		*t = uint32(n)
	case *float64:
		*t, err = strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(*t) {
			return fmt.Errorf("%q is not a number", text)
		}
	case *time.Duration:
		*t, err = time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 30s or 5m", text)
		}
	case *[]string:
		if err := refuseCloud(text); err != nil {
			return err
		}
		*t = append(*t, text)
	case *map[string]string:
		key, value, ok := strings.Cut(text, ":")
		if !ok {
			return fmt.Errorf("%q is not KEY:VALUE", text)
		}
		put(t, key, value)
	}
	return nil
}

func put[Value any](m *map[string]Value, key string, value Value) {
	if *m == nil {
		*m = map[string]Value{}
	}
	(*m)[key] = value
}

func isMap(target any) bool {
	switch target.(type) {
	case *map[string]string, *map[string]time.Duration:
		return true
	}
	return false
}

// assignMap adds what objects hold to a map.
func assignMap(target, v any) error {
	objects := objectsIn(v)
	if objects == nil {
		return fmt.Errorf("%v is not an object", v)
	}
	for _, o := range objects {
		for _, key := range sortedKeys(o) {
			if o[key] == nil {
				continue // a JSON null says nothing
			}
			text, err := scalar(o[key])
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			switch t := target.(type) {
			case *map[string]string:
				put(t, key, text)
			case *map[string]time.Duration:
				var d time.Duration
				if err := assign(&d, text); err != nil {
					return fmt.Errorf("%s: %w", key, err)
				}
				put(t, key, d)
			}
		}
	}
	return nil
}

func assignValue(target, v any) error {
	if isMap(target) {
		return assignMap(target, v)
	}
	list, isList := v.([]any)
	if _, wantsList := target.(*[]string); isList != wantsList {
		if wantsList {
			return fmt.Errorf("%v is not a list", v)
		}
		return fmt.Errorf("%v is a list", v)
	}
	if !isList {
		list = []any{v}
	}
	for _, v := range list {
		if v == nil {
			continue
		}
		if _, isText := v.(string); !isText {
			if _, wantsText := target.(*string); wantsText {
				return fmt.Errorf("%v is not a string", v)
			}
		}
		text, err := scalar(v)
		if err != nil {
			return err
		}
		if err := assign(target, text); err != nil {
			return err
		}
	}
	return nil
}

// scalar is a value of JSON or HCL as text, if it is none that holds others: what Go
// prints for these is nothing that anybody wrote.
func scalar(v any) (string, error) {
	switch v.(type) {
	case string, bool, int, float64, json.Number:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf("%v is neither a string nor a number nor true or false", v)
}
