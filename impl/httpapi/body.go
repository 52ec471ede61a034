package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// maxBody is the most bytes of a body of JSON.
const maxBody = 4 << 20

// decode reads a body of JSON. As in Consul the case of keys does not matter, and one
// that nobody knows is refused: whoever writes "Cheks" or "SeviceID" does not mean
// what would be left without it.
func decode(r *http.Request, into any) error { return decodeBy(r, into, strictly) }

// decodeLoosely is decode for the one body whose unknown keys Consul ignores.
func decodeLoosely(r *http.Request, into any) error {
	return decodeBy(r, into, func(raw json.RawMessage, into any) error { return json.Unmarshal(raw, into) })
}

func decodeBy(r *http.Request, into any, unmarshal func(json.RawMessage, any) error) error {
	var raw json.RawMessage
	err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody)).Decode(&raw)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fault.New(fault.TooLarge, "Request body too large, max size: %d bytes", maxBody)
	}
	if err == nil {
		err = unmarshal(raw, into)
	}
	if err != nil {
		return fault.New(fault.Invalid, "Request decode failed: %w", err)
	}
	return nil
}

// change reads a request to change something: its body, and what parameters and
// headers say over it.
func change(r *http.Request, request any, o *api.WriteOptions) error {
	if err := decode(r, request); err != nil {
		return err
	}
	q := r.URL.Query()
	if dc := q.Get("dc"); dc != "" {
		o.Datacenter = dc
	}
	o.Token = token(r, q)
	return nil
}

// strictly reads JSON of which every key must be known. json.Decoder can hold this,
// too, but not let those through that Consul knows and that are not kept here.
func strictly(raw json.RawMessage, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return err
	}
	if key := unknown(raw, reflect.TypeOf(into)); key != "" {
		return fmt.Errorf("json: unknown field %q", key) // the text is json.Decoder's, and so Consul's
	}
	return nil
}

// unknown is a key of what was read into a type that belongs to no field, "" if there
// is none.
func unknown(raw json.RawMessage, t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) || t == reflect.TypeFor[api.HealthCheckDefinition]() {
		return "" // Consul takes any key in a Definition, too
	}
	switch t.Kind() {
	case reflect.Struct:
		return unknownIn(raw, t)
	case reflect.Slice:
		var items []json.RawMessage
		if t.Elem().Kind() != reflect.Struct || json.Unmarshal(raw, &items) != nil {
			return ""
		}
		for _, item := range items {
			if key := unknown(item, t.Elem()); key != "" {
				return key
			}
		}
	case reflect.Map:
		var items map[string]json.RawMessage
		if t.Elem().Kind() != reflect.Struct || json.Unmarshal(raw, &items) != nil {
			return ""
		}
		for _, name := range slices.Sorted(maps.Keys(items)) {
			if key := unknown(items[name], t.Elem()); key != "" {
				return key
			}
		}
	}
	return ""
}

// unknownIn is unknown for an object.
func unknownIn(raw json.RawMessage, t reflect.Type) string {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		is := func(name string) bool { return strings.EqualFold(name, key) }
		f, ok := t.FieldByNameFunc(is)
		switch {
		case ok && !f.Anonymous && f.Tag.Get("json") != "-":
			if key := unknown(object[key], f.Type); key != "" {
				return key
			}
		case !slices.ContainsFunc(strings.Fields(notKept(t)), is):
			return key
		}
	}
	return ""
}

// notKept are the keys of objects that Consul knows, or its official client sends, and
// that are left out here: of the service mesh, of other datacenters, of Consul's
// Enterprise edition and of the past.
func notKept(object reflect.Type) string {
	switch object {
	case reflect.TypeFor[api.RegisterRequest]():
		return "Locality PeerName Namespace Partition CreateIndex ModifyIndex"
	case reflect.TypeFor[api.DeregisterRequest]():
		return "Address PeerName Namespace Partition"
	case reflect.TypeFor[api.Node]():
		return "Locality PeerName Partition"
	case reflect.TypeFor[api.NodeService]():
		return "Ports SocketPath Proxy Connect AI ContentHash Datacenter Locality PeerName Namespace Partition"
	case reflect.TypeFor[api.HealthCheck]():
		return "ExposedPort PeerName Namespace Partition"
	case reflect.TypeFor[api.CoordinateUpdate](), reflect.TypeFor[api.TxnKVOp](), reflect.TypeFor[api.QueryFailoverTarget]():
		return "Namespace Partition"
	case reflect.TypeFor[api.ServiceQuery]():
		return "SamenessGroup Peer Namespace Partition"
	case reflect.TypeFor[api.Session]():
		return "Checks Namespace Partition"
	}
	return ""
}
