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
	failure  error // of a connected socket: nobody listens there
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
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	return s.openPacket(ctx, network, address, netip.AddrPort{})
}

func (s *Stack) openPacket(ctx context.Context, network, address string, peer netip.AddrPort) (*packetConn, error) {
	if network != "udp" && network != "udp4" {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	local, err := s.bind(ctx, address, func(a netip.AddrPort) bool {
		return slices.ContainsFunc(s.datagrams[a.Port()], func(c *packetConn) bool { return overlaps(c.local, a) })
	})
	if err != nil {
		return nil, opError("listen", network, nil, net.UDPAddrFromAddrPort(local), err)
	}
	c := &packetConn{stack: s, local: local, addr: net.UDPAddrFromAddrPort(local), peer: peer}
	s.datagrams[local.Port()] = append(s.datagrams[local.Port()], c)
	return c, nil
}

func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n := c.stack.net
	for {
		n.mu.Lock()
		switch {
		case c.closed:
			n.mu.Unlock()
			return 0, nil, opError("read", "udp", c.addr, nil, net.ErrClosed)
		case isOver(c.readDeadline.wait()):
			n.mu.Unlock()
			return 0, nil, opError("read", "udp", c.addr, nil, os.ErrDeadlineExceeded)
		case c.failure != nil:
			err := c.failure
			c.failure = nil
			n.mu.Unlock()
			return 0, nil, opError("read", "udp", c.addr, nil, err)
		case len(c.queue) > 0:
			d := c.queue[0]
			c.queue = c.queue[1:]
			c.bytes -= len(d.data)
			n.mu.Unlock()
			return copy(b, d.data), net.UDPAddrFromAddrPort(d.from), nil
		}
		wait := c.readable.wait()
		n.mu.Unlock()
		select {
		case <-wait:
		case <-c.readDeadline.wait():
		}
	}
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
	return c.send(b, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
}

func (c *packetConn) Write(b []byte) (int, error) {
	if !c.peer.IsValid() {
		return 0, opError("write", "udp", c.addr, nil, syscall.EDESTADDRREQ)
	}
	return c.send(b, c.peer)
}

func (c *packetConn) send(b []byte, to netip.AddrPort) (int, error) {
	n := c.stack.net
	fail := func(err error) (int, error) {
		return 0, opError("write", "udp", c.addr, net.UDPAddrFromAddrPort(to), err)
	}
	if isOver(c.writeDeadline.wait()) {
		return fail(os.ErrDeadlineExceeded)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return fail(net.ErrClosed)
	}
	if len(b) > maxDatagram {
		return fail(os.NewSyscallError("sendto", syscall.EMSGSIZE))
	}
	target, source := c.stack.route(to.Addr())
	if target == nil {
		return len(b), nil // nobody has the address: the packet goes nowhere
	}
	if !c.local.Addr().IsUnspecified() {
		source = c.local.Addr()
	}
	d := datagram{netip.AddrPortFrom(source, c.local.Port()), bytes.Clone(b)}
	p := Packet{Protocol: UDP, FromPort: c.local.Port(), ToPort: to.Port(), Size: len(b) + udpHeader}
	n.send(c.stack, target, p, n.sums.of(b), func() { target.receive(c, to, d) })
	return len(b), nil
}

// receive puts a datagram into the socket it is for.
func (s *Stack) receive(from *packetConn, to netip.AddrPort, d datagram) {
	for _, c := range s.datagrams[to.Port()] {
		if !covers(c.local, to.Addr()) || c.peer.IsValid() && c.peer != d.from {
			continue
		}
		if c.bytes+len(d.data) <= udpBuffer {
			c.queue = append(c.queue, d)
			c.bytes += len(d.data)
			c.readable.broadcast()
		}
		return
	}
	if !from.peer.IsValid() {
		return
	}
	// Nobody listens: a connected sender is told (ICMP).
	p := Packet{Protocol: UDP, FromPort: to.Port(), ToPort: d.from.Port(), Size: 56}
	s.net.send(s, from.stack, p, 0, func() {
		from.failure = os.NewSyscallError("read", syscall.ECONNREFUSED)
		from.readable.broadcast()
	})
}

func (c *packetConn) Close() error {
	c.stack.net.mu.Lock()
	defer c.stack.net.mu.Unlock()
	if c.closed {
		return opError("close", "udp", c.addr, nil, net.ErrClosed)
	}
	c.closed = true
	port := c.local.Port()
	c.stack.datagrams[port] = slices.DeleteFunc(c.stack.datagrams[port], func(x *packetConn) bool { return x == c })
	c.readable.broadcast()
	return nil
}

func (c *packetConn) LocalAddr() net.Addr { return c.addr }

func (c *packetConn) RemoteAddr() net.Addr {
	if !c.peer.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(c.peer)
}

func (c *packetConn) SetDeadline(t time.Time) error {
	c.readDeadline.set(t)
	c.writeDeadline.set(t)
	return nil
}

func (c *packetConn) SetReadDeadline(t time.Time) error {
	c.readDeadline.set(t)
	return nil
}

func (c *packetConn) SetWriteDeadline(t time.Time) error {
	c.writeDeadline.set(t)
	return nil
}
