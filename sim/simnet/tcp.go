package simnet

import (
	"net"
	"net/netip"
	"os"
	"slices"
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
	segmentSize = 32 << 10  // bytes of a segment at the most: what a network card splits up
	tcpHeader   = 40
)

// conn is one end of a TCP stream, as the kernel keeps it. A program holds a
// stream.
type conn struct {
	stack         *Stack
	peer          *Stack
	local, remote netip.AddrPort
	laddr, raddr  net.Addr

	// All below is guarded by stack.net.mu.
	state    state
	far      *conn     // the other end, as this one believes; nil before it has answered
	owner    *listener // that accepts the stream; nil for one that was dialled
	largest  uint64    // bytes of a segment, if no rule says otherwise: see most
	out      sender
	in       receiver
	failure  error // of a stream that broke; the first call that meets it takes it away
	broken   bool
	shutDown bool // closed by the program, or its process is gone
	readable signal
	writable signal
}

// sender is the sending half.
type sender struct {
	data    []byte // not yet acknowledged, from una on; bytes in it never change
	una     uint64 // first byte not acknowledged
	nxt     uint64 // first byte not sent
	window  uint64 // bytes beyond una that the other end takes
	flight  uint64 // and those that the links are trusted to take: see congestion.go
	steady  uint64 // up to how many flight grows fast
	fin     bool   // the stream ends
	finAt   uint64 // with the byte after the last one, whose number this is
	waits   bool   // closed, and the other end has not: see linger
	flow    time.Duration
	timer   *event.Event
	moved   time.Duration // since when it runs, in truth: see arm
	due     time.Duration // when it runs out
	rto     time.Duration
	tries   int    // retransmissions without an answer
	recover uint64 // what had been sent when the last loss was noticed
	begins  bool   // anew, since then, after a time-out
	trip    trip
	board   board
	acks    inbox
}

// trip is what is known of a stream's round trips.
type trip struct {
	smooth time.Duration
	spread time.Duration // their smoothed deviation
	least  time.Duration
}

// receiver is the receiving half.
type receiver struct {
	chunks  [][]byte // in order, not yet read
	size    int      // bytes in them
	nxt     uint64   // next byte expected
	ahead   []segment
	twice   bool          // the last segment had arrived before
	ended   bool          // the end of the stream was received
	offered uint64        // window, as the other end was last told
	acked   uint64        // nxt, as the other end was last told
	stamp   uint64        // counts acknowledgements
	heard   time.Duration // when the other end last sent something
	probes  int           // keepalive probes without an answer
}

func newConn(s, peer *Stack, local, remote netip.AddrPort) *conn {
	c := &conn{
		stack: s, peer: peer, local: local, remote: remote,
		laddr: net.TCPAddrFromAddrPort(local), raddr: net.TCPAddrFromAddrPort(remote),
	}
	c.out.una, c.out.nxt, c.in.nxt, c.in.acked = 1, 1, 1, 1
	c.out.window, c.in.offered = bufferSize, bufferSize
	c.largest = s.net.segmentSize(s, peer)
	c.out.flight, c.out.steady = firstFlight, bufferSize
	c.out.rto = firstRTO
	s.conns[tuple{local, remote}] = c
	return c
}

func (i *receiver) read(b []byte) int {
	n, used := 0, 0
	for n < len(b) && used < len(i.chunks) {
		got := copy(b[n:], i.chunks[used])
		n += got
		if i.chunks[used] = i.chunks[used][got:]; len(i.chunks[used]) == 0 {
			i.chunks[used] = nil
			used++
		}
	}
	i.size -= n
	if i.chunks = i.chunks[used:]; len(i.chunks) == 0 {
		i.chunks = nil
	}
	return n
}

// shut is what the kernel does when nobody holds the socket any more. Bytes
// that nobody will read are answered with a reset (RFC 1122, 4.2.2.13).
func (c *conn) shut() {
	if c.shutDown {
		return
	}
	c.shutDown = true
	if c.broken {
		c.stack.broken = slices.DeleteFunc(c.stack.broken, func(x *conn) bool { return x == c })
	}
	c.readable.broadcast()
	c.writable.broadcast()
	switch {
	case c.state == gone:
	case c.state == connecting || c.state == answered || c.in.size > 0:
		c.sendReset()
		c.forget()
	default:
		c.stack.record(trace.NetClose, c.peer.name, "")
		c.finish()
		c.linger()
	}
}

func (c *conn) finish() {
	if !c.out.fin {
		c.out.fin, c.out.finAt = true, c.out.una+uint64(len(c.out.data))
		c.transmit()
	}
}

// fail breaks the stream at this end. What has arrived can still be read.
func (c *conn) fail(err syscall.Errno) {
	if c.state == gone {
		return
	}
	if err == syscall.ECONNRESET && c.state == established && !c.shutDown {
		c.stack.record(trace.NetReset, c.peer.name, "lost")
	}
	if c.in.ended && err == syscall.ECONNRESET {
		err = syscall.EPIPE // as Linux has it: all that was to come has come
	}
	c.failure, c.broken = err, true
	if !c.shutDown && c.state != answered {
		c.stack.broken = append(c.stack.broken, c)
	}
	c.forget()
	c.readable.broadcast()
	c.writable.broadcast()
}

// takeFailure tells the program, once, why the stream broke.
func (c *conn) takeFailure(call string) error {
	err := c.failure
	c.failure = nil
	return c.err(call, os.NewSyscallError(call, err))
}

// forget takes the stream out of the kernel's table.
func (c *conn) forget() {
	if c.state == gone {
		return
	}
	c.leaveHandshake()
	c.state = gone
	delete(c.stack.conns, tuple{c.local, c.remote})
	c.out.data, c.in.ahead = nil, nil
	if c.out.timer != nil {
		c.out.timer.Cancel()
		c.out.timer = nil
	}
	c.out.acks.drop()
}

// vanish is forget for a host that lost its power.
func (c *conn) vanish() {
	c.forget()
	c.shutDown = true
	c.readable.broadcast()
	c.writable.broadcast()
}

func (c *conn) err(op string, err error) error { return opError(op, "tcp", c.laddr, c.raddr, err) }
