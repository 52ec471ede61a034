package hosttest

import (
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// window is how many bytes an end takes before its reader has read some.
const window = 1 << 20

// conn is one end of a stream. Its fields belong to Network.mu.
type conn struct {
	net           *Network
	local, remote netip.AddrPort
	peer          *conn
	received      []byte
	closed        bool // by this end
	reading       limit
	writing       limit
}

// limit is a deadline; the timer wakes who waits when it has passed.
type limit struct {
	at    time.Time
	timer *time.Timer
}

func (l *limit) set(n *Network, at time.Time) {
	if l.timer != nil {
		l.timer.Stop()
	}
	*l = limit{at: at}
	if !at.IsZero() {
		l.timer = time.AfterFunc(time.Until(at), func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.change.Broadcast()
		})
	}
	n.change.Broadcast()
}

func (l *limit) passed() bool { return !l.at.IsZero() && !time.Now().Before(l.at) }

func (c *conn) Read(b []byte) (int, error) {
	n := c.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		apart := n.apart(c.local.Addr(), c.remote.Addr())
		switch {
		case c.closed:
			return 0, opError("read", "tcp", c.remote, net.ErrClosed)
		case c.reading.passed():
			return 0, opError("read", "tcp", c.remote, os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case len(c.received) > 0 && !apart:
			read := copy(b, c.received)
			c.received = c.received[read:]
			n.change.Broadcast()
			return read, nil
		case c.peer.closed && !apart:
			return 0, io.EOF
		}
		n.change.Wait()
	}
}

func (c *conn) Write(b []byte) (int, error) {
	n := c.net
	n.mu.Lock()
	defer n.mu.Unlock()
	written := 0
	for {
		switch {
		case c.closed:
			return written, opError("write", "tcp", c.remote, net.ErrClosed)
		case c.writing.passed():
			return written, opError("write", "tcp", c.remote, os.ErrDeadlineExceeded)
		case c.peer.closed && !n.apart(c.local.Addr(), c.remote.Addr()):
			return written, opError("write", "tcp", c.remote, syscall.EPIPE)
		}
		room := min(window-len(c.peer.received), len(b)-written)
		if room > 0 {
			c.peer.received = append(c.peer.received, b[written:written+room]...)
			written += room
			n.change.Broadcast()
		}
		if written == len(b) {
			return written, nil
		}
		n.change.Wait()
	}
}

func (c *conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return opError("close", "tcp", c.remote, net.ErrClosed)
	}
	c.shut()
	return nil
}

// shut closes this end. The caller holds mu.
func (c *conn) shut() {
	c.closed = true
	for _, l := range []*limit{&c.reading, &c.writing} {
		if l.timer != nil {
			l.timer.Stop()
		}
	}
	c.net.change.Broadcast()
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.reading.set(c.net, t)
	c.writing.set(c.net, t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.reading.set(c.net, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.writing.set(c.net, t)
	return nil
}

// packetConn is a datagram socket. Its fields belong to Network.mu.
type packetConn struct {
	net     *Network
	addr    netip.AddrPort
	waiting []packet
	closed  bool
	reading limit
}

type packet struct {
	from netip.AddrPort
	data []byte
}

func (p *packetConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(p.addr) }

func (p *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	for {
		switch {
		case p.closed:
			return 0, nil, opError("read", "udp", p.addr, net.ErrClosed)
		case p.reading.passed():
			return 0, nil, opError("read", "udp", p.addr, os.ErrDeadlineExceeded)
		case len(p.waiting) > 0:
			first := p.waiting[0]
			p.waiting = p.waiting[1:]
			return copy(b, first.data), net.UDPAddrFromAddrPort(first.from), nil
		}
		p.net.change.Wait()
	}
}

func (p *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	at := to.(*net.UDPAddr).AddrPort()
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.closed {
		return 0, opError("write", "udp", at, net.ErrClosed)
	}
	if other := p.net.packets[at]; other != nil && !p.net.apart(p.addr.Addr(), at.Addr()) {
		other.waiting = append(other.waiting, packet{p.addr, append([]byte(nil), b...)})
		p.net.change.Broadcast()
	}
	return len(b), nil
}

func (p *packetConn) Close() error {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.closed {
		return opError("close", "udp", p.addr, net.ErrClosed)
	}
	p.closed = true
	delete(p.net.packets, p.addr)
	p.net.change.Broadcast()
	return nil
}

func (p *packetConn) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

func (p *packetConn) SetReadDeadline(t time.Time) error {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.reading.set(p.net, t)
	return nil
}

// SetWriteDeadline does nothing: writing never waits.
func (p *packetConn) SetWriteDeadline(time.Time) error { return nil }
