package local

import (
	"context"
	"maps"
	"slices"

	"tribune/impl/api"
)

// compare finds out where the catalog differs from this agent. What is only in the
// catalog is to go from there, but for what the leader keeps.
func (s *syncer) compare(ctx context.Context) error {
	r := api.CatalogRequest{Node: s.config.Node.Node, QueryOptions: api.QueryOptions{Datacenter: s.config.Node.Datacenter, Token: s.config.Token()}}
	remote, err := s.config.Catalog.NodeServices(ctx, r)
	if err != nil {
		return err
	}
	checks, err := s.config.Catalog.NodeChecks(ctx, r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodeSame = remote.Node != nil && sameNode(*remote.Node, s.node)
	s.compareServices(remote.Services)
	s.compareChecks(checks.Items)
	return nil
}

func (s *syncer) compareServices(remote []api.NodeService) {
	there := map[string]bool{}
	for _, r := range remote {
		there[r.ID] = true
		n := s.services[r.ID]
		switch {
		case n == nil && r.ID == api.ServerServiceName:
		case n == nil:
			s.services[r.ID] = &service{NodeService: r, mark: mark{gone: true}}
		case !n.gone:
			if n.EnableTagOverride && !slices.Equal(n.Tags, r.Tags) {
				n.Tags = slices.Clone(r.Tags) // somebody else may set them
				s.notify()
			}
			n.same = sameService(n.NodeService, r)
		}
	}
	for id, n := range s.services {
		switch {
		case there[id]:
		case n.gone:
			delete(s.services, id)
		default:
			n.same = false
		}
	}
}

func (s *syncer) compareChecks(remote []api.HealthCheck) {
	there := map[string]bool{}
	for _, r := range remote {
		there[r.CheckID] = true
		c := s.checks[r.CheckID]
		switch {
		case c == nil && r.CheckID == api.SerfCheckID:
		case c == nil:
			s.checks[r.CheckID] = &check{HealthCheck: r, mark: mark{gone: true}}
		case !c.gone:
			c.same = sameCheck(c.HealthCheck, r, !c.due.IsZero())
		}
	}
	for id, c := range s.checks {
		switch {
		case there[id]:
		case c.gone:
			delete(s.checks, id)
		default:
			c.same = false
		}
	}
}

func sameNode(a, b api.Node) bool {
	return a.ID == b.ID && a.Address == b.Address && maps.Equal(a.TaggedAddresses, b.TaggedAddresses) && maps.Equal(a.Meta, b.Meta)
}

// sameService reports whether the catalog's instance is as it was registered.
func sameService(a, b api.NodeService) bool {
	return a.ID == b.ID && a.Service == b.Service && slices.Equal(a.Tags, b.Tags) && a.Address == b.Address && a.Port == b.Port &&
		maps.Equal(a.TaggedAddresses, b.TaggedAddresses) && maps.Equal(a.Meta, b.Meta) && a.Weights == b.Weights &&
		a.EnableTagOverride == b.EnableTagOverride
}

// sameCheck reports whether the catalog's check is as this agent has it. What it
// printed does not matter while the catalog may lag behind in that.
func sameCheck(a, b api.HealthCheck, lag bool) bool {
	return a.CheckID == b.CheckID && a.Name == b.Name && a.Status == b.Status && a.Notes == b.Notes && (lag || a.Output == b.Output) &&
		a.ServiceID == b.ServiceID && a.Type == b.Type && a.Interval == b.Interval && a.Timeout == b.Timeout
}
