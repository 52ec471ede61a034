// Package gossip is membership: a serf pool (SWIM failure detection with
// Lifeguard, on hashicorp/memberlist) over a host.Network.
//
// A Pool tells that its members changed, not how: whoever acts on membership
// looks at Members and acts on what is there. That way no event can be missed.
//
// The pool finds its way back by itself after all agents were down at once, and
// when only some of them found each other: rejoin.go.
package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/host"
	"tribune/impl/logging"
	"tribune/impl/metrics"
)

// Config says who the agent is in the pool.
type Config struct {
	Name      string
	Bind      string         // "IP:PORT", TCP and UDP
	Advertise netip.AddrPort // where others reach it
	Tags      map[string]string
	Network   host.Network
	FS        host.FS
	PeersFile string // where addresses of members are kept; "" to keep none
	WAN       bool   // slower timing, for a pool across datacenters
	// Admit, if set, refuses an agent that has no place in the pool, with an
	// error that says why. It is called under the library's locks: it must not
	// call the Pool.
	Admit func(api.Member) error
	// Events, if set, gets the events that agents of the pool fire, this one
	// too. Gossip waits for nobody: one that finds no room is lost.
	Events chan<- api.RawEvent
	Logger *slog.Logger
	Settings
	// Metrics gets the pool's figures; nil: nobody does.
	Metrics *metrics.Registry
}

// Settings are what a person can set.
type Settings struct {
	// Reconnect is how long members that failed, or that were known when the agent
	// last ran, are looked for; then they are forgotten. 0: DefaultReconnect.
	Reconnect time.Duration
	Rejoin    bool // also those known when the agent left
}

// DefaultReconnect is Consul's default.
const DefaultReconnect = 72 * time.Hour

// Member statuses as api.Member has them (serf.MemberStatus).
const (
	StatusAlive   = int(serf.StatusAlive)
	StatusLeaving = int(serf.StatusLeaving)
	StatusLeft    = int(serf.StatusLeft)
	StatusFailed  = int(serf.StatusFailed)
)

const (
	leavePropagation = 3 * time.Second
	reclaimAfter     = 30 * time.Second // when a failed name may come back with another address
	eventBuffer      = 256
)

// Pool is the agent's part in a gossip pool.
type Pool struct {
	serf      *serf.Serf
	network   host.Network
	reconnect time.Duration // see Settings
	self      string
	log       *slog.Logger
	peers     peers
	events    chan serf.Event
	fired     chan<- api.RawEvent
	count     map[serf.EventType]metrics.Counter // of events
	changed   chan struct{}                      // for the pool's user
	look      chan struct{}                      // for tend
	stop      context.CancelFunc
	tending   sync.WaitGroup
	wait      sync.WaitGroup
	ending    sync.Mutex // Leave and Close come one after the other
}

// Start opens the gossip port and begins to answer; the pool has one member
// until Join finds others, or those that were known when the agent last ran
// are found.
func Start(ctx context.Context, c Config) (*Pool, error) {
	t, err := listen(ctx, c.Network, c.Bind, c.Advertise)
	if err != nil {
		return nil, err
	}
	p := &Pool{
		network: c.Network, reconnect: cmp.Or(c.Reconnect, DefaultReconnect), self: c.Advertise.String(), log: c.Logger, peers: peers{fs: c.FS, file: c.PeersFile},
		events: make(chan serf.Event, eventBuffer), fired: c.Events, count: counters(c), changed: make(chan struct{}, 1), look: make(chan struct{}, 1),
	}
	lost, err := p.peers.load(c.Rejoin)
	if err != nil {
		p.log.Warn("the members known from before could not be read; others must be joined by hand", "error", err)
	}
	if p.serf, err = serf.Create(p.settings(c, t)); err != nil {
		return nil, errors.Join(fmt.Errorf("starting gossip on %s: %w", c.Bind, err), t.Shutdown())
	}
	p.wait.Go(p.watch)
	ctx, p.stop = context.WithCancel(context.Background())
	p.tending.Go(func() { p.tend(ctx, lost) })
	return p, nil
}

func (p *Pool) settings(c Config, t memberlist.Transport) *serf.Config {
	sc := serf.DefaultConfig()
	sc.NodeName = c.Name
	sc.Tags = maps.Clone(c.Tags)
	sc.EventCh = p.events
	sc.Logger = logging.Std(c.Logger)
	sc.LogOutput = nil
	sc.EnableNameConflictResolution = false
	sc.ReconnectTimeout = p.reconnect
	sc.LeavePropagateDelay = leavePropagation
	sc.MinQueueDepth = 4096
	if c.Admit != nil {
		sc.Merge = admission{c.Admit}
	}
	mc := memberlist.DefaultLANConfig()
	if c.WAN {
		mc = memberlist.DefaultWANConfig()
	}
	mc.Transport = t
	// memberlist would compress each message, and take 80 KB of memory to make a
	// ping smaller. A local network has room.
	mc.EnableCompression = c.WAN
	mc.DeadNodeReclaimTime = reclaimAfter
	mc.Logger = logging.Std(c.Logger)
	mc.BindAddr, mc.BindPort = c.Advertise.Addr().String(), int(c.Advertise.Port())
	mc.AdvertiseAddr, mc.AdvertisePort = mc.BindAddr, mc.BindPort
	sc.MemberlistConfig = mc
	return sc
}

// counters count what happens in the pool, by serf's kinds of events.
func counters(c Config) map[serf.EventType]metrics.Counter {
	r, network := c.Metrics, metrics.Labels{"network": "lan"}
	if r == nil {
		r = metrics.New()
	}
	if c.WAN {
		network["network"] = "wan"
	}
	return map[serf.EventType]metrics.Counter{
		serf.EventMemberJoin:   r.Counter("serf.member.join", "times that members came into the gossip pool, or came back", network),
		serf.EventMemberLeave:  r.Counter("serf.member.left", "times that members left the gossip pool for good", network),
		serf.EventMemberFailed: r.Counter("serf.member.failed", "times that members of the gossip pool failed", network),
		serf.EventUser:         r.Counter("serf.events", "events that agents fired", network),
	}
}

// admission is serf's question whether agents may come in.
type admission struct{ admit func(api.Member) error }

func (a admission) NotifyMerge(members []*serf.Member) error {
	for _, m := range members {
		if err := a.admit(member(*m)); err != nil {
			return err
		}
	}
	return nil
}

// watch turns serf's events about members into "something changed", and hands on
// those that agents fired, until serf has shut down.
// It never asks serf for anything: serf holds its locks while it waits for room
// for an event.
func (p *Pool) watch() {
	for {
		select {
		case e := <-p.events:
			if c := p.count[e.EventType()]; c != nil {
				c.Inc()
			}
			if e, fired := e.(serf.UserEvent); fired {
				p.hand(e)
				continue
			}
			for _, c := range []chan struct{}{p.changed, p.look} {
				select {
				case c <- struct{}{}:
				default:
				}
			}
		case <-p.serf.ShutdownCh():
			return
		}
	}
}

// hand passes on an event that an agent fired, if there is room.
func (p *Pool) hand(e serf.UserEvent) {
	if p.fired == nil {
		return
	}
	select {
	case p.fired <- api.RawEvent{Name: e.Name, Payload: e.Payload, LTime: uint64(e.LTime)}:
	default:
		p.log.Warn("an event is lost: too many came at once", "event", e.Name)
	}
}

// Fire sends an event to all agents of the pool, this one too. The error is
// fault.TooLarge if it is longer than serf lets events be (512 bytes, its name
// and its frame included).
func (p *Pool) Fire(name string, payload []byte) error {
	// Its size is the one thing that serf objects to.
	return fault.Wrap(fault.TooLarge, p.serf.UserEvent(name, payload, false))
}

// Changed receives when members may have changed; it has one reader.
func (p *Pool) Changed() <-chan struct{} { return p.changed }

// Members lists all members that are known, those that left or failed too,
// sorted by name.
func (p *Pool) Members() []api.Member {
	found := p.serf.Members()
	members := make([]api.Member, 0, len(found))
	for _, m := range found {
		members = append(members, member(m))
	}
	slices.SortFunc(members, func(a, b api.Member) int { return cmp.Compare(a.Name, b.Name) })
	return members
}

func member(m serf.Member) api.Member {
	return api.Member{
		Name: m.Name, Addr: m.Addr.String(), Port: m.Port, Tags: m.Tags, Status: int(m.Status),
		ProtocolMin: m.ProtocolMin, ProtocolMax: m.ProtocolMax, ProtocolCur: m.ProtocolCur,
		DelegateMin: m.DelegateMin, DelegateMax: m.DelegateMax, DelegateCur: m.DelegateCur,
	}
}

// Join contacts agents of the pool by "HOST", "HOST:PORT", or an IPv6 address in
// brackets; the port defaults to this agent's. It returns how many answered,
// and an error if none did.
func (p *Pool) Join(ctx context.Context, addresses []string) (int, error) {
	var targets []string
	var failures []error
	for _, a := range addresses {
		found, err := p.resolve(ctx, a)
		targets = append(targets, found...)
		if err != nil {
			failures = append(failures, err)
		}
	}
	n := 0
	if len(targets) > 0 {
		var err error
		if n, err = p.serf.Join(targets, true); err != nil && n == 0 {
			failures = append(failures, err)
		}
	}
	if n > 0 || len(addresses) == 0 {
		return n, nil
	}
	return 0, fmt.Errorf("joining %s: %w", strings.Join(addresses, ", "), oneLine(failures))
}

// oneLine joins errors in one line. Those of serf are lists themselves.
func oneLine(errs []error) error {
	var all error
	for _, err := range errs {
		if list, ok := err.(interface{ WrappedErrors() []error }); ok {
			err = oneLine(list.WrappedErrors())
		}
		if all == nil {
			all = err
		} else {
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

func (p *Pool) resolve(ctx context.Context, address string) ([]string, error) {
	name, port := address, strconv.Itoa(int(p.serf.LocalMember().Port))
	if h, n, err := net.SplitHostPort(address); err == nil {
		name, port = h, n
	}
	name = strings.Trim(name, "[]")
	if _, err := netip.ParseAddr(name); err == nil {
		return []string{net.JoinHostPort(name, port)}, nil
	}
	ips, err := p.network.LookupHost(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("the address %q: %w", address, err)
	}
	for i, ip := range ips {
		ips[i] = net.JoinHostPort(ip, port)
	}
	return ips, nil
}

// Leave tells the others that this agent goes for good, waits until that has
// spread, and forgets who they were: an agent that left does not come back by
// itself. Close must follow.
func (p *Pool) Leave() error {
	p.ending.Lock()
	defer p.ending.Unlock()
	p.stop()
	p.tending.Wait()
	err := p.serf.Leave()
	return errors.Join(err, p.peers.forget())
}

// Remove moves a failed member to "left"; with prune it is forgotten. A living
// one refutes that and stays, also with prune: serf would forget it for as long as
// it lives, for it only greets those that were dead. An unknown name is an error.
func (p *Pool) Remove(name string, prune bool) error {
	status, othersAlive := 0, 0
	for _, m := range p.Members() {
		switch {
		case m.Name == name:
			status = m.Status
		case m.Status == StatusAlive && m.Name != p.serf.LocalMember().Name:
			othersAlive++
		}
	}
	switch {
	case status == 0:
		return fmt.Errorf("agent: No node found with name '%s'", name)
	case status == StatusAlive && othersAlive == 0:
		// serf would not tell it, so it could not refute and would be shown as
		// leaving for ever.
		return fmt.Errorf("agent: node '%s' is alive as far as this agent knows; it can be removed when it has failed", name)
	case prune && status != StatusAlive:
		return p.serf.RemoveFailedNodePrune(name)
	}
	return p.serf.RemoveFailedNode(name)
}

// Coordinate is where this agent lies among the members by what their probes
// took; nil if it cannot be told.
func (p *Pool) Coordinate() *api.Coordinate {
	c, err := p.serf.GetCoordinate()
	if err != nil {
		return nil
	}
	return (*api.Coordinate)(c)
}

// Stats are serf's own figures, for people.
func (p *Pool) Stats() map[string]string { return p.serf.Stats() }

// Close goes without a word: the others find out by their probes.
func (p *Pool) Close() error {
	p.ending.Lock()
	defer p.ending.Unlock()
	p.stop()
	err := p.serf.Shutdown()
	p.tending.Wait()
	p.wait.Wait()
	return err
}
