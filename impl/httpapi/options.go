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
	if o.Cache, err = caching(r.Header.Get("Cache-Control")); err != nil {
		return o, err
	}
	if o.Cache.Use = q.Has("cached"); o.Cache.Use && o.RequireConsistent {
		return o, fault.New(fault.Invalid, "Cannot specify ?cached with ?consistent, conflicting semantics.")
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

// caching reads a Cache-Control header (Consul API: Agent Caching), whose directives
// may stand apart by commas or spaces.
func caching(header string) (o api.CacheOptions, err error) {
	apart := func(c rune) bool { return c == ',' || c == ' ' }
	for directive := range strings.FieldsFuncSeq(strings.ToLower(header), apart) {
		name, text, _ := strings.Cut(directive, "=")
		if name == "must-revalidate" {
			o.MustRevalidate = true
		}
		if name != "max-age" && name != "stale-if-error" {
			continue
		}
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return o, fault.New(fault.Invalid, "Invalid Cache-Control header.")
		}
		age := time.Duration(max(seconds, 0)) * time.Second
		if name == "stale-if-error" {
			o.StaleIfError = age
			continue
		}
		o.MaxAge = age
		o.MustRevalidate = o.MustRevalidate || age == 0
	}
	return o, nil
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
