// Package client is the brain of a client agent: it is a member of the LAN pool
// and learns there who the servers are, and it answers requests by asking them.
// It holds no state of its own.
//
//   - client.go opens and closes the parts.
//   - servers.go keeps the list of servers and says whom to ask.
//   - call.go brings a request to a server, and to another one if that fails.
//   - endpoints.go are the requests, as a server has them.
package client

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tribune/impl/api"
	"tribune/impl/gossip"
	"tribune/impl/host"
	"tribune/impl/metrics"
	"tribune/impl/rpc"
)

// Config says who the client agent is. All of it is required but where it says
// otherwise.
type Config struct {
	Host       host.Host
	Logger     *slog.Logger
	NodeName   string
	NodeID     string
	Datacenter string
	DataDir    string
	Build      string // version, shown to others

	LANBind      string         // "IP:PORT" of the gossip port
	LANAdvertise netip.AddrPort // where others reach it

	Query  api.QueryTimes
	RPC    RPCConfig
	Gossip gossip.Settings

	Events  chan<- api.RawEvent // gets the events of the LAN pool; nil: nobody does
	Metrics *metrics.Registry   // gets the client's figures; nil: nobody does
}

// RPCConfig are the limits of requests to servers.
type RPCConfig struct {
	Rate    float64       // a second; 0 or less: any number
	Burst   int           // that may come at once
	Timeout time.Duration // for an answer for which nothing is waited; 0: writes have none, reads readPatience
}

// Client is a running client agent.
type Client struct {
	config   Config
	log      *slog.Logger
	pool     *gossip.Pool
	rpc      *rpc.Client
	servers  servers
	rate     *rate.Limiter
	asked    metrics.Counter
	failed   metrics.Counter
	exceeded metrics.Counter

	ctx  context.Context // ends when the client closes
	stop context.CancelFunc
	wait sync.WaitGroup

	close    sync.Once
	closeErr error
}

// New starts a client: everything, or nothing with an error that says what could
// not be had.
func New(ctx context.Context, c Config) (*Client, error) {
	if c.Metrics == nil {
		c.Metrics = metrics.New()
	}
	k := &Client{
		config: c, log: c.Logger, rpc: rpc.NewClient(c.Host.Network()), rate: rate.NewLimiter(c.RPC.limit(), c.RPC.Burst),
		exceeded: c.Metrics.Counter("client.rpc.exceeded", "requests that this client agent did not send to servers: they were over limits.rpc_rate", nil),
		asked:    c.Metrics.Counter("client.rpc", "requests that this client agent sent to servers", nil),
		failed:   c.Metrics.Counter("client.rpc.failed", "requests that this client agent sent to servers and that failed", nil),
	}
	k.ctx, k.stop = context.WithCancel(context.Background())
	dir := path.Join(c.DataDir, "serf")
	err := host.MakeDir(c.Host.FS(), dir, 0o700)
	if err == nil {
		k.pool, err = gossip.Start(ctx, gossip.Config{
			Name: c.NodeName, Bind: c.LANBind, Advertise: c.LANAdvertise,
			Tags:  gossip.Tags(c.Datacenter, c.NodeID, c.Build, ""),
			Admit: gossip.Only(c.Datacenter), Network: c.Host.Network(), FS: c.Host.FS(),
			PeersFile: path.Join(dir, "lan-peers.json"), Logger: c.Logger, Events: c.Events, Metrics: c.Metrics, Settings: c.Gossip,
		})
	}
	if err != nil {
		return nil, errors.Join(err, k.Close())
	}
	k.wait.Go(k.watchMembers)
	return k, nil
}

func (c RPCConfig) limit() rate.Limit {
	if c.Rate <= 0 {
		return rate.Inf
	}
	return rate.Limit(c.Rate)
}

// Limit changes how many requests go to servers.
func (k *Client) Limit(c RPCConfig) {
	k.rate.SetLimit(c.limit())
	k.rate.SetBurst(c.Burst)
}

// watchMembers keeps the list of servers as gossip sees them.
func (k *Client) watchMembers() {
	for {
		look(k)
		select {
		case <-k.ctx.Done():
			return
		case <-k.pool.Changed():
		}
	}
}

// look sees who the servers are now.
func look(k *Client) {
	var usable, known []string
	for _, m := range k.pool.Members() {
		address, ok := gossip.ServerAddress(m, k.config.Datacenter)
		if !ok || m.Status == gossip.StatusLeft {
			continue
		}
		known = append(known, address)
		if m.Status == gossip.StatusAlive {
			usable = append(usable, address)
		}
	}
	k.servers.set(usable)
	if err := k.rpc.Keep(known); err != nil {
		k.log.Warn("the connection to a server that went away could not be closed", "error", err)
	}
}

// Close stops the client without a word to the others and waits until all of it
// has stopped.
func (k *Client) Close() error {
	k.close.Do(func() {
		k.stop()
		var errs []error
		if k.pool != nil {
			errs = append(errs, k.pool.Close())
		}
		errs = append(errs, k.rpc.Close())
		k.wait.Wait()
		k.closeErr = errors.Join(errs...)
	})
	return k.closeErr
}

// Leave tells the other agents that this one goes for good. Close must follow.
func (k *Client) Leave(context.Context) error { return k.pool.Leave() }

// Members lists the members of the LAN pool, sorted by name.
func (k *Client) Members() []api.Member { return k.pool.Members() }

// Coordinate is where this agent lies in the LAN pool, nil if that cannot be told.
func (k *Client) Coordinate() *api.Coordinate { return k.pool.Coordinate() }

// Join contacts agents of the LAN pool and returns how many answered.
func (k *Client) Join(ctx context.Context, addresses []string) (int, error) {
	return k.pool.Join(ctx, addresses)
}

// ForceLeave moves a failed member to "left"; with prune it is forgotten.
func (k *Client) ForceLeave(name string, prune bool) error { return k.pool.Remove(name, prune) }

// Fire sends an event to all agents of the LAN pool.
func (k *Client) Fire(name string, payload []byte) error { return k.pool.Fire(name, payload) }

// Advertise is the address at which other agents reach this one.
func (k *Client) Advertise() string { return k.config.LANAdvertise.Addr().String() }

// Failed never receives: a client has nothing that could keep it from going on.
func (k *Client) Failed() <-chan error { return nil }

// Stats are figures for people, in sections, as `consul info` shows them.
func (k *Client) Stats() map[string]map[string]string {
	return map[string]map[string]string{
		"build":    {"prerelease": "", "revision": "", "version": k.config.Build, "version_metadata": ""},
		"consul":   {"server": "false", "known_servers": strconv.Itoa(k.servers.count())},
		"serf_lan": k.pool.Stats(),
		"runtime": {
			"arch": runtime.GOARCH, "os": runtime.GOOS, "version": runtime.Version(),
			"goroutines": strconv.Itoa(runtime.NumGoroutine()), "cpu_count": strconv.Itoa(runtime.NumCPU()),
			"max_procs": strconv.Itoa(runtime.GOMAXPROCS(0)),
		},
	}
}
