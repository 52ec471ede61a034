// Package definition makes services and checks of what a person wrote: a decoded
// tree of JSON or HCL, with keys as in configuration files (enable_tag_override)
// or as in the HTTP API (EnableTagOverride). Consul takes both in both places.
package definition

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"

	"tribune/impl/api"
)

// Source is where a tree comes from.
type Source int

// The sources. A duration in a file has its unit; HCL, of a file, makes a list of each
// block.
const (
	Body Source = iota // of a request to the HTTP API
	File
)

// Service reads a service.
func Service(tree map[string]any, from Source) (api.ServiceDefinition, error) {
	var d api.ServiceDefinition
	rest := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		value, name := tree[key], plain(key)
		switch name {
		case "check", "checks":
			checks, err := checksIn(value, from)
			if err != nil {
				return d, fmt.Errorf("%s: %w", key, err)
			}
			if name == "check" && from == Body { // a client may send an empty one for none
				checks = slices.DeleteFunc(checks, func(c api.CheckDefinition) bool { return reflect.ValueOf(c).IsZero() })
			}
			d.Checks = append(d.Checks, checks...)
		case "kind":
			if value != nil && value != "" {
				return d, fmt.Errorf("%s: %q belongs to the service mesh, which Tribune does not have", key, value)
			}
		case "connect", "proxy", "namespace", "partition", "locality", "socketpath":
			// Of the service mesh and of editions that are not this one: a service
			// is a service without them.
		case "ports", "ai":
			if from == File { // who writes a file can leave them out; clients send what they have
				rest[name] = value
			}
		case "weights":
			if from == File {
				d.Weights = &api.Weights{Passing: 1, Warning: 1} // what a file leaves out; a body has 0 for it
			}
			rest[name] = value
		default:
			rest[name] = value
		}
	}
	return d, decode(rest, tree, &d, from)
}

// Check reads a check.
func Check(tree map[string]any, from Source) (api.CheckDefinition, error) {
	var d api.CheckDefinition
	rest := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		value, name := tree[key], plain(key)
		switch name {
		case "id":
			rest["checkid"] = value
		case "args":
			rest["scriptargs"] = value
		case "dockercontainerid":
			if value != nil && value != "" {
				return d, fmt.Errorf("%s: checks in Docker containers are not supported", key)
			}
		case "shell", "namespace", "partition", "exposedport", "proxyhttp", "proxygrpc": // of Docker checks, and as for services
		default:
			rest[name] = value
		}
	}
	return d, decode(rest, tree, &d, from)
}

// Services reads one service or a list of them.
func Services(value any, from Source) ([]api.ServiceDefinition, error) {
	return each(value, from, Service)
}

// Checks reads one check or a list of them.
func Checks(value any, from Source) ([]api.CheckDefinition, error) { return checksIn(value, from) }

func checksIn(value any, from Source) ([]api.CheckDefinition, error) { return each(value, from, Check) }

func each[Item any](value any, from Source, read func(map[string]any, Source) (Item, error)) ([]Item, error) {
	trees, err := objects(value)
	if err != nil {
		return nil, err
	}
	var list []Item
	for _, tree := range trees {
		item, err := read(tree, from)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}

// objects returns an object, or those in a list.
func objects(value any) ([]map[string]any, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return []map[string]any{v}, nil
	case []map[string]any:
		return v, nil
	case []any:
		var list []map[string]any
		for _, e := range v {
			o, ok := e.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("%v is not an object", e)
			}
			list = append(list, o)
		}
		return list, nil
	}
	return nil, fmt.Errorf("%v is not an object", value)
}

// plain is a key without what is different in the two ways to write it.
func plain(key string) string { return strings.ToLower(strings.ReplaceAll(key, "_", "")) }

// decode reads a tree with plain keys. What nobody knows it names as the original has
// it, for a body in the words of Consul.
func decode(tree, original map[string]any, into any, from Source) error {
	var found mapstructure.Metadata
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:     into,
		Metadata:   &found,
		MatchName:  func(key, field string) bool { return plain(key) == plain(field) },
		DecodeHook: mapstructure.ComposeDecodeHookFunc(unwrap, from.duration),
	})
	if err != nil {
		return err
	}
	if err := firstOf(d.Decode(tree)); err != nil || len(found.Unused) == 0 {
		return err
	}
	unknown := slices.Min(found.Unused)
	for _, key := range slices.Sorted(maps.Keys(original)) {
		if plain(key) == unknown {
			unknown = key
			break
		}
	}
	if from == Body {
		return fmt.Errorf("json: unknown field %q", unknown)
	}
	return fmt.Errorf("unknown key %q", unknown)
}

// firstOf is the first line of what mapstructure found wrong.
func firstOf(err error) error {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) && len(several.Unwrap()) > 0 {
		return several.Unwrap()[0]
	}
	return err
}

// unwrap takes a block of HCL, which is a list of one object, for the object.
func unwrap(_, to reflect.Type, value any) (any, error) {
	list, ok := value.([]map[string]any)
	if !ok || len(list) != 1 || to.Kind() == reflect.Slice {
		return value, nil
	}
	return list[0], nil
}

// duration reads text such as "10s". In a body a number is one of nanoseconds; in a
// file nobody means these (ttl = 30 would be critical at once), so it takes none.
func (from Source) duration(_, to reflect.Type, value any) (any, error) {
	if to != reflect.TypeFor[time.Duration]() {
		return value, nil
	}
	text, ok := value.(string)
	switch {
	case !ok && from == Body:
		return value, nil
	case !ok:
		return nil, fmt.Errorf("%v is not a duration such as 30s or 5m", value)
	case text == "":
		return time.Duration(0), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a duration such as 30s or 5m", text)
	}
	return d, nil
}
