package server

import (
	"cmp"
	"context"
	"slices"

	"github.com/hashicorp/go-uuid"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/fault"
	"tribune/impl/filter"
	"tribune/impl/fsm"
	"tribune/impl/store"
)

// errNoCheckID refuses a check that nobody could find again.
const errNoCheckID = "Must provide a check ID or a name"

// errAnyAddress refuses a service that nobody could reach.
const errAnyAddress = "Invalid service address"

// Register adds to the catalog. What makes no sense is fault.Internal, for which
// Consul's status is 500.
func (s *Server) Register(ctx context.Context, r api.RegisterRequest) (api.WriteResponse, error) {
	switch {
	case r.Node == "":
		return api.WriteResponse{}, fault.New(fault.Internal, "Must provide node")
	case r.Address == "" && !r.SkipNodeUpdate:
		return api.WriteResponse{}, fault.New(fault.Internal, "Must provide address if SkipNodeUpdate is not set")
	case r.Service != nil && r.Service.Service == "" && r.Service.ID != "":
		return api.WriteResponse{}, fault.New(fault.Internal, "Must provide service name with ID")
	case r.Service != nil && r.Service.Service == "":
		return api.WriteResponse{}, fault.New(fault.Internal, "Must provide service name (Service.Service) when adding a service")
	case r.Service != nil && api.AnyAddress(r.Service.Address):
		return api.WriteResponse{}, fault.New(fault.Internal, errAnyAddress)
	}
	if err := checkNodeID(r.ID); err != nil {
		return api.WriteResponse{}, err
	}
	checks := append([]api.HealthCheck{}, r.Checks...)
	if r.Check != nil {
		checks, r.Check = append(checks, *r.Check), nil
	}
	for i := range checks {
		c := &checks[i]
		if c.CheckID == "" {
			c.CheckID = c.Name
		}
		if c.CheckID == "" {
			return api.WriteResponse{}, fault.New(fault.Internal, errNoCheckID)
		}
		switch c.Status {
		case "", api.HealthPassing, api.HealthWarning, api.HealthCritical:
		default:
			return api.WriteResponse{}, fault.New(fault.Internal, "%q is not a status: there are passing, warning and critical", c.Status)
		}
	}
	r.Checks = checks
	r.Datacenter = cmp.Or(r.Datacenter, s.config.Datacenter)
	return write(ctx, s, api.MethodRegister, r.Datacenter, fsm.RegisterType, r)
}

// checkNodeID refuses what is neither empty nor a UUID.
func checkNodeID(id string) error {
	if id == "" {
		return nil
	}
	if _, err := uuid.ParseUUID(id); err != nil {
		return fault.New(fault.Internal, "Bad node ID: %w", err)
	}
	return nil
}

// Deregister removes from the catalog.
func (s *Server) Deregister(ctx context.Context, r api.DeregisterRequest) (api.WriteResponse, error) {
	if r.Node == "" {
		return api.WriteResponse{}, fault.New(fault.Internal, "Must provide node")
	}
	return write(ctx, s, api.MethodDeregister, r.Datacenter, fsm.DeregisterType, r)
}

// write commits a change of the catalog or of sessions.
func write[Request any](ctx context.Context, s *Server, method, datacenter string, t fsm.Type, r Request) (api.WriteResponse, error) {
	if err := s.checkDatacenter(datacenter); err != nil {
		return api.WriteResponse{}, err
	}
	e := errand{method: method, request: r, again: untouched}
	return forward(ctx, s, e, func(<-chan struct{}) (api.WriteResponse, error) {
		index, _, err := s.commit(ctx, t, r)
		return api.WriteResponse{Index: index}, err
	})
}

// list answers a read that finds any number of items, of which it keeps those
// that fulfil the request's filter, the nearest first.
func list[Item any](ctx context.Context, s *Server, method string, r api.CatalogRequest, find func(*store.Txn, store.WatchSet) (uint64, []Item, error)) (api.List[Item], error) {
	keep, err := filter.By[Item](r.Filter)
	if err != nil {
		return api.List[Item]{}, err
	}
	return read(ctx, s, method, &r.QueryOptions, &r, func(opts api.QueryOptions, ended <-chan struct{}) (api.List[Item], error) {
		var a api.List[Item]
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, ws store.WatchSet) (uint64, bool, error) {
			index, found, err := find(tx, ws)
			if err != nil {
				return 0, false, err
			}
			if a.Items, err = keep(found); err == nil {
				err = sortNear(tx, r.Source, a.Items)
			}
			return index, len(found) > 0, err
		})
		return a, err
	})
}

// Nodes lists nodes.
func (s *Server) Nodes(ctx context.Context, r api.CatalogRequest) (api.List[api.Node], error) {
	return list(ctx, s, api.MethodNodes, r, func(tx *store.Txn, ws store.WatchSet) (uint64, []api.Node, error) {
		return catalog.Nodes(tx, ws, r.NodeMeta)
	})
}

// Services lists services by name.
func (s *Server) Services(ctx context.Context, r api.CatalogRequest) (api.ServicesResponse, error) {
	keep, err := filter.By[api.CatalogService](r.Filter)
	if err != nil {
		return api.ServicesResponse{}, err
	}
	return read(ctx, s, api.MethodServices, &r.QueryOptions, &r, func(opts api.QueryOptions, ended <-chan struct{}) (api.ServicesResponse, error) {
		var a api.ServicesResponse
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, ws store.WatchSet) (index uint64, found bool, err error) {
			if r.Filter == "" {
				index, a.Services, err = catalog.Services(tx, ws, r.NodeMeta)
				return index, len(a.Services) > 0, err
			}
			index, all, err := catalog.AllInstances(tx, ws, r.NodeMeta)
			if err == nil {
				all, err = keep(all)
			}
			a.Services = catalog.TagsByName(all)
			return index, len(a.Services) > 0, err
		})
		return a, err
	})
}

// ServiceNodes lists the instances of a service.
func (s *Server) ServiceNodes(ctx context.Context, r api.CatalogRequest) (api.List[api.CatalogService], error) {
	return list(ctx, s, api.MethodServiceNodes, r, func(tx *store.Txn, ws store.WatchSet) (uint64, []api.CatalogService, error) {
		return catalog.Instances(tx, ws, r.Service, r.Tags, r.NodeMeta)
	})
}

// NodeServices returns a node, found by its name or its ID, and its services.
func (s *Server) NodeServices(ctx context.Context, r api.CatalogRequest) (api.NodeServicesResponse, error) {
	keep, err := filter.By[api.NodeService](r.Filter)
	if err != nil {
		return api.NodeServicesResponse{}, err
	}
	return read(ctx, s, api.MethodNodeServices, &r.QueryOptions, &r, func(opts api.QueryOptions, ended <-chan struct{}) (api.NodeServicesResponse, error) {
		var a api.NodeServicesResponse
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, ws store.WatchSet) (index uint64, found bool, err error) {
			name, err := catalog.Named(tx, r.Node)
			if err != nil {
				return 0, false, err
			}
			index, a.Node, a.Services, err = catalog.Node(tx, ws, name)
			if err == nil {
				a.Services, err = keep(a.Services)
			}
			return index, a.Node != nil, err
		})
		return a, err
	})
}

// NodeChecks lists the checks of a node.
func (s *Server) NodeChecks(ctx context.Context, r api.CatalogRequest) (api.List[api.HealthCheck], error) {
	return list(ctx, s, api.MethodNodeChecks, r, func(tx *store.Txn, ws store.WatchSet) (uint64, []api.HealthCheck, error) {
		index, found, err := catalog.ChecksOfNode(tx, ws, r.Node)
		return effective(tx, r, index, found, err)
	})
}

// ServiceChecks lists the checks of the instances of a service.
func (s *Server) ServiceChecks(ctx context.Context, r api.CatalogRequest) (api.List[api.HealthCheck], error) {
	return list(ctx, s, api.MethodServiceChecks, r, func(tx *store.Txn, ws store.WatchSet) (uint64, []api.HealthCheck, error) {
		index, found, err := catalog.ChecksOfService(tx, ws, r.Service, r.NodeMeta)
		return effective(tx, r, index, found, err)
	})
}

// ChecksInState lists the checks in a state, or in any.
func (s *Server) ChecksInState(ctx context.Context, r api.CatalogRequest) (api.List[api.HealthCheck], error) {
	return list(ctx, s, api.MethodChecksInState, r, func(tx *store.Txn, ws store.WatchSet) (uint64, []api.HealthCheck, error) {
		if !r.Effective {
			return catalog.ChecksInState(tx, ws, r.State, r.NodeMeta)
		}
		index, found, err := catalog.ChecksInState(tx, ws, api.HealthAny, r.NodeMeta)
		index, found, err = effective(tx, r, index, found, err)
		return index, slices.DeleteFunc(found, func(c api.HealthCheck) bool { return r.State != api.HealthAny && c.Status != r.State }), err
	})
}

// HealthOfService lists the instances of a service with their checks.
func (s *Server) HealthOfService(ctx context.Context, r api.CatalogRequest) (api.List[api.CheckServiceNode], error) {
	return list(ctx, s, api.MethodHealthOfService, r, func(tx *store.Txn, ws store.WatchSet) (uint64, []api.CheckServiceNode, error) {
		index, found, err := catalog.Health(tx, ws, r.Service, r.Tags, r.NodeMeta, r.Passing)
		for i := range found {
			if err == nil {
				_, found[i].Checks, err = effective(tx, r, index, found[i].Checks, nil)
			}
		}
		return index, found, err
	})
}

// effective is what a read of checks found, with the status that checks have
// effectively, if that is asked for. What moves serfHealth moves the index too.
func effective(tx *store.Txn, r api.CatalogRequest, index uint64, found []api.HealthCheck, err error) (uint64, []api.HealthCheck, error) {
	if err == nil && r.Effective {
		err = catalog.Effective(tx, found)
	}
	return index, found, err
}
