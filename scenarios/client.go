package scenarios

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/sim"
	"tribune/sim/trace"
)

const httpPort = 8500

// timeout is how long a client waits for an operation.
func (r *run) timeout() time.Duration { return r.plan.Scenario.Workload.Timeout.Duration }

// client works on the KV store with Consul's official Go client over the
// simulated network. It runs in a process of its own node.
type client struct {
	run     *run
	number  int
	name    string
	agents  []string // whom it talks to
	servers []*api.Client
	draws   *rand.Rand
	at      int // the server it talks to
	seen    map[string]uint64
	writes  int
	indexes map[string]uint64 // the last X-Consul-Index, by what must not go back, see forward

	wait     time.Duration // for how long its blocking queries wait; 0: it asks none
	answered time.Duration // when one of them last had an answer
}

// newClient returns a client of the servers that waits for an answer for up to
// patience.
func (r *run) newClient(number int, name string, n host.Network, patience time.Duration) (*client, error) {
	return r.newClientOf(r.plan.served(), number, name, n, patience)
}

// newClientOf returns a client of the named agents.
func (r *run) newClientOf(agents []string, number int, name string, n host.Network, patience time.Duration) (*client, error) {
	c := &client{
		run: r, number: number, name: name, agents: agents, draws: stream(r.plan.Seed, "client "+name),
		seen: map[string]uint64{}, indexes: map[string]uint64{},
	}
	for _, agent := range agents {
		transport := &http.Transport{DialContext: n.Dial, MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second}
		config := api.DefaultNonPooledConfig()
		config.Address = net.JoinHostPort(agent, fmt.Sprint(httpPort))
		config.Transport = transport
		config.HttpClient = &http.Client{Transport: limited{transport, r.plan.Scenario.Workload.MaxStale.Duration}, Timeout: patience}
		a, err := api.NewClient(config)
		if err != nil {
			return nil, fmt.Errorf("client for %s: %w", agent, err)
		}
		c.servers = append(c.servers, a)
	}
	c.at = c.draws.IntN(len(c.servers))
	return c, nil
}

// limited is a transport that has stale reads tell how old the data may be, which
// Consul's client cannot say.
type limited struct {
	http.RoundTripper
	maxStale time.Duration
}

// RoundTrip implements http.RoundTripper.
func (l limited) RoundTrip(request *http.Request) (*http.Response, error) {
	if q := request.URL.Query(); l.maxStale > 0 && q.Has("stale") {
		q.Set("max_stale", l.maxStale.String())
		request = request.Clone(request.Context())
		request.URL.RawQuery = q.Encode()
	}
	return l.RoundTripper.RoundTrip(request)
}

// work is the program of a client node: operations at the workload's rate, one
// after the other, until it is stopped.
func (r *run) work(number int, name string) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		c, err := r.newClient(number, name, h.Network(), r.timeout())
		if err != nil {
			return err
		}
		w := r.plan.Scenario.Workload
		mean := float64(len(r.clients)) / w.Rate * float64(time.Second)
		for {
			// An even spread around the mean: the rate is what was asked for,
			// and clients do not move in step.
			pause := time.Duration((0.5 + c.draws.Float64()) * mean)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
			o := c.operate(ctx, c.draw())
			if o.Kind != linearizability.Get && w.Twice > 0 && c.draws.Float64() < w.Twice {
				c.operate(ctx, linearizability.Op{Kind: linearizability.Put, Key: o.Key, Value: c.value()})
			}
		}
	}
}

// draw draws the next operation.
func (c *client) draw() linearizability.Op {
	w := c.run.plan.Scenario.Workload
	o := linearizability.Op{Key: fmt.Sprintf("k%d", c.draws.IntN(w.Keys)), Mode: w.Reads}
	total := 0
	for _, name := range operations() {
		total += w.Mix[name]
	}
	n := c.draws.IntN(total)
	for _, name := range operations() {
		if n -= w.Mix[name]; n < 0 {
			o.Kind = linearizability.Kind(name)
			break
		}
	}
	if o.Mode == "stale" {
		o.MaxStale = w.MaxStale.Duration
	}
	useSeen := c.draws.IntN(4) > 0
	switch o.Kind {
	case linearizability.CAS, linearizability.DeleteCAS:
		if index := c.seen[o.Key]; useSeen || o.Kind == linearizability.DeleteCAS {
			o.Index = index
		}
		if o.Kind == linearizability.DeleteCAS && o.Index == 0 {
			o.Kind, o.Index = linearizability.CAS, 0
		}
	}
	if o.Kind == linearizability.Put || o.Kind == linearizability.CAS {
		o.Value = c.value()
	}
	return o
}

// value returns one that nobody has written before.
func (c *client) value() string {
	c.writes++
	return fmt.Sprintf("%s-%d", c.name, c.writes)
}

// operate carries out an operation and adds it to the history.
func (c *client) operate(ctx context.Context, o linearizability.Op) linearizability.Op {
	server := c.agents[c.at]
	o.Client, o.ServedBy = c.number, server
	w := c.run.world
	o.Call = w.Now()
	w.Recordf(trace.Op, c.name, server, "%s %s %s", o.Kind, o.Key, o.Value)
	ctx, cancel := context.WithTimeout(ctx, c.run.timeout())
	err := c.perform(ctx, &o)
	cancel()
	o.Return = w.Now()
	o.Outcome = linearizability.OK
	if err != nil {
		o.Error = err.Error()
		o.Outcome = linearizability.Unknown
		c.run.failed++
		if untouched(err) {
			o.Outcome = linearizability.Failed
		}
		if !c.run.plan.Scenario.Workload.Stick {
			c.at = c.draws.IntN(len(c.servers))
		}
	}
	w.Recordf(trace.Op, c.name, server, "%s %s returns %s done=%t found=%t %s@%d %s", o.Kind, o.Key, o.Outcome, o.Done, o.Found, o.Seen, o.SeenAt, o.Error)
	c.run.history = append(c.run.history, o)
	return o
}

func (c *client) perform(ctx context.Context, o *linearizability.Op) error {
	kv := c.servers[c.at].KV()
	write := (&api.WriteOptions{}).WithContext(ctx)
	var err error
	switch o.Kind {
	case linearizability.Get:
		return c.get(ctx, o)
	case linearizability.Put:
		_, err = kv.Put(&api.KVPair{Key: o.Key, Value: []byte(o.Value)}, write)
	case linearizability.CAS:
		o.Done, _, err = kv.CAS(&api.KVPair{Key: o.Key, Value: []byte(o.Value), ModifyIndex: o.Index}, write)
	case linearizability.Delete:
		_, err = kv.Delete(o.Key, write)
	case linearizability.DeleteCAS:
		o.Done, _, err = kv.DeleteCAS(&api.KVPair{Key: o.Key, ModifyIndex: o.Index}, write)
	}
	return err
}

func (c *client) get(ctx context.Context, o *linearizability.Op) error {
	q := (&api.QueryOptions{AllowStale: o.Mode == "stale", RequireConsistent: o.Mode == "consistent"}).WithContext(ctx)
	life := c.run.world.Node(o.ServedBy).Starts()
	pair, meta, err := c.servers[c.at].KV().Get(o.Key, q)
	if err != nil {
		return err
	}
	o.Contact, o.KnownLeader = meta.LastContact, meta.KnownLeader
	delete(c.seen, o.Key)
	if pair != nil {
		o.Found, o.Seen, o.SeenAt = true, string(pair.Value), pair.ModifyIndex
		c.seen[o.Key] = pair.ModifyIndex
	}
	if life == c.run.world.Node(o.ServedBy).Starts() && !c.handedOn(o.Mode) {
		o.Life = life
	}
	if o.Mode == "consistent" || o.Mode == "stale" && o.Life != 0 {
		c.forward(*o, meta.LastIndex)
	}
	return nil
}

// handedOn reports whether any server may answer a read of a mode, and not the one that
// is asked: the leader, if that one's data are too old, or whomever a client agent asks.
func (c *client) handedOn(mode string) bool {
	w := c.run.plan.Scenario.Workload
	return mode == "stale" && w.MaxStale.Duration > 0 || mode != "consistent" && w.Via == "agents"
}

// forward sees that the index of a key does not go back: on one process of a server, and
// in consistent reads wherever they are asked.
func (c *client) forward(o linearizability.Op, index uint64) {
	where := fmt.Sprintf("%s, process %d, key %s", o.ServedBy, o.Life, o.Key)
	if o.Mode == "consistent" {
		where = "consistent, key " + o.Key
	}
	if index < c.indexes[where] {
		c.run.world.Violate("monotonic index", "%s: X-Consul-Index went from %d to %d in a %s read", where, c.indexes[where], index, o.Mode)
	}
	c.indexes[where] = index
}

// untouched reports whether an operation surely did not take effect: the
// connection was refused, or the server says that there is no leader.
func untouched(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	return strings.Contains(err.Error(), "No cluster leader")
}

// probe is the program that finds out how soon a healed cluster does a write:
// it tries one server after the other.
func (r *run) probe(done chan<- time.Duration) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		c, err := r.newClient(len(r.clients)+1, "probe", h.Network(), r.timeout())
		if err != nil {
			return err
		}
		for ; ctx.Err() == nil; c.at = (c.at + 1) % len(c.servers) {
			o := c.operate(ctx, linearizability.Op{Kind: linearizability.Put, Key: "probe", Value: c.value()})
			if o.Outcome == linearizability.OK {
				done <- r.world.Now()
				return nil
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
		return nil
	}
}

// readAll is the program that reads every key once more when all is over, so
// that a write that was lost is missed.
func (r *run) readAll(done chan<- error) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		c, err := r.newClient(len(r.clients)+2, "reader", h.Network(), r.timeout())
		if err != nil {
			done <- err
			return err
		}
		var keys []string
		for _, o := range r.history {
			if !slices.Contains(keys, o.Key) {
				keys = append(keys, o.Key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			var o linearizability.Op
			for range readTries {
				o = c.operate(ctx, linearizability.Op{Kind: linearizability.Get, Key: key, Mode: "consistent"})
				if o.Outcome == linearizability.OK {
					break
				}
				time.Sleep(readPause)
			}
			if o.Outcome != linearizability.OK {
				done <- fmt.Errorf("%s cannot be read: %s", key, o.Error)
				return nil
			}
		}
		done <- c.auditAll(ctx)
		return nil
	}
}

// How often and after which pauses something is read again when all is over.
const (
	readTries = 20
	readPause = 500 * time.Millisecond

	readAtMost = 30 * time.Minute // of all, if the network or the servers say nothing at all
)
