package simnet

import (
	"time"

	"tribune/netmodel"
)

// firstFlight is how many bytes a stream sends before it has heard anything, and
// after a silence (RFC 6928).
const firstFlight = 10 * leastSegment

// segmentSize is how many bytes a segment from one host to another has at the most.
// Where links lose packets it is one packet, since of a larger one all would be lost
// with any.
func (n *Network) segmentSize(from, to *Stack) uint64 {
	if from == to {
		return segmentSize
	}
	if l := n.link(from, to); l.Loss != nil && l.Loss != netmodel.Bernoulli(0) {
		return leastSegment
	}
	return segmentSize
}

// grow lets more bytes be on their way when some have arrived: as many more as
// arrived, and after a loss one segment a round trip (RFC 5681, section 3.1), as long
// as the program writes enough to need it (RFC 7661).
func (o *sender) grow(arrived uint64) {
	switch {
	case o.una < o.recover || 2*(o.nxt-o.una) <= o.flight:
	case o.flight < o.steady:
		o.flight += arrived
	default:
		o.flight += leastSegment * arrived / o.flight
	}
	o.flight = min(o.flight, bufferSize)
}

// congested halves what may be on its way after a loss, once for all that was on its
// way by then (RFC 5681, section 3.2).
func (o *sender) congested() {
	o.recover = o.nxt
	o.steady = max((o.nxt-o.una)/2, 2*leastSegment)
	o.flight = o.steady
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
