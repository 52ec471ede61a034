package agent

import (
	"fmt"

	"tribune/impl/check"
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
// agent runs: services and checks, the node's metadata, watches, DNS, the limit on connections, and the
// level of the log. What else has changed waits for the next start, and the log says
// so. An error means that nothing has changed.
func (a *Agent) Reload() error {
	a.loaded.mu.Lock()
	defer a.loaded.mu.Unlock()
	c, err := a.loaded.config.Again()
	if err != nil {
		return fmt.Errorf("reloading the configuration: %w", err)
	}
	if err := Validate(c); err != nil {
		return fmt.Errorf("reloading the configuration: %w", err)
	}
	if err := a.local.Reload(definitions(c)); err != nil {
		return fmt.Errorf("reloading the configuration: %w", err)
	}
	a.local.SetNodeMeta(nodeMeta(c))
	a.local.SetDiscardOutput(c.Probing.DiscardOutput)
	if a.dns != nil {
		if err := a.dns.Apply(c.DNS); err != nil {
			return fmt.Errorf("reloading the configuration: %w", err)
		}
	}
	watches, err := parseWatches(c)
	if err != nil {
		return fmt.Errorf("reloading the configuration: %w", err)
	}
	a.acts.watches.Set(watches)
	a.web.limit.Set(connections(c))
	level, _ := config.ParseLevel(c.LogLevel) // validated
	a.hub.SetLevel(level)
	for _, w := range c.Warnings {
		a.log.Warn(w)
	}
	for _, key := range a.loaded.config.Fixed(c) {
		a.log.Warn("a setting changed that waits for the next start of the agent", "setting", key)
	}
	a.log.Info("the configuration was reloaded", "services", len(c.Services), "checks", len(c.Checks))
	a.loaded.config = c
	return nil
}
