package local

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"tribune/impl/api"
)

// Services lists the services of this agent, sorted by ID.
func (t *table) Services() []api.AgentService {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := []api.AgentService{}
	for _, n := range sorted(t.services) {
		if !n.gone {
			list = append(list, t.shown(n))
		}
	}
	return list
}

// shown is a service as the API shows it. The hash is that of all the rest, so
// that who waits for a change can tell that there was one.
func (t *table) shown(n *service) api.AgentService {
	a := api.AgentService{
		ID: n.ID, Service: n.NodeService.Service, Tags: append([]string{}, n.Tags...), Meta: n.Meta, Port: n.Port, Address: n.Address,
		TaggedAddresses: n.TaggedAddresses, Weights: n.Weights, EnableTagOverride: n.EnableTagOverride, Datacenter: t.node.Datacenter,
	}
	if a.Meta == nil {
		a.Meta = map[string]string{}
	}
	if b, err := json.Marshal(a); err == nil { // plain fields cannot fail
		sum := sha256.Sum256(b)
		a.ContentHash = hex.EncodeToString(sum[:8])
	}
	return a
}

// Checks lists the checks of this agent, sorted by ID.
func (t *table) Checks() []api.HealthCheck {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.checksWhere(func(*check) bool { return true })
}

// checksWhere lists checks, each with the name and the tags that its service has
// now. The caller holds mu.
func (t *table) checksWhere(fits func(*check) bool) []api.HealthCheck {
	list := []api.HealthCheck{}
	for _, c := range sorted(t.checks) {
		if c.gone || !fits(c) {
			continue
		}
		h := c.HealthCheck
		h.ServiceTags = []string{}
		if n := t.services[h.ServiceID]; n != nil && h.ServiceID != "" {
			h.ServiceName, h.ServiceTags = n.NodeService.Service, append(h.ServiceTags, n.Tags...)
		}
		list = append(list, h)
	}
	return list
}

// ChecksOf lists the checks of one service and tells whether the service is there.
func (t *table) ChecksOf(serviceID string) (checks []api.HealthCheck, found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.services[serviceID]
	return t.checksWhere(func(c *check) bool { return c.ServiceID == serviceID }), n != nil && !n.gone
}

// Health lists the services that fit, sorted by ID, with how they do.
func (t *table) Health(fits func(api.AgentService) bool) []api.AgentServiceHealth {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := []api.AgentServiceHealth{}
	for _, n := range sorted(t.services) {
		if n.gone {
			continue
		}
		shown := t.shown(n)
		if !fits(shown) {
			continue
		}
		checks := t.checksWhere(func(c *check) bool { return c.ServiceID == "" || c.ServiceID == n.ID })
		list = append(list, api.AgentServiceHealth{AggregatedStatus: aggregated(checks), Service: shown, Checks: checks})
	}
	return list
}

// aggregated is the status of what has all of some checks.
func aggregated(checks []api.HealthCheck) string {
	rank := []string{api.HealthPassing, api.HealthWarning, api.HealthCritical, api.HealthMaintenance}
	worst := 0
	for _, c := range checks {
		status := c.Status
		if c.CheckID == api.NodeMaintenanceID || strings.HasPrefix(c.CheckID, api.ServiceMaintenance) {
			status = api.HealthMaintenance
		}
		worst = max(worst, slices.Index(rank, status))
	}
	return rank[worst]
}

// InSync reports whether the catalog is known to have everything as it is here.
func (t *table) InSync() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	same := t.nodeSame
	for _, n := range t.services {
		same = same && n.same
	}
	for _, c := range t.checks {
		same = same && c.same
	}
	return same
}
