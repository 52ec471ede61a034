package simnet

import (
	"slices"
	"time"
)

// flown is a segment that was sent and is not acknowledged.
type flown struct {
	seq, end uint64
	sent     time.Duration // when, for the last time
	order    uint64        // its place among all that was sent, for the last time
	again    bool          // not only once
	arrived  bool          // as a selective acknowledgement says
	lost     bool          // it is held to be, and was not sent again
}

func (f *flown) size() uint64 { return f.end - f.seq }

// packets is how many packets of real links it is.
func (f *flown) packets() uint64 { return (f.size() + leastSegment - 1) / leastSegment }

// board is what a sender knows of what is on its way: of every gap, from selective
// acknowledgements (RFC 2018), and which of them are losses, from the order in time of
// what was sent and what has arrived (RACK, RFC 8985, section 6).
type board struct {
	sent    []flown       // by their numbers
	arrived uint64        // bytes of those that have arrived
	packets uint64        // and packets
	lost    uint64        // bytes of those that are lost
	orders  uint64        // segments sent, ever
	latest  uint64        // place of what was sent last of all that has arrived
	took    time.Duration // until that was known
	look    time.Duration // when it is to be decided what is lost; 0: nothing is in doubt
	// Up to where a packet or an acknowledgement was lost. Only the simulator knows;
	// see deadline.
	doubt uint64
	probe probe
	cut   cut
}

// span is a piece of a stream that has arrived, beyond a gap.
type span struct{ seq, end uint64 }

// spans are the pieces that have arrived beyond gaps, in order. A real acknowledgement
// has room for three, those that grew last; together they tell all the same.
func (i *receiver) spans() []span {
	var all []span
	for _, g := range i.ahead {
		if n := len(all); n > 0 && g.seq <= all[n-1].end {
			all[n-1].end = max(all[n-1].end, g.end())
			continue
		}
		all = append(all, span{g.seq, g.end()})
	}
	return all
}

// take takes in what an acknowledgement says has arrived and returns how many bytes
// that are of which nobody knew, and the round trip of those sent last, if none of
// them was sent twice (Karn's algorithm, RFC 6298 section 3).
func (b *board) take(a ack, least time.Duration) (news uint64, trip time.Duration) {
	known := 0
	for known < len(b.sent) && b.sent[known].end <= a.next {
		f := &b.sent[known]
		if !f.arrived {
			news += f.size()
			trip = b.heard(f, a.at, least)
		}
		b.forget(f)
		known++
	}
	b.sent = append(b.sent[:0], b.sent[known:]...)
	if len(b.sent) > 0 && b.sent[0].seq < a.next {
		news += b.shorten(a.next)
	}
	at := 0
	for _, s := range a.ahead {
		for ; at < len(b.sent) && b.sent[at].end <= s.end; at++ {
			f := &b.sent[at]
			if f.seq < s.seq || f.arrived {
				continue
			}
			news += f.size()
			if t := b.heard(f, a.at, least); trip == 0 {
				trip = t
			}
			b.forget(f)
			f.lost, f.arrived = false, true
			b.count(f)
		}
	}
	return news, trip
}

// shorten takes the beginning of the first segment away.
func (b *board) shorten(next uint64) (news uint64) {
	f := &b.sent[0]
	b.forget(f)
	if !f.arrived {
		news = next - f.seq
	}
	f.seq = next
	b.count(f)
	return news
}

// next is the place of the next segment that is sent.
func (b *board) next() uint64 {
	b.orders++
	return b.orders
}

// count puts a segment into the sums, and forget takes it out of them.
func (b *board) count(f *flown) {
	switch {
	case f.arrived:
		b.arrived += f.size()
		b.packets += f.packets()
	case f.lost:
		b.lost += f.size()
	}
}

func (b *board) forget(f *flown) {
	switch {
	case f.arrived:
		b.arrived -= f.size()
		b.packets -= f.packets()
	case f.lost:
		b.lost -= f.size()
	}
}

// heard notes that a segment has arrived, and returns its round trip. What was sent
// again and has an answer too early was there the first time.
func (b *board) heard(f *flown, now, least time.Duration) time.Duration {
	took := now - f.sent
	if f.again && took < least {
		return 0
	}
	if f.order > b.latest {
		b.latest, b.took = f.order, took
	}
	if f.again {
		return 0
	}
	return took
}

// overdue holds for lost what was sent before something that has arrived, and should
// have, with some time for those that were overtaken. It returns how many bytes that
// are.
func (b *board) overdue(now, grace time.Duration) (found uint64) {
	b.look = 0
	for i := range b.sent {
		f := &b.sent[i]
		if f.arrived || f.lost || f.order > b.latest {
			continue
		}
		if left := f.sent + b.took + grace - now; left > 0 {
			b.look = max(b.look, now+left+leastTimeout)
			continue
		}
		f.lost = true
		found += f.size()
	}
	b.lost += found
	return found
}

// giveUp holds all for lost that has not arrived, but for what was sent less than a
// round trip ago.
func (b *board) giveUp(now time.Duration) {
	b.look = 0
	for i := range b.sent {
		f := &b.sent[i]
		if f.arrived || f.lost || i > 0 && f.sent+b.took > now {
			continue
		}
		f.lost = true
		b.lost += f.size()
	}
}

// split cuts a segment in two, of which the first has so many bytes.
func (b *board) split(i int, size uint64) {
	b.forget(&b.sent[i])
	first := b.sent[i]
	first.end = first.seq + size
	b.sent[i].seq = first.end
	b.sent = slices.Insert(b.sent, i, first)
	b.count(&b.sent[i])
	b.count(&b.sent[i+1])
}

// onItsWay is how many bytes are, as far as the sender knows.
func (o *sender) onItsWay() uint64 { return o.nxt - o.una - o.board.arrived - o.board.lost }

// grace is what is given to segments that were overtaken, since packets may change
// their order on the way: none when later ones leave hardly a doubt.
func (o *sender) grace() time.Duration {
	if o.una < o.recover || o.board.packets >= 3 {
		return 0
	}
	return min(o.trip.least/4, o.trip.smooth)
}

// allows is how many of some bytes that are to be sent may be on their way as well: all,
// or as many as full packets have.
func (o *sender) allows(size uint64) uint64 {
	way := o.onItsWay()
	switch room := o.flight - min(way, o.flight); {
	case size <= room:
		return size
	case way == 0:
		return min(size, max(room/leastSegment, 1)*leastSegment)
	default:
		return room / leastSegment * leastSegment
	}
}

// repair sends again what is lost, as far as more may be on its way.
func (c *conn) repair() {
	o := &c.out
	if o.board.lost == 0 {
		return
	}
	longest := c.stack.net.most(c)
	for i := 0; o.board.lost > 0 && i < len(o.board.sent); i++ {
		if !o.board.sent[i].lost {
			continue
		}
		most := o.allows(min(o.board.sent[i].size(), longest))
		if most == 0 {
			return
		}
		c.resend(i, most)
	}
}

// resend sends a segment again, or its beginning if it is longer than most.
func (c *conn) resend(i int, most uint64) {
	o, now := &c.out, c.stack.net.sched.Now()
	if o.board.sent[i].size() > most {
		o.board.split(i, most)
	}
	f := &o.board.sent[i]
	o.board.forget(f)
	f.lost, f.again, f.sent, f.order = false, true, now, o.board.next()
	if i == 0 {
		o.moved = now
	}
	from := min(f.seq-o.una, uint64(len(o.data)))
	g := segment{seq: f.seq, data: o.data[from:min(f.end-o.una, uint64(len(o.data)))]}
	g.fin = o.fin && f.end > o.finAt
	c.sendSegment(g)
}
