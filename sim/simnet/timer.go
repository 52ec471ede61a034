package simnet

import (
	"syscall"
	"time"
)

// leastTimeout is what Linux adds to the time-outs that are shorter than the one after
// which all is sent again (TCP_TIMEOUT_MIN).
const leastTimeout = 2 * time.Millisecond

// arm sets the timer that sends again what is not acknowledged, or looks
// whether a closed window has opened. Every acknowledgement of more bytes starts it
// anew (RFC 6298, section 5.3): moved says when, and the timer looks at that when it
// has run out, so that acknowledgements cost no event.
func (c *conn) arm() {
	o, sched := &c.out, c.stack.net.sched
	if c.state != established || o.nxt == o.una && len(o.data) == 0 {
		return
	}
	if o.timer != nil {
		if !o.hasty() || o.due <= o.deadline() {
			return
		}
		o.timer.Cancel()
	} else if o.nxt == o.una {
		o.moved = sched.Now()
	}
	o.due = o.deadline()
	o.timer = sched.After(o.due-sched.Now(), func() {
		c.stack.net.mu.Lock()
		defer c.stack.net.mu.Unlock()
		o.timer = nil
		c.settle()
		if c.state == established && sched.Now() >= o.deadline() && (o.nxt > o.una || len(o.data) > 0) {
			c.again()
		}
		c.arm()
		c.expect()
	})
}

// hasty reports whether the timer may have to run out earlier than after a whole
// time-out. A stream of which nothing was lost would only look in vain.
func (o *sender) hasty() bool { return o.una < o.board.doubt || o.board.look > 0 }

// deadline is when something has to be done if nothing is heard. A kernel that lost
// nothing waits for the end of a flight no longer than for a probe; but since that
// does nothing that a program could see, the simulator leaves it away when all
// packets, of which only it knows, are sure to arrive.
func (o *sender) deadline() time.Duration {
	at := o.moved + o.rto
	if !o.hasty() {
		return at
	}
	if o.board.look > 0 {
		at = min(at, o.board.look)
	}
	if o.probes() && (o.nxt-o.una > leastSegment || len(o.board.sent) > 1) {
		last := o.board.sent[len(o.board.sent)-1]
		at = min(at, max(o.moved, last.sent)+2*o.trip.smooth+leastTimeout)
	}
	return at
}

// again is what happens when the deadline has passed. After a whole time-out all
// counts as lost, and is sent again as at the beginning of the stream, but that the
// first flight is one packet.
func (c *conn) again() {
	o, now := &c.out, c.stack.net.sched.Now()
	switch {
	case o.board.look > 0 && now >= o.board.look:
		var news uint64
		if o.una >= o.recover {
			news = leastSegment // in its place, to begin with
		}
		o.judge(now, news, false)
		c.transmit()
		return
	case o.probes():
		c.sendProbe()
		return
	}
	if o.tries++; o.tries > retries {
		c.fail(syscall.ETIMEDOUT)
		return
	}
	o.rto, o.moved = min(o.rto*2, maxRTO), now
	if o.nxt == o.una { // the window is closed: ask
		c.packet(0, 0, func(at *conn) { at.acknowledge() })
		return
	}
	o.congested()
	o.board.giveUp(now)
	o.begins, o.flight = true, o.onItsWay()+leastSegment
	c.repair()
}

// probe is the end of a flight that was sent again, or what comes after it, so that an
// answer to it tells what is lost (tail loss probe, RFC 8985, section 7).
type probe struct {
	end   uint64 // of all that was sent, with it; 0: there is none
	again bool   // it had been sent before
}

// probes reports whether it is time for a probe and not for all again: nothing is
// known to be lost, and there was none.
func (o *sender) probes() bool {
	b := &o.board
	return o.nxt > o.una && b.probe.end == 0 && b.arrived == 0 && o.una >= o.recover && o.trip.smooth > 0
}

func (c *conn) sendProbe() {
	o := &c.out
	sent := o.nxt - o.una
	fresh := uint64(len(o.data)) - min(sent, uint64(len(o.data)))
	if o.board.probe.again = fresh == 0 || sent >= o.window; o.board.probe.again {
		last := len(o.board.sent) - 1
		if f := o.board.sent[last]; f.size() > leastSegment {
			o.board.split(last, f.size()-leastSegment)
			last++
		}
		c.resend(last, leastSegment)
	} else {
		c.sendNext(o.data[sent : sent+min(fresh, o.window-sent, leastSegment)])
	}
	o.board.probe.end, o.moved = o.nxt, c.stack.net.sched.Now()
}

// probed looks whether an acknowledgement answers the probe. If it repaired a loss,
// links were congested.
func (o *sender) probed(a ack) {
	p := o.board.probe
	switch {
	case p.end == 0 || a.next < p.end:
	case !p.again || a.twice || a.next == p.end && a.next == o.una:
		o.board.probe = probe{}
	case a.next > p.end:
		o.board.probe = probe{}
		o.steady = max(o.flight/2, 2*leastSegment)
		o.flight = o.steady
	}
}
