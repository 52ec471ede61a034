package simnet

import (
	"slices"
	"time"

	"tribune/sim/event"
)

// ack is an acknowledgement on its way, or arrived.
type ack struct {
	at     time.Duration // when it arrives
	next   uint64        // all bytes before this one have arrived
	window uint64        // and so many more may come
	ahead  []span        // what has arrived beyond gaps (SACK, RFC 2018)
	twice  bool          // it answers what had arrived before (D-SACK, RFC 2883)
	stamp  uint64        // its place among all acknowledgements of that end
}

// inbox keeps acknowledgements that have been sent to a stream and that nothing
// waits for. They are taken in when the stream is next looked at, as of the time
// at which they arrived: so that most acknowledgements need no event on the
// world's agenda. When something does wait for them, knock does so in time.
type inbox struct {
	coming []ack
	stamp  uint64 // of the latest that was taken in
	knock  *event.Event
}

func (x *inbox) drop() {
	x.coming = nil
	if x.knock != nil {
		x.knock.Cancel()
		x.knock = nil
	}
}

// acknowledge tells the other end what has arrived and how much more there is
// room for.
func (c *conn) acknowledge() {
	i, n := &c.in, c.stack.net
	again := i.nxt == i.acked
	i.acked, i.offered = i.nxt, uint64(bufferSize-min(i.size, bufferSize))
	i.stamp++
	a := ack{next: i.nxt, window: i.offered, ahead: i.spans(), twice: i.twice, stamp: i.stamp}
	p := Packet{Protocol: TCP, FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: tcpHeader}
	f, arrives := n.decide(c.stack, c.peer, &p, 0, &c.out.flow)
	at := c.far
	if !arrives {
		if at != nil {
			at.out.board.doubt = max(at.out.board.doubt, a.next)
			at.arm()
		}
		return
	}
	a.at = n.sched.Now() + f.after
	// What repeats the last one or tells of a gap hints at a loss, or opens the
	// window, and must be seen in time.
	if again || a.ahead != nil || at == nil || at.state != established || c.peer.down || at.hurried() {
		p, a := p, a // those that need no event need no memory of their own either
		n.sched.After(f.after, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			if c.peer.down {
				n.lose(&p, 0, "host down")
				return
			}
			if at == nil || at.state == gone {
				c.bounce()
				return
			}
			at.acknowledged(a)
		})
		return
	}
	at.out.acks.coming = append(at.out.acks.coming, a)
	if a.next == at.out.nxt && at.out.timer != nil {
		// All that was sent will have been acknowledged.
		at.out.timer.Cancel()
		at.out.timer = nil
	}
}

// hurried reports whether the next acknowledgement sets something going: it
// lets more bytes be sent or written, or the stream end.
func (c *conn) hurried() bool {
	o := &c.out
	return o.fin || c.writable.c != nil || o.una < o.recover || uint64(len(o.data)) > o.nxt-o.una
}

// settle takes in the acknowledgements that have arrived.
func (c *conn) settle() {
	x := &c.out.acks
	if len(x.coming) == 0 {
		return
	}
	now := c.stack.net.sched.Now()
	for len(x.coming) > 0 {
		// In the order of their arrival: a rule may have delayed some.
		first := 0
		for i, a := range x.coming {
			if a.at < x.coming[first].at {
				first = i
			}
		}
		a := x.coming[first]
		if a.at > now {
			return
		}
		x.coming = slices.Delete(x.coming, first, first+1)
		c.acknowledged(a)
	}
}

// expect makes sure that acknowledgements on their way are taken in when they
// arrive, if something waits for them.
func (c *conn) expect() {
	x := &c.out.acks
	if x.knock != nil || len(x.coming) == 0 || !c.hurried() || c.state == gone {
		return
	}
	first := x.coming[0].at
	for _, a := range x.coming {
		first = min(first, a.at)
	}
	n := c.stack.net
	x.knock = n.sched.After(first-n.sched.Now(), func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		x.knock = nil
		c.settle()
		c.expect()
	})
}

// acknowledged takes in one acknowledgement.
func (c *conn) acknowledged(a ack) {
	if c.state == answered {
		c.establish()
	}
	o := &c.out
	c.in.heard, c.in.probes = max(c.in.heard, a.at), 0
	if c.state != established || a.stamp <= o.acks.stamp || a.next < o.una || a.next > o.nxt {
		return // not ours, or late: a later one says more
	}
	o.acks.stamp = a.stamp
	o.tries = 0 // somebody is there
	news, took := o.board.take(a, o.trip.least)
	if took > 0 {
		o.trip.measure(took)
	}
	o.window = a.window
	o.probed(a)
	moved := a.next > o.una
	if moved {
		c.progress(a)
	}
	if o.board.arrived > 0 || o.una < o.recover || o.board.look > 0 {
		o.judge(a.at, news, moved)
	}
	c.transmit()
	c.linger()
}

// progress takes what has arrived out of the buffer.
func (c *conn) progress(a ack) {
	o := &c.out
	o.grow(a.next - o.una)
	o.data = o.data[min(a.next-o.una, uint64(len(o.data))):]
	if len(o.data) == 0 {
		o.data = nil
	}
	repairing := o.una < o.recover
	o.una, o.moved = a.next, max(o.moved, a.at)
	o.rto = o.timeout()
	if repairing && o.una >= o.recover {
		o.recovered()
	}
	c.writable.broadcast()
}

// judge finds out what is lost.
func (o *sender) judge(now time.Duration, news uint64, moved bool) {
	found := o.board.overdue(now, o.grace())
	if found > 0 {
		o.congested()
	}
	o.reduce(news, moved, found > 0)
}

// measure smooths the round trip and its deviation (RFC 6298, section 2).
func (t *trip) measure(took time.Duration) {
	if t.smooth == 0 {
		t.smooth, t.spread, t.least = max(took, 1), took/2, max(took, 1)
		return
	}
	t.least = min(t.least, took)
	t.spread += ((took - t.smooth).Abs() - t.spread) / 4
	t.smooth += (took - t.smooth) / 8
}

// timeout is the time after which bytes are sent again that nothing was heard of. As
// in Linux, the least of it comes on top of the round trip.
func (o *sender) timeout() time.Duration {
	if o.trip.smooth == 0 {
		return firstRTO
	}
	return o.trip.smooth + max(leastRTO, 4*o.trip.spread)
}

// offerWindow tells the other end that there is room again, when it was told
// that there is little.
func (c *conn) offerWindow() {
	if c.state == established && c.in.offered < bufferSize/2 && c.in.size < bufferSize/4 {
		c.acknowledge()
	}
}
