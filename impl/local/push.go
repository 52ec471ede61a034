package local

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// pushAll writes to the catalog what it does not have as it is here: services
// with their checks, then other checks, then the node. It goes on after an error,
// so that one registration that is refused does not hold up the others.
func (s *syncer) pushAll(ctx context.Context) error {
	s.mu.Lock()
	services, checks := sorted(s.services), sorted(s.checks)
	s.mu.Unlock()
	var errs []error
	for _, n := range services {
		errs = append(errs, s.pushService(ctx, n))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for _, c := range checks {
		errs = append(errs, s.pushCheck(ctx, c))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(append(errs, s.pushNode(ctx))...)
}

// registration is what every write to the catalog says of the node. The caller
// holds mu.
func (s *syncer) registration(token string) api.RegisterRequest {
	n := s.node
	if token == "" {
		token = s.config.Token()
	}
	return api.RegisterRequest{
		ID: n.ID, Node: n.Node, Address: n.Address, TaggedAddresses: n.TaggedAddresses, NodeMeta: n.Meta,
		SkipNodeUpdate: s.nodeSame, WriteOptions: api.WriteOptions{Datacenter: n.Datacenter, Token: token},
	}
}

func (s *syncer) pushService(ctx context.Context, n *service) error {
	s.mu.Lock()
	if s.services[n.ID] != n || n.same {
		s.mu.Unlock()
		return nil
	}
	if n.gone {
		s.mu.Unlock()
		return s.deregister(ctx, n.token, api.DeregisterRequest{ServiceID: n.ID}, func() {
			if s.services[n.ID] == n {
				delete(s.services, n.ID)
			}
			for id, c := range s.checks {
				if c.gone && c.ServiceID == n.ID {
					delete(s.checks, id) // the catalog took them out with it
				}
			}
		})
	}
	r := s.registration(n.token)
	copied := n.NodeService
	r.Service = &copied
	sent := s.together(&r, n, n.token)
	s.mu.Unlock()
	return s.register(ctx, r, func() {
		n.same = !n.gone
		arrived(sent)
	})
}

// together adds the checks of a service to its registration, so that nobody sees it
// without them: also those that the catalog had, for it may have lost the node
// meanwhile. But not those that another token is to write. The caller holds mu.
func (s *syncer) together(r *api.RegisterRequest, n *service, token string) map[*check]api.HealthCheck {
	sent := map[*check]api.HealthCheck{}
	for _, c := range sorted(s.checks) {
		if c.ServiceID == n.ID && !c.gone && c.definition.Token == token {
			sent[c] = c.HealthCheck
			r.Checks = append(r.Checks, c.HealthCheck)
		}
	}
	return sent
}

// arrived notes which checks the catalog has as they are now. The caller holds mu.
func arrived(sent map[*check]api.HealthCheck) {
	for c, was := range sent {
		if c.same = !c.gone && sameCheck(c.HealthCheck, was, false); c.same {
			c.due = time.Time{}
		}
	}
}

func (s *syncer) pushCheck(ctx context.Context, c *check) error {
	s.mu.Lock()
	if s.checks[c.CheckID] != c || c.same {
		s.mu.Unlock()
		return nil
	}
	n := s.services[c.ServiceID]
	if c.gone && n != nil && n.gone {
		s.mu.Unlock()
		return nil // the service takes it along, and is not to be there without it
	}
	if c.gone {
		r := api.DeregisterRequest{CheckID: c.CheckID}
		if n == nil && c.ServiceID != api.ServerServiceName {
			// The catalog has its service, too, since a moment between the looks at services
			// and at checks. Neither is to be there, nor the service without its check.
			r.ServiceID = c.ServiceID
		}
		s.mu.Unlock()
		return s.deregister(ctx, c.definition.Token, r, func() {
			if s.checks[c.CheckID] == c {
				delete(s.checks, c.CheckID)
			}
		})
	}
	r := s.registration(c.definition.Token)
	was := c.HealthCheck
	r.Check = &was
	sent := map[*check]api.HealthCheck{c: was}
	if n != nil && !n.gone {
		copied := n.NodeService // which the catalog may have lost meanwhile
		r.Service = &copied
		sent = s.together(&r, n, c.definition.Token)
		r.Checks = slices.DeleteFunc(r.Checks, func(h api.HealthCheck) bool { return h.CheckID == c.CheckID })
	}
	s.mu.Unlock()
	return s.register(ctx, r, func() { arrived(sent) })
}

func (s *syncer) pushNode(ctx context.Context) error {
	s.mu.Lock()
	if s.nodeSame {
		s.mu.Unlock()
		return nil
	}
	r := s.registration("")
	s.mu.Unlock()
	return s.register(ctx, r, func() {})
}

// register writes to the catalog and, when it is written, calls done under mu.
func (s *syncer) register(ctx context.Context, r api.RegisterRequest, done func()) error {
	_, err := s.config.Catalog.Register(ctx, r)
	return s.finish(err, func() {
		s.nodeSame = maps.Equal(r.NodeMeta, s.node.Meta) // it may have changed meanwhile
		done()
	})
}

func (s *syncer) deregister(ctx context.Context, token string, r api.DeregisterRequest, done func()) error {
	r.Node = s.config.Node.Node
	r.WriteOptions = api.WriteOptions{Datacenter: s.config.Node.Datacenter, Token: token}
	_, err := s.config.Catalog.Deregister(ctx, r)
	return s.finish(err, done)
}

// finish notes what became of a write. One that is denied counts as done: it will
// be tried again when the catalog is looked through, and not before.
func (s *syncer) finish(err error, done func()) error {
	denied := err != nil && fault.Of(err) == fault.Denied
	if err != nil && !denied {
		return err
	}
	if denied {
		s.log.Warn("the catalog denies a registration of this agent", "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	done()
	return nil
}
