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
	o, err := options(r)
	if err != nil {
		return nil, err // of writes too, as in Consul
	}
	if s.CheckKeys {
		if err := checkKey(key); err != nil {
			return nil, err
		}
	}
	switch {
	case r.Method == http.MethodPut:
		return s.kvPut(r, key, q, o)
	case r.Method == http.MethodDelete:
		return s.kvDelete(r, key, q, o)
	case q.Has("keys"):
		return s.kvKeys(w, r, key, q, o)
	}
	return s.kvGet(w, r, key, q, o)
}

// checkKey refuses keys that would lead out of a folder, were they taken for paths
// of files, also when they are unescaped once more, and those that begin or end with
// a space. Status and first words are those of Consul since 1.21.5
// (hashicorp/consul#22822, #22850).
func checkKey(key string) error {
	if key != strings.Trim(key, " ") {
		return fault.New(fault.Internal, "invalid key name %q: it may neither begin nor end with a space", key)
	}
	paths := []string{key}
	if plain, err := url.PathUnescape(key); err == nil {
		paths = append(paths, plain)
	}
	for _, p := range paths {
		for segment := range strings.FieldsFuncSeq(p, func(r rune) bool { return r == '/' || r == '\\' }) {
			if segment == ".." {
				return fault.New(fault.Internal, "invalid key name %q: it may not hold \"..\" between slashes", key)
			}
		}
	}
	return nil
}

func (s *server) kvGet(w http.ResponseWriter, r *http.Request, key string, q url.Values, o api.QueryOptions) (any, error) {
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
		h.Set("Content-Type", "text/plain")
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

func (s *server) kvKeys(w http.ResponseWriter, r *http.Request, prefix string, q url.Values, o api.QueryOptions) (any, error) {
	separator := q.Get("seperator") // as Consul once spelt it
	if q.Has("separator") {
		separator = q.Get("separator")
	}
	a, err := s.KV.KVKeys(r.Context(), api.KVKeysRequest{Prefix: prefix, Separator: separator, QueryOptions: o})
	if err != nil {
		return nil, err
	}
	writeMeta(w, a.QueryMeta)
	if len(a.Keys) == 0 && prefix != "" {
		w.WriteHeader(http.StatusNotFound)
		return nil, nil
	}
	return listed(a.Keys), nil
}

func (s *server) kvPut(r *http.Request, key string, q url.Values, o api.QueryOptions) (any, error) {
	if key == "" {
		return nil, fault.New(fault.Invalid, "Missing key name")
	}
	if err := exclusive(q, "cas", "acquire", "release"); err != nil {
		return nil, err
	}
	flags, _, err := number(q, "flags")
	if err != nil {
		return nil, err
	}
	cas, isCAS, err := number(q, "cas")
	if err != nil {
		return nil, err
	}
	request := api.KVApplyRequest{
		Op:           api.KVSet,
		Entry:        api.DirEntry{Key: key, Flags: flags},
		WriteOptions: api.WriteOptions{Datacenter: o.Datacenter, Token: o.Token},
	}
	if isCAS {
		request.Op, request.Entry.ModifyIndex = api.KVCAS, cas
	}
	if request.Entry.Value, err = s.value(r); err != nil {
		return nil, err
	}
	switch {
	case q.Has("acquire"):
		request.Op, request.Entry.Session = api.KVLock, q.Get("acquire")
	case q.Has("release"):
		request.Op, request.Entry.Session = api.KVUnlock, q.Get("release")
	}
	return s.kvApply(r, request)
}

// The error about a value that is too large. Vault's storage matches on "Value
// exceeds", which was Consul's text once.
const textLimit = "Value exceeds %d byte limit. See https://developer.hashicorp.com/docs/agent/config/config-files#kv_max_value_size."

// value reads the body of a PUT. A length that the client announces is not
// believed: no memory is taken for it before the bytes are there.
func (s *server) value(r *http.Request) ([]byte, error) {
	tooLarge := func(size string) error {
		return fault.New(fault.TooLarge, "Request body(%s bytes) too large, max size: %d bytes. "+textLimit, size, s.MaxValueSize, s.MaxValueSize)
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

func (s *server) kvDelete(r *http.Request, key string, q url.Values, o api.QueryOptions) (any, error) {
	if err := exclusive(q, "recurse", "cas"); err != nil {
		return nil, err
	}
	request := api.KVApplyRequest{
		Op:           api.KVDelete,
		Entry:        api.DirEntry{Key: key},
		WriteOptions: api.WriteOptions{Datacenter: o.Datacenter, Token: o.Token},
	}
	cas, isCAS, err := number(q, "cas")
	switch {
	case q.Has("recurse"):
		request.Op = api.KVDeleteTree
	case key == "":
		return nil, fault.New(fault.Invalid, "Missing key name")
	case err != nil:
		return nil, err
	case isCAS:
		request.Op, request.Entry.ModifyIndex = api.KVDeleteCAS, cas
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
	given := 0
	for _, name := range names {
		if q.Has(name) {
			given++
		}
	}
	if given > 1 {
		return fault.New(fault.Invalid, "Conflicting flags: %s\n", q.Encode())
	}
	return nil
}
