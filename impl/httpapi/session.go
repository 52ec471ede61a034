package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
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
// in Consul null says nothing, and less than a thousand nanoseconds is a number of
// seconds.
type delay time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *delay) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var given time.Duration
	var number float64 // as all are in JSON: 1e9 is one, and 2.5
	if json.Unmarshal(b, &number) == nil {
		given = time.Duration(max(0, min(number, float64(maxDelay))))
	} else {
		var text string
		err := json.Unmarshal(b, &text)
		if err == nil {
			given, err = time.ParseDuration(text)
		}
		if err != nil {
			return err
		}
	}
	if 0 < given && given < 1000 {
		given *= time.Second
	}
	*d = delay(given)
	return nil
}

// maxDelay is a time that a duration can hold; what a session may have is far less.
const maxDelay = 24 * time.Hour

// sessionBody is what creates a session.
type sessionBody struct {
	Name, Node, Behavior, TTL string
	LockDelay                 delay
	Checks                    []string // what there was before NodeChecks
	NodeChecks                []string
	ServiceChecks             []api.ServiceCheck
}

// nodeChecks are the checks of the node that the session stands on. As in Consul an
// empty Checks means none at all, and one that only says what goes without saying
// leaves it to NodeChecks; else they are those of both.
func (b sessionBody) nodeChecks() []string {
	if len(b.Checks) == 0 {
		return []string{}
	}
	if slices.Equal(b.Checks, []string{api.SerfCheckID}) {
		return b.NodeChecks
	}
	all := slices.Clone(b.NodeChecks)
	for _, id := range b.Checks {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

const defaultLockDelay = 15 * time.Second

func (s sessionFace) sessionCreate(_ http.ResponseWriter, r *http.Request) (any, error) {
	body := sessionBody{
		Node: s.Agent.Identity().NodeName, LockDelay: delay(defaultLockDelay),
		Checks: []string{api.SerfCheckID}, NodeChecks: []string{api.SerfCheckID},
	}
	if err := decodeLoosely(r, &body); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	q := r.URL.Query()
	a, err := s.Session.SessionApply(r.Context(), api.SessionApplyRequest{
		Op: api.SessionCreate, WriteOptions: api.WriteOptions{Datacenter: q.Get("dc"), Token: token(r, q)},
		Session: api.Session{
			Name: body.Name, Node: body.Node, Behavior: body.Behavior, TTL: body.TTL, LockDelay: time.Duration(body.LockDelay),
			NodeChecks: body.nodeChecks(), ServiceChecks: body.ServiceChecks,
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
