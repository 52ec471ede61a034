package agent

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
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
		Network: a.host.Network(), Bind: at(cmp.Or(c.Addresses.DNS, c.ClientAddr), c.Ports.DNS), Logger: a.log,
		Datacenter: c.Datacenter, Domain: c.Domain, AltDomain: c.AltDomain, Catalog: a.brain, Execute: a.execute, Settings: c.DNS, Metrics: a.metrics,
	})
	return err
}

// at is a port at each of the addresses in a text, "IP:PORT".
func at(addresses string, port int) []string {
	var all []string
	for _, a := range strings.Fields(addresses) {
		all = append(all, net.JoinHostPort(a, strconv.Itoa(port)))
	}
	return all
}

// execute runs a prepared query for DNS.
func (a *Agent) execute(ctx context.Context, name string, client netip.Addr, o api.QueryOptions) (dns.Executed, error) {
	found, err := a.brain.QueryExecute(ctx, api.QueryExecuteRequest{
		QueryIDOrName: name, Source: api.Source{IP: client.String()}, Agent: a.config.NodeName, QueryOptions: o,
	})
	e := dns.Executed{Instances: found.Nodes, TTL: -1, QueryMeta: found.QueryMeta}
	if err == nil && found.DNS.TTL != "" {
		e.TTL, err = time.ParseDuration(found.DNS.TTL)
	}
	return e, err
}
