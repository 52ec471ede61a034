// Package dns is the DNS face of an agent: Consul's DNS interface, on port 8600
// (Consul documentation: DNS interface; DNS parameters of the configuration).
//
// What can be asked, where DOMAIN is "consul." and DC the agent's datacenter,
// which may be written DC.dc and may be left out:
//
//	[TAG.]NAME.service.DC.DOMAIN        healthy instances of a service
//	_NAME._TAG[.service].DC.DOMAIN      the same (RFC 2782); _tcp is any tag
//	NAME.node.DC.DOMAIN                 a node
//	HEX.addr.DC.DOMAIN                  the address that HEX spells
//	NAME.query.DC.DOMAIN                what a prepared query finds
//	_NAME._tcp.query.DC.DOMAIN          the same
//	DOMAIN                              SOA and NS: the servers
//	...in-addr.arpa., ...ip6.arpa.      the node or the service with an address
//
// Other names go to the recursors, if there are any.
//
// A question passes through four stages, each in a file of its own: question.go
// reads what is asked from its name; lookup.go finds it in the catalog; answer.go
// makes records of it; fit.go makes a message that the client can take.
//
// Where it differs from Consul, on purpose:
//
//   - A name that only has others below it, such as "service.consul.", exists:
//     its answer is empty and not NXDOMAIN, which resolvers that minimise what
//     they ask take for the end of all below it (RFC 8020, RFC 9156).
//   - SOA and NS belong to the domain alone. Other names have the SOA beside
//     their empty answer.
//   - No answer is longer than the client can take, and over UDP the TC bit (with
//     EnableTruncate) tells of everything that was left out.
//   - A question for a name of ours in another form than those above is answered
//     at once: it never reaches a recursor.
package dns

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"tribune/impl/api"
	"tribune/impl/host"
	"tribune/impl/metrics"
)

// Catalog is where nodes and services are found.
type Catalog interface {
	HealthOfService(context.Context, api.CatalogRequest) (api.List[api.CheckServiceNode], error)
	NodeServices(context.Context, api.CatalogRequest) (api.NodeServicesResponse, error)
	Nodes(context.Context, api.CatalogRequest) (api.List[api.Node], error)
	Services(context.Context, api.CatalogRequest) (api.ServicesResponse, error)
	ServiceNodes(context.Context, api.CatalogRequest) (api.List[api.CatalogService], error)
}

// Execute runs a prepared query for a client at an address. An error of kind
// fault.NotFound says that there is no such query.
type Execute func(ctx context.Context, name string, client netip.Addr, o api.QueryOptions) (Executed, error)

// Executed is what a prepared query finds.
type Executed struct {
	Instances []api.CheckServiceNode // best first
	TTL       time.Duration          // that the query sets for them; negative: none
	api.QueryMeta
}

// Config is what the server stands on.
type Config struct {
	Network    host.Network
	Bind       []string // each IP:PORT, for UDP and TCP; port 0 picks a free one
	Logger     *slog.Logger
	Datacenter string
	Domain     string // default: "consul."
	AltDomain  string // a second domain, if not empty; answers repeat the one that was asked for
	Catalog    Catalog
	Execute    Execute // nil: there are no prepared queries
	Settings   Settings
	Metrics    *metrics.Registry // gets the server's figures; nil: nobody does
}
