package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"tribune/impl/api"
	"tribune/impl/cache"
	"tribune/impl/config"
	"tribune/impl/connlimit"
	"tribune/impl/fault"
	"tribune/impl/httpapi"
	"tribune/impl/logging"
)

// listen opens the addresses of the HTTP API, unless the configuration has no port for
// it.
func (a *Agent) listen(ctx context.Context) error {
	c := a.config
	if c.Ports.HTTP < 0 {
		return nil
	}
	for _, address := range at(cmp.Or(c.Addresses.HTTP, c.ClientAddr), c.Ports.HTTP) {
		listen, err := a.host.Network().Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("the HTTP API %s: %w", address, err)
		}
		a.web.listen = append(a.web.listen, listen)
	}
	return nil
}

// serve starts answering HTTP requests.
func (a *Agent) serve() {
	a.web.cache = cache.New(a.brain, a.config.Query, a.metrics)
	a.web.limit = connlimit.New(connections(a.config), a.log, a.metrics)
	a.web.server = &http.Server{
		Handler: connlimit.Handler(httpapi.New(httpapi.Config{
			KV: a.brain, Catalog: catalog{a.brain, a.web.cache}, Session: a.brain, Txn: a.brain, Coordinate: a.brain, Query: a.brain, Status: a.brain, Agent: face{a}, Local: a.local, Events: a.acts.events,
			Logger: a.log, Metrics: a.metrics, MaxValueSize: a.config.KVMaxValueSize, MaxTxnLen: a.config.HTTP.MaxTxnLen, QueryTimes: a.config.Query, CheckKeys: !a.config.DisableKeyValidation, NoCoordinates: a.config.DisableCoordinates,
		})),
		ConnContext:       connlimit.ConnContext,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       5 * time.Minute,
		ErrorLog:          logging.Std(a.log),
		BaseContext:       func(net.Listener) context.Context { return a.ctx },
	}
	for _, l := range a.web.listen {
		a.wait.Go(func() {
			if err := a.web.server.Serve(a.web.limit.Listener(l)); !errors.Is(err, http.ErrServerClosed) {
				a.fail(fmt.Errorf("the HTTP API %s stopped: %w", l.Addr(), err))
			}
		})
	}
}

// catalog is the catalog with what can be had from the agent's cache.
type catalog struct {
	httpapi.Catalog
	cache *cache.Cache
}

// HealthOfService implements httpapi.Catalog.
func (c catalog) HealthOfService(ctx context.Context, r api.CatalogRequest) (api.List[api.CheckServiceNode], error) {
	return c.cache.HealthOfService(ctx, r)
}

// ServiceNodes implements httpapi.Catalog.
func (c catalog) ServiceNodes(ctx context.Context, r api.CatalogRequest) (api.List[api.CatalogService], error) {
	return c.cache.ServiceNodes(ctx, r)
}

// Services implements httpapi.Catalog.
func (c catalog) Services(ctx context.Context, r api.CatalogRequest) (api.ServicesResponse, error) {
	return c.cache.Services(ctx, r)
}

// connections is how many connections to the HTTP API a client may have.
func connections(c *config.Config) connlimit.Settings {
	return connlimit.Settings{Max: c.HTTP.MaxConns, ExemptLoopback: c.HTTP.ExemptLoopback}
}

// face is the agent as the HTTP API sees it.
type face struct{ *Agent }

// Host describes the machine.
func (f face) Host() api.AgentHost { return machine(f.host) }

// Listen implements httpapi.Agent.
func (f face) Listen(level string, asJSON bool) (<-chan string, func(), error) {
	least, ok := config.ParseLevel(cmp.Or(level, "info"))
	if !ok {
		return nil, nil, fault.New(fault.Invalid, "Unknown log level: %s", level)
	}
	format := logging.Handler
	if asJSON {
		format = logging.JSON
	}
	lines, stop := f.hub.Listen(format, least)
	return lines, stop, nil
}

// SetToken sets a token that the agent itself uses.
func (f face) SetToken(kind, secret string) error { return f.tokens.put(kind, secret) }

func (f face) Join(ctx context.Context, address string) error {
	_, err := f.brain.Join(ctx, []string{address})
	return err
}

func (f face) ForceLeave(name string, prune bool) error { return f.brain.ForceLeave(name, prune) }
