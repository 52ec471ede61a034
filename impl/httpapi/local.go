package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tribune/impl/api"
	"tribune/impl/definition"
	"tribune/impl/fault"
	"tribune/impl/filter"
)

// Local is what the agent itself has registered.
type Local interface {
	AddService(d api.ServiceDefinition, replaceChecks bool) error
	RemoveService(id string) error
	AddCheck(api.CheckDefinition) error
	RemoveCheck(id string) error
	Touch(id, status, output string) error
	ServiceMaintenance(id string, on bool, reason, token string) error
	NodeMaintenance(on bool, reason, token string) error
	Services() []api.AgentService
	Checks() []api.HealthCheck
	Health(fits func(api.AgentService) bool) []api.AgentServiceHealth
	Changed() <-chan struct{}
	// Flush waits until the catalog has heard of what has changed, or could not be told.
	Flush(context.Context)
}

// localFace answers for the agent's own services and checks.
type localFace struct {
	Local
	query api.QueryTimes
}

// endpoints is its part of the table.
func (s localFace) endpoints() []endpoint {
	get, put := []string{"GET"}, []string{"PUT"}
	return []endpoint{
		{"/v1/agent/services", get, s.services},
		{"/v1/agent/service/", get, s.service},
		{"/v1/agent/service/register", put, s.registerService},
		{"/v1/agent/service/deregister/", put, s.deregisterService},
		{"/v1/agent/service/maintenance/", put, s.serviceMaintenance},
		{"/v1/agent/maintenance", put, s.nodeMaintenance},
		{"/v1/agent/checks", get, s.checks},
		{"/v1/agent/check/register", put, s.registerCheck},
		{"/v1/agent/check/deregister/", put, s.deregisterCheck},
		{"/v1/agent/check/pass/", put, s.touch("/v1/agent/check/pass/", api.HealthPassing)},
		{"/v1/agent/check/warn/", put, s.touch("/v1/agent/check/warn/", api.HealthWarning)},
		{"/v1/agent/check/fail/", put, s.touch("/v1/agent/check/fail/", api.HealthCritical)},
		{"/v1/agent/check/update/", put, s.updateCheck},
		{"/v1/agent/health/service/id/", get, s.healthByID},
		{"/v1/agent/health/service/name/", get, s.healthByName},
	}
}

// decodeTree reads a body that is a definition.
func decodeTree(r *http.Request) (map[string]any, error) {
	var tree map[string]any
	err := decode(r, &tree)
	return tree, err
}

// done answers what has nothing to say.
func done(w http.ResponseWriter, err error) (any, error) {
	if err == nil {
		w.WriteHeader(http.StatusOK)
	}
	return nil, err
}

// flushed answers who has changed something, when the catalog has heard of it.
func (s localFace) flushed(w http.ResponseWriter, r *http.Request, err error) (any, error) {
	if err == nil {
		s.Flush(r.Context())
	}
	return done(w, err)
}

// named returns what follows prefix in the path, which must not be empty.
func named(r *http.Request, prefix, what string) (string, error) {
	id := strings.TrimPrefix(r.URL.Path, prefix)
	if id == "" {
		return "", fault.New(fault.Invalid, "Missing %s", what)
	}
	return id, nil
}

func (s localFace) registerService(w http.ResponseWriter, r *http.Request) (any, error) {
	tree, err := decodeTree(r)
	if err != nil {
		return nil, err
	}
	d, err := definition.Service(tree, definition.Body)
	if err != nil {
		return nil, fault.New(fault.Invalid, "Request decode failed: %w", err)
	}
	q := r.URL.Query()
	if t := token(r, q); t != "" && d.Token == "" {
		d.Token = t
	}
	replace, err := truth(q, "replace-existing-checks")
	if err != nil {
		return nil, err
	}
	return s.flushed(w, r, s.AddService(d, replace))
}

// truth reads a parameter that is true, false or only there.
func truth(q url.Values, name string) (bool, error) {
	if !q.Has(name) || q.Get(name) == "" {
		return q.Has(name), nil
	}
	v, err := strconv.ParseBool(q.Get(name))
	if err != nil {
		return false, fault.New(fault.Invalid, "Invalid value for %s: %q", name, q.Get(name))
	}
	return v, nil
}

func (s localFace) deregisterService(w http.ResponseWriter, r *http.Request) (any, error) {
	id, err := named(r, "/v1/agent/service/deregister/", "service ID")
	if err != nil {
		return nil, err
	}
	return s.flushed(w, r, s.RemoveService(id))
}

// maintenance reads the parameters of the two endpoints for maintenance.
func maintenance(r *http.Request) (on bool, reason, secret string, err error) {
	q := r.URL.Query()
	if !q.Has("enable") {
		return false, "", "", fault.New(fault.Invalid, "Missing value for enable")
	}
	if on, err = strconv.ParseBool(q.Get("enable")); err != nil {
		return false, "", "", fault.New(fault.Invalid, "Invalid value for enable: %q", q.Get("enable"))
	}
	return on, q.Get("reason"), token(r, q), nil
}

func (s localFace) serviceMaintenance(w http.ResponseWriter, r *http.Request) (any, error) {
	id, err := named(r, "/v1/agent/service/maintenance/", "service ID")
	if err != nil {
		return nil, err
	}
	on, reason, secret, err := maintenance(r)
	if err != nil {
		return nil, err
	}
	return s.flushed(w, r, s.ServiceMaintenance(id, on, reason, secret))
}

func (s localFace) nodeMaintenance(w http.ResponseWriter, r *http.Request) (any, error) {
	on, reason, secret, err := maintenance(r)
	if err != nil {
		return nil, err
	}
	return s.flushed(w, r, s.NodeMaintenance(on, reason, secret))
}

func (s localFace) registerCheck(w http.ResponseWriter, r *http.Request) (any, error) {
	tree, err := decodeTree(r)
	if err != nil {
		return nil, err
	}
	d, err := definition.Check(tree, definition.Body)
	if err != nil {
		return nil, fault.New(fault.Invalid, "Request decode failed: %w", err)
	}
	if t := token(r, r.URL.Query()); t != "" && d.Token == "" {
		d.Token = t
	}
	return s.flushed(w, r, s.AddCheck(d))
}

func (s localFace) deregisterCheck(w http.ResponseWriter, r *http.Request) (any, error) {
	id, err := named(r, "/v1/agent/check/deregister/", "check ID")
	if err != nil {
		return nil, err
	}
	return s.flushed(w, r, s.RemoveCheck(id))
}

func (s localFace) touch(prefix, status string) handler {
	return func(w http.ResponseWriter, r *http.Request) (any, error) {
		id, err := named(r, prefix, "check ID")
		if err != nil {
			return nil, err
		}
		return s.flushed(w, r, s.Touch(id, status, r.URL.Query().Get("note")))
	}
}

func (s localFace) updateCheck(w http.ResponseWriter, r *http.Request) (any, error) {
	id, err := named(r, "/v1/agent/check/update/", "check ID")
	if err != nil {
		return nil, err
	}
	var body struct{ Status, Output string }
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	switch body.Status {
	case api.HealthPassing, api.HealthWarning, api.HealthCritical:
	default:
		return nil, fault.New(fault.Invalid, "Invalid check status: '%s'", body.Status)
	}
	return s.flushed(w, r, s.Touch(id, body.Status, body.Output))
}

// chosen leaves out what does not fulfil the request's filter.
func chosen[Item any](r *http.Request, all []Item) ([]Item, error) {
	keep, err := filter.By[Item](r.URL.Query().Get("filter"))
	if err != nil {
		return nil, err
	}
	return keep(all)
}

func (s localFace) services(_ http.ResponseWriter, r *http.Request) (any, error) {
	list, err := chosen(r, s.Services())
	shown := map[string]api.AgentService{}
	for _, n := range list {
		n.ContentHash = ""
		shown[n.ID] = n
	}
	return shown, err
}

func (s localFace) checks(_ http.ResponseWriter, r *http.Request) (any, error) {
	list, err := chosen(r, s.Checks())
	shown := map[string]api.HealthCheck{}
	for _, c := range list {
		shown[c.CheckID] = c
	}
	return shown, err
}

// service answers at once, or when the service has another hash than the request
// gives (Consul API: Hash-based Blocking Queries).
func (s localFace) service(w http.ResponseWriter, r *http.Request) (any, error) {
	id, err := named(r, "/v1/agent/service/", "service ID")
	if err != nil {
		return nil, err
	}
	o, err := options(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.query.Wait(o.MaxQueryTime))
	defer cancel()
	hash := r.URL.Query().Get("hash")
	for {
		changed := s.Changed()
		shown, found := s.find(id)
		if !found {
			return nil, fault.New(fault.NotFound, "unknown service ID: %s", id)
		}
		if hash == "" || shown.ContentHash != hash || ctx.Err() != nil {
			w.Header().Set("X-Consul-ContentHash", shown.ContentHash)
			return shown, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (s localFace) find(id string) (api.AgentService, bool) {
	for _, n := range s.Services() {
		if n.ID == id {
			return n, true
		}
	}
	return api.AgentService{}, false
}

func (s localFace) healthByID(w http.ResponseWriter, r *http.Request) (any, error) {
	id, err := named(r, "/v1/agent/health/service/id/", "serviceID")
	if err != nil {
		return nil, err
	}
	found := s.Health(func(n api.AgentService) bool { return n.ID == id })
	if len(found) == 0 {
		return s.health(w, r, nil, "ServiceId "+id+" not found", unknownService{AggregatedStatus: api.HealthCritical})
	}
	return s.health(w, r, found, "", found[0])
}

// unknownService is the health of a service that is not there, with null for it.
type unknownService struct {
	AggregatedStatus string
	Service          *api.AgentService
	Checks           []api.HealthCheck
}

func (s localFace) healthByName(w http.ResponseWriter, r *http.Request) (any, error) {
	name, err := named(r, "/v1/agent/health/service/name/", "service Name")
	if err != nil {
		return nil, err
	}
	found := s.Health(func(n api.AgentService) bool { return n.Service == name })
	return s.health(w, r, found, "ServiceName "+name+" Not Found", listed(found))
}

// health answers with a status that load balancers understand: 200 for passing,
// 429 for warning, 503 for all else, 404 if there is nothing.
func (s localFace) health(w http.ResponseWriter, r *http.Request, found []api.AgentServiceHealth, nothing string, shown any) (any, error) {
	code, reason := http.StatusNotFound, nothing
	for _, h := range found {
		c := http.StatusServiceUnavailable
		switch h.AggregatedStatus {
		case api.HealthPassing:
			c = http.StatusOK
		case api.HealthWarning:
			c = http.StatusTooManyRequests
		}
		if code == http.StatusNotFound || c > code { // the codes rise as health falls
			code, reason = c, h.AggregatedStatus
		}
	}
	body, kind := []byte(reason), "text/plain; charset=utf-8"
	if !strings.HasPrefix(r.Header.Get("Accept"), "text/plain") && r.URL.Query().Get("format") != "text" {
		kind = "application/json"
		var err error
		if body, err = asJSON(r, shown); err != nil {
			return nil, err
		}
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Consul-Reason", reason)
	w.Header().Set("X-Content-Type-Options", "nosniff") // the text may repeat what was asked
	w.WriteHeader(code)
	_, _ = w.Write(body) // the client went away, if it cannot be told
	return nil, nil
}
