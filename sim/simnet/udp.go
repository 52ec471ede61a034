package simnet

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
)

const (
	maxDatagram = 65507
	udpHeader   = 28        // IP and UDP
	udpBuffer   = 208 << 10 // bytes that wait to be read; Linux's default
)

// packetConn is a UDP socket; with a peer it is a connected one.
type packetConn struct {
	stack *Stack
	local netip.AddrPort
	addr  *net.UDPAddr
	peer  netip.AddrPort // of a connected socket

	// guarded by net.mu
	queue    []datagram
	bytes    int
	refused  bool // of a connected socket: nobody listens there, and nobody was told yet
	closed   bool
	readable signal

	readDeadline, writeDeadline deadline
}

type datagram struct {
	from netip.AddrPort
	data []byte
}

var (
	_ net.PacketConn = (*packetConn)(nil)
	_ net.Conn       = (*packetConn)(nil)
)

// ListenPacket implements host.Network.
func (s *Stack) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	if network != "udp" && network != "udp4" {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	local, err := s.resolve(ctx, address)
	if err != nil {
		return nil, opError("listen", network, nil, net.UDPAddrFromAddrPort(local), err)
	}
	c, err := s.openPacket(local, netip.AddrPort{})
	if err != nil {
		return nil, opError("listen", network, nil, net.UDPAddrFromAddrPort(local), err)
	}
	return c, nil
}

// connectPacket opens a datagram socket with a peer.
func (s *Stack) connectPacket(network string, to netip.AddrPort) (net.Conn, error) {
	target, source := s.route(to.Addr())
	if target == s && to.Addr().IsUnspecified() {
		to = netip.AddrPortFrom(source, to.Port())
	}
	c, err := s.openPacket(netip.AddrPortFrom(source, 0), to)
	if err != nil {
		return nil, opError("dial", network, nil, net.UDPAddrFromAddrPort(to), err)
	}
	return c, nil
}

func (s *Stack) openPacket(local, peer netip.AddrPort) (*packetConn, error) {
	local, err := s.bind(local, func(a netip.AddrPort) bool {
		return slices.ContainsFunc(s.datagrams[a.Port()], func(c *packetConn) bool { return overlaps(c.local, a) })
	})
	if err != nil {
		return nil, err
	}
	c := &packetConn{stack: s, local: local, addr: net.UDPAddrFromAddrPort(local), peer: peer}
	s.datagrams[local.Port()] = append(s.datagrams[local.Port()], c)
	return c, nil
}

func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, wait, err := c.tryRead(b)
		if err != nil {
			return 0, nil, opError("read", "udp", c.addr, c.remote(), err)
		}
		if wait == nil {
			return n, net.UDPAddrFromAddrPort(from), nil
		}
		select {
		case <-wait:
		case <-c.readDeadline.wait():
		}
	}
}

// tryRead takes the next datagram, or returns what to wait for.
func (c *packetConn) tryRead(b []byte) (int, netip.AddrPort, <-chan struct{}, error) {
	c.stack.net.mu.Lock()
	defer c.stack.net.mu.Unlock()
	switch {
	case c.closed:
		return 0, netip.AddrPort{}, nil, net.ErrClosed
	case c.readDeadline.passed():
		return 0, netip.AddrPort{}, nil, os.ErrDeadlineExceeded
	case c.refused:
		c.refused = false
		return 0, netip.AddrPort{}, nil, os.NewSyscallError("read", syscall.ECONNREFUSED)
	case len(c.queue) > 0:
		d := c.queue[0]
		c.queue[0] = datagram{}
		if c.queue = c.queue[1:]; len(c.queue) == 0 {
			c.queue = nil
		}
		c.bytes -= len(d.data) + udpHeader
		return copy(b, d.data), d.from, nil, nil
	}
	return 0, netip.AddrPort{}, c.readable.wait(), nil
}

func (c *packetConn) Read(b []byte) (int, error) {
	n, _, err := c.ReadFrom(b)
	return n, err
}

func (c *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, opError("write", "udp", c.addr, to, syscall.EINVAL)
	}
	a := u.AddrPort()
	if c.peer.IsValid() {
		return 0, opError("write", "udp", c.addr, to, net.ErrWriteToConnected)
	}
	return c.send(b, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
}

func (c *packetConn) Write(b []byte) (int, error) {
	if !c.peer.IsValid() {
		return 0, opError("write", "udp", c.addr, nil, syscall.EDESTADDRREQ)
	}
	return c.send(b, c.peer)
}

func (c *packetConn) send(b []byte, to netip.AddrPort) (int, error) {
	if err := c.trySend(b, to); err != nil {
		return 0, opError("write", "udp", c.addr, net.UDPAddrFromAddrPort(to), err)
	}
	return len(b), nil
}

func (c *packetConn) trySend(b []byte, to netip.AddrPort) error {
	n := c.stack.net
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case c.closed:
		return net.ErrClosed
	case c.writeDeadline.passed():
		return os.ErrDeadlineExceeded
	case c.refused:
		c.refused = false
		return os.NewSyscallError("write", syscall.ECONNREFUSED)
	case len(b) > maxDatagram:
		return os.NewSyscallError("sendto", syscall.EMSGSIZE)
	}
	target, source := c.stack.route(to.Addr())
	if to.Addr().IsUnspecified() {
		to = netip.AddrPortFrom(source, to.Port())
	}
	if !c.local.Addr().IsUnspecified() {
		source = c.local.Addr()
	}
	if source.IsLoopback() && target != c.stack {
		return os.NewSyscallError("sendto", syscall.EINVAL) // as Linux has it
	}
	if target == nil {
		return nil // nobody has the address: the packet goes nowhere
	}
	d := datagram{netip.AddrPortFrom(source, c.local.Port()), bytes.Clone(b)}
	p := Packet{Protocol: UDP, FromPort: c.local.Port(), ToPort: to.Port(), Size: len(b) + udpHeader}
	n.send(c.stack, target, &p, n.sums.of(b), nil, func() { target.receive(c, to, d) })
	return nil
}

// receive puts a datagram into the socket it is for.
func (s *Stack) receive(from *packetConn, to netip.AddrPort, d datagram) {
	for _, c := range s.datagrams[to.Port()] {
		if !covers(c.local, to.Addr()) {
			continue
		}
		if c.peer.IsValid() && c.peer != d.from {
			break // not from whom it talks with: as if nobody listened
		}
		if c.bytes+len(d.data)+udpHeader > udpBuffer {
			p := Packet{From: from.stack.name, To: s.name, Size: len(d.data) + udpHeader}
			s.net.lose(&p, s.net.sums.of(d.data), "buffer full")
			return
		}
		c.queue = append(c.queue, d)
		c.bytes += len(d.data) + udpHeader
		c.readable.broadcast()
		return
	}
	if !from.peer.IsValid() || from.closed {
		return
	}
	// Nobody listens: a connected sender is told (ICMP).
	p := Packet{Protocol: UDP, FromPort: to.Port(), ToPort: d.from.Port(), Size: 56}
	s.net.send(s, from.stack, &p, 0, nil, func() {
		from.refused = true
		from.readable.broadcast()
	})
}

func (c *packetConn) Close() error {
	c.readDeadline.stop()
	c.writeDeadline.stop()
	c.stack.net.mu.Lock()
	defer c.stack.net.mu.Unlock()
	if c.closed {
		return opError("close", "udp", c.addr, nil, net.ErrClosed)
	}
	c.closed = true
	port := c.local.Port()
	if c.stack.datagrams[port] = slices.DeleteFunc(c.stack.datagrams[port], func(x *packetConn) bool { return x == c }); len(c.stack.datagrams[port]) == 0 {
		delete(c.stack.datagrams, port)
	}
	c.readable.broadcast()
	return nil
}

func (c *packetConn) LocalAddr() net.Addr { return c.addr }

func (c *packetConn) RemoteAddr() net.Addr { return c.remote() }

// remote is the peer of a connected socket, and nil of another.
func (c *packetConn) remote() net.Addr {
	if !c.peer.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(c.peer)
}

func (c *packetConn) SetDeadline(t time.Time) error {
	return c.setDeadlines(t, &c.readDeadline, &c.writeDeadline)
}

func (c *packetConn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.readDeadline) }

func (c *packetConn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writeDeadline) }

func (c *packetConn) setDeadlines(t time.Time, which ...*deadline) error {
	c.stack.net.mu.Lock()
	closed := c.closed
	c.stack.net.mu.Unlock()
	if closed {
		return opError("set", "udp", c.addr, c.remote(), net.ErrClosed)
	}
	for _, d := range which {
		d.set(t)
	}
	return nil
}
