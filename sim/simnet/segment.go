package simnet

import (
	"cmp"
	"slices"
	"syscall"
	"time"

	"tribune/sim/trace"
)

// Linux's numbers: the first and least retransmission time-out, the longest,
// and after how many the stream is given up (net.ipv4.tcp_retries2).
const (
	firstRTO = time.Second
	leastRTO = 200 * time.Millisecond
	maxRTO   = 120 * time.Second
	retries  = 15
)

// leastSegment is what one Ethernet frame holds: what is sent again and again
// becomes as small.
const leastSegment = 1448

// package net's default keepalive: a probe every 15 s on an idle stream, and the
// end of it after nine without an answer.
const (
	keepalive       = 15 * time.Second
	keepaliveProbes = 9
)

// segment is a piece of a stream.
type segment struct {
	seq  uint64
	data []byte
	fin  bool // the stream ends after data
}

func (g segment) end() uint64 {
	e := g.seq + uint64(len(g.data))
	if g.fin {
		e++
	}
	return e
}

// transmit sends what the window allows and has not been sent.
func (c *conn) transmit() {
	o := &c.out
	if c.state != established {
		return
	}
	o.restart(c.stack.net.sched.Now())
	for window := min(o.window, o.flight); ; {
		sent := o.nxt - o.una
		left := uint64(len(o.data)) - min(sent, uint64(len(o.data)))
		if left == 0 || sent >= window {
			break
		}
		c.sendNext(o.data[sent : sent+min(left, window-sent, c.most)])
	}
	if o.fin && o.nxt == o.finAt {
		c.sendNext(nil)
	}
	c.arm()
	c.expect()
}

// sendNext sends the next bytes of the stream for the first time.
func (c *conn) sendNext(data []byte) {
	o := &c.out
	g := segment{seq: o.nxt, data: data}
	g.fin = o.fin && g.end() == o.finAt
	if o.nxt == o.una {
		o.moved = c.stack.net.sched.Now()
	}
	o.nxt = g.end()
	if o.timed == 0 {
		o.timed, o.timedAt = o.nxt, c.stack.net.sched.Now()
	}
	c.sendSegment(g)
}

// resend sends the first bytes again that are not acknowledged, at most so many.
// Nothing that was sent twice is timed (Karn's algorithm, RFC 6298 section 3).
func (c *conn) resend(most uint64) {
	o := &c.out
	o.timed = 0
	g := segment{seq: o.una, data: o.data[:min(o.nxt-o.una, uint64(len(o.data)), most)]}
	g.fin = o.fin && g.end() == o.finAt && o.nxt > o.finAt
	c.sendSegment(g)
}

func (c *conn) sendSegment(g segment) {
	c.packet(len(g.data), c.stack.net.sums.of(g.data), func(at *conn) { at.receive(g) })
}

// packet sends a packet to the other end; arrive is called there, if that end
// still knows the stream. If it does not, it answers with a reset.
func (c *conn) packet(size int, sum uint64, arrive func(at *conn)) {
	n := c.stack.net
	p := Packet{Protocol: TCP, FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: size + tcpHeader}
	n.send(c.stack, c.peer, &p, sum, &c.out.flow, func() {
		at := c.far
		if at == nil || at.state == gone {
			c.bounce()
			return
		}
		at.in.heard, at.in.probes = n.sched.Now(), 0
		arrive(at)
	})
}

// bounce is the answer to a packet for a stream that its host does not know.
func (c *conn) bounce() {
	n := c.stack.net
	p := Packet{Protocol: TCP, FromPort: c.remote.Port(), ToPort: c.local.Port(), Size: tcpHeader}
	n.send(c.peer, c.stack, &p, 0, nil, func() { c.reset() })
}

// sendReset tells the other end that the stream is no more.
func (c *conn) sendReset() {
	n := c.stack.net
	c.stack.record(trace.NetReset, c.peer.name, "")
	p := Packet{Protocol: TCP, FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: tcpHeader}
	n.send(c.stack, c.peer, &p, 0, &c.out.flow, func() {
		if at := c.peer.conns[tuple{c.remote, c.local}]; at != nil && at.far == c {
			at.reset()
		}
	})
}

func (c *conn) reset() {
	if c.state == connecting {
		c.fail(syscall.ECONNREFUSED)
		return
	}
	c.fail(syscall.ECONNRESET)
}

// arm sets the timer that sends again what is not acknowledged, or looks
// whether a closed window has opened. Every acknowledgement of more bytes starts it
// anew (RFC 6298, section 5.3): moved says when, and the timer looks at that when it
// has run out, so that acknowledgements cost no event.
func (c *conn) arm() {
	o, sched := &c.out, c.stack.net.sched
	if o.timer != nil || c.state != established || o.nxt == o.una && len(o.data) == 0 {
		return
	}
	if o.nxt == o.una {
		o.moved = sched.Now()
	}
	o.timer = sched.After(o.moved+o.rto-sched.Now(), func() {
		c.stack.net.mu.Lock()
		defer c.stack.net.mu.Unlock()
		o.timer = nil
		c.settle()
		if c.state == established && sched.Now() >= o.moved+o.rto && (o.nxt > o.una || len(o.data) > 0) {
			c.again()
		}
		c.arm()
		c.expect()
	})
}

// again is what happens when the timer has run out: the first bytes are sent
// again, and the fewer the more often.
func (c *conn) again() {
	o := &c.out
	o.tries++
	if o.tries > retries {
		c.fail(syscall.ETIMEDOUT)
		return
	}
	o.rto, o.moved = min(o.rto*2, maxRTO), c.stack.net.sched.Now()
	if o.nxt == o.una { // the window is closed: ask
		c.packet(0, 0, func(at *conn) { at.acknowledge() })
		return
	}
	o.congested()
	o.flight = leastSegment
	c.resend(max(c.most>>(o.tries-1), leastSegment))
}

// receive takes in a segment.
func (c *conn) receive(g segment) {
	if c.state == answered {
		c.establish()
	}
	if c.state != established {
		return
	}
	if c.shutDown && g.end() > c.in.nxt && len(g.data) > 0 {
		c.sendReset() // nobody will read it
		c.forget()
		return
	}
	i := &c.in
	switch {
	case g.end() <= i.nxt: // a duplicate
	case g.seq > i.nxt:
		c.keepAhead(g)
	default:
		c.take(g)
		for len(i.ahead) > 0 && i.ahead[0].seq <= i.nxt {
			next := i.ahead[0]
			i.ahead = i.ahead[1:]
			if next.end() > i.nxt {
				c.take(next)
			}
		}
		c.readable.broadcast()
	}
	c.acknowledge()
	c.linger()
}

// keepAhead keeps a segment until those before it arrive.
func (c *conn) keepAhead(g segment) {
	if g.end() > c.in.nxt+bufferSize {
		return // beyond the window
	}
	at, there := slices.BinarySearchFunc(c.in.ahead, g.seq, func(a segment, seq uint64) int { return cmp.Compare(a.seq, seq) })
	if there {
		if g.end() > c.in.ahead[at].end() {
			c.in.ahead[at] = g
		}
		return
	}
	c.in.ahead = slices.Insert(c.in.ahead, at, g)
}

func (c *conn) take(g segment) {
	i := &c.in
	fresh := g.data[min(i.nxt-g.seq, uint64(len(g.data))):]
	if i.size+len(fresh) > 2*bufferSize {
		return // beyond the window: it will be sent again
	}
	if len(fresh) > 0 {
		i.chunks = append(i.chunks, fresh)
		i.size += len(fresh)
	}
	i.nxt = g.end()
	i.ended = i.ended || g.fin
}

// finWait is how long a kernel keeps a stream that its program closed while the
// other end has not (net.ipv4.tcp_fin_timeout).
const finWait = time.Minute

// linger forgets a closed stream once both ends have said all, or after a while.
// There is no TIME-WAIT: an end is forgotten when the other has everything and
// has ended too; a reset, should its last acknowledgement have been lost, tells
// that one nothing that a program can see. Nor can packets of an old stream get
// into a new one of the same ports, since they know the stream they are of.
func (c *conn) linger() {
	o := &c.out
	if c.state != established || !c.shutDown || !o.fin || o.una <= o.finAt {
		return
	}
	if c.in.ended {
		c.forget()
		return
	}
	if o.waits {
		return
	}
	o.waits = true
	n := c.stack.net
	n.sched.After(finWait, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		c.forget()
	})
}

// keep probes an idle stream, again and again until it is gone.
func (c *conn) keep() {
	n := c.stack.net
	n.sched.After(keepalive, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		c.settle()
		if c.state != established {
			return
		}
		if n.sched.Now()-c.in.heard >= keepalive && c.out.nxt == c.out.una {
			if c.in.probes++; c.in.probes > keepaliveProbes {
				c.fail(syscall.ETIMEDOUT)
				return
			}
			c.packet(0, 0, func(at *conn) { at.acknowledge() })
		}
		c.keep()
	})
}
