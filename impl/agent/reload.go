package agent

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"tribune/impl/check"
	"tribune/impl/client"
	"tribune/impl/config"
	"tribune/impl/local"
)

// Validate returns why an agent could not run with a configuration, as far as that
// can be told without one.
func Validate(c *config.Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if _, err := parseWatches(c); err != nil {
		return err
	}
	p := prober{Config: check.Config{Scripts: c.Probing.Scripts || c.Probing.LocalScripts}}
	return local.Validate(p, definitions(c))
}

// Reload loads the configuration anew and puts in effect what can be while the
// agent runs: services and checks, the node's metadata, watches, DNS, limits of
// connections and requests, when a server takes snapshots, and the level of the log.
// What else has changed since the start waits for the next one, and the log says so. An
// error means that nothing has changed; the log has it, too.
func (a *Agent) Reload() error {
	a.loaded.mu.Lock()
	defer a.loaded.mu.Unlock()
	err := a.reload()
	if err != nil {
		err = fmt.Errorf("reloading the configuration: %w", err)
		a.log.Error("the configuration stays as it was", "error", err)
	}
	return err
}

// reload is Reload while nobody else does it.
func (a *Agent) reload() error {
	c, err := a.loaded.config.Again()
	if err != nil {
		return err
	}
	if err := Validate(c); err != nil {
		return err
	}
	own := *c // as in New: what was loaded keeps its templates
	if err := own.Expand(a.host.Network()); err != nil {
		return err
	}
	if err := a.scriptsWait(c); err != nil {
		return err
	}
	if a.HTTPAddr() == "" && len(c.Watches) > 0 {
		return errors.New("watches: the agent follows them through its HTTP API, and this one was started without: ports.http was -1")
	}
	if err := a.local.Reload(definitions(c)); err != nil {
		return err
	}
	if s := a.Server(); s != nil {
		if err := s.SetCompaction(compaction(c)); err != nil {
			return fmt.Errorf("raft_snapshot_interval: %w", err)
		}
	}
	a.local.SetNodeMeta(nodeMeta(c))
	a.local.SetDiscardOutput(c.Probing.DiscardOutput)
	if a.dns != nil {
		if err := a.dns.Apply(own.DNS); err != nil {
			return err
		}
	}
	watches, err := parseWatches(c)
	if err != nil {
		return err
	}
	if a.acts.watches != nil {
		a.acts.watches.Set(watches)
	}
	a.web.limit.Set(connections(c))
	if k, ok := a.brain.(*client.Client); ok {
		k.Limit(rpcLimits(c))
	}
	level, _ := config.ParseLevel(c.LogLevel) // validated
	a.hub.SetLevel(level)
	for _, w := range c.Warnings {
		a.log.Warn(w)
	}
	for _, key := range a.loaded.first.Fixed(c) {
		a.log.Warn("a setting changed that waits for the next start of the agent", "setting", key)
	}
	a.log.Info("the configuration was reloaded", "services", len(c.Services), "checks", len(c.Checks))
	a.loaded.config = c
	return nil
}

// scriptsWait is an error if a configuration allows scripts that it defines and the
// agent was started without that: what may be run does not change while it runs.
func (a *Agent) scriptsWait(c *config.Config) error {
	now := a.config.Probing
	if now.Scripts || now.LocalScripts || !c.Probing.Scripts && !c.Probing.LocalScripts {
		return nil
	}
	all := slices.Clone(c.Checks)
	for _, s := range c.Services {
		all = append(all, s.Checks...)
	}
	for _, d := range all {
		if len(d.ScriptArgs) > 0 {
			return fmt.Errorf("check %q is a script: enable_script_checks and enable_local_script_checks take effect when the agent starts, and this one was started without", cmp.Or(d.CheckID, d.Name))
		}
	}
	return nil
}

// lookPause is the time between two looks at the files of the configuration.
const lookPause = 2 * time.Second

// followFiles reloads the configuration when its files have changed and two looks have
// found the same, so that none is read of which half is written. What is wrong with it is
// said once.
func (a *Agent) followFiles() {
	look := func() (loaded, now string) {
		a.loaded.mu.Lock()
		defer a.loaded.mu.Unlock()
		loaded, now, err := a.loaded.config.Files()
		if err != nil {
			return loaded, err.Error()
		}
		return loaded, now
	}
	before, refused := "", ""
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-time.After(lookPause):
		}
		loaded, now := look()
		if now != loaded && now == before && now != refused {
			a.log.Info("files of the configuration have changed")
			if a.Reload() != nil {
				refused = now
			}
		}
		before = now
	}
}
