package dns

import (
	"context"
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"tribune/impl/api"
)

// arpa reads the address from a name in lower case under in-addr.arpa or ip6.arpa.
func arpa(name string) (netip.Addr, bool) {
	if digits, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		parts := strings.Split(digits, ".")
		slices.Reverse(parts)
		a, err := netip.ParseAddr(strings.Join(parts, "."))
		return a, err == nil && a.Is4()
	}
	digits, ok := strings.CutSuffix(name, ".ip6.arpa.")
	nibbles := strings.Split(digits, ".")
	if !ok || slices.ContainsFunc(nibbles, func(n string) bool { return len(n) != 1 }) {
		return netip.Addr{}, false
	}
	slices.Reverse(nibbles)
	b, err := hex.DecodeString(strings.Join(nibbles, ""))
	a, ok := netip.AddrFromSlice(b)
	return a, err == nil && ok && a.Is6()
}

// reverse answers with the node that has an address, or else the service that has
// an instance there; dns.RcodeNameError if there is neither.
func (r *request) reverse(a netip.Addr) reply {
	r.domain = r.domains[0]
	name, err := r.nodeAt(a)
	if err == nil && name == "" {
		name, err = r.serviceAt(a)
	}
	if err != nil {
		return r.failed(err)
	}
	if name == "" {
		return reply{rcode: dns.RcodeNameError}
	}
	ptr := &dns.PTR{Hdr: header(r.q.Name, dns.TypePTR, 0), Ptr: name}
	return reply{authoritative: true, entries: []entry{{answer: []dns.RR{ptr}}}}
}

// nodeAt is the name of the first node with an address.
func (r *request) nodeAt(a netip.Addr) (string, error) {
	var nodes []api.Node
	err := r.read("nodes", func(ctx context.Context, o api.QueryOptions) (api.QueryMeta, error) {
		found, err := r.config.Catalog.Nodes(ctx, api.CatalogRequest{QueryOptions: o})
		nodes = found.Items
		return found.QueryMeta, err
	})
	if err != nil {
		return "", err
	}
	for _, n := range nodes {
		if ip, ok := parseIP(n.Address); ok && ip == a {
			if name, ok := r.canonical(n.Node, "node"); ok {
				return name, nil
			}
		}
	}
	return "", nil
}

// serviceAt is the name of the first service with an instance that has an address
// of its own.
func (r *request) serviceAt(a netip.Addr) (string, error) {
	var services map[string][]string
	err := r.read("services", func(ctx context.Context, o api.QueryOptions) (api.QueryMeta, error) {
		found, err := r.config.Catalog.Services(ctx, api.CatalogRequest{QueryOptions: o})
		services = found.Services
		return found.QueryMeta, err
	})
	if err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		full, ok := r.canonical(name, "service")
		if !ok {
			continue
		}
		var instances []api.CatalogService
		err := r.read("instances of "+name, func(ctx context.Context, o api.QueryOptions) (api.QueryMeta, error) {
			found, err := r.config.Catalog.ServiceNodes(ctx, api.CatalogRequest{Service: name, QueryOptions: o})
			instances = found.Items
			return found.QueryMeta, err
		})
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(instances, func(i api.CatalogService) bool { ip, ok := parseIP(i.ServiceAddress); return ok && ip == a }) {
			return full, nil
		}
	}
	return "", nil
}
