// Package check runs health checks: what an agent does to find out how its node
// and its services are (Consul documentation: Define Health Checks).
//
// A check is one of three:
//
//   - A probe runs at an interval and looks for itself: http.go, socket.go (TCP,
//     UDP, HTTP/2 ping), grpc.go, script.go. What it finds counts once it has been
//     found often enough in a row: thresholds.go.
//   - A TTL check waits to be told, and is critical when nobody tells it anything
//     for too long: ttl.go.
//   - An alias mirrors the checks of another service or node: alias.go.
//
// What a check finds goes to a Sink. Targets are reached and commands run through
// package host.
package check

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/host"
)

// Sink takes what checks find, whether or not it is what they found before. Each
// check calls it once at a time; it must call neither Stop nor Touch of that check.
type Sink interface {
	// UpdateCheck takes a status (api.HealthPassing, Warning or Critical) and
	// what a person may read about it.
	UpdateCheck(id, status, output string)
}

// Config is what checks stand on.
type Config struct {
	Node    string // this agent's node
	Network host.Network
	Exec    host.Exec
	Local   Local   // what local aliases mirror
	Catalog Catalog // what aliases of other nodes mirror
	Sink    Sink
	// TLS is what checks over TLS begin with (authorities, certificate of this
	// agent); nil: the system's authorities.
	TLS           *tls.Config
	Scripts       bool // script checks may run
	OutputMaxSize int  // bytes that a check may keep of an output; default: 4096
	Logger        *slog.Logger
}

const (
	defaultTimeout       = 10 * time.Second
	defaultScriptTimeout = 30 * time.Second
	defaultOutputMaxSize = 4096
	// minInterval keeps a machine from doing nothing but checks.
	minInterval = time.Second
)

// Check is a check that runs.
type Check struct {
	id   string
	ttl  *ttl // nil for other kinds
	stop context.CancelFunc
	wait sync.WaitGroup
}

// finding is what one look found.
type finding struct{ status, output string }

// probe looks once. It returns soon after the context has ended; what it returns
// then does not count if the check was stopped.
type probe func(context.Context) finding

// Validate returns why a check cannot be, an error of kind fault.Invalid. The texts
// are Consul's.
func (c Config) Validate(d api.CheckDefinition) error {
	probes, alias := isProbe(d), isAlias(d)
	switch {
	case d.Interval > 0 && d.TTL > 0:
		return fault.New(fault.Invalid, "Interval and TTL cannot both be specified")
	case probes && d.Interval <= 0:
		return fault.New(fault.Invalid, "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks")
	case probes && alias:
		return fault.New(fault.Invalid, "Interval cannot be set for Alias checks")
	case alias && d.TTL > 0:
		return fault.New(fault.Invalid, "TTL must be not be set for Alias checks")
	case !probes && !alias && d.TTL <= 0:
		return fault.New(fault.Invalid, "TTL must be > 0 for TTL checks")
	case d.OutputMaxSize < 0:
		return fault.New(fault.Invalid, "MaxOutputMaxSize must be positive")
	case d.FailuresBeforeWarning > d.FailuresBeforeCritical:
		return fault.New(fault.Invalid, "FailuresBeforeWarning can't be higher than FailuresBeforeCritical")
	case d.OSService != "":
		return fault.New(fault.Invalid, "OSService checks exist on Windows only")
	case len(d.ScriptArgs) > 0 && !c.Scripts:
		return fault.New(fault.Invalid, "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or 'enable_local_script_checks' to true")
	}
	return nil
}

func isProbe(d api.CheckDefinition) bool {
	return len(d.ScriptArgs) > 0 || d.HTTP != "" || d.TCP != "" || d.UDP != "" || d.GRPC != "" || d.H2PING != "" || d.OSService != ""
}

func isAlias(d api.CheckDefinition) bool { return d.AliasNode != "" || d.AliasService != "" }

// Start has a check run until it is stopped. A probe looks for the first time
// after a random part of its interval, so that checks that were registered
// together do not run together. The errors are those of Validate.
func (c Config) Start(d api.CheckDefinition) (*Check, error) {
	if err := c.Validate(d); err != nil {
		return nil, err
	}
	c.Logger = c.Logger.With("check", d.CheckID)
	ctx, cancel := context.WithCancel(context.Background())
	k := &Check{id: d.CheckID, stop: cancel}
	run := func(ctx context.Context) { c.every(ctx, d) }
	switch {
	case d.TTL > 0:
		k.ttl = c.newTTL(d)
		run = k.ttl.run
	case isAlias(d):
		run = c.newAlias(d).run
	}
	k.wait.Go(func() { run(ctx) })
	return k, nil
}

// Stop ends the check, in the middle of whatever it does, and waits until it has
// ended. Nothing reaches the Sink afterwards.
func (k *Check) Stop() {
	k.stop()
	k.wait.Wait()
}

// Touch tells a TTL check how things are, for one TTL from now, and returns how much is kept
// of the output. It is an error if
// the check is of another kind or has been stopped, or if there is no such status.
func (k *Check) Touch(status, output string) (kept string, err error) {
	if k.ttl == nil {
		return "", fault.New(fault.Internal, "CheckID %q does not have associated TTL", k.id)
	}
	return k.ttl.touch(status, output)
}

// every runs a probe until the context ends, with an interval between the end of
// one run and the beginning of the next.
func (c Config) every(ctx context.Context, d api.CheckDefinition) {
	interval := d.Interval
	if interval < minInterval {
		c.Logger.Warn("check has interval below minimum", "interval", interval, "minimum_interval", minInterval)
		interval = minInterval
	}
	look, counts := c.probe(d), newThresholds(d)
	next := time.NewTimer(rand.N(interval))
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
		found := look(ctx)
		if ctx.Err() != nil {
			return
		}
		if status := counts.judge(found.status); status != "" {
			c.tell(d.CheckID, finding{status, found.output})
		} else {
			c.Logger.Debug("a check found something, but not often enough in a row", "status", found.status, "output", found.output)
		}
		next.Reset(interval)
	}
}

func (c Config) tell(id string, f finding) {
	c.Logger.Debug("a check found something", "status", f.status, "output", f.output)
	c.Sink.UpdateCheck(id, f.status, f.output)
}

// probe makes the probe of a definition. One that names several gets the first of
// them in Consul's order.
func (c Config) probe(d api.CheckDefinition) probe {
	timeout, scriptTimeout := defaultTimeout, defaultScriptTimeout
	if d.Timeout > 0 {
		timeout, scriptTimeout = d.Timeout, d.Timeout
	}
	switch {
	case d.HTTP != "":
		return within(timeout, c.http(d))
	case d.TCP != "":
		return within(timeout, c.tcp(d))
	case d.UDP != "":
		return within(timeout, c.udp(d))
	case d.GRPC != "":
		return within(timeout, c.grpc(d))
	case len(d.ScriptArgs) > 0:
		return within(scriptTimeout, c.script(d, scriptTimeout))
	default:
		return within(timeout, c.h2ping(d))
	}
}

func within(timeout time.Duration, p probe) probe {
	return func(ctx context.Context) finding {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return p(ctx)
	}
}

// outputMaxSize is how many bytes a check may keep of an output: a definition can
// ask for less than the agent allows.
func (c Config) outputMaxSize(d api.CheckDefinition) int {
	limit := c.OutputMaxSize
	if limit <= 0 {
		limit = defaultOutputMaxSize
	}
	if d.OutputMaxSize > 0 {
		limit = min(limit, d.OutputMaxSize)
	}
	return limit
}

// cut keeps so many bytes of an output, and says so.
func cut(output string, limit int) string {
	if len(output) <= limit {
		return output
	}
	return fmt.Sprintf("%s ... (captured %d of %d bytes)", output[:limit], limit, len(output))
}

// tlsFor is how a check speaks TLS with the host it calls host.
func (c Config) tlsFor(d api.CheckDefinition, host string) *tls.Config {
	t := c.TLS.Clone()
	if t == nil {
		t = &tls.Config{}
	}
	switch {
	case d.TLSServerName != "":
		t.ServerName = d.TLSServerName
	case t.ServerName == "":
		t.ServerName = host
	}
	t.InsecureSkipVerify = d.TLSSkipVerify
	return t
}
