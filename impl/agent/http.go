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
	"tribune/impl/config"
	"tribune/impl/fault"
	"tribune/impl/httpapi"
	"tribune/impl/logging"
)

// serve starts answering HTTP requests.
func (a *Agent) serve() {
	a.web.server = &http.Server{
		Handler: httpapi.New(httpapi.Config{
			KV: a.brain, Catalog: a.brain, Session: a.brain, Txn: a.brain, Coordinate: a.brain, Query: a.brain, Status: a.brain, Agent: face{a}, Local: a.local, Events: a.acts.events,
			Logger: a.log, MaxValueSize: a.config.KVMaxValueSize, CheckKeys: !a.config.DisableKeyValidation,
		}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       5 * time.Minute,
		ErrorLog:          logging.Std(a.log),
		BaseContext:       func(net.Listener) context.Context { return a.ctx },
	}
	a.wait.Go(func() {
		if err := a.web.server.Serve(a.web.listen); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("the HTTP API stopped: %w", err)
		}
	})
}

// face is the agent as the HTTP API sees it.
type face struct{ *Agent }

func (f face) Self() api.AgentSelf {
	c := f.config
	self := api.AgentSelf{
		Config: api.AgentConfig{
			Datacenter: c.Datacenter, PrimaryDatacenter: c.Datacenter, NodeName: c.NodeName, NodeID: c.NodeID,
			Server: c.Server, Version: Version,
		},
		DebugConfig: map[string]any{"Bootstrap": c.Bootstrap, "BootstrapExpect": c.BootstrapExpect, "DataDir": c.DataDir, "LogLevel": c.LogLevel},
		Coord:       f.brain.Coordinate(),
		Stats:       f.brain.Stats(),
		Meta:        f.node.Meta,
	}
	for _, m := range f.brain.Members() {
		if m.Name == c.NodeName {
			self.Member = m
		}
	}
	return self
}

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
