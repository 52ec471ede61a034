// Package httpapi is the HTTP face of an agent: Consul's API under /v1
// (developer.hashicorp.com/consul/api-docs), with its paths, parameters,
// headers, status codes and error texts.
//
// The handlers know the agent only through the small interfaces declared here.
// Paths are dispatched by hand and not by http.ServeMux, which would rewrite
// "//" and ".." within the keys of the KV store.
package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sort"
	"strconv"
	"strings"

	"tribune/impl/api"
	"tribune/impl/fault"
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

// Agent is the agent itself and its gossip pool.
type Agent interface {
	Self() api.AgentSelf
	Members() []api.Member
	Join(ctx context.Context, address string) error
	ForceLeave(name string, prune bool) error
	Leave(context.Context) error
}

// Config is what the handlers stand on.
type Config struct {
	KV           KV
	Status       Status
	Agent        Agent
	Logger       *slog.Logger
	MaxValueSize int // most bytes of a KV value
}

// handler answers a request with a value to be sent as JSON, or with an error.
// A nil value means that it has answered itself.
type handler func(w http.ResponseWriter, r *http.Request) (any, error)

type server struct {
	Config
	exact  map[string]endpoint
	prefix []endpoint
}

type endpoint struct {
	path    string
	methods []string
	handle  handler
}

// New returns the handler of the whole API.
func New(c Config) http.Handler {
	s := &server{Config: c, exact: map[string]endpoint{}}
	for _, e := range []endpoint{
		{"/v1/status/leader", []string{"GET"}, s.statusLeader},
		{"/v1/status/peers", []string{"GET"}, s.statusPeers},
		{"/v1/agent/self", []string{"GET"}, s.agentSelf},
		{"/v1/agent/members", []string{"GET"}, s.agentMembers},
		{"/v1/agent/leave", []string{"PUT"}, s.agentLeave},
		{"/v1/kv/", []string{"GET", "PUT", "DELETE"}, s.kv},
		{"/v1/agent/join/", []string{"PUT"}, s.agentJoin},
		{"/v1/agent/force-leave/", []string{"PUT"}, s.agentForceLeave},
	} {
		if strings.HasSuffix(e.path, "/") {
			s.prefix = append(s.prefix, e)
		} else {
			s.exact[e.path] = e
		}
	}
	return s
}

func (s *server) find(path string) (endpoint, bool) {
	if e, ok := s.exact[path]; ok {
		return e, true
	}
	for _, e := range s.prefix {
		if strings.HasPrefix(path, e.path) {
			return e, true
		}
	}
	return endpoint{}, false
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, ok := s.find(r.URL.Path)
	if !ok {
		http.Error(w, fmt.Sprintf("Invalid URL path: not a recognized HTTP API endpoint: %s", r.URL.Path), http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Consul-Default-Acl-Policy", "allow")
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http leaves the body out
	}
	allowed := false
	for _, m := range e.methods {
		allowed = allowed || m == method
	}
	if !allowed {
		allow := append([]string{"OPTIONS"}, e.methods...)
		h.Set("Allow", strings.Join(allow, ","))
		if method != http.MethodOptions {
			http.Error(w, fmt.Sprintf("method %s not allowed", r.Method), http.StatusMethodNotAllowed)
		}
		return
	}
	v, err := e.handle(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if v != nil {
		s.writeJSON(w, r, v)
	}
}

func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	code := http.StatusInternalServerError
	switch fault.Of(err) {
	case fault.Invalid:
		code = http.StatusBadRequest
	case fault.NotFound:
		code = http.StatusNotFound
	case fault.Denied:
		code = http.StatusForbidden
	case fault.TooLarge:
		code = http.StatusRequestEntityTooLarge
	}
	if r.Context().Err() == nil {
		s.Logger.Warn("Request error", "method", r.Method, "url", r.URL.Path, "from", r.RemoteAddr, "error", err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = fmt.Fprint(w, err.Error()) // the client went away, if it cannot be told
}

func (s *server) writeJSON(w http.ResponseWriter, r *http.Request, v any) {
	var b []byte
	var err error
	if _, pretty := r.URL.Query()["pretty"]; pretty {
		b, err = json.MarshalIndent(v, "", "    ")
		b = append(b, '\n')
	} else {
		b, err = json.Marshal(v)
	}
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
	sort.Strings(peers)
	return peers, err
}

func (s *server) agentSelf(http.ResponseWriter, *http.Request) (any, error) {
	return s.Agent.Self(), nil
}

func (s *server) agentMembers(_ http.ResponseWriter, r *http.Request) (any, error) {
	if wan := r.URL.Query().Get("wan"); wan != "" && wan != "0" && wan != "false" {
		return []api.Member{}, nil // this datacenter is federated with no other
	}
	return s.Agent.Members(), nil
}

func (s *server) agentJoin(w http.ResponseWriter, r *http.Request) (any, error) {
	address := strings.TrimPrefix(r.URL.Path, "/v1/agent/join/")
	if address == "" {
		return nil, fault.New(fault.Invalid, "Missing address to join")
	}
	if err := s.Agent.Join(r.Context(), address); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusOK)
	return nil, nil
}

func (s *server) agentForceLeave(w http.ResponseWriter, r *http.Request) (any, error) {
	name := strings.TrimPrefix(r.URL.Path, "/v1/agent/force-leave/")
	if name == "" {
		return nil, fault.New(fault.Invalid, "Missing node name")
	}
	_, prune := r.URL.Query()["prune"]
	if err := s.Agent.ForceLeave(name, prune); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusOK)
	return nil, nil
}

func (s *server) agentLeave(w http.ResponseWriter, r *http.Request) (any, error) {
	if err := s.Agent.Leave(r.Context()); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusOK)
	return nil, nil
}

func writeMeta(w http.ResponseWriter, m api.QueryMeta) {
	h := w.Header()
	h.Set("X-Consul-Index", strconv.FormatUint(m.Index, 10))
	h.Set("X-Consul-KnownLeader", strconv.FormatBool(m.KnownLeader))
	h.Set("X-Consul-LastContact", strconv.FormatInt(m.LastContact.Milliseconds(), 10))
	h.Set("X-Consul-Effective-Consistency", m.ConsistencyLevel)
}
