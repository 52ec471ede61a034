package consensus

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// How old may the data of a server be? raft's LastContact does not say: a heartbeat
// counts, though it brings neither entries nor the commit index, and so does a
// message that lay in a socket while the server slept, or one of a leader that was
// deposed long ago. So leaders say it themselves, with everything that they append,
// heartbeats too (Ongaro's thesis, section 6.4, turned round: the leader tells
// without being asked). A promise has three parts.
//
//   - When it was made. A leader numbers what it sends to a follower, and says which
//     of these numbers the follower has answered. So what it says is younger than
//     that answer, and the follower knows when it gave that by its own clock; no
//     delay, no retransmission and no nap on the way can make it look younger.
//   - That it led. It says how long ago, by its own clock, the last moment was at
//     which each of a majority was in its term: the moment it sent something which
//     they answered in that term. The follower counts as one of them, for it
//     answered too. A later leader was not elected before that, since two
//     majorities have a server in common.
//   - What was acknowledged until then: the last index that its state machine has
//     applied, for no write is acknowledged sooner; and it promises nothing before
//     it has applied what earlier terms committed.
//
// When the follower's state machine has applied that index, it has everything that
// was acknowledged before that moment.

// promise is what a leader says to a follower about its own state.
type promise struct {
	number   uint64        // of the message that carries it; each term counts from 1
	answered uint64        // the latest message that the follower has answered; 0: none
	index    uint64        // nothing beyond it was acknowledged
	age      time.Duration // since when that has held for the whole group; unknown: nothing is promised
}

const unknown = -1

// encode gives a promise the form in which it travels. raft has no room for it but
// a field of earlier versions, the leader's address, which nobody reads as long as
// the header has one. No address begins with a zero byte.
func (p promise) encode() []byte {
	b := make([]byte, 1, promiseSize)
	for _, n := range []uint64{p.number, p.answered, p.index, uint64(p.age)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

const promiseSize = 1 + 4*8

// decodePromise reads what encode wrote; ok is false of anything else.
func decodePromise(b []byte) (p promise, ok bool) {
	if len(b) != promiseSize || b[0] != 0 {
		return promise{}, false
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(b[1+8*i:]) }
	return promise{n(0), n(1), n(2), time.Duration(n(3))}, true
}

// contact is what a server knows of how fresh its own state is, and of who is in
// its term.
type contact struct {
	has func(index uint64) bool // whether the state machine has applied all up to it

	mu    sync.Mutex
	fresh time.Time // everything that was acknowledged before it is applied here

	// As a leader.
	leads   uint64 // the term that peers is of
	settled uint64 // the term in which all that earlier ones committed was applied
	peers   map[raft.ServerID]*peer

	// As a follower.
	follows uint64          // the term that handled is of
	handled [recent]receipt // the latest messages, each at its number modulo recent
	open    []prospect
}

// peer is a server that this one sends to.
type peer struct {
	sent     uint64    // the number of the last message
	answered uint64    // the latest that was answered in the term
	inTerm   time.Time // when the latest of those was sent that were answered in the term
}

// receipt says when a message came.
type receipt struct {
	number uint64
	at     time.Time
}

// prospect is a promise that holds once an index is applied.
type prospect struct {
	fresh time.Time
	index uint64
}

const (
	recent   = 32 // how many messages a leader may send to one server while it waits for an answer
	mostOpen = 64 // how many prospects are kept; if there are more, the last waits for newer indexes
)

// peer returns what is known of a server in a term; nil if the term is over.
func (c *contact) peer(id raft.ServerID, term uint64) *peer {
	if term < c.leads {
		return nil
	}
	if term > c.leads {
		c.leads, c.peers = term, map[raft.ServerID]*peer{}
	}
	p := c.peers[id]
	if p == nil {
		p = &peer{}
		c.peers[id] = p
	}
	return p
}

// next begins a message to a server. It returns its promise, which promises
// nothing yet.
func (c *contact) next(to raft.ServerID, term uint64) (promise, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peer(to, term)
	if p == nil {
		return promise{}, false
	}
	p.sent++
	return promise{number: p.sent, answered: p.answered, age: unknown}, true
}

// answer takes note that a server answered, in the term, a message that was sent at
// a moment.
func (c *contact) answer(from raft.ServerID, term, number uint64, sent time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peer(from, term); p != nil {
		p.answered = max(p.answered, number)
		if sent.After(p.inTerm) {
			p.inTerm = sent
		}
	}
}

// settle says that all that was committed before a term is applied.
func (c *contact) settle(term uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled = max(c.settled, term)
}

// confirmed returns the latest moment at which each of a majority was in a term,
// zero if it is not known or if what earlier terms committed is not applied yet.
// Those in present count as being in it now.
func (c *contact) confirmed(term uint64, voters []raft.ServerID, now time.Time, present ...raft.ServerID) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settled != term || len(voters) == 0 {
		return time.Time{}
	}
	moments := make([]time.Time, 0, len(voters))
	for _, id := range voters {
		moment := time.Time{}
		if p := c.peers[id]; slices.Contains(present, id) {
			moment = now
		} else if p != nil && c.leads == term {
			moment = p.inTerm
		}
		moments = append(moments, moment)
	}
	slices.SortFunc(moments, func(a, b time.Time) int { return b.Compare(a) })
	return moments[len(voters)/2]
}

// advance takes note that everything acknowledged before a moment is applied.
func (c *contact) advance(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pass(to)
}

func (c *contact) pass(to time.Time) {
	if to.After(c.fresh) {
		c.fresh = to
	}
}

// hear takes note of a message of a term's leader.
func (c *contact) hear(term uint64, p promise, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if term < c.follows {
		return
	}
	if term > c.follows {
		c.follows, c.handled = term, [recent]receipt{}
	}
	answered := c.handled[p.answered%recent]
	c.handled[p.number%recent] = receipt{p.number, now}
	if p.age < 0 || p.answered == 0 || answered.number != p.answered {
		return
	}
	next := prospect{answered.at.Add(-p.age), p.index}
	c.sift()
	last := len(c.open) - 1
	switch {
	case last >= 0 && (c.open[last].index == next.index || len(c.open) == mostOpen):
		if next.fresh.After(c.open[last].fresh) {
			c.open[last] = next
		}
	default:
		c.open = append(c.open, next)
	}
}

// sift drops the prospects that hold by now.
func (c *contact) sift() {
	c.open = slices.DeleteFunc(c.open, func(p prospect) bool {
		if !c.has(p.index) {
			return false
		}
		c.pass(p.fresh)
		return true
	})
}

// latest is the moment before which everything acknowledged is applied.
func (c *contact) latest() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sift()
	return c.fresh
}
