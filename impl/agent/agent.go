// Package agent is the composition root: the one package that knows every part
// and puts an agent together from a configuration and a host. Many agents run
// in one process; nothing here or below is shared between them.
package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-uuid"

	"tribune/impl/api"
	"tribune/impl/config"
	"tribune/impl/event"
	"tribune/impl/host"
	"tribune/impl/httpapi"
	"tribune/impl/logging"
	"tribune/impl/rexec"
	"tribune/impl/server"
)

// Version is the version of this program.
const Version = "0.1.0"

// Agent is a running agent.
type Agent struct {
	config *config.Config
	log    *slog.Logger
	lock   io.Closer
	server *server.Server
	events *event.Events
	rexec  *rexec.Runner
	http   *http.Server
	listen net.Listener
	wait   sync.WaitGroup

	left     chan struct{} // closed when a leave was asked for and done
	leave    sync.Once
	leaveErr error
	failed   chan error // why the agent cannot go on

	ctx  context.Context // ends when the agent closes
	stop context.CancelFunc

	close    sync.Once
	closeErr error
}

// ErrNotJoined says that no agent answered within the attempts allowed.
var ErrNotJoined = errors.New("no agent to join answered")

// New starts an agent: everything, or nothing with an error that says what
// could not be had.
func New(ctx context.Context, c *config.Config, h host.Host, log *slog.Logger) (*Agent, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	own := *c // which gets the node's name and ID; the caller's may serve others
	a := &Agent{config: &own, log: log, left: make(chan struct{}), failed: make(chan error, 1)}
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
	if c.NodeName == "" {
		if c.NodeName, err = h.Hostname(); err != nil {
			return fmt.Errorf("node_name: %w", err)
		}
	}
	if err := a.identify(h.FS()); err != nil {
		return err
	}
	httpAddress := net.JoinHostPort(c.ClientAddr, strconv.Itoa(c.Ports.HTTP))
	if a.listen, err = h.Network().Listen(ctx, "tcp", httpAddress); err != nil {
		return fmt.Errorf("the HTTP API %s: %w", httpAddress, err)
	}
	sc, err := a.serverConfig(h)
	if err != nil {
		return err
	}
	fired := make(chan api.RawEvent, event.Queue)
	sc.Events = fired
	if a.server, err = server.New(ctx, sc); err != nil {
		return err
	}
	a.rexec = rexec.New(rexec.Config{Node: c.NodeName, Host: h, Dir: c.DataDir, KV: a.server, Logger: a.log})
	a.events = event.New(event.Config{
		Node: c.NodeName, Datacenter: c.Datacenter, Fire: a.server.Fire, Logger: a.log,
		Internal: map[string]func(api.UserEvent){rexec.EventName: a.remoteExec},
	})
	a.wait.Go(func() { a.events.Run(a.ctx, fired) })
	if len(c.Join.Start) > 0 {
		if _, err := a.server.Join(ctx, c.Join.Start); err != nil {
			return err
		}
	}
	a.serve()
	if len(c.Join.Retry) > 0 {
		a.wait.Go(a.retryJoin)
	}
	return nil
}

// remoteExec runs what an event calls for, if a person allowed that.
func (a *Agent) remoteExec(ev api.UserEvent) {
	if a.config.DisableRemoteExec {
		a.log.Info("ignoring remote exec event, disabled", "event_id", ev.ID)
		return
	}
	a.rexec.Handle(ev)
}

// identify sets the node's ID: the one configured, or the one that the data
// directory keeps, made the first time.
func (a *Agent) identify(fsys host.FS) error {
	file := path.Join(a.config.DataDir, "node-id")
	b, err := host.ReadFile(fsys, file)
	kept := strings.TrimSpace(string(b))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("node_id: %w", err)
	default:
		if _, err := uuid.ParseUUID(kept); err != nil {
			return fmt.Errorf("node_id: %s is corrupt: %w", file, err)
		}
	}
	id := a.config.NodeID
	if id == "" {
		id = kept
	}
	if id == "" {
		if id, err = uuid.GenerateUUIDWithReader(rand.Reader); err != nil {
			return fmt.Errorf("node_id: %w", err)
		}
	}
	if _, err := uuid.ParseUUID(id); err != nil {
		return fmt.Errorf("node_id: %q is not a UUID", id)
	}
	a.config.NodeID = strings.ToLower(id)
	if a.config.NodeID == kept {
		return nil
	}
	return host.ReplaceFile(fsys, file, []byte(a.config.NodeID+"\n"))
}

func (a *Agent) serverConfig(h host.Host) (server.Config, error) {
	c := a.config
	advertise, err := a.advertise(h)
	if err != nil {
		return server.Config{}, err
	}
	return server.Config{
		Host: h, Logger: a.log, NodeName: c.NodeName, NodeID: c.NodeID, Datacenter: c.Datacenter,
		DataDir: c.DataDir, Build: Version,
		RPCBind:         net.JoinHostPort(c.BindAddr, strconv.Itoa(c.Ports.Server)),
		RPCAdvertise:    netip.AddrPortFrom(advertise, uint16(c.Ports.Server)),
		LANBind:         net.JoinHostPort(c.BindAddr, strconv.Itoa(c.Ports.SerfLAN)),
		LANAdvertise:    netip.AddrPortFrom(advertise, uint16(c.Ports.SerfLAN)),
		Bootstrap:       c.Bootstrap,
		BootstrapExpect: c.BootstrapExpect,
		MaxValueSize:    c.KVMaxValueSize,
		Raft: server.RaftConfig{
			Multiplier: c.Raft.Multiplier, SnapshotThreshold: uint64(max(c.Raft.SnapshotThreshold, 0)),
			SnapshotInterval: c.Raft.SnapshotInterval, TrailingLogs: uint64(max(c.Raft.TrailingLogs, 0)),
		},
	}, nil
}

func (a *Agent) advertise(h host.Host) (netip.Addr, error) {
	for _, text := range []string{a.config.AdvertiseAddr, a.config.BindAddr} {
		if text == "" {
			continue
		}
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return ip, err
		}
		if !ip.IsUnspecified() {
			return ip, nil
		}
	}
	found, err := h.Network().Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("advertise_addr: the host's addresses: %w", err)
	}
	if len(found) == 0 {
		return netip.Addr{}, errors.New("advertise_addr: this host has no address that others could reach; give -advertise")
	}
	return found[0], nil
}

// serve starts answering HTTP requests.
func (a *Agent) serve() {
	a.http = &http.Server{
		Handler: httpapi.New(httpapi.Config{
			KV: a.server, Catalog: a.server, Session: a.server, Txn: a.server, Events: a.events, Status: a.server, Agent: face{a}, Logger: a.log, MaxValueSize: a.config.KVMaxValueSize,
		}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       5 * time.Minute,
		ErrorLog:          logging.Std(a.log),
		BaseContext:       func(net.Listener) context.Context { return a.ctx },
	}
	a.wait.Go(func() {
		if err := a.http.Serve(a.listen); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("the HTTP API stopped: %w", err)
		}
	})
}

// retryJoin tries to join until an agent answers.
func (a *Agent) retryJoin() {
	j := a.config.Join
	for attempt := 1; ; attempt++ {
		n, err := a.server.Join(a.ctx, j.Retry)
		if err == nil {
			a.log.Info("joined the cluster", "agents", n)
			return
		}
		if j.Max > 0 && attempt >= j.Max {
			a.failed <- fmt.Errorf("%w after %d attempts: %w", ErrNotJoined, attempt, err)
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

// Wait returns when the context ends, when somebody had the agent leave, or,
// with an error, when the agent cannot go on. Close must follow.
func (a *Agent) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-a.left:
	case err := <-a.failed:
		return err
	case err := <-a.server.Failed():
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
	a.leave.Do(func() {
		a.leaveErr = a.server.Leave(ctx)
		close(a.left)
	})
	return a.leaveErr
}

const drainTime = 2 * time.Second

// Close stops the agent and waits until all of it has stopped. Requests that
// wait for a change are answered with what there is; others have two seconds.
func (a *Agent) Close() error {
	a.close.Do(func() {
		a.stop()
		var errs []error
		if a.http != nil {
			ctx, cancel := context.WithTimeout(context.Background(), drainTime)
			if err := a.http.Shutdown(ctx); err != nil {
				errs = append(errs, a.http.Close())
			}
			cancel()
		} else if a.listen != nil {
			errs = append(errs, a.listen.Close())
		}
		if a.rexec != nil {
			a.rexec.Close()
		}
		if a.server != nil {
			errs = append(errs, a.server.Close())
		}
		a.wait.Wait()
		if a.lock != nil {
			errs = append(errs, a.lock.Close())
		}
		a.closeErr = errors.Join(errs...)
	})
	return a.closeErr
}

// Server is the agent's server part.
func (a *Agent) Server() *server.Server { return a.server }

// HTTPAddr is the address of the HTTP API.
func (a *Agent) HTTPAddr() string { return a.listen.Addr().String() }

// Config is the configuration in effect.
func (a *Agent) Config() config.Config { return *a.config }

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
		Stats:       f.server.Stats(),
		Meta:        map[string]string{},
	}
	for _, m := range f.server.Members() {
		if m.Name == c.NodeName {
			self.Member = m
		}
	}
	return self
}

func (f face) Members() []api.Member { return f.server.Members() }

func (f face) Join(ctx context.Context, address string) error {
	_, err := f.server.Join(ctx, []string{address})
	return err
}

func (f face) ForceLeave(name string, prune bool) error { return f.server.ForceLeave(name, prune) }
