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
)

// listener is a listening TCP socket.
type listener struct {
	stack *Stack
	local netip.AddrPort
	addr  *net.TCPAddr

	// guarded by net.mu
	queue      []*conn
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
	local, err := s.bind(ctx, address, func(a netip.AddrPort) bool {
		return slices.ContainsFunc(s.listeners[a.Port()], func(l *listener) bool { return overlaps(l.local, a) })
	})
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
			return c, nil
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
		c.sendReset()
		c.forget()
	}
	l.queue = nil
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
		return s.openPacket(ctx, network, ":0", to)
	}
	if network != "tcp" && network != "tcp4" {
		s.net.mu.Unlock()
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	c := s.connect(to)
	s.net.mu.Unlock()
	if c == nil {
		// Nobody has the address: no answer will ever come.
		<-ctx.Done()
		return nil, opError("dial", network, nil, net.TCPAddrFromAddrPort(to), deadlineOr(ctx))
	}
	if err := c.await(ctx); err != nil {
		return nil, opError("dial", network, nil, c.raddr, err)
	}
	return c, nil
}

func deadlineOr(ctx context.Context) error {
	if ctx.Err() == context.DeadlineExceeded {
		return os.ErrDeadlineExceeded
	}
	return ctx.Err()
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
	c.syn(0)
	return c
}

// syn sends a SYN, and again while no answer comes.
func (c *conn) syn(tries int) {
	n := c.stack.net
	p := Packet{Protocol: TCP, FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: tcpHeader}
	n.send(c.stack, c.peer, p, 0, func() { c.peer.answer(c) })
	n.sched.After(synRetry<<tries, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if c.state != connecting {
			return
		}
		if tries == synTries {
			c.fail(os.NewSyscallError("connect", syscall.ETIMEDOUT))
			return
		}
		c.syn(tries + 1)
	})
}

// await returns when the stream is established, or cannot be.
func (c *conn) await(ctx context.Context) error {
	n := c.stack.net
	for {
		n.mu.Lock()
		if c.state == established {
			n.mu.Unlock()
			return nil
		}
		if c.failure != nil {
			n.mu.Unlock()
			return c.failure
		}
		wait := c.writable.wait()
		n.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			n.mu.Lock()
			c.shut()
			n.mu.Unlock()
			return deadlineOr(ctx)
		}
	}
}

// answer is what a host does with a SYN.
func (s *Stack) answer(from *conn) {
	key := tuple{from.remote, from.local}
	c := s.conns[key]
	if c != nil && c.state != answered {
		return // an old stream of that name, or a copy of a SYN that was answered
	}
	if c == nil {
		i := slices.IndexFunc(s.listeners[from.remote.Port()], func(l *listener) bool { return covers(l.local, from.remote.Addr()) })
		if i < 0 {
			from.bounce()
			return
		}
		c = newConn(s, from.stack, from.remote, from.local)
		c.state, c.owner = answered, s.listeners[from.remote.Port()][i]
		c.synAck(0)
		return
	}
	c.synAck(synTries)
}

// synAck answers a SYN, and again while nothing more is heard.
func (c *conn) synAck(tries int) {
	n := c.stack.net
	p := Packet{Protocol: TCP, FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: tcpHeader}
	n.send(c.stack, c.peer, p, 0, func() {
		at := c.peer.conns[tuple{c.remote, c.local}]
		switch {
		case at == nil:
			c.bounceFrom()
		case at.state == connecting:
			at.connected()
		default:
			at.acknowledge() // the acknowledgement was lost
		}
	})
	if tries >= synTries-1 {
		return
	}
	n.sched.After(synRetry<<tries, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if c.state == answered {
			c.synAck(tries + 1)
		}
	})
	if tries == 0 {
		n.sched.After(synRetry<<synTries, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			if c.state == answered {
				c.forget()
			}
		})
	}
}

// bounceFrom is the answer to a SYN-ACK for a stream that nobody wants any more.
func (c *conn) bounceFrom() {
	n := c.stack.net
	p := Packet{Protocol: TCP, FromPort: c.remote.Port(), ToPort: c.local.Port(), Size: tcpHeader}
	n.send(c.peer, c.stack, p, 0, func() { c.fail(connReset()) })
}

// connected is the dialling end's word that the stream stands.
func (c *conn) connected() {
	c.state = established
	c.in.heard = c.stack.net.sched.Now()
	c.acknowledge()
	c.writable.broadcast()
	c.keep()
}

// establish is the listening end's word that the stream stands: it can be
// accepted.
func (c *conn) establish() {
	l := c.owner
	if l.closed || len(l.queue) >= backlog {
		c.sendReset()
		c.forget()
		return
	}
	c.state = established
	c.in.heard = c.stack.net.sched.Now()
	c.stack.record(trace.NetOpen, c.peer.name, "")
	l.queue = append(l.queue, c)
	l.acceptable.broadcast()
	c.keep()
}
