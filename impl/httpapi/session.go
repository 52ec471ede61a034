package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// Session is the sessions.
type Session interface {
	SessionApply(context.Context, api.SessionApplyRequest) (api.SessionApplyResponse, error)
	SessionRead(context.Context, api.SessionRequest) (api.List[api.Session], error)
	SessionRenew(context.Context, api.SessionRequest) (api.List[api.Session], error)
}

// sessionFace answers for sessions.
type sessionFace struct {
	Session Session
	Agent   Agent
}

// endpoints is its part of the table.
func (s sessionFace) endpoints() []endpoint {
	get, put := []string{"GET"}, []string{"PUT"}
	return []endpoint{
		{"/v1/session/create", put, s.sessionCreate},
		{"/v1/session/list", get, s.sessionList},
		{"/v1/session/destroy/", put, s.sessionDestroy},
		{"/v1/session/renew/", put, s.sessionRenew},
		{"/v1/session/info/", get, s.sessionInfo},
		{"/v1/session/node/", get, s.sessionNode},
	}
}

// delay is a time in a body: text such as "15s", or a number of nanoseconds. As
// in Consul a number below a thousand is one of seconds.
type delay time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *delay) UnmarshalJSON(b []byte) error {
	var number int64
	if json.Unmarshal(b, &number) == nil {
		if number < 1000 {
			number *= int64(time.Second)
		}
		*d = delay(number)
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	*d = delay(parsed)
	return err
}

// sessionBody is what creates a session.
type sessionBody struct {
	Name, Node, Behavior, TTL string
	LockDelay                 delay
	Checks                    []string // NodeChecks, as it once was called
	NodeChecks                []string
	ServiceChecks             []api.ServiceCheck
}

const defaultLockDelay = 15 * time.Second

func (s sessionFace) sessionCreate(_ http.ResponseWriter, r *http.Request) (any, error) {
	body := sessionBody{Node: s.Agent.Self().Config.NodeName, LockDelay: delay(defaultLockDelay), NodeChecks: []string{api.SerfCheckID}}
	if err := decode(r, &body); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if body.Checks != nil {
		body.NodeChecks = body.Checks
	}
	q := r.URL.Query()
	a, err := s.Session.SessionApply(r.Context(), api.SessionApplyRequest{
		Op: api.SessionCreate, WriteOptions: api.WriteOptions{Datacenter: q.Get("dc"), Token: token(r, q)},
		Session: api.Session{
			Name: body.Name, Node: body.Node, Behavior: body.Behavior, TTL: body.TTL, LockDelay: time.Duration(body.LockDelay),
			NodeChecks: body.NodeChecks, ServiceChecks: body.ServiceChecks,
		},
	})
	return map[string]string{"ID": a.ID}, err
}

// sessionName returns what follows prefix in the path.
func sessionName(r *http.Request, prefix, what string) (string, error) {
	name := strings.TrimPrefix(r.URL.Path, prefix)
	if name == "" {
		return "", fault.New(fault.Invalid, "Missing %s", what)
	}
	return name, nil
}

func (s sessionFace) sessionDestroy(_ http.ResponseWriter, r *http.Request) (any, error) {
	id, err := sessionName(r, "/v1/session/destroy/", "session")
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	_, err = s.Session.SessionApply(r.Context(), api.SessionApplyRequest{
		Op: api.SessionDestroy, Session: api.Session{ID: id}, WriteOptions: api.WriteOptions{Datacenter: q.Get("dc"), Token: token(r, q)},
	})
	return true, err
}

func (s sessionFace) sessionRenew(_ http.ResponseWriter, r *http.Request) (any, error) {
	id, err := sessionName(r, "/v1/session/renew/", "session")
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	a, err := s.Session.SessionRenew(r.Context(), api.SessionRequest{ID: id, QueryOptions: api.QueryOptions{Datacenter: q.Get("dc"), Token: token(r, q)}})
	if err != nil {
		return nil, err
	}
	if len(a.Items) == 0 {
		return nil, fault.New(fault.NotFound, "Session id '%s' not found", id)
	}
	return a.Items, nil
}

func (s sessionFace) sessionRead(w http.ResponseWriter, r *http.Request, request api.SessionRequest) (any, error) {
	var err error
	if request.QueryOptions, err = options(r); err != nil {
		return nil, err
	}
	a, err := s.Session.SessionRead(r.Context(), request)
	return found(w, a, err)
}

func (s sessionFace) sessionList(w http.ResponseWriter, r *http.Request) (any, error) {
	return s.sessionRead(w, r, api.SessionRequest{})
}

func (s sessionFace) sessionInfo(w http.ResponseWriter, r *http.Request) (any, error) {
	id, err := sessionName(r, "/v1/session/info/", "session")
	if err != nil {
		return nil, err
	}
	return s.sessionRead(w, r, api.SessionRequest{ID: id})
}

func (s sessionFace) sessionNode(w http.ResponseWriter, r *http.Request) (any, error) {
	node, err := sessionName(r, "/v1/session/node/", "node name")
	if err != nil {
		return nil, err
	}
	return s.sessionRead(w, r, api.SessionRequest{Node: node})
}
