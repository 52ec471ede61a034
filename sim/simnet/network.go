package simnet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"tribune/netmodel"
	"tribune/sim/detrt"
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

	mu     detrt.Mutex
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
	wire  wire
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
			draws: generator(n.seed, "link "+from.name+">"+to.name), rules: map[*installed]*applied{},
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

// fate is what becomes of a packet that arrives.
type fate struct {
	after  time.Duration
	copies []time.Duration // further copies of it, so much later
}

// decide draws what becomes of a packet, and records it if it is lost. The flow
// is when the last packet of the same stream arrives: those of one stream do not
// overtake each other but by a rule. A datagram has none. The caller holds the
// lock.
func (n *Network) decide(from, to *Stack, p *Packet, sum uint64, flow *time.Duration) (fate, bool) {
	p.From, p.To = from.name, to.name
	if from == to {
		return fate{after: loopback}, true
	}
	l := n.link(from, to)
	now := n.sched.Now()
	// The link draws before any rule is asked, so that its stream does not
	// depend on them.
	latency := l.Latency.Draw(l.draws)
	lost := ""
	for range p.parts() {
		if l.loss.Lost(l.draws) {
			lost = "link loss"
		}
	}
	if l.Bandwidth > 0 {
		var full bool
		if latency, full = l.wire.pass(p.Size, l.Bandwidth, now, latency); full {
			lost = "link queue"
		}
	}
	if flow != nil {
		*flow = max(*flow, now+latency)
		latency = *flow - now
	}
	v := l.judge(n, p, now)
	latency += v.after
	if v.lost {
		lost = v.by
	}
	if lost != "" {
		n.lose(p, sum, lost)
		return fate{}, false
	}
	return fate{latency, v.copies}, true
}

// wire is a queue before a bottleneck.
type wire struct {
	busy time.Duration // until when it is taken by earlier packets
}

// longestQueue is how much may wait before a bottleneck; what comes on top of it
// is lost.
const longestQueue = time.Second

// pass adds the time that a packet waits and takes to be sent to its latency,
// and reports whether the queue is full.
func (w *wire) pass(size int, bandwidth int64, now, latency time.Duration) (time.Duration, bool) {
	if w.busy-now > longestQueue {
		return latency, true
	}
	w.busy = max(w.busy, now) + time.Duration(int64(size)*8*int64(time.Second)/bandwidth)
	return latency + w.busy - now, false
}

func (n *Network) lose(p *Packet, sum uint64, why string) {
	n.rec.Record(trace.Event{At: n.sched.Now(), Node: p.To, Kind: trace.NetDrop, Peer: p.From, Size: int64(p.Size), Sum: sum, Text: why})
}

// send puts a packet on its way; arrive is called with the network's lock held
// when it gets to the other host, for each copy of it. It reports whether it does. The
// caller holds the lock.
func (n *Network) send(from, to *Stack, p *Packet, sum uint64, flow *time.Duration, arrive func()) bool {
	f, arrives := n.decide(from, to, p, sum, flow)
	if !arrives {
		return false
	}
	n.deliver(f.after, to, p, sum, arrive)
	for _, after := range f.copies {
		n.deliver(f.after+after, to, p, sum, arrive)
	}
	return true
}

func (n *Network) deliver(after time.Duration, to *Stack, p *Packet, sum uint64, arrive func()) {
	n.sched.After(after, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if to.down {
			n.lose(p, sum, "host down")
			return
		}
		n.rec.Record(trace.Event{At: n.sched.Now(), Node: p.To, Kind: trace.NetDeliver, Peer: p.From, Size: int64(p.Size), Sum: sum, Text: p.Protocol.String(), After: after})
		arrive()
	})
}

// ResetConns resets every stream of a host, as a firewall does that lost its table:
// both ends learn of it at once. It returns how many streams there were.
func (n *Network) ResetConns(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	host := n.hosts[name]
	if host == nil {
		return 0
	}
	reset := 0
	for _, c := range host.sortedConns() {
		if c.state == gone {
			continue // the other end of one within the host
		}
		reset++
		if c.far != nil {
			c.far.fail(syscall.ECONNRESET)
		}
		c.reset()
	}
	return reset
}
