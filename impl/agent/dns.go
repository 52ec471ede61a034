package agent

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"strconv"
	"time"

	"tribune/impl/api"
	"tribune/impl/dns"
)

// resolve starts answering DNS, unless the configuration has no port for it.
func (a *Agent) resolve(ctx context.Context) (err error) {
	c := a.config
	if c.Ports.DNS < 0 {
		return nil
	}
	a.dns, err = dns.Start(ctx, dns.Config{
		Network: a.host.Network(), Bind: net.JoinHostPort(cmp.Or(c.Addresses.DNS, c.ClientAddr), strconv.Itoa(c.Ports.DNS)), Logger: a.log,
		Datacenter: c.Datacenter, Domain: c.Domain, AltDomain: c.AltDomain, Catalog: a.brain, Execute: a.execute, Settings: c.DNS, Metrics: a.metrics,
	})
	return err
}

// execute runs a prepared query for DNS.
func (a *Agent) execute(ctx context.Context, name string, client netip.Addr, o api.QueryOptions) ([]api.CheckServiceNode, time.Duration, error) {
	found, err := a.brain.QueryExecute(ctx, api.QueryExecuteRequest{
		QueryIDOrName: name, Source: api.Source{IP: client.String()}, Agent: a.config.NodeName, QueryOptions: o,
	})
	if err != nil {
		return nil, 0, err
	}
	ttl := time.Duration(-1)
	if found.DNS.TTL != "" {
		if ttl, err = time.ParseDuration(found.DNS.TTL); err != nil {
			return nil, 0, err
		}
	}
	return found.Nodes, ttl, nil
}
