package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"path"

	"tribune/impl/api"
	"tribune/impl/config"
	"tribune/impl/event"
	"tribune/impl/rexec"
	"tribune/impl/watch"
)

// acts is what the agent does when something happens.
type acts struct {
	events  *event.Events
	rexec   *rexec.Runner
	watches *watch.Engine // nil: there is no HTTP API
}

// react takes up the events that gossip brings.
func (a *Agent) react(fired <-chan api.RawEvent) {
	c := a.config
	a.acts.rexec = rexec.New(rexec.Config{Node: c.NodeName, Host: a.host, Dir: c.DataDir, KV: a.brain, Logger: a.log})
	a.acts.events = event.New(event.Config{
		Node: c.NodeName, Datacenter: c.Datacenter, Services: a.local.Services, Fire: a.brain.Fire, Query: c.Query, Logger: a.log,
		Internal: map[string]func(api.UserEvent){rexec.EventName: a.remoteExec},
	})
	a.wait.Go(func() { a.acts.events.Run(a.ctx, fired) })
}

// remoteExec runs what an event calls for, if a person allowed that.
func (a *Agent) remoteExec(e api.UserEvent) {
	if a.config.DisableRemoteExec {
		a.log.Info("a command that others want to be run is ignored: disable_remote_exec is true", "event", e.ID)
		return
	}
	a.acts.rexec.Handle(e)
}

// watch starts the watches of the configuration, which follow this agent's own HTTP
// API: it listens already, and answers when it is served.
func (a *Agent) watch() error {
	list, err := parseWatches(a.config)
	if err != nil || a.HTTPAddr() == "" {
		return err
	}
	at, err := netip.ParseAddrPort(a.HTTPAddr())
	if err != nil {
		return fmt.Errorf("the address of the HTTP API: %w", err)
	}
	switch ip := at.Addr(); {
	case ip.IsUnspecified() && ip.Is4():
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	case ip.IsUnspecified():
		at = netip.AddrPortFrom(netip.IPv6Loopback(), at.Port())
	}
	a.acts.watches = watch.New(watch.Config{
		Host: a.host, Address: at.String(), Token: a.tokens.get(tokenDefault), File: path.Join(a.config.DataDir, "watches.json"), Logger: a.log,
	})
	a.acts.watches.Set(list)
	return nil
}

func parseWatches(c *config.Config) ([]*watch.Watch, error) {
	if len(c.Watches) > 0 && c.Ports.HTTP < 0 {
		return nil, errors.New("watches: the agent follows them through its HTTP API, and ports.http is -1")
	}
	var list []*watch.Watch
	for i, settings := range c.Watches {
		w, err := watch.Parse(settings)
		if err != nil {
			return nil, fmt.Errorf("watches: number %d: %w", i+1, err)
		}
		list = append(list, w)
	}
	return list, nil
}
