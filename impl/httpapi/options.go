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
// Modes, Blocking Queries). As in Consul a wait that is not positive means the
// default, and a max_stale that is not positive means nothing.
func options(r *http.Request) (api.QueryOptions, error) {
	q := r.URL.Query()
	o := api.QueryOptions{Datacenter: q.Get("dc"), Token: token(r, q)}
	o.AllowStale = q.Has("stale")
	o.RequireConsistent = q.Has("consistent")
	var err error
	if v := q.Get("max_stale"); v != "" {
		if o.MaxStaleDuration, err = time.ParseDuration(v); err != nil {
			return o, fault.New(fault.Invalid, "Invalid max_stale value %q", v)
		}
		o.MaxStaleDuration = max(o.MaxStaleDuration, 0)
		o.AllowStale = o.AllowStale || o.MaxStaleDuration > 0
	}
	if o.AllowStale && o.RequireConsistent {
		return o, fault.New(fault.Invalid, "Cannot specify ?stale with ?consistent, conflicting semantics.")
	}
	if !cacheable(r.Header.Get("Cache-Control")) {
		return o, fault.New(fault.Invalid, "Invalid Cache-Control header.")
	}
	if v := q.Get("wait"); v != "" {
		if o.MaxQueryTime, err = time.ParseDuration(v); err != nil {
			return o, fault.New(fault.Invalid, "Invalid wait time")
		}
		o.MaxQueryTime = max(o.MaxQueryTime, 0)
	}
	if v := q.Get("index"); v != "" {
		if o.MinQueryIndex, err = strconv.ParseUint(v, 10, 64); err != nil {
			return o, fault.New(fault.Invalid, "Invalid index")
		}
	}
	return o, nil
}

// cacheable reports whether the ages in a Cache-Control header are numbers.
// Nothing is cached yet, so they say nothing more.
func cacheable(header string) bool {
	for directive := range strings.SplitSeq(strings.ToLower(header), ",") {
		name, age, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if name != "max-age" && name != "stale-if-error" {
			continue
		}
		if _, err := strconv.Atoi(age); err != nil {
			return false
		}
	}
	return true
}

// token finds the secret that a request carries, in Consul's order: parameter,
// Consul's header, RFC 6750's header.
func token(r *http.Request, q url.Values) string {
	if t := q.Get("token"); t != "" {
		return t
	}
	if t := r.Header.Get("X-Consul-Token"); t != "" {
		return t
	}
	words := strings.Fields(r.Header.Get("Authorization"))
	if len(words) > 1 && strings.EqualFold(words[0], "bearer") {
		return words[1]
	}
	return ""
}

// number reads an unsigned parameter and whether it is there. What is no number
// is an error with strconv's text and status 500, as in Consul; so is nothing,
// for an empty ?cas must not pass for ?cas=0.
func number(q url.Values, name string) (n uint64, given bool, err error) {
	if !q.Has(name) {
		return 0, false, nil
	}
	n, err = strconv.ParseUint(q.Get(name), 10, 64)
	return n, true, err
}
