package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"tribune/impl/api"
	"tribune/impl/fault"
)

func (s *server) kv(w http.ResponseWriter, r *http.Request) (any, error) {
	key := strings.TrimPrefix(r.URL.Path, "/v1/kv/")
	q := r.URL.Query()
	switch r.Method {
	case http.MethodPut:
		return s.kvPut(r, key, q)
	case http.MethodDelete:
		return s.kvDelete(r, key, q)
	}
	if q.Has("keys") {
		return s.kvKeys(w, r, key, q)
	}
	return s.kvGet(w, r, key, q)
}

func (s *server) kvGet(w http.ResponseWriter, r *http.Request, key string, q url.Values) (any, error) {
	o, err := options(r)
	if err != nil {
		return nil, err
	}
	recurse := q.Has("recurse")
	if key == "" && !recurse {
		return nil, fault.New(fault.Invalid, "Missing key name")
	}
	a, err := s.KV.KVGet(r.Context(), api.KVRequest{Key: key, Recurse: recurse, QueryOptions: o})
	if err != nil {
		return nil, err
	}
	writeMeta(w, a.QueryMeta)
	if len(a.Entries) == 0 {
		w.WriteHeader(http.StatusNotFound)
		return nil, nil
	}
	if q.Has("raw") && !recurse {
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Security-Policy", "sandbox") // a browser must not run what somebody stored
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Length", fmt.Sprint(len(a.Entries[0].Value)))
		_, _ = w.Write(a.Entries[0].Value) // the client went away, if it cannot be told
		return nil, nil
	}
	for i := range a.Entries {
		if len(a.Entries[i].Value) == 0 {
			a.Entries[i].Value = nil // shown as null
		}
	}
	return a.Entries, nil
}

func (s *server) kvKeys(w http.ResponseWriter, r *http.Request, prefix string, q url.Values) (any, error) {
	o, err := options(r)
	if err != nil {
		return nil, err
	}
	a, err := s.KV.KVKeys(r.Context(), api.KVKeysRequest{Prefix: prefix, Separator: q.Get("separator"), QueryOptions: o})
	if err != nil {
		return nil, err
	}
	writeMeta(w, a.QueryMeta)
	if len(a.Keys) == 0 {
		w.WriteHeader(http.StatusNotFound)
		return nil, nil
	}
	return a.Keys, nil
}

func (s *server) kvPut(r *http.Request, key string, q url.Values) (any, error) {
	if key == "" {
		return nil, fault.New(fault.Invalid, "Missing key name")
	}
	if err := exclusive(q, "cas", "acquire", "release"); err != nil {
		return nil, err
	}
	for _, name := range []string{"acquire", "release"} {
		if q.Has(name) {
			return nil, fault.New(fault.Invalid, "invalid session %q: this version has no sessions", q.Get(name))
		}
	}
	flags, err := number(q, "flags")
	if err != nil {
		return nil, err
	}
	request := api.KVApplyRequest{
		Op:           api.KVSet,
		Entry:        api.DirEntry{Key: key, Flags: flags},
		WriteOptions: api.WriteOptions{Datacenter: q.Get("dc"), Token: token(r, q)},
	}
	if q.Has("cas") {
		request.Op = api.KVCAS
		if request.Entry.ModifyIndex, err = number(q, "cas"); err != nil {
			return nil, err
		}
	}
	if request.Entry.Value, err = s.value(r); err != nil {
		return nil, err
	}
	return s.kvApply(r, request)
}

// value reads the body of a PUT. A length that the client announces is not
// believed: no memory is taken for it before the bytes are there.
func (s *server) value(r *http.Request) ([]byte, error) {
	tooLarge := func(size string) error {
		return fault.New(fault.TooLarge, "Request body(%s bytes) too large, max size: %d bytes.", size, s.MaxValueSize)
	}
	if r.ContentLength > int64(s.MaxValueSize) {
		return nil, tooLarge(fmt.Sprint(r.ContentLength))
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, int64(s.MaxValueSize)+1))
	if err != nil {
		return nil, fault.New(fault.Invalid, "reading the request body: %w", err)
	}
	if len(b) > s.MaxValueSize {
		return nil, tooLarge(fmt.Sprintf("over %d", s.MaxValueSize))
	}
	return b, nil
}

func (s *server) kvDelete(r *http.Request, key string, q url.Values) (any, error) {
	if err := exclusive(q, "recurse", "cas"); err != nil {
		return nil, err
	}
	request := api.KVApplyRequest{
		Op:           api.KVDelete,
		Entry:        api.DirEntry{Key: key},
		WriteOptions: api.WriteOptions{Datacenter: q.Get("dc"), Token: token(r, q)},
	}
	switch {
	case q.Has("recurse"):
		request.Op = api.KVDeleteTree
	case key == "":
		return nil, fault.New(fault.Invalid, "Missing key name")
	case q.Has("cas"):
		request.Op = api.KVDeleteCAS
		var err error
		if request.Entry.ModifyIndex, err = number(q, "cas"); err != nil {
			return nil, err
		}
	}
	return s.kvApply(r, request)
}

func (s *server) kvApply(r *http.Request, request api.KVApplyRequest) (any, error) {
	a, err := s.KV.KVApply(r.Context(), request)
	if err != nil {
		return nil, err
	}
	return a.OK, nil
}

// exclusive refuses parameters that contradict each other.
func exclusive(q url.Values, names ...string) error {
	var given []string
	for _, name := range names {
		if q.Has(name) {
			given = append(given, name)
		}
	}
	if len(given) > 1 {
		return fault.New(fault.Invalid, "Conflicting flags: %s", strings.Join(given, ", "))
	}
	return nil
}
