package simnet

import (
	"time"

	"tribune/netmodel"
)

// firstFlight is how many bytes a stream sends before it has heard anything, and
// after a silence (RFC 6928).
const firstFlight = 10 * leastSegment

// segmentSize is how many bytes a segment from one host to another has at the most, if no
// rule says otherwise. Where links lose packets it is one packet, since of a larger one all
// would be lost with any.
func (n *Network) segmentSize(from, to *Stack) uint64 {
	if from == to {
		return segmentSize
	}
	if l := n.link(from, to); l.Loss != nil && l.Loss != netmodel.Bernoulli(0) {
		return leastSegment
	}
	return segmentSize
}

// most is how many bytes a segment of a stream has now at the most: a rule may make packets
// of them.
func (n *Network) most(c *conn) uint64 {
	if c.largest == leastSegment || c.stack == c.peer {
		return c.largest
	}
	for _, r := range n.rules {
		if r.Each && r.matches(&Packet{
			From: c.stack.name, To: c.peer.name, Protocol: TCP,
			FromPort: c.local.Port(), ToPort: c.remote.Port(), Size: leastSegment + tcpHeader,
		}) {
			return leastSegment
		}
	}
	return c.largest
}

// grow lets more bytes be on their way when some have arrived: as many more as
// arrived, and after a loss one segment a round trip (RFC 5681, section 3.1), as long
// as the program writes enough to need it (RFC 7661).
func (o *sender) grow(arrived uint64) {
	switch {
	case o.una < o.recover && !o.begins || 2*(o.nxt-o.una) <= o.flight:
	case o.flight < o.steady:
		o.flight += arrived
	default:
		o.flight += leastSegment * arrived / o.flight
	}
	o.flight = min(o.flight, bufferSize)
}

// cut is how what may be on its way is made less after a loss: with each
// acknowledgement, in proportion to what has arrived, and not at once (RFC 6937).
type cut struct {
	from    uint64 // bytes that were allowed before
	arrived uint64 // since then
	sent    uint64
}

// congested halves what may be on its way after a loss, once for all that was on its
// way by then (RFC 5681, section 3.2).
func (o *sender) congested() {
	o.board.probe = probe{}
	if o.una < o.recover {
		return
	}
	o.recover = o.nxt
	o.board.cut = cut{from: o.flight}
	o.steady = max(o.flight/2, 2*leastSegment)
}

// reduce is what an acknowledgement, or the end of the time that was given to a late
// segment, does to what may be on its way while losses are repaired.
func (o *sender) reduce(arrived uint64, moved, more bool) {
	k, way := &o.board.cut, o.onItsWay()
	if o.una >= o.recover || o.begins || arrived == 0 {
		return
	}
	k.arrived += arrived
	var allowed uint64
	if way > o.steady {
		allowed = whole(o.steady * k.arrived / k.from)
		allowed -= min(k.sent, allowed)
	} else {
		allowed = max(k.arrived-min(k.sent, k.arrived), arrived)
		if moved && !more {
			allowed += leastSegment
		}
		allowed = min(allowed, o.steady-way)
	}
	if k.sent == 0 {
		allowed = max(allowed, leastSegment)
	}
	o.flight = way + allowed
}

// whole is a number of bytes made up to one of full packets.
func whole(bytes uint64) uint64 { return (bytes + leastSegment - 1) / leastSegment * leastSegment }

// recovered ends the repair of losses.
func (o *sender) recovered() {
	if !o.begins {
		o.flight = o.steady
	}
	o.begins = false
}

// restart halves it for each time-out for which nothing was sent (RFC 2861, section
// 3.1; net.ipv4.tcp_slow_start_after_idle).
func (o *sender) restart(now time.Duration) {
	if o.nxt > o.una || len(o.data) == 0 { // the silence goes on, or has ended before
		return
	}
	for idle := now - o.moved; idle > o.rto && o.flight > firstFlight; idle -= o.rto {
		o.flight = max(o.flight/2, firstFlight)
	}
}
