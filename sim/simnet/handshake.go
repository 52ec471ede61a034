package simnet

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"tribune/sim/trace"
)

const (
	backlog  = 4096        // streams that wait to be accepted; Linux's somaxconn
	synRetry = time.Second // doubled each time
	synTries = 6           // net.ipv4.tcp_syn_retries

	synAckTries = 5 // net.ipv4.tcp_synack_retries
)

// listener is a listening TCP socket.
type listener struct {
	stack *Stack
	local netip.AddrPort
	addr  *net.TCPAddr

	// guarded by net.mu
	queue      []*conn
	waiting    int // streams that are half open
	closed     bool
	acceptable signal
}

// Listen implements host.Network.
func (s *Stack) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	if network != "tcp" && network != "tcp4" {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	local, err := s.resolve(ctx, address)
	if err == nil {
		local, err = s.bind(local, func(a netip.AddrPort) bool {
			return slices.ContainsFunc(s.listeners[a.Port()], func(l *listener) bool { return overlaps(l.local, a) })
		})
	}
	if err != nil {
		return nil, opError("listen", network, nil, net.TCPAddrFromAddrPort(local), err)
	}
	l := &listener{stack: s, local: local, addr: net.TCPAddrFromAddrPort(local)}
	s.listeners[local.Port()] = append(s.listeners[local.Port()], l)
	return l, nil
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	n := l.stack.net
	for {
		n.mu.Lock()
		if l.closed {
			n.mu.Unlock()
			return nil, opError("accept", "tcp", nil, l.addr, net.ErrClosed)
		}
		if len(l.queue) > 0 {
			c := l.queue[0]
			l.queue = l.queue[1:]
			n.mu.Unlock()
			return newStream(c), nil
		}
		wait := l.acceptable.wait()
		n.mu.Unlock()
		<-wait
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.stack.net.mu.Lock()
	defer l.stack.net.mu.Unlock()
	if l.closed {
		return opError("close", "tcp", nil, l.addr, net.ErrClosed)
	}
	l.shut()
	return nil
}

func (l *listener) shut() {
	l.closed = true
	port := l.local.Port()
	if l.stack.listeners[port] = slices.DeleteFunc(l.stack.listeners[port], func(x *listener) bool { return x == l }); len(l.stack.listeners[port]) == 0 {
		delete(l.stack.listeners, port)
	}
	for _, c := range l.queue {
		if c.broken {
			c.shut()
			continue
		}
		c.sendReset()
		c.forget()
	}
	l.queue = nil
	for _, c := range l.stack.sortedConns() {
		if c.owner == l && c.state == answered {
			c.sendReset()
			c.forget()
		}
	}
	l.acceptable.broadcast()
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.addr }

// Dial implements host.Network.
func (s *Stack) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	s.net.mu.Lock()
	to, err := s.resolve(ctx, address)
	if err != nil {
		s.net.mu.Unlock()
		return nil, opError("dial", network, nil, nil, err)
	}
	if network == "udp" || network == "udp4" {
		defer s.net.mu.Unlock()
		return s.connectPacket(network, to)
	}
	if network != "tcp" && network != "tcp4" {
		s.net.mu.Unlock()
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	c := s.connect(to)
	s.net.mu.Unlock()
	if c == nil {
		return nil, opError("dial", network, nil, net.TCPAddrFromAddrPort(to), s.unreachable(ctx))
	}
	if err := c.await(ctx); err != nil {
		return nil, opError("dial", network, nil, c.raddr, err)
	}
	return newStream(c), nil
}

// noAnswer is how long a kernel asks who has an address before it gives up.
const noAnswer = 3 * time.Second

// unreachable waits for the error of dialling an address that nobody has.
func (s *Stack) unreachable(ctx context.Context) error {
	over := make(chan struct{})
	e := s.net.sched.After(noAnswer, func() { close(over) })
	select {
	case <-over:
		return os.NewSyscallError("connect", syscall.EHOSTUNREACH)
	case <-ctx.Done():
		e.Cancel()
		return dialError(ctx)
	}
}

// dialError is what dialling returns when its context ends.
func dialError(ctx context.Context) error {
	if ctx.Err() == context.DeadlineExceeded {
		return timeoutError{}
	}
	return ctx.Err()
}

// timeoutError is the error of a dial that took too long; package net has one
// that is context.DeadlineExceeded and one that is os.ErrDeadlineExceeded, and
// which of the two comes is a race there.
type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }
func (timeoutError) Is(err error) bool {
	return err == context.DeadlineExceeded || err == os.ErrDeadlineExceeded
}

// connect sends the first SYN.
func (s *Stack) connect(to netip.AddrPort) *conn {
	peer, source := s.route(to.Addr())
	if peer == nil {
		return nil
	}
	if to.Addr().IsUnspecified() {
		to = netip.AddrPortFrom(source, to.Port())
	}
	port := s.ephemeral(func(p uint16) bool { return s.conns[tuple{netip.AddrPortFrom(source, p), to}] != nil })
	c := newConn(s, peer, netip.AddrPortFrom(source, port), to)
	c.out.moved = s.net.sched.Now()
	c.syn()
	return c
}

// syn sends a SYN, and again while no answer comes.
func (c *conn) syn() {
	n := c.stack.net
	p := Packet{Protocol: TCP, FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: tcpHeader}
	n.send(c.stack, c.peer, &p, 0, &c.out.flow, func() { c.peer.answer(c) })
	c.out.timer = n.sched.After(synRetry<<c.out.tries, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		c.out.timer = nil
		if c.state != connecting {
			return
		}
		if c.out.tries++; c.out.tries > synTries {
			c.fail(syscall.ETIMEDOUT)
			return
		}
		c.syn()
	})
}

// await returns when the stream is established, or cannot be.
func (c *conn) await(ctx context.Context) error {
	n := c.stack.net
	for {
		n.mu.Lock()
		switch {
		case c.failure != nil:
			err := os.NewSyscallError("connect", c.failure)
			c.shut()
			n.mu.Unlock()
			return err
		case c.shutDown: // the process was killed, or the host lost its power
			n.mu.Unlock()
			return net.ErrClosed
		case c.state == established:
			n.mu.Unlock()
			return nil
		}
		wait := c.writable.wait()
		n.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			n.mu.Lock()
			c.shut()
			n.mu.Unlock()
			return dialError(ctx)
		}
	}
}

// answer is what a host does with a SYN.
func (s *Stack) answer(from *conn) {
	c := s.conns[tuple{from.remote, from.local}]
	switch {
	case from.state != connecting: // a copy, or the dialler has given up
	case c != nil && c.far != from:
		// A stream of the same ports whose other end was forgotten: what it
		// says now has it reset, and the next SYN finds nobody in its way (RFC
		// 9293, section 3.5.1, figure 9).
		c.acknowledge()
	case c != nil && c.state == answered:
		c.synAck()
	case c == nil:
		at := slices.IndexFunc(s.listeners[from.remote.Port()], func(l *listener) bool { return covers(l.local, from.remote.Addr()) })
		if at < 0 {
			from.bounce()
			return
		}
		l := s.listeners[from.remote.Port()][at]
		if l.waiting+len(l.queue) >= backlog {
			return // full: the dialler tries again
		}
		l.waiting++
		c = newConn(s, from.stack, from.remote, from.local)
		c.state, c.owner, c.far = answered, l, from
		c.out.moved = s.net.sched.Now()
		c.synAck()
		c.awaitAck()
	}
}

// synAck answers a SYN.
func (c *conn) synAck() {
	n := c.stack.net
	p := Packet{Protocol: TCP, FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: tcpHeader}
	n.send(c.stack, c.peer, &p, 0, &c.out.flow, func() {
		switch at := c.far; {
		case c.state == gone:
		case at.state == connecting:
			at.connected(c)
		case at.state == established && at.far == c:
			at.acknowledge() // the acknowledgement was lost
		default:
			c.bounce()
		}
	})
}

// awaitAck answers a SYN again while nothing more is heard.
func (c *conn) awaitAck() {
	n := c.stack.net
	c.out.timer = n.sched.After(synRetry<<c.out.tries, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		c.out.timer = nil
		if c.out.tries++; c.out.tries > synAckTries {
			c.forget()
			return
		}
		c.synAck()
		c.awaitAck()
	})
}

// connected is the dialling end's word that the stream stands.
func (c *conn) connected(far *conn) {
	c.far = far
	c.stand()
	c.acknowledge()
	c.writable.broadcast()
}

// establish is the listening end's word that the stream stands: it can be
// accepted.
func (c *conn) establish() {
	l := c.owner
	c.stand()
	c.stack.record(trace.NetOpen, c.peer.name, "")
	l.queue = append(l.queue, c)
	l.acceptable.broadcast()
}

// stand begins the life of a stream after the handshake.
func (c *conn) stand() {
	now := c.stack.net.sched.Now()
	c.out.timer.Cancel()
	c.out.timer = nil
	c.leaveHandshake()
	c.state = established
	c.in.heard = now
	if c.out.tries == 0 {
		c.out.trip.measure(now - c.out.moved)
		c.out.rto = c.out.timeout()
	}
	c.out.tries = 0
	c.keep()
}

// leaveHandshake gives up the place among a listener's half-open streams.
func (c *conn) leaveHandshake() {
	if c.state == answered {
		c.owner.waiting--
	}
}
