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
	ahead  uint64        // first byte beyond a gap that has arrived, 0: there is no gap (SACK, RFC 2018)
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
	a := ack{next: i.nxt, window: i.offered, stamp: i.stamp}
	if len(i.ahead) > 0 {
		a.ahead = i.ahead[0].seq
	}
	p := Packet{Protocol: TCP, FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: tcpHeader}
	f, arrives := n.decide(c.stack, c.peer, &p, 0, &c.out.flow)
	if !arrives {
		return
	}
	a.at = n.sched.Now() + f.after
	at := c.far
	// What repeats the last one or tells of a gap hints at a loss, or opens the
	// window, and must be seen in time.
	if again || a.ahead != 0 || at == nil || at.state != established || c.peer.down || at.hurried() {
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
	if o.timed != 0 && a.next >= o.timed {
		o.measure(a.at - o.timedAt)
		o.timed = 0
	}
	o.window = a.window
	if a.next > o.una {
		c.progress(a)
	}
	if a.ahead > o.una && o.una >= o.recover && o.nxt > o.una {
		// Linux does not count three acknowledgements: it sends again what is
		// missing, but for bytes that were sent less than a quarter of a round trip
		// before the later ones, to which it gives that time (RACK, RFC 8985,
		// section 6.2).
		o.congested()
		c.resend(min(c.most, a.ahead-o.una))
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
	o.una, o.moved = a.next, max(o.moved, a.at)
	o.rto = o.timeout()
	if o.una < o.recover {
		// The next gap of the same loss (RFC 6582, section 3.2).
		gap := c.most
		if a.ahead > o.una {
			gap = min(gap, a.ahead-o.una)
		}
		c.resend(gap)
	}
	c.writable.broadcast()
}

// measure smooths the round trip and its deviation (RFC 6298, section 2).
func (o *sender) measure(rtt time.Duration) {
	if o.rtt == 0 {
		o.rtt, o.spread = max(rtt, 1), rtt/2
		return
	}
	o.spread += ((rtt - o.rtt).Abs() - o.spread) / 4
	o.rtt += (rtt - o.rtt) / 8
}

// timeout is the time after which bytes are sent again that nothing was heard of. As
// in Linux, the least of it comes on top of the round trip.
func (o *sender) timeout() time.Duration {
	if o.rtt == 0 {
		return firstRTO
	}
	return o.rtt + max(leastRTO, 4*o.spread)
}

// offerWindow tells the other end that there is room again, when it was told
// that there is little.
func (c *conn) offerWindow() {
	if c.state == established && c.in.offered < bufferSize/2 && c.in.size < bufferSize/4 {
		c.acknowledge()
	}
}
