package dns

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"tribune/impl/api"
)

// staleAfter is how far behind the leader an answer counts as stale, as in Consul.
const staleAfter = 5 * time.Second

// read reads from the catalog, from any server if that is allowed, but from the
// leader if the answer turns out to be too stale.
func (r *request) read(what string, from func(context.Context, api.QueryOptions) (api.QueryMeta, error)) error {
	meta, err := from(r.ctx, api.QueryOptions{AllowStale: r.AllowStale, MaxStaleDuration: r.MaxStale})
	if err == nil && r.AllowStale && meta.LastContact > staleAfter {
		r.figures.stale.Inc()
	}
	if err == nil && r.AllowStale && meta.LastContact > r.MaxStale {
		_, err = from(r.ctx, api.QueryOptions{})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// service answers about the instances of a service.
func (r *request) service(q question) (reply, error) {
	found, err := r.instances(q.name, q.tags)
	if err != nil {
		return reply{}, err
	}
	if len(found) == 0 {
		return reply{rcode: dns.RcodeNameError}, nil
	}
	return r.answer(found, r.serviceTTL(q.name)), nil
}

// instances lists the healthy instances of a service that have all of the tags, in
// random order.
func (r *request) instances(name string, tags []string) ([]api.CheckServiceNode, error) {
	var all, found []api.CheckServiceNode
	err := r.read("instances of "+name, func(ctx context.Context, o api.QueryOptions) (api.QueryMeta, error) {
		a, err := r.config.Catalog.HealthOfService(ctx, api.CatalogRequest{Service: name, Tags: tags, QueryOptions: o})
		all = a.Items
		return a.QueryMeta, err
	})
	for _, n := range all {
		if r.healthy(n) {
			found = append(found, n)
		}
	}
	rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	return found, err
}

// healthy reports whether an instance is to be told of.
func (r *request) healthy(n api.CheckServiceNode) bool {
	status := health(n)
	return status == api.HealthPassing || status == api.HealthWarning && !r.OnlyPassing
}

// health is the worst state of the checks of an instance.
func health(n api.CheckServiceNode) string {
	worst := api.HealthPassing
	for _, c := range n.Checks {
		switch c.Status {
		case api.HealthPassing:
		case api.HealthWarning:
			worst = api.HealthWarning
		default:
			return api.HealthCritical
		}
	}
	return worst
}

// node answers about a node, whatever its health.
func (r *request) node(name string) (reply, error) {
	var found *api.Node
	err := r.read("node "+name, func(ctx context.Context, o api.QueryOptions) (api.QueryMeta, error) {
		a, err := r.config.Catalog.NodeServices(ctx, api.CatalogRequest{Node: name, QueryOptions: o})
		found = a.Node
		return a.QueryMeta, err
	})
	if err != nil {
		return reply{}, err
	}
	if found == nil {
		return reply{rcode: dns.RcodeNameError}, nil
	}
	return r.aboutNode(*found), nil
}

// address answers with the address that a name spells.
func (r *request) address(spelled string) reply {
	b, err := hex.DecodeString(spelled)
	ip, ok := netip.AddrFromSlice(b)
	if err != nil || !ok {
		return reply{rcode: dns.RcodeNameError}
	}
	if rr := addressRecord(r.q.Name, r.q.Qtype, ip, r.NodeTTL); rr != nil {
		return reply{entries: []entry{{answer: []dns.RR{rr}}}}
	}
	return reply{}
}

// prepared answers with what a prepared query finds, in its order.
func (r *request) prepared(name string) (reply, error) {
	if r.config.Execute == nil {
		return reply{rcode: dns.RcodeNameError}, nil
	}
	var found Executed
	err := r.read("prepared query "+name, func(ctx context.Context, o api.QueryOptions) (api.QueryMeta, error) {
		var err error
		found, err = r.config.Execute(ctx, name, r.source(), o)
		return found.QueryMeta, err
	})
	if err != nil {
		return reply{}, err
	}
	if len(found.Instances) == 0 {
		return reply{rcode: dns.RcodeNameError}, nil
	}
	if found.TTL < 0 {
		found.TTL = r.serviceTTL(found.Instances[0].Service.Service)
	}
	return r.answer(found.Instances, found.TTL), nil
}
