package simnet

import (
	"os"
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
	for {
		sent := o.nxt - o.una
		left := uint64(len(o.data)) - min(sent, uint64(len(o.data)))
		if left == 0 || sent >= o.window {
			break
		}
		size := min(left, o.window-sent, segmentSize)
		g := segment{seq: o.nxt, data: o.data[sent : sent+size]}
		g.fin = o.fin && g.end() == o.finAt
		c.sendSegment(g)
		o.nxt = g.end()
	}
	if o.fin && o.nxt == o.finAt {
		g := segment{seq: o.finAt, fin: true}
		c.sendSegment(g)
		o.nxt = g.end()
	}
	c.arm()
}

func (c *conn) sendSegment(g segment) {
	n := c.stack.net
	if c.out.timed == 0 {
		c.out.timed, c.out.timedAt = g.end(), n.sched.Now()
	}
	c.packet(len(g.data), n.sums.of(g.data), func(at *conn) { at.receive(g) })
}

// packet sends a packet to the other end; arrive is called there, if that end
// still knows the stream. If it does not, it answers with a reset.
func (c *conn) packet(size int, sum uint64, arrive func(at *conn)) {
	n := c.stack.net
	p := Packet{Protocol: TCP, FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: size + tcpHeader}
	n.send(c.stack, c.peer, p, sum, func() {
		at := c.peer.conns[tuple{c.remote, c.local}]
		if at == nil || at.state == connecting {
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
	n.send(c.peer, c.stack, p, 0, func() { c.reset() })
}

// sendReset tells the other end that the stream is no more.
func (c *conn) sendReset() {
	n := c.stack.net
	c.stack.record(trace.NetReset, c.peer.name, "")
	p := Packet{Protocol: TCP, FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: tcpHeader}
	n.send(c.stack, c.peer, p, 0, func() {
		if at := c.peer.conns[tuple{c.remote, c.local}]; at != nil {
			at.reset()
		}
	})
}

func (c *conn) reset() {
	if c.state == connecting {
		c.fail(os.NewSyscallError("connect", syscall.ECONNREFUSED))
		return
	}
	c.fail(connReset())
}

// arm sets the timer that sends again what is not acknowledged, or looks
// whether a closed window has opened.
func (c *conn) arm() {
	o := &c.out
	waiting := o.nxt > o.una || len(o.data) > 0
	if !waiting || o.timer != nil || c.state == gone {
		return
	}
	since := o.una
	o.timer = c.stack.net.sched.After(o.rto, func() {
		c.stack.net.mu.Lock()
		defer c.stack.net.mu.Unlock()
		o.timer = nil
		if c.state == gone {
			return
		}
		if o.una == since && (o.nxt > o.una || len(o.data) > 0) {
			c.again()
		}
		c.arm()
	})
}

// again retransmits the first segment; nothing that was sent at another time
// may be timed then (Karn's algorithm, RFC 6298 section 3).
func (c *conn) again() {
	o := &c.out
	o.tries++
	if o.tries > retries {
		c.fail(os.NewSyscallError("read", syscall.ETIMEDOUT))
		return
	}
	o.rto = min(o.rto*2, maxRTO)
	o.timed = 0
	sent := o.nxt - o.una
	if sent == 0 { // the window is closed: ask
		c.packet(0, 0, func(at *conn) { at.acknowledge() })
		return
	}
	size := min(sent, uint64(len(o.data)), segmentSize)
	g := segment{seq: o.una, data: o.data[:size]}
	g.fin = o.fin && g.end() == o.finAt
	c.sendSegment(g)
	o.timed = 0
}

// receive takes in a segment.
func (c *conn) receive(g segment) {
	if c.state == answered {
		c.establish()
		if c.state == gone {
			return
		}
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
		if len(i.ahead) < bufferSize/1024 {
			at, _ := slices.BinarySearchFunc(i.ahead, g.seq, func(a segment, seq uint64) int {
				switch {
				case a.seq < seq:
					return -1
				case a.seq > seq:
					return 1
				}
				return 0
			})
			i.ahead = slices.Insert(i.ahead, at, g)
		}
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

func (c *conn) take(g segment) {
	i := &c.in
	fresh := g.data[min(i.nxt-g.seq, uint64(len(g.data))):]
	if len(i.data)+len(fresh) > 2*bufferSize {
		return // beyond the window: it will be sent again
	}
	if i.data == nil {
		i.data = make([]byte, 0, len(fresh))
	}
	i.data = append(i.data, fresh...)
	i.nxt = g.end()
	i.ended = i.ended || g.fin
}

// acknowledge tells the other end what has arrived and how much more there is
// room for.
func (c *conn) acknowledge() {
	ack := c.in.nxt
	c.in.offered = uint64(bufferSize - min(len(c.in.data), bufferSize))
	window := c.in.offered
	c.packet(0, ack, func(at *conn) { at.acknowledged(ack, window) })
}

// offerWindow tells the other end that there is room again, when it was told
// that there is little.
func (c *conn) offerWindow() {
	if c.state == established && c.in.offered < bufferSize/2 && len(c.in.data) < bufferSize/4 {
		c.acknowledge()
	}
}

func (c *conn) acknowledged(ack, window uint64) {
	if c.state == answered {
		c.establish()
	}
	o := &c.out
	if c.state == gone || ack < o.una || ack > o.nxt {
		return
	}
	o.tries = 0 // somebody is there
	if ack == o.una && window == o.window && o.nxt == o.una {
		return
	}
	if o.timed != 0 && ack >= o.timed {
		c.measure(c.stack.net.sched.Now() - o.timedAt)
		o.timed = 0
	}
	if progress := ack - o.una; progress > 0 {
		bytes := min(progress, uint64(len(o.data)))
		if o.data = o.data[bytes:]; len(o.data) == 0 {
			o.data = nil
		}
		o.una = ack
		o.rto = max(leastRTO, 3*o.rtt)
		c.writable.broadcast()
	}
	o.window = window
	c.transmit()
	c.linger()
}

// finWait is how long a kernel keeps a stream that its program closed while the
// other end has not (net.ipv4.tcp_fin_timeout).
const finWait = time.Minute

// linger forgets a closed stream once both ends have said all, or after a while.
func (c *conn) linger() {
	o := &c.out
	if c.state == gone || !c.shutDown || !o.fin || o.una != o.nxt || len(o.data) > 0 {
		return
	}
	if c.in.ended {
		c.forget()
		return
	}
	if !o.waits {
		o.waits = true
		n := c.stack.net
		n.sched.After(finWait, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			c.forget()
		})
	}
}

// measure smooths the round trip (RFC 6298, without the variance, for which the
// factor in the time-out makes up).
func (c *conn) measure(rtt time.Duration) {
	if c.out.rtt == 0 {
		c.out.rtt = rtt
		return
	}
	c.out.rtt += (rtt - c.out.rtt) / 8
}

// keep probes an idle stream, again and again until it is gone.
func (c *conn) keep() {
	n := c.stack.net
	n.sched.After(keepalive, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if c.state == gone {
			return
		}
		if n.sched.Now()-c.in.heard >= keepalive && c.out.nxt == c.out.una {
			if c.in.probes++; c.in.probes > keepaliveProbes {
				c.fail(os.NewSyscallError("read", syscall.ETIMEDOUT))
				return
			}
			c.packet(0, 0, func(at *conn) { at.acknowledge() })
		}
		c.keep()
	})
}
