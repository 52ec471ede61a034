package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// Catalog is the catalog of nodes, services and checks. The items of an answer, and
// its map, belong to who asked. What they refer to - a service, its tags, a list of
// checks - may be the store's own or belong to other readers of the cache, too: it is
// replaced and never written to.
type Catalog interface {
	Register(context.Context, api.RegisterRequest) (api.WriteResponse, error)
	Deregister(context.Context, api.DeregisterRequest) (api.WriteResponse, error)
	Nodes(context.Context, api.CatalogRequest) (api.List[api.Node], error)
	Services(context.Context, api.CatalogRequest) (api.ServicesResponse, error)
	ServiceNodes(context.Context, api.CatalogRequest) (api.List[api.CatalogService], error)
	NodeServices(context.Context, api.CatalogRequest) (api.NodeServicesResponse, error)
	NodeChecks(context.Context, api.CatalogRequest) (api.List[api.HealthCheck], error)
	ServiceChecks(context.Context, api.CatalogRequest) (api.List[api.HealthCheck], error)
	ChecksInState(context.Context, api.CatalogRequest) (api.List[api.HealthCheck], error)
	HealthOfService(context.Context, api.CatalogRequest) (api.List[api.CheckServiceNode], error)
}

// catalogFace answers for the catalog and health.
type catalogFace struct {
	Catalog Catalog
	Agent   Agent
}

// endpoints is its part of the table.
func (s catalogFace) endpoints() []endpoint {
	get, put := []string{"GET"}, []string{"PUT"}
	return []endpoint{
		{"/v1/catalog/register", put, s.catalogRegister},
		{"/v1/catalog/deregister", put, s.catalogDeregister},
		{"/v1/catalog/datacenters", get, s.catalogDatacenters},
		{"/v1/catalog/nodes", get, s.catalogNodes},
		{"/v1/catalog/services", get, s.catalogServices},
		{"/v1/catalog/service/", get, s.catalogService},
		{"/v1/catalog/node/", get, s.catalogNode},
		{"/v1/catalog/node-services/", get, s.catalogNodeServices},
		{"/v1/health/node/", get, s.healthNode},
		{"/v1/health/checks/", get, s.healthChecks},
		{"/v1/health/state/", get, s.healthState},
		{"/v1/health/service/", get, s.healthService},
	}
}

func (s catalogFace) catalogRegister(_ http.ResponseWriter, r *http.Request) (any, error) {
	var request api.RegisterRequest
	if err := change(r, &request, &request.WriteOptions); err != nil {
		return nil, err
	}
	_, err := s.Catalog.Register(r.Context(), request)
	return true, err
}

func (s catalogFace) catalogDeregister(_ http.ResponseWriter, r *http.Request) (any, error) {
	var request api.DeregisterRequest
	if err := change(r, &request, &request.WriteOptions); err != nil {
		return nil, err
	}
	_, err := s.Catalog.Deregister(r.Context(), request)
	return true, err
}

func (s catalogFace) catalogDatacenters(http.ResponseWriter, *http.Request) (any, error) {
	return []string{s.Agent.Identity().Datacenter}, nil
}

// request reads the parameters of a read. The name is what follows prefix
// in the path; what names it in an error if there is none.
func (s catalogFace) request(r *http.Request, prefix, what string) (request api.CatalogRequest, name string, err error) {
	if request.QueryOptions, err = options(r); err != nil {
		return request, "", err
	}
	if name = strings.TrimPrefix(r.URL.Path, prefix); prefix != "" && name == "" {
		return request, "", fault.New(fault.Invalid, "Missing %s", what)
	}
	q := r.URL.Query()
	request.Filter, request.Tags, request.Source = q.Get("filter"), q["tag"], source(r, s.Agent)
	for _, pair := range q["node-meta"] {
		key, value, _ := strings.Cut(pair, ":")
		if request.NodeMeta == nil {
			request.NodeMeta = map[string]string{}
		}
		request.NodeMeta[key] = value
	}
	if request.Effective, err = truth(q, "effective"); err != nil {
		return request, "", err
	}
	if q.Has("passing") {
		request.Passing = true
		if v := q.Get("passing"); v != "" {
			if request.Passing, err = strconv.ParseBool(v); err != nil {
				return request, "", fault.New(fault.Invalid, "Invalid value for ?passing")
			}
		}
	}
	return request, name, nil
}

// found answers with a list, an empty one rather than null.
func found[Item any](w http.ResponseWriter, a api.List[Item], err error) (any, error) {
	if err != nil {
		return nil, err
	}
	writeMeta(w, a.QueryMeta)
	return listed(a.Items), nil
}

// listed is a list as JSON shows it: none is an empty list and not null.
func listed[Item any](list []Item) []Item {
	if list == nil {
		return []Item{}
	}
	return list
}

func (s catalogFace) catalogNodes(w http.ResponseWriter, r *http.Request) (any, error) {
	request, _, err := s.request(r, "", "")
	if err != nil {
		return nil, err
	}
	a, err := s.Catalog.Nodes(r.Context(), request)
	return found(w, a, err)
}

func (s catalogFace) catalogServices(w http.ResponseWriter, r *http.Request) (any, error) {
	request, _, err := s.request(r, "", "")
	if err != nil {
		return nil, err
	}
	a, err := s.Catalog.Services(r.Context(), request)
	if err != nil {
		return nil, err
	}
	writeMeta(w, a.QueryMeta)
	for name, tags := range a.Services {
		a.Services[name] = listed(tags)
	}
	if a.Services == nil {
		a.Services = map[string][]string{}
	}
	return a.Services, nil
}

func (s catalogFace) catalogService(w http.ResponseWriter, r *http.Request) (any, error) {
	request, name, err := s.request(r, "/v1/catalog/service/", "service name")
	if err != nil {
		return nil, err
	}
	request.Service = name
	a, err := s.Catalog.ServiceNodes(r.Context(), request)
	for i := range a.Items {
		a.Items[i].ServiceTags = listed(a.Items[i].ServiceTags)
	}
	return found(w, a, err)
}

// nodeServices is a node as /v1/catalog/node shows it.
type nodeServices struct {
	Node     *api.Node
	Services map[string]api.NodeService
}

// nodeServiceList is a node as /v1/catalog/node-services shows it.
type nodeServiceList struct {
	Node     *api.Node
	Services []api.NodeService
}

func (s catalogFace) nodeServices(w http.ResponseWriter, r *http.Request, prefix string) (api.NodeServicesResponse, error) {
	request, name, err := s.request(r, prefix, "node name")
	if err != nil {
		return api.NodeServicesResponse{}, err
	}
	request.Node = name
	a, err := s.Catalog.NodeServices(r.Context(), request)
	if err != nil {
		return a, err
	}
	writeMeta(w, a.QueryMeta)
	for i := range a.Services {
		a.Services[i].Tags = listed(a.Services[i].Tags)
	}
	return a, nil
}

func (s catalogFace) catalogNode(w http.ResponseWriter, r *http.Request) (any, error) {
	a, err := s.nodeServices(w, r, "/v1/catalog/node/")
	if err != nil {
		return nil, err
	}
	if a.Node == nil {
		return json.RawMessage("null"), nil
	}
	shown := nodeServices{a.Node, map[string]api.NodeService{}}
	for _, service := range a.Services {
		shown.Services[service.ID] = service
	}
	return shown, nil
}

func (s catalogFace) catalogNodeServices(w http.ResponseWriter, r *http.Request) (any, error) {
	a, err := s.nodeServices(w, r, "/v1/catalog/node-services/")
	if err != nil {
		return nil, err
	}
	return nodeServiceList{a.Node, listed(a.Services)}, nil
}

func (s catalogFace) healthNode(w http.ResponseWriter, r *http.Request) (any, error) {
	request, name, err := s.request(r, "/v1/health/node/", "node name")
	if err != nil {
		return nil, err
	}
	request.Node = name
	a, err := s.Catalog.NodeChecks(r.Context(), request)
	return checks(w, a, err)
}

func (s catalogFace) healthChecks(w http.ResponseWriter, r *http.Request) (any, error) {
	request, name, err := s.request(r, "/v1/health/checks/", "service name")
	if err != nil {
		return nil, err
	}
	request.Service = name
	a, err := s.Catalog.ServiceChecks(r.Context(), request)
	return checks(w, a, err)
}

func (s catalogFace) healthState(w http.ResponseWriter, r *http.Request) (any, error) {
	request, name, err := s.request(r, "/v1/health/state/", "check state")
	if err != nil {
		return nil, err
	}
	request.State = name
	a, err := s.Catalog.ChecksInState(r.Context(), request)
	return checks(w, a, err)
}

func checks(w http.ResponseWriter, a api.List[api.HealthCheck], err error) (any, error) {
	tagged(a.Items)
	return found(w, a, err)
}

// tagged has checks show empty lists rather than null.
func tagged(checks []api.HealthCheck) {
	for i := range checks {
		checks[i].ServiceTags = listed(checks[i].ServiceTags)
	}
}

func (s catalogFace) healthService(w http.ResponseWriter, r *http.Request) (any, error) {
	request, name, err := s.request(r, "/v1/health/service/", "service name")
	if err != nil {
		return nil, err
	}
	request.Service = name
	a, err := s.Catalog.HealthOfService(r.Context(), request)
	shown(a.Items)
	return found(w, a, err)
}

// shown is tagged for instances, whose services and checks are not theirs alone.
func shown(instances []api.CheckServiceNode) {
	for i := range instances {
		item := &instances[i]
		if item.Service.Tags == nil {
			service := *item.Service
			service.Tags = []string{}
			item.Service = &service
		}
		if slices.ContainsFunc(item.Checks, func(c api.HealthCheck) bool { return c.ServiceTags == nil }) {
			item.Checks = slices.Clone(item.Checks)
			tagged(item.Checks)
		}
		item.Checks = listed(item.Checks)
	}
}
