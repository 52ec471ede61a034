package simnet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"tribune/netmodel"
	"tribune/sim/event"
	"tribune/sim/trace"
)

// loopback is how long a packet to the own host takes.
const loopback = 15 * time.Microsecond

// mtu is the most bytes of an IP packet on every link; larger datagrams travel
// in fragments and are lost when any of these is.
const mtu = 1500

// Network connects hosts.
type Network struct {
	sched event.Scheduler
	rec   trace.Recorder
	seed  uint64
	model netmodel.Model
	sums  checksums

	mu     sync.Mutex
	hosts  map[string]*Stack
	byAddr map[netip.Addr]*Stack
	links  map[ends]*link
	rules  []*installed
}

type ends struct{ from, to *Stack }

// link is one direction between two hosts.
type link struct {
	ends
	netmodel.Link
	loss  netmodel.Chain
	draws *rand.Rand
	busy  time.Duration // until when the wire is taken by earlier packets
	rules map[*installed]*applied
}

// New returns a network without hosts whose links follow model.
func New(s event.Scheduler, rec trace.Recorder, seed uint64, model netmodel.Model) *Network {
	return &Network{
		sched: s, rec: rec, seed: seed, model: model,
		hosts: map[string]*Stack{}, byAddr: map[netip.Addr]*Stack{}, links: map[ends]*link{},
	}
}

// AddHost adds a host that is up and has no sockets. Names and addresses are
// unique; a second use is a mistake of the caller and panics.
func (n *Network) AddHost(name string, addrs ...netip.Addr) *Stack {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[name] != nil || len(addrs) == 0 {
		panic(fmt.Sprintf("simnet: host %q is there already, or has no address", name))
	}
	s := newStack(n, name, slices.Clone(addrs))
	n.hosts[name] = s
	for _, a := range addrs {
		if n.byAddr[a] != nil {
			panic(fmt.Sprintf("simnet: %s and %s both have the address %s", name, n.byAddr[a].name, a))
		}
		n.byAddr[a] = s
	}
	return s
}

// Hosts lists the names of all hosts, sorted.
func (n *Network) Hosts() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names()
}

func (n *Network) names() []string {
	names := make([]string, 0, len(n.hosts))
	for name := range n.hosts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Add puts a rule on the network, behind those that are there, and returns how
// to take it away again.
func (n *Network) Add(rule Rule) (remove func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := &installed{Rule: rule}
	n.rules = append(n.rules, r)
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.rules = slices.DeleteFunc(n.rules, func(x *installed) bool { return x == r })
		for _, l := range n.links {
			delete(l.rules, r)
		}
	}
}

func (n *Network) link(from, to *Stack) *link {
	key := ends{from, to}
	l := n.links[key]
	if l == nil {
		l = &link{
			ends: key, Link: n.model.Link(from.name, to.name),
			draws: stream(n.seed, "link "+from.name+">"+to.name), rules: map[*installed]*applied{},
		}
		l.loss = l.startLoss()
		n.links[key] = l
	}
	return l
}

func (l *link) startLoss() netmodel.Chain {
	if l.Loss == nil {
		return netmodel.Bernoulli(0)
	}
	return l.Loss.Start()
}

// send puts a packet on its way; arrive is called with the network's lock held
// when it gets to the other host, for each copy of it. The caller holds the
// lock.
func (n *Network) send(from, to *Stack, p Packet, sum uint64, arrive func()) {
	p.From, p.To = from.name, to.name
	if from == to {
		n.deliver(loopback, to, p, sum, arrive)
		return
	}
	l := n.link(from, to)
	now := n.sched.Now()
	// The link draws before any rule is asked, so that its stream does not
	// depend on them.
	latency := l.Latency.Draw(l.draws)
	lost := false
	for range (p.Size + mtu - 1) / mtu {
		lost = l.loss.Lost(l.draws) || lost
	}
	if l.Bandwidth > 0 {
		l.busy = max(l.busy, now) + time.Duration(int64(p.Size)*8*int64(time.Second)/l.Bandwidth)
		latency += l.busy - now
	}
	v := l.judge(n, &p, now)
	switch {
	case v.action == drop:
		n.rec.Record(trace.Event{At: now, Node: to.name, Kind: trace.NetDrop, Peer: from.name, Size: int64(p.Size), Sum: sum, Text: v.by})
		return
	case v.action == deliver:
		latency = v.after
	case lost:
		n.rec.Record(trace.Event{At: now, Node: to.name, Kind: trace.NetDrop, Peer: from.name, Size: int64(p.Size), Sum: sum, Text: "link loss"})
		return
	default:
		latency += v.after
	}
	n.deliver(latency, to, p, sum, arrive)
	for _, after := range v.copies {
		n.deliver(latency+after, to, p, sum, arrive)
	}
}

func (n *Network) deliver(after time.Duration, to *Stack, p Packet, sum uint64, arrive func()) {
	n.sched.After(after, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if to.down {
			return
		}
		n.rec.Record(trace.Event{At: n.sched.Now(), Node: p.To, Kind: trace.NetDeliver, Peer: p.From, Size: int64(p.Size), Sum: sum, Text: p.Protocol.String()})
		arrive()
	})
}

// ResetConns resets every stream between two hosts, as a firewall does that
// lost its table: both ends learn of it at once. It returns how many.
func (n *Network) ResetConns(a, b string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	reset := 0
	for _, name := range []string{a, b} {
		other := b
		if name == b {
			other = a
		}
		s := n.hosts[name]
		if s == nil {
			continue
		}
		for _, c := range s.sortedConns() {
			if c.peer.name == other {
				c.fail(connReset())
				reset++
			}
		}
	}
	return reset
}
