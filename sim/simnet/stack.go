package simnet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"tribune/impl/host"
	"tribune/sim/trace"
)

// Stack is a host's kernel as far as the network goes: its sockets. It is the
// host.Network of the programs on it.
type Stack struct {
	net   *Network
	name  string
	addrs []netip.Addr

	// All below is guarded by net.mu.
	down      bool
	listeners map[uint16][]*listener
	datagrams map[uint16][]*packetConn
	conns     map[tuple]*conn
	broken    []*conn // in the order in which they broke, until their program closes them
	nextPort  uint16
}

var _ host.Network = (*Stack)(nil)

// tuple identifies a stream at one of its ends.
type tuple struct{ local, remote netip.AddrPort }

const (
	firstPort = 32768
	lastPort  = 60999
)

func newStack(n *Network, name string, addrs []netip.Addr) *Stack {
	s := &Stack{net: n, name: name, addrs: addrs, nextPort: firstPort}
	s.empty()
	return s
}

func (s *Stack) empty() {
	s.listeners, s.datagrams, s.conns = map[uint16][]*listener{}, map[uint16][]*packetConn{}, map[tuple]*conn{}
	s.broken = nil
}

// Name is the host's name.
func (s *Stack) Name() string { return s.name }

// Crash takes the host off the network at once: its sockets vanish and nobody
// is told.
func (s *Stack) Crash() {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.down = true
	for _, c := range s.sortedConns() {
		c.vanish()
	}
	for _, port := range sortedPorts(s.listeners) {
		for _, l := range s.listeners[port] {
			l.closed = true
			l.acceptable.broadcast()
		}
	}
	s.closeDatagrams()
	s.empty()
}

func (s *Stack) closeDatagrams() {
	for _, port := range sortedPorts(s.datagrams) {
		for _, c := range s.datagrams[port] {
			c.closed = true
			c.readable.broadcast()
		}
	}
	s.datagrams = map[uint16][]*packetConn{}
}

// Reopen brings a crashed host back, without sockets: who believes to be
// connected to it is told otherwise when he next sends.
func (s *Stack) Reopen() {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.down = false
}

// Kill closes all sockets as a kernel does whose only process was killed: the
// other ends see the end of their streams, or a reset.
func (s *Stack) Kill() {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	for _, port := range sortedPorts(s.listeners) {
		for _, l := range slices.Clone(s.listeners[port]) {
			l.shut()
		}
	}
	for _, c := range s.sortedConns() {
		c.shut()
	}
	s.closeDatagrams()
}

func sortedPorts[V any](m map[uint16]V) []uint16 {
	ports := make([]uint16, 0, len(m))
	for p := range m {
		ports = append(ports, p)
	}
	slices.Sort(ports)
	return ports
}

// Streams counts the TCP streams that a program of this host has not closed, those that
// broke among them.
func (s *Stack) Streams() int {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	n := len(s.broken)
	for _, c := range s.conns {
		if !c.shutDown {
			n++
		}
	}
	return n
}

// sortedConns are all streams, those that broke and are not closed among them: a port of
// these may be another's already.
func (s *Stack) sortedConns() []*conn {
	all := make([]*conn, 0, len(s.conns)+len(s.broken))
	for _, c := range s.conns {
		all = append(all, c)
	}
	all = append(all, s.broken...)
	slices.SortStableFunc(all, func(a, b *conn) int {
		return cmp.Or(a.local.Compare(b.local), a.remote.Compare(b.remote))
	})
	return all
}

// route returns the host that an address is of, seen from this one, and the
// address that this host sends from. It is nil for an address that nobody has.
func (s *Stack) route(to netip.Addr) (*Stack, netip.Addr) {
	switch at := s.net.byAddr[to]; {
	case to.IsUnspecified():
		return s, localhost()
	case to.IsLoopback() || at == s:
		return s, to
	default:
		return at, s.addrs[0]
	}
}

func localhost() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 1}) }

// ephemeral returns a free port.
func (s *Stack) ephemeral(taken func(uint16) bool) uint16 {
	for {
		p := s.nextPort
		if s.nextPort++; s.nextPort > lastPort {
			s.nextPort = firstPort
		}
		if !taken(p) {
			return p
		}
	}
}

// bind checks a local address and gives it a port.
func (s *Stack) bind(a netip.AddrPort, taken func(netip.AddrPort) bool) (netip.AddrPort, error) {
	if !a.Addr().IsUnspecified() && !a.Addr().IsLoopback() && !slices.Contains(s.addrs, a.Addr()) {
		return a, os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
	}
	if a.Port() == 0 {
		p := s.ephemeral(func(p uint16) bool { return taken(netip.AddrPortFrom(a.Addr(), p)) })
		return netip.AddrPortFrom(a.Addr(), p), nil
	}
	if taken(a) {
		return a, os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	return a, nil
}

// overlaps reports whether two addresses cannot both be bound.
func overlaps(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && (a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// covers reports whether a socket bound to local takes packets for address.
func covers(local netip.AddrPort, address netip.Addr) bool {
	return local.Addr().IsUnspecified() || local.Addr() == address
}

// resolve parses "HOST:PORT" with an IP, a host's name, or nothing for any
// address.
func (s *Stack) resolve(ctx context.Context, address string) (netip.AddrPort, error) {
	name, service, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return netip.AddrPort{}, &net.AddrError{Err: "invalid port", Addr: address}
	}
	if name == "" {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)), nil
	}
	found, err := s.lookup(name)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(found[0], uint16(port)), ctx.Err()
}

func (s *Stack) lookup(name string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	if name == "localhost" {
		return []netip.Addr{localhost()}, nil
	}
	if h := s.net.hosts[name]; h != nil {
		return h.addrs, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// LookupHost implements host.Network: names of hosts resolve.
func (s *Stack) LookupHost(_ context.Context, name string) ([]string, error) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	found, err := s.lookup(name)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, a := range found {
		texts = append(texts, a.String())
	}
	sort.Strings(texts)
	return texts, nil
}

// Addrs implements host.Network.
func (s *Stack) Addrs() ([]netip.Addr, error) { return slices.Clone(s.addrs), nil }

// Proxy implements host.Network: a simulated machine has none, whatever the environment
// of the process says.
func (s *Stack) Proxy(*url.URL) (*url.URL, error) { return nil, nil }

// Expand implements host.Network. A simulated machine has addresses and no interfaces
// that a template could speak of.
func (s *Stack) Expand(text string) (string, error) {
	if strings.Contains(text, "{{") {
		return "", fmt.Errorf("%q: a simulated machine has no interfaces", text)
	}
	return text, nil
}

// record writes an event about a stream into the trace.
func (s *Stack) record(kind trace.Kind, peer, text string) {
	s.net.rec.Record(trace.Event{At: s.net.sched.Now(), Node: s.name, Kind: kind, Peer: peer, Text: text})
}

// opError makes an error as package net does.
func opError(op, network string, local, remote net.Addr, err error) error {
	var already *net.OpError
	if errors.As(err, &already) {
		return err
	}
	return &net.OpError{Op: op, Net: network, Source: local, Addr: remote, Err: err}
}
