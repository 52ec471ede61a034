// Package agent is the composition root: the one package that knows every part
// and puts an agent together from a configuration and a host. Many agents run
// in one process; nothing here or below is shared between them.
//
//   - agent.go opens and closes the parts.
//   - identity.go says who the agent is: its ID and its address.
//   - brain.go chooses between a server and a client.
//   - reload.go changes what can be changed while the agent runs.
//   - local.go connects what is registered here with its checks and the catalog.
//   - coordinate.go tells the servers where the agent is.
//   - dns.go opens the DNS face.
//   - events.go is what the agent does when something happens.
//   - http.go is the agent as the HTTP API sees it; self.go is what it says about itself.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path"
	"sync"
	"time"

	"tribune/impl/api"
	"tribune/impl/cache"
	"tribune/impl/config"
	"tribune/impl/connlimit"
	"tribune/impl/dns"
	"tribune/impl/event"
	"tribune/impl/host"
	"tribune/impl/local"
	"tribune/impl/logging"
	"tribune/impl/metrics"
	"tribune/impl/server"
)

// Version is the version of this program.
const Version = "0.1.0"

// Agent is a running agent.
type Agent struct {
	config *config.Config
	hub    *logging.Hub
	log    *slog.Logger // which writes to the hub
	host   host.Host
	lock   io.Closer
	tokens *tokens
	brain  brain
	local  *local.State
	dns    *dns.Server // nil: none
	web    web
	acts   acts
	wait   sync.WaitGroup

	leave  ending     // out of the cluster, when somebody asks for it
	close  ending     // of the agent
	failed chan error // why it cannot go on

	ctx  context.Context // ends when the agent closes
	stop context.CancelFunc

	loaded  loaded
	metrics *metrics.Registry
}

// loaded is the configuration that was loaded last, and the one of the start, which is
// in effect as far as it does not change while the agent runs.
type loaded struct {
	mu            sync.Mutex // held while it is loaded anew
	config, first *config.Config
}

// web is the HTTP API's server and where it listens.
type web struct {
	server *http.Server
	listen []net.Listener
	limit  *connlimit.Limit
	cache  *cache.Cache
}

// close has requests that wait for a change answered, and gives others some time.
func (w web) close() error {
	if w.server == nil {
		var errs []error
		for _, l := range w.listen {
			errs = append(errs, l.Close())
		}
		return errors.Join(errs...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		return w.server.Close()
	}
	return nil
}

// ending is something that is done once.
type ending struct {
	once sync.Once
	done chan struct{} // closed when it is done
	err  error
}

// do does it, or waits for who does.
func (e *ending) do(f func() error) error {
	e.once.Do(func() {
		e.err = f()
		close(e.done)
	})
	return e.err
}

// ErrNotJoined says that no agent answered within the attempts allowed.
var ErrNotJoined = errors.New("no agent to join answered")

// New starts an agent: everything, or nothing with an error that says what
// could not be had. Of what the agent logs, log gets what the configuration's
// level lets through.
func New(ctx context.Context, c *config.Config, h host.Host, log *slog.Logger) (*Agent, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	own := *c // which gets addresses, the node's name and ID; the caller's may serve others
	if err := own.Expand(h.Network()); err != nil {
		return nil, err
	}
	level, _ := config.ParseLevel(c.LogLevel) // validated
	hub := logging.NewHub(log.Handler(), level)
	a := &Agent{config: &own, host: h, hub: hub, log: slog.New(hub), metrics: metrics.New(), failed: make(chan error, 1)}
	a.loaded.config, a.loaded.first = c, c
	a.metrics.Process(Version)
	a.leave.done, a.close.done = make(chan struct{}), make(chan struct{})
	a.ctx, a.stop = context.WithCancel(context.Background())
	if err := a.open(ctx, h); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *Agent) open(ctx context.Context, h host.Host) error {
	c := a.config
	if err := host.MakeDir(h.FS(), c.DataDir, 0o700); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	var err error
	if a.lock, err = h.FS().Lock(path.Join(c.DataDir, "lock")); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if a.tokens, err = loadTokens(h.FS(), c.DataDir); err != nil {
		return err
	}
	if c.NodeName == "" {
		if c.NodeName, err = h.Hostname(); err != nil {
			return fmt.Errorf("node_name: %w", err)
		}
	}
	if err := a.identify(h.FS()); err != nil {
		return err
	}
	if err := a.listen(ctx); err != nil {
		return err
	}
	address, err := a.advertise(h)
	if err != nil {
		return err
	}
	fired := make(chan api.RawEvent, event.Queue)
	if err := a.think(ctx, h, address, fired); err != nil {
		return err
	}
	if err := a.register(h, address); err != nil {
		return err
	}
	if err := a.resolve(ctx); err != nil {
		return err
	}
	a.react(fired)
	if err := a.watch(); err != nil {
		return err
	}
	a.serve() // after all that a request may need: a reload comes as soon as it can
	if !c.DisableCoordinates {
		a.wait.Go(func() { sendCoordinates(a.ctx, c.NodeName, a.brain, a.log) })
	}
	if c.AutoReload {
		a.wait.Go(a.followFiles)
	}
	if len(c.Join.Retry) > 0 {
		a.wait.Go(a.retryJoin)
	}
	return nil
}

// retryJoin tries to join until an agent answers.
func (a *Agent) retryJoin() {
	j := a.config.Join
	for attempt := 1; ; attempt++ {
		n, err := a.brain.Join(a.ctx, j.Retry)
		if err == nil {
			a.log.Info("joined the cluster", "agents", n)
			return
		}
		if j.Max > 0 && attempt >= j.Max {
			a.fail(fmt.Errorf("%w after %d attempts: %w", ErrNotJoined, attempt, err))
			return
		}
		a.log.Warn("nobody to join answered, will retry", "in", j.Interval, "error", err)
		select {
		case <-a.ctx.Done():
			return
		case <-time.After(j.Interval):
		}
	}
}

// fail tells why the agent cannot go on. The first reason is enough.
func (a *Agent) fail(err error) {
	select {
	case a.failed <- err:
	default:
	}
}

// Wait returns when the context ends, when somebody had the agent leave, or,
// with an error, when the agent cannot go on. Close must follow.
func (a *Agent) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-a.leave.done:
	case err := <-a.failed:
		return err
	case err := <-a.brain.Failed():
		return err
	}
	return nil
}

// Run is Wait and Close.
func (a *Agent) Run(ctx context.Context) error {
	return errors.Join(a.Wait(ctx), a.Close())
}

// Leave takes the agent out of the cluster for good; then Wait returns.
func (a *Agent) Leave(ctx context.Context) error {
	return a.leave.do(func() error {
		a.local.StopSync() // the leader takes the node out of the catalog, where anti-entropy would write it back
		return a.brain.Leave(ctx)
	})
}

const drainTime = 2 * time.Second

// Close stops the agent and waits until all of it has stopped. Requests that
// wait for a change are answered with what there is; others have two seconds.
func (a *Agent) Close() error { return a.close.do(a.shutdown) }

func (a *Agent) shutdown() error {
	a.stop()
	if a.acts.watches != nil {
		a.acts.watches.Close()
	}
	errs := []error{a.web.close()}
	if a.web.cache != nil {
		a.web.cache.Close()
	}
	if a.acts.rexec != nil {
		a.acts.rexec.Close()
	}
	if a.dns != nil {
		errs = append(errs, a.dns.Close())
	}
	if a.local != nil {
		a.local.Close()
	}
	if a.brain != nil {
		errs = append(errs, a.brain.Close())
	}
	a.wait.Wait()
	if a.lock != nil {
		errs = append(errs, a.lock.Close())
	}
	return errors.Join(errs...)
}

// Server is the agent's server part, nil in a client agent.
func (a *Agent) Server() *server.Server {
	s, _ := a.brain.(*server.Server)
	return s
}

// Local is what this agent itself has registered.
func (a *Agent) Local() *local.State { return a.local }

// Members lists the members of the LAN pool, sorted by name.
func (a *Agent) Members() []api.Member { return a.brain.Members() }

// Advertise is the address at which other agents reach this one.
func (a *Agent) Advertise() string { return a.brain.Advertise() }

// HTTPAddr is the address of the HTTP API; of several, the first; empty: there is none.
func (a *Agent) HTTPAddr() string {
	if len(a.web.listen) == 0 {
		return ""
	}
	return a.web.listen[0].Addr().String()
}

// Config is the configuration in effect.
func (a *Agent) Config() config.Config { return *a.config }

// Metrics are the agent's figures.
func (a *Agent) Metrics() *metrics.Registry { return a.metrics }
