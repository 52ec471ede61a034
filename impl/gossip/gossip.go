// Package gossip is membership: a serf pool (SWIM failure detection with
// Lifeguard, on hashicorp/memberlist) over a host.Network.
//
// A Pool tells that its members changed, not how: whoever acts on membership
// looks at Members and acts on what is there. That way no event can be missed.
//
// The addresses of living members are kept in a file, so that an agent finds
// its way back after all agents were down at once. (serf's own snapshot file
// does that too, but is written past the host.FS.)
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
	"tribune/impl/host"
	"tribune/impl/logging"
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
	Logger    *slog.Logger
}

// Member statuses as api.Member has them (serf.MemberStatus).
const (
	StatusAlive   = int(serf.StatusAlive)
	StatusLeaving = int(serf.StatusLeaving)
	StatusLeft    = int(serf.StatusLeft)
	StatusFailed  = int(serf.StatusFailed)
)

const (
	reconnectTimeout = 72 * time.Hour // Consul's default
	leavePropagation = 3 * time.Second
	eventBuffer      = 256
)

// Pool is the agent's part in a gossip pool.
type Pool struct {
	serf    *serf.Serf
	network host.Network
	peers   *peers
	self    string
	changed chan struct{}
	events  chan serf.Event
	wait    sync.WaitGroup
	log     *slog.Logger
}

// Start opens the gossip port and begins to answer; the pool has one member
// until Join or Rejoin finds others.
func Start(ctx context.Context, c Config) (*Pool, error) {
	t, err := listen(ctx, c.Network, c.Bind, c.Advertise)
	if err != nil {
		return nil, err
	}
	p := &Pool{
		network: c.Network, peers: &peers{fs: c.FS, file: c.PeersFile}, self: c.Advertise.String(),
		changed: make(chan struct{}, 1), events: make(chan serf.Event, eventBuffer), log: c.Logger,
	}
	if p.serf, err = serf.Create(p.settings(c, t)); err != nil {
		return nil, errors.Join(fmt.Errorf("starting gossip on %s: %w", c.Bind, err), t.Shutdown())
	}
	p.wait.Go(p.watch)
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
	sc.ReconnectTimeout = reconnectTimeout
	sc.LeavePropagateDelay = leavePropagation
	sc.MinQueueDepth = 4096
	mc := memberlist.DefaultLANConfig()
	if c.WAN {
		mc = memberlist.DefaultWANConfig()
	}
	mc.Transport = t
	mc.Logger = logging.Std(c.Logger)
	mc.BindAddr, mc.BindPort = c.Advertise.Addr().String(), int(c.Advertise.Port())
	mc.AdvertiseAddr, mc.AdvertisePort = mc.BindAddr, mc.BindPort
	sc.MemberlistConfig = mc
	return sc
}

// watch turns serf's events into "something changed", until serf has shut down.
func (p *Pool) watch() {
	for {
		select {
		case <-p.events:
			if err := p.peers.save(p.alive()); err != nil {
				p.log.Warn("the addresses of the members could not be kept for the next start", "error", err)
			}
			select {
			case p.changed <- struct{}{}:
			default:
			}
		case <-p.serf.ShutdownCh():
			return
		}
	}
}

// Changed receives when members may have changed; it has one reader.
func (p *Pool) Changed() <-chan struct{} { return p.changed }

// alive lists the addresses of the other living members.
func (p *Pool) alive() []string {
	var addresses []string
	for _, m := range p.Members() {
		a := net.JoinHostPort(m.Addr, strconv.Itoa(int(m.Port)))
		if m.Status == StatusAlive && a != p.self {
			addresses = append(addresses, a)
		}
	}
	return addresses
}

// Members lists all members that are known, those that left or failed too,
// sorted by name.
func (p *Pool) Members() []api.Member {
	found := p.serf.Members()
	members := make([]api.Member, 0, len(found))
	for _, m := range found {
		members = append(members, api.Member{
			Name: m.Name, Addr: m.Addr.String(), Port: m.Port, Tags: m.Tags, Status: int(m.Status),
			ProtocolMin: m.ProtocolMin, ProtocolMax: m.ProtocolMax, ProtocolCur: m.ProtocolCur,
			DelegateMin: m.DelegateMin, DelegateMax: m.DelegateMax, DelegateCur: m.DelegateCur,
		})
	}
	slices.SortFunc(members, func(a, b api.Member) int { return cmp.Compare(a.Name, b.Name) })
	return members
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
	return 0, fmt.Errorf("joining %s: %w", strings.Join(addresses, ", "), errors.Join(failures...))
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

// Rejoin contacts the members that were known when the agent last ran. That
// none is left, or that none was known, is no error; it returns how many
// answered.
func (p *Pool) Rejoin(ctx context.Context) (int, error) {
	known, err := p.peers.load()
	if err != nil || len(known) == 0 {
		return 0, err
	}
	n, err := p.Join(ctx, known)
	if err != nil {
		p.log.Info("none of the members known from before answers", "error", err)
	}
	return n, nil
}

// Leave tells the others that this agent goes for good and waits until that
// has spread.
func (p *Pool) Leave() error { return p.serf.Leave() }

// Remove moves a failed member to "left"; with prune it is forgotten at once.
// An unknown name is an error.
func (p *Pool) Remove(name string, prune bool) error {
	known := slices.ContainsFunc(p.Members(), func(m api.Member) bool { return m.Name == name })
	if !known {
		return fmt.Errorf("agent: No node found with name '%s'", name)
	}
	if prune {
		return p.serf.RemoveFailedNodePrune(name)
	}
	return p.serf.RemoveFailedNode(name)
}

// SetTags replaces what this agent says about itself.
func (p *Pool) SetTags(tags map[string]string) error { return p.serf.SetTags(maps.Clone(tags)) }

// Stats are serf's own figures, for people.
func (p *Pool) Stats() map[string]string { return p.serf.Stats() }

// Close leaves without a word: the others find out by their probes.
func (p *Pool) Close() error {
	err := p.serf.Shutdown()
	p.wait.Wait()
	return err
}
