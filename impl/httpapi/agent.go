package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// Agent is the agent itself and its gossip pool.
type Agent interface {
	// Self is all that the agent says of itself, and has to be gathered for it.
	Self() api.AgentSelf
	// Identity is what of it never changes and costs nothing.
	Identity() api.AgentConfig
	Members() []api.Member
	Join(ctx context.Context, address string) error
	ForceLeave(name string, prune bool) error
	Leave(context.Context) error
	Reload() error
	Host() api.AgentHost
	// Listen returns the lines that the agent logs from now on, from a level on,
	// until stop is called.
	Listen(level string, asJSON bool) (lines <-chan string, stop func(), err error)
	SetToken(kind, secret string) error
}

// agentFace answers for the agent itself.
type agentFace struct{ Agent }

// endpoints is its part of the table.
func (s agentFace) endpoints() []endpoint {
	get, put := []string{"GET"}, []string{"PUT"}
	return []endpoint{
		{"/v1/agent/self", get, s.self},
		{"/v1/agent/host", get, s.host},
		{"/v1/agent/version", get, s.version},
		{"/v1/agent/members", get, s.members},
		{"/v1/agent/monitor", get, s.monitor},
		{"/v1/agent/reload", put, s.reload},
		{"/v1/agent/leave", put, s.leave},
		{"/v1/agent/join/", put, s.join},
		{"/v1/agent/force-leave/", put, s.forceLeave},
		{"/v1/agent/token/", put, s.token},
	}
}

func (s agentFace) self(http.ResponseWriter, *http.Request) (any, error) {
	return s.Agent.Self(), nil
}

// allSegments is what Consul's command line asks for.
const allSegments = "_all"

func (s agentFace) members(_ http.ResponseWriter, r *http.Request) (any, error) {
	q := r.URL.Query()
	wan := q.Get("wan") != ""
	if segment := q.Get("segment"); segment != "" && segment != allSegments {
		if wan {
			return nil, fault.New(fault.Invalid, "Cannot provide a segment with wan=true")
		}
		return nil, errNoSegments
	}
	if wan {
		return []api.Member{}, nil // this datacenter is federated with no other
	}
	all, err := chosen(r, s.Agent.Members())
	return listed(all), err
}

func (s agentFace) join(w http.ResponseWriter, r *http.Request) (any, error) {
	address := strings.TrimPrefix(r.URL.Path, "/v1/agent/join/")
	if address == "" {
		return nil, fault.New(fault.Invalid, "Missing address to join")
	}
	if r.URL.Query().Get("wan") != "" {
		return nil, errNoWAN
	}
	if err := s.Agent.Join(r.Context(), address); err != nil {
		return nil, err
	}
	return done(w, nil)
}

func (s agentFace) forceLeave(w http.ResponseWriter, r *http.Request) (any, error) {
	name := strings.TrimPrefix(r.URL.Path, "/v1/agent/force-leave/")
	if name == "" {
		return nil, fault.New(fault.Invalid, "Missing node name")
	}
	q := r.URL.Query()
	prune := q.Has("prune")
	if q.Has("wan") {
		return nil, errNoWAN
	}
	if err := s.Agent.ForceLeave(name, prune); err != nil {
		return nil, err
	}
	return done(w, nil)
}

func (s agentFace) leave(w http.ResponseWriter, r *http.Request) (any, error) {
	if err := s.Agent.Leave(r.Context()); err != nil {
		return nil, err
	}
	return done(w, nil)
}

func (s agentFace) host(http.ResponseWriter, *http.Request) (any, error) { return s.Agent.Host(), nil }

// version is what `consul version` asks an agent for.
func (s agentFace) version(http.ResponseWriter, *http.Request) (any, error) {
	v := s.Identity().Version
	return map[string]string{"SHA": "", "BuildDate": "", "HumanVersion": v, "FIPS": ""}, nil
}

func (s agentFace) reload(w http.ResponseWriter, _ *http.Request) (any, error) {
	return done(w, s.Agent.Reload())
}

// monitor streams the log until the client has enough of it.
func (s agentFace) monitor(w http.ResponseWriter, r *http.Request) (any, error) {
	q := r.URL.Query()
	asJSON, err := truth(q, "logjson")
	if err != nil {
		return nil, err
	}
	lines, stop, err := s.Listen(q.Get("loglevel"), asJSON)
	if err != nil {
		return nil, err
	}
	defer stop()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	flush := http.NewResponseController(w)
	for {
		if err := flush.Flush(); err != nil {
			return nil, nil // the client went away
		}
		select {
		case <-r.Context().Done():
			return nil, nil
		case line := <-lines:
			if _, err := io.WriteString(w, line); err != nil {
				return nil, nil
			}
		}
	}
}

// token sets a secret that the agent itself uses.
func (s agentFace) token(w http.ResponseWriter, r *http.Request) (any, error) {
	kind, err := named(r, "/v1/agent/token/", "token type")
	if err != nil {
		return nil, err
	}
	var body struct{ Token string }
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	return done(w, s.SetToken(kind, body.Token))
}

// What this version has no notion of.
var (
	errNoWAN      = errors.New("WAN federation is not supported in this version of Tribune")
	errNoSegments = errors.New("network segments are not supported in this version of Tribune")
)
