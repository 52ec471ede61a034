package httpapi

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// options reads the parameters that every read takes (Consul API: Consistency
// Modes, Blocking Queries).
func options(r *http.Request) (api.QueryOptions, error) {
	q := r.URL.Query()
	o := api.QueryOptions{Datacenter: q.Get("dc"), Token: token(r, q)}
	o.AllowStale = q.Has("stale")
	o.RequireConsistent = q.Has("consistent")
	if o.AllowStale && o.RequireConsistent {
		return o, fault.New(fault.Invalid, "Cannot specify ?stale with ?consistent, conflicting semantics.")
	}
	var err error
	if v := q.Get("index"); v != "" {
		if o.MinQueryIndex, err = strconv.ParseUint(v, 10, 64); err != nil {
			return o, fault.New(fault.Invalid, "Invalid index")
		}
	}
	if v := q.Get("wait"); v != "" {
		if o.MaxQueryTime, err = time.ParseDuration(v); err != nil || o.MaxQueryTime < 0 {
			return o, fault.New(fault.Invalid, "Invalid wait time")
		}
	}
	if v := q.Get("max_stale"); v != "" {
		if o.MaxStaleDuration, err = time.ParseDuration(v); err != nil || o.MaxStaleDuration < 0 {
			return o, fault.New(fault.Invalid, "Invalid max_stale value %q", v)
		}
		// Given without a mode of its own, it asks for a stale read.
		o.AllowStale = !o.RequireConsistent
	}
	return o, nil
}

func token(r *http.Request, q url.Values) string {
	if t := r.Header.Get("X-Consul-Token"); t != "" {
		return t
	}
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return t
	}
	return q.Get("token")
}

// number reads an unsigned parameter; absent is zero.
func number(q url.Values, name string) (uint64, error) {
	v := q.Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0, fault.New(fault.Invalid, "Invalid value %q for ?%s: not a number", v, name)
	}
	return n, nil
}
