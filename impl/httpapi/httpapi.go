// Package httpapi is the HTTP face of an agent: Consul's API under /v1
// (developer.hashicorp.com/consul/api-docs), with its paths, parameters,
// headers, status codes and error texts.
//
// The handlers know the agent only through the small interfaces declared here.
//
// Where it differs from Consul, on purpose:
//
//   - Paths are dispatched by hand and not by http.ServeMux, which would redirect
//     "//" and ".." within the keys of the KV store: a key is what the client
//     wrote, and a PUT does not end as the GET that clients make of a redirect.
//   - Answers are not compressed; a client must not expect it (RFC 9110, 12.5.3).
//   - Errors carry "X-Content-Type-Options: nosniff", since they repeat what was
//     asked.
package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/metrics"
)

// KV is the key/value store.
type KV interface {
	KVGet(context.Context, api.KVRequest) (api.KVResponse, error)
	KVKeys(context.Context, api.KVKeysRequest) (api.KVKeysResponse, error)
	KVApply(context.Context, api.KVApplyRequest) (api.KVApplyResponse, error)
}

// Status tells about the raft group.
type Status interface {
	RaftLeader(context.Context, api.QueryOptions) (string, error)
	RaftPeers(context.Context, api.QueryOptions) ([]string, error)
}

// Config is what the handlers stand on.
type Config struct {
	KV           KV
	Catalog      Catalog
	Session      Session
	Txn          Txn
	Coordinate   Coordinate
	Query        Query
	Events       Events
	Status       Status
	Agent        Agent
	Local        Local
	Logger       *slog.Logger
	Metrics      *metrics.Registry // shown, and gets the handlers' own figures; nil: there are none
	MaxValueSize int               // most bytes of a KV value
	MaxTxnLen    int               // most bytes of a transaction, if that is more
	QueryTimes   api.QueryTimes    // of blocking reads that the agent itself answers
	CheckKeys    bool              // refuse keys that some take for a path out of a folder
	// NoCoordinates answers all that is about coordinates with status 401
	// (Consul configuration: disable_coordinates).
	NoCoordinates bool
}

// handler answers a request with a value to be sent as JSON, or with an error.
// A nil value means that it has answered itself.
type handler func(w http.ResponseWriter, r *http.Request) (any, error)

type server struct {
	Config
	exact  map[string]endpoint
	prefix []endpoint
	took   func(methodAndPath ...string) metrics.Times
}

type endpoint struct {
	path    string
	methods []string
	handle  handler
}

// New returns the handler of the whole API.
func New(c Config) http.Handler {
	if c.Metrics == nil {
		c.Metrics = metrics.New()
	}
	s := &server{Config: c, exact: map[string]endpoint{}}
	s.took = c.Metrics.TimesBy("api.http", "how long requests to the HTTP API took, blocking queries with their wait", "method", "path")
	for _, e := range s.endpoints() {
		if strings.HasSuffix(e.path, "/") {
			s.prefix = append(s.prefix, e)
		} else {
			s.exact[e.path] = e
		}
	}
	return s
}

// endpoints is the whole table.
func (s *server) endpoints() []endpoint {
	c := s.Config
	return slices.Concat(
		catalogFace{c.Catalog, c.Agent}.endpoints(), sessionFace{c.Session, c.Agent}.endpoints(), txnFace{c.Txn, c.MaxValueSize, max(c.MaxTxnLen, c.MaxValueSize)}.endpoints(),
		coordinateFace{c.Coordinate, c.NoCoordinates}.endpoints(), queryFace{c.Query, c.Agent}.endpoints(), localFace{c.Local, c.QueryTimes}.endpoints(), agentFace{c.Agent}.endpoints(),
		eventFace{c.Events}.endpoints(), metricsFace{c.Metrics}.endpoints(),
		[]endpoint{
			{"/v1/status/leader", []string{"GET"}, s.statusLeader},
			{"/v1/status/peers", []string{"GET"}, s.statusPeers},
			{"/v1/kv/", []string{"GET", "PUT", "DELETE"}, s.kv},
		},
	)
}

// Paths lists what the API serves as "METHOD PATH"; a path that ends in a slash stands
// for all that begin so.
func Paths() []string {
	var all []string
	for _, e := range (&server{}).endpoints() {
		for _, m := range e.methods {
			all = append(all, m+" "+e.path)
		}
	}
	return all
}

func (s *server) find(path string) (endpoint, bool) {
	if e, ok := s.exact[path]; ok {
		return e, true
	}
	var longest endpoint
	for _, e := range s.prefix {
		if strings.HasPrefix(path, e.path) && len(e.path) > len(longest.path) {
			longest = e
		}
	}
	if longest.path == queryPath {
		longest.methods = queryMethods(path)
	}
	return longest, longest.path != ""
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.ContainsFunc(r.URL.Path, func(c rune) bool { return !unicode.IsPrint(c) }) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e, ok := s.find(r.URL.Path)
	if !ok {
		s.stray(w, r)
		return
	}
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Consul-Default-Acl-Policy", "allow")
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		s.fail(w, r, fmt.Errorf("the query cannot be decoded: %w", err))
		return
	}
	if !slices.Contains(e.methods, r.Method) {
		h.Set("Allow", strings.Join(append([]string{http.MethodOptions}, e.methods...), ","))
		if r.Method != http.MethodOptions {
			s.answer(w, http.StatusMethodNotAllowed, fmt.Sprintf("method %s not allowed", r.Method))
		}
		return
	}
	if err := oneEdition(q, r.Header); err != nil {
		s.fail(w, r, err)
		return
	}
	defer func(begun time.Time) { s.took(r.Method, label(e.path)).Took(time.Since(begun)) }(time.Now())
	v, err := e.handle(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if v != nil {
		s.writeJSON(w, r, v)
	}
}

// oneEdition refuses what asks for a part of the catalog that only Consul's
// Enterprise edition has: an answer about all of it would be a wrong one. Clients
// name the default part now and then.
func oneEdition(q url.Values, h http.Header) error {
	for _, part := range []struct{ parameter, header, what string }{
		{"ns", "X-Consul-Namespace", "Namespaces"}, {"partition", "X-Consul-Partition", "Partitions"},
	} {
		if v := q.Get(part.parameter); v != "" && v != "default" {
			return fault.New(fault.Invalid, "Invalid query parameter: %q - %s are a Consul Enterprise feature", part.parameter, part.what)
		}
		if v := h.Get(part.header); v != "" && v != "default" {
			return fault.New(fault.Invalid, "Invalid header: %q - %s are a Consul Enterprise feature", part.header, part.what)
		}
	}
	return nil
}

// The texts for paths that are not served. Clients match on the first to find
// out what an agent supports (Terraform's provider, for one).
const (
	textNoEndpoint = "Invalid URL path: not a recognized HTTP API endpoint\n"
	textNoVersion  = "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n"
	textIndex      = "Consul Agent: this is Tribune, which has no UI"
)

// stray answers requests for paths that are no endpoint.
func (s *server) stray(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if _, ok := s.find(path + "/"); ok {
		to := url.URL{Path: path + "/", RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusTemporaryRedirect)
		return
	}
	switch {
	case path == "/":
		s.answer(w, http.StatusOK, textIndex)
	case strings.Contains(path, "/v1/"):
		s.answer(w, http.StatusNotFound, textNoEndpoint)
	default:
		s.answer(w, http.StatusNotFound, textNoVersion)
	}
}

// answer sends a text.
func (s *server) answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text) // the client went away, if it cannot be told
}

// fail sends an error with the status that belongs to its kind.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	code := http.StatusInternalServerError
	switch fault.Of(err) {
	case fault.Invalid:
		code = http.StatusBadRequest
	case fault.NotFound:
		code = http.StatusNotFound
	case fault.Denied:
		code = http.StatusForbidden
	case fault.Busy:
		code = http.StatusTooManyRequests
	case fault.TooLarge:
		code = http.StatusRequestEntityTooLarge
		drain(w, r)
	}
	if r.Context().Err() == nil {
		s.Logger.Warn("Request error", "method", r.Method, "url", r.URL.Path, "from", r.RemoteAddr, "error", err)
	}
	s.answer(w, code, err.Error())
}

// How much of a body that is too large is read to no purpose, and for how long.
const (
	maxDrain  = 8 << 20
	drainTime = 5 * time.Second
)

// drain reads the rest of a body that is too large. A client that is still sending
// when the connection closes would find it broken and not read why
// (hashicorp/consul#3358).
func drain(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime)) // a recorder has none
	_, _ = io.CopyN(io.Discard, r.Body, maxDrain)                                // the client went away, or there is less
}

// asJSON is a value as a request wants to read it.
func asJSON(r *http.Request, v any) ([]byte, error) {
	if !r.URL.Query().Has("pretty") {
		return json.Marshal(v)
	}
	b, err := json.MarshalIndent(v, "", "    ")
	return append(b, '\n'), err
}

func (s *server) writeJSON(w http.ResponseWriter, r *http.Request, v any) {
	b, err := asJSON(r, v)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // the client went away, if it cannot be told
}

func (s *server) statusLeader(_ http.ResponseWriter, r *http.Request) (any, error) {
	o, err := options(r)
	if err != nil {
		return nil, err
	}
	leader, err := s.Status.RaftLeader(r.Context(), o)
	return leader, err
}

func (s *server) statusPeers(_ http.ResponseWriter, r *http.Request) (any, error) {
	o, err := options(r)
	if err != nil {
		return nil, err
	}
	peers, err := s.Status.RaftPeers(r.Context(), o)
	slices.Sort(peers)
	return listed(peers), err
}

// writeMeta tells about a read. An index of zero is never told: a client that
// waited on it would not wait at all, and ask again and again.
func writeMeta(w http.ResponseWriter, m api.QueryMeta) {
	h := w.Header()
	h.Set("X-Consul-Index", strconv.FormatUint(max(m.Index, 1), 10))
	writeFreshness(w, m)
	h.Set("X-Consul-Query-Backend", "blocking-query")
	if m.ConsistencyLevel != "" {
		h.Set("X-Consul-Effective-Consistency", m.ConsistencyLevel)
	}
	switch c := m.Cache; {
	case c.Hit:
		h.Set("X-Cache", "HIT")
		h.Set("Age", strconv.FormatInt(int64(c.Age.Seconds()), 10))
	case c.Used:
		h.Set("X-Cache", "MISS")
	}
}

// writeFreshness tells how old what was read may be.
func writeFreshness(w http.ResponseWriter, m api.QueryMeta) {
	h := w.Header()
	h.Set("X-Consul-Knownleader", strconv.FormatBool(m.KnownLeader))
	h.Set("X-Consul-Lastcontact", strconv.FormatInt(max(m.LastContact, 0).Milliseconds(), 10))
}
