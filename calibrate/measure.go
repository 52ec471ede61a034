//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/consul/api"

	"tribune/impl/host"
)

// machines are the nodes of a cluster, as somebody with power over them sees them.
type machines interface {
	// Start starts a node's agent.
	Start(node string) error
	// Kill ends a node's agent as kill -9 does, and returns when it is no more.
	Kill(node string) error
	// Weigh notes what the machine costs at this moment: a message to a node, and
	// an fsync.
	Weigh(ctx context.Context, node string) error
}

// probe takes the measurements of a plan. It is the program of a node, in both
// worlds.
type probe struct {
	plan     Plan
	machines machines
	clients  map[string]*api.Client // by node
	draws    *rand.Rand
	say      func(format string, args ...any)
	writes   int
	failed   int
}

const (
	patience = 20 * time.Second      // for an answer
	settling = 2 * time.Minute       // for a cluster in which all is well
	between  = 10 * time.Millisecond // two looks at the same thing
)

// A large value, and after how long TCP does not rely any more on how much the links
// could take before (RFC 5681, section 4.1).
const (
	bulkKey  = "calibrate/bulk"
	bulkSize = 100 << 10
	silence  = 300 * time.Millisecond
)

// measure starts all nodes of a cluster and takes the measurements of a plan. It
// leaves the cluster running.
func measure(ctx context.Context, plan Plan, network host.Network, m machines, say func(string, ...any)) (Samples, error) {
	p := &probe{plan: plan, machines: m, clients: map[string]*api.Client{}, draws: rand.New(rand.NewPCG(1, 1)), say: say}
	for _, n := range nodes() {
		transport := &http.Transport{DialContext: network.Dial, MaxIdleConnsPerHost: 4}
		c, err := api.NewClient(&api.Config{
			Address:    net.JoinHostPort(n.address, "8500"),
			Transport:  transport,
			HttpClient: &http.Client{Transport: transport},
		})
		if err != nil {
			return nil, err
		}
		p.clients[n.name] = c
		if err := m.Start(n.name); err != nil {
			return nil, err
		}
	}
	s := Samples{}
	for _, phase := range phases() {
		leader, err := p.settled(ctx)
		if err != nil {
			return nil, err
		}
		for took := true; took; {
			took = false
			for _, what := range phase {
				if len(s[what]) < plan.Counts[what] {
					took = true
					if err := p.take(ctx, what, s, &leader); err != nil {
						return nil, fmt.Errorf("%s: %w", what, err)
					}
				}
			}
		}
	}
	return s, nil
}

// take takes one measurement. One that fails is not counted, if few do.
func (p *probe) take(ctx context.Context, what Measurement, s Samples, leader *string) error {
	if what == Bulk && len(s[what]) == 0 {
		pair := &api.KVPair{Key: bulkKey, Value: make([]byte, bulkSize)}
		if _, err := p.clients[*leader].KV().Put(pair, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return err
		}
	}
	count := p.plan.Counts[what]
	took, err := p.once(ctx, what, len(s[what]), leader)
	if err != nil {
		if p.failed++; p.failed > count/20+3 || ctx.Err() != nil {
			return fmt.Errorf("too much fails: %w", err)
		}
		p.say("%s: not counted: %v", what, err)
		*leader, err = p.settled(ctx)
		return err
	}
	s[what] = append(s[what], took)
	if done := len(s[what]); done%max(count/5, 1) == 0 {
		p.say("%s: %d of %d", what, done, count)
	}
	return nil
}

// once takes one measurement. The leader is whom to ask; who kills it finds out
// the next one.
func (p *probe) once(ctx context.Context, what Measurement, number int, leader *string) (time.Duration, error) {
	switch what {
	case Election:
		return p.election(ctx, leader)
	case Detection:
		return p.detection(ctx, *leader, []string{"c1", "c2"}[number%2])
	}
	// The pauses are drawn, so that the measurements do not fall in step with what
	// else happens at intervals.
	p.pause(0, between)
	if err := p.machines.Weigh(ctx, *leader); err != nil {
		return 0, err
	}
	p.pause(0, between)
	if what == Bulk {
		p.pause(silence, 2*silence)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, begun := p.clients[*leader], time.Now()
	var err error
	switch what {
	case Ask:
		_, err = client.Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
	case Put:
		p.writes++
		pair := &api.KVPair{Key: fmt.Sprintf("calibrate/%d", p.writes%100), Value: fmt.Appendf(nil, "%0100d", p.writes)}
		_, err = client.KV().Put(pair, (&api.WriteOptions{}).WithContext(ctx))
	case Bulk:
		_, _, err = client.KV().Get(bulkKey, (&api.QueryOptions{}).WithContext(ctx))
	case Get:
		key := fmt.Sprintf("calibrate/%d", p.draws.IntN(100))
		_, _, err = client.KV().Get(key, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	}
	return time.Since(begun), err
}

// election kills the leader and waits until another server says that it leads
// itself. Then it brings the killed one back.
func (p *probe) election(ctx context.Context, leader *string) (time.Duration, error) {
	p.pause(time.Second, 2*time.Second)
	old, begun := *leader, time.Now()
	if err := p.machines.Kill(old); err != nil {
		return 0, err
	}
	limited, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	elected := make(chan time.Duration)
	for _, n := range nodes() {
		if n.server && n.name != old {
			go p.awaitReign(limited, n, begun, elected)
		}
	}
	var took time.Duration
	var err error
	select {
	case took = <-elected:
	case <-limited.Done():
		err = errors.New("no server leads")
	}
	cancel()
	if err := p.machines.Start(old); err != nil {
		return 0, err
	}
	if err == nil {
		*leader, err = p.settled(ctx)
	}
	return took, err
}

// awaitReign asks a server who leads until it says that it does, and tells how
// long that took.
func (p *probe) awaitReign(ctx context.Context, n node, begun time.Time, elected chan<- time.Duration) {
	for ctx.Err() == nil {
		leader, err := p.clients[n.name].Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
		if err == nil && nameOf(leader) == n.name {
			select {
			case elected <- time.Since(begun):
			case <-ctx.Done():
			}
			return
		}
		time.Sleep(between)
	}
}

// detection kills a client agent and waits until the catalog says so. Then it
// brings the agent back.
func (p *probe) detection(ctx context.Context, leader, client string) (time.Duration, error) {
	p.pause(time.Second, 2*time.Second)
	limited, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	health := p.clients[leader].Health()
	_, meta, err := health.Node(client, (&api.QueryOptions{}).WithContext(limited))
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := p.machines.Kill(client); err != nil {
		return 0, err
	}
	var checks api.HealthChecks
	for index := meta.LastIndex; err == nil && checks.AggregatedStatus() != api.HealthCritical; {
		checks, meta, err = health.Node(client, (&api.QueryOptions{WaitIndex: index}).WithContext(limited))
		if err == nil {
			index = meta.LastIndex
		}
	}
	took := time.Since(begun)
	if err := errors.Join(err, p.machines.Start(client)); err != nil {
		return 0, err
	}
	_, err = p.settled(ctx)
	return took, err
}

// settled waits until all servers agree on a leader and that one sees all nodes
// in good health, and returns the leader.
func (p *probe) settled(ctx context.Context) (string, error) {
	limited, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for {
		leader, err := p.look(limited)
		switch {
		case err == nil:
			return leader, nil
		case limited.Err() != nil:
			return "", fmt.Errorf("the cluster does not settle: %w", err)
		}
		time.Sleep(10 * between)
	}
}

// look is one look at whether the cluster has settled.
func (p *probe) look(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	agreed := ""
	for _, n := range nodes() {
		if !n.server {
			continue
		}
		leader, err := p.clients[n.name].Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return "", err
		}
		name := nameOf(leader)
		if name == "" || agreed != "" && name != agreed {
			return "", fmt.Errorf("%s says that %q leads", n.name, leader)
		}
		agreed = name
	}
	checks, _, err := p.clients[agreed].Health().State(api.HealthPassing, (&api.QueryOptions{}).WithContext(ctx))
	if err == nil && len(checks) != len(nodes()) {
		err = fmt.Errorf("%d nodes are in good health", len(checks))
	}
	return agreed, err
}

// nameOf returns the name of the node that an address is of, empty if of none.
func nameOf(address string) string {
	ip, _, err := net.SplitHostPort(address)
	for _, n := range nodes() {
		if err == nil && n.address == ip {
			return n.name
		}
	}
	return ""
}

func (p *probe) pause(least, most time.Duration) {
	time.Sleep(least + time.Duration(p.draws.Int64N(int64(most-least))))
}
