// Package hosttest is a network and a disk for unit tests of the agent's parts.
//
// The network is several hosts in one process, joined by a wire without latency
// or loss that a test can cut. The disk forgets in a power failure whatever it
// may. They are made for bubbles of testing/synctest: everything that waits,
// waits durably. The network with weather and the disk with a price are the
// simulator's.
package hosttest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"tribune/impl/host"
)

// Network joins hosts.
type Network struct {
	mu      sync.Mutex
	change  *sync.Cond // something to read, to accept or to write may have come up
	streams map[netip.AddrPort]*listener
	packets map[netip.AddrPort]*packetConn
	cut     map[netip.Addr]bool
	conns   []*conn
	port    uint16
}

// NewNetwork returns a network without hosts.
func NewNetwork() *Network {
	n := &Network{
		streams: map[netip.AddrPort]*listener{}, packets: map[netip.AddrPort]*packetConn{},
		cut: map[netip.Addr]bool{}, port: 30000,
	}
	n.change = sync.NewCond(&n.mu)
	return n
}

// Host returns a host with an address on the network and a disk.
func (n *Network) Host(name string, address netip.Addr, disk host.FS) host.Host {
	return machine{name, stack{n, address}, disk, nil}
}

// Commands is a host.Exec that calls a function for each command; nil fails each
// as one that does not exist.
type Commands func(ctx context.Context, c host.Command) (status int, err error)

// Run implements host.Exec.
func (f Commands) Run(ctx context.Context, c host.Command) (int, error) {
	if f == nil {
		return 0, &exec.Error{Name: c.Args[0], Err: exec.ErrNotFound}
	}
	return f(ctx, c)
}

// HostWith is Host for one that can run commands.
func (n *Network) HostWith(name string, address netip.Addr, disk host.FS, commands Commands) host.Host {
	return machine{name, stack{n, address}, disk, commands}
}

// Cut takes the cable out of a host: what it sends and what is sent to it waits
// (streams) or is lost (datagrams), until Mend.
func (n *Network) Cut(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[a] = true
}

// Mend puts the cable back.
func (n *Network) Mend(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cut, a)
	n.change.Broadcast()
}

// Conns returns how many ends of streams are open on a host.
func (n *Network) Conns(a netip.Addr) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	open := 0
	for _, c := range n.conns {
		if c.local.Addr() == a && !c.closed {
			open++
		}
	}
	return open
}

// apart reports whether nothing passes between two hosts. The caller holds mu.
func (n *Network) apart(a, b netip.Addr) bool { return a != b && (n.cut[a] || n.cut[b]) }

type machine struct {
	name  string
	stack stack
	disk  host.FS
	exec  Commands
}

func (m machine) Hostname() (string, error) { return m.name, nil }
func (m machine) Network() host.Network     { return m.stack }
func (m machine) FS() host.FS               { return m.disk }
func (m machine) Exec() host.Exec           { return m.exec }

type stack struct {
	net  *Network
	addr netip.Addr
}

func opError(op, network string, at netip.AddrPort, err error) error {
	return &net.OpError{Op: op, Net: network, Addr: net.TCPAddrFromAddrPort(at), Err: err}
}

// local is the address to bind: this host's, with a free port for port 0. The
// caller holds mu.
func (s stack) local(address string) (netip.AddrPort, error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if port == 0 {
		s.net.port++
		port = uint64(s.net.port)
	}
	return netip.AddrPortFrom(s.addr, uint16(port)), nil
}

func (s stack) Listen(_ context.Context, network, address string) (net.Listener, error) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	at, err := s.local(address)
	if err != nil {
		return nil, err
	}
	if s.net.streams[at] != nil {
		return nil, opError("listen", network, at, syscall.EADDRINUSE)
	}
	l := &listener{net: s.net, addr: at}
	s.net.streams[at] = l
	return l, nil
}

func (s stack) ListenPacket(_ context.Context, network, address string) (net.PacketConn, error) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	at, err := s.local(address)
	if err != nil {
		return nil, err
	}
	if s.net.packets[at] != nil {
		return nil, opError("listen", network, at, syscall.EADDRINUSE)
	}
	c := &packetConn{net: s.net, addr: at}
	s.net.packets[at] = c
	return c, nil
}

func (s stack) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	n := s.net
	stop := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.change.Broadcast()
	})
	defer stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.apart(s.addr, to.Addr()) {
		if ctx.Err() != nil {
			return nil, opError("dial", network, to, ctx.Err())
		}
		n.change.Wait()
	}
	l := n.streams[to]
	if l == nil {
		return nil, opError("dial", network, to, syscall.ECONNREFUSED)
	}
	n.port++
	here := &conn{net: n, local: netip.AddrPortFrom(s.addr, n.port), remote: to}
	there := &conn{net: n, local: to, remote: here.local, peer: here}
	here.peer = there
	n.conns = append(n.conns, here, there)
	l.waiting = append(l.waiting, there)
	n.change.Broadcast()
	return here, nil
}

func (s stack) LookupHost(_ context.Context, name string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (s stack) Addrs() ([]netip.Addr, error) { return []netip.Addr{s.addr}, nil }

func (s stack) Proxy(*url.URL) (*url.URL, error) { return nil, nil }

// Expand knows one function.
func (s stack) Expand(text string) (string, error) {
	text = strings.ReplaceAll(text, "{{ GetPrivateIP }}", s.addr.String())
	if strings.Contains(text, "{{") {
		return "", fmt.Errorf("unknown template %q", text)
	}
	return text, nil
}

type listener struct {
	net     *Network
	addr    netip.AddrPort
	waiting []*conn
	closed  bool
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

func (l *listener) Accept() (net.Conn, error) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	for {
		if l.closed {
			return nil, opError("accept", "tcp", l.addr, net.ErrClosed)
		}
		if len(l.waiting) > 0 {
			c := l.waiting[0]
			l.waiting = l.waiting[1:]
			return c, nil
		}
		l.net.change.Wait()
	}
}

func (l *listener) Close() error {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	if l.closed {
		return opError("close", "tcp", l.addr, net.ErrClosed)
	}
	l.closed = true
	delete(l.net.streams, l.addr)
	for _, c := range l.waiting {
		c.shut()
	}
	l.net.change.Broadcast()
	return nil
}
