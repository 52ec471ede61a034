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
	c.repair()
	longest := c.stack.net.most(c)
	for {
		sent := o.nxt - o.una
		left := uint64(len(o.data)) - min(sent, uint64(len(o.data)))
		most := o.allows(min(left, o.window-min(sent, o.window), longest))
		if most == 0 {
			break
		}
		c.sendNext(o.data[sent : sent+most])
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
	o.board.sent = append(o.board.sent, flown{seq: g.seq, end: o.nxt, sent: c.stack.net.sched.Now(), order: o.board.next()})
	c.sendSegment(g)
}

func (c *conn) sendSegment(g segment) {
	c.out.board.cut.sent += g.end() - g.seq
	if !c.packet(len(g.data), c.stack.net.sums.of(g.data), func(at *conn) { at.receive(g) }) {
		c.out.board.doubt = max(c.out.board.doubt, g.end())
	}
}

// packet sends a packet to the other end; arrive is called there, if that end
// still knows the stream. If it does not, it answers with a reset. It reports whether
// the links do not lose it.
func (c *conn) packet(size int, sum uint64, arrive func(at *conn)) bool {
	n := c.stack.net
	p := Packet{Protocol: TCP, FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: size + tcpHeader}
	return n.send(c.stack, c.peer, &p, sum, &c.out.flow, func() {
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
	c.stack.record(trace.NetReset, c.peer.name, "sent")
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
	i.twice = g.end() <= i.nxt
	switch {
	case i.twice:
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
