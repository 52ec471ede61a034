package simnet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"tribune/sim/event"
	"tribune/sim/trace"
)

// state is that of a stream at one end (RFC 9293, section 3.3.2, in the small).
type state uint8

const (
	connecting  state = iota // a SYN is on its way
	answered                 // a SYN was answered, the other end has not said more
	established              // and, with flags of its own, everything up to the end
	gone                     // forgotten by the kernel
)

const (
	bufferSize  = 256 << 10 // bytes that wait to be sent or read, at one end
	segmentSize = 32 << 10  // bytes of a segment: what a network card splits up
	tcpHeader   = 40
)

// conn is one end of a TCP stream.
type conn struct {
	stack         *Stack
	peer          *Stack
	local, remote netip.AddrPort
	laddr, raddr  net.Addr

	// All below is guarded by stack.net.mu.
	state    state
	owner    *listener // that accepts the stream; nil for one that was dialled
	out      sender
	in       receiver
	failure  error // what reads and writes return once the stream has broken
	shutDown bool  // closed by the program, or its process is gone
	readable signal
	writable signal

	readDeadline, writeDeadline deadline
}

// sender is the sending half.
type sender struct {
	data    []byte // not yet acknowledged, from una on
	una     uint64 // first byte not acknowledged
	nxt     uint64 // first byte not sent
	window  uint64 // bytes beyond una that the other end takes
	fin     bool   // the stream ends
	finAt   uint64 // with the byte after the last one, whose number this is
	waits   bool   // closed, and the other end has not: see linger
	rto     time.Duration
	tries   int // retransmissions without an answer
	timer   *event.Event
	rtt     time.Duration // smoothed round trip
	timed   uint64        // sequence number whose acknowledgement is timed; 0: none
	timedAt time.Duration
}

// receiver is the receiving half.
type receiver struct {
	data    []byte // in order, not yet read
	nxt     uint64 // next byte expected
	ahead   []segment
	ended   bool // the end of the stream was received
	offered uint64
	heard   time.Duration // when the other end last sent something
	probes  int           // keepalive probes without an answer
}

var _ net.Conn = (*conn)(nil)

func newConn(s, peer *Stack, local, remote netip.AddrPort) *conn {
	c := &conn{
		stack: s, peer: peer, local: local, remote: remote,
		laddr: net.TCPAddrFromAddrPort(local), raddr: net.TCPAddrFromAddrPort(remote),
	}
	c.out.una, c.out.nxt, c.in.nxt = 1, 1, 1
	c.out.window, c.in.offered = bufferSize, bufferSize
	c.out.rto = firstRTO
	s.conns[tuple{local, remote}] = c
	return c
}

func (c *conn) Read(b []byte) (int, error) {
	n := c.stack.net
	for {
		n.mu.Lock()
		switch {
		case c.shutDown:
			n.mu.Unlock()
			return 0, c.err("read", net.ErrClosed)
		case isOver(c.readDeadline.wait()):
			n.mu.Unlock()
			return 0, c.err("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			n.mu.Unlock()
			return 0, nil
		case len(c.in.data) > 0:
			got := copy(b, c.in.data)
			if c.in.data = c.in.data[got:]; len(c.in.data) == 0 {
				c.in.data = nil
			}
			c.offerWindow()
			n.mu.Unlock()
			return got, nil
		case c.failure != nil:
			err := c.failure
			n.mu.Unlock()
			return 0, c.err("read", err)
		case c.in.ended:
			n.mu.Unlock()
			return 0, io.EOF
		}
		wait := c.readable.wait()
		n.mu.Unlock()
		select {
		case <-wait:
		case <-c.readDeadline.wait():
		}
	}
}

func (c *conn) Write(b []byte) (int, error) {
	n := c.stack.net
	done := 0
	for {
		n.mu.Lock()
		switch {
		case c.shutDown || c.out.fin:
			n.mu.Unlock()
			return done, c.err("write", net.ErrClosed)
		case isOver(c.writeDeadline.wait()):
			n.mu.Unlock()
			return done, c.err("write", os.ErrDeadlineExceeded)
		case c.failure != nil:
			n.mu.Unlock()
			return done, c.err("write", os.NewSyscallError("write", syscall.EPIPE))
		}
		if room := bufferSize - len(c.out.data); room > 0 {
			take := min(room, len(b)-done)
			c.out.data = append(c.out.data, b[done:done+take]...)
			done += take
			c.transmit()
		}
		if done == len(b) {
			n.mu.Unlock()
			return done, nil
		}
		wait := c.writable.wait()
		n.mu.Unlock()
		select {
		case <-wait:
		case <-c.writeDeadline.wait():
		}
	}
}

// Close closes the stream for the program; the kernel goes on sending what was
// written.
func (c *conn) Close() error {
	c.stack.net.mu.Lock()
	defer c.stack.net.mu.Unlock()
	if c.shutDown {
		return c.err("close", net.ErrClosed)
	}
	c.shut()
	return nil
}

// CloseWrite ends the sending half: the other end reads io.EOF after the data.
func (c *conn) CloseWrite() error {
	c.stack.net.mu.Lock()
	defer c.stack.net.mu.Unlock()
	if c.shutDown || c.failure != nil {
		return c.err("close", net.ErrClosed)
	}
	c.finish()
	return nil
}

// shut is what the kernel does when nobody holds the socket any more. Bytes
// that nobody will read are answered with a reset (RFC 1122, 4.2.2.13).
func (c *conn) shut() {
	if c.shutDown {
		return
	}
	c.shutDown = true
	c.readable.broadcast()
	c.writable.broadcast()
	switch {
	case c.failure != nil || c.state == gone:
		c.forget()
	case c.state == connecting || c.state == answered || len(c.in.data) > 0:
		c.sendReset()
		c.forget()
	default:
		c.stack.record(trace.NetClose, c.peer.name, "")
		c.finish()
	}
}

func (c *conn) finish() {
	if !c.out.fin {
		c.out.fin, c.out.finAt = true, c.out.una+uint64(len(c.out.data))
		c.transmit()
		c.linger()
	}
}

// fail breaks the stream at this end.
func (c *conn) fail(err error) {
	if c.state == gone {
		return
	}
	c.failure = err
	c.in.data = nil
	c.forget()
	c.readable.broadcast()
	c.writable.broadcast()
}

// forget takes the stream out of the kernel's table.
func (c *conn) forget() {
	if c.state == gone {
		return
	}
	c.state = gone
	c.out.data = nil
	if c.out.timer != nil {
		c.out.timer.Cancel()
	}
	delete(c.stack.conns, tuple{c.local, c.remote})
}

// vanish is forget for a host that lost its power.
func (c *conn) vanish() { c.forget() }

func (c *conn) err(op string, err error) error { return opError(op, "tcp", c.laddr, c.raddr, err) }

func (c *conn) LocalAddr() net.Addr { return c.laddr }

func (c *conn) RemoteAddr() net.Addr { return c.raddr }

func (c *conn) SetDeadline(t time.Time) error {
	c.readDeadline.set(t)
	c.writeDeadline.set(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.readDeadline.set(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.writeDeadline.set(t)
	return nil
}
