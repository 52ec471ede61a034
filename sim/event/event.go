// Package event is the simulated world's agenda: a heap of things that will
// happen, ordered by true virtual time and, within one instant, by the order
// in which they were asked for.
//
// Everything that the world does to its nodes (delivering a packet, finishing
// an fsync, striking with a fault) is a function on this agenda, run one at a
// time by the goroutine that called [Loop.Run]. That goroutine belongs to no
// node, so neither a node's skewed clock nor its death bends or loses an
// event. Functions must not block.
package event

import (
	"context"
	"time"

	"tribune/sim/detrt"
)

// Scheduler is the face of the agenda that the network, the disks and the
// fault planner see.
type Scheduler interface {
	// Now is the true virtual time since the world began.
	Now() time.Duration
	// After runs f on the world's goroutine once d has passed. A d below zero
	// counts as zero. f must not block.
	After(d time.Duration, f func()) *Event
}

// Event is something on the agenda.
type Event struct {
	at    time.Duration
	seq   uint64
	f     func()
	index int // position in the heap, -1 when no longer on it
	loop  *Loop
}

// Cancel takes the event off the agenda and reports whether it was still on it.
func (e *Event) Cancel() bool {
	l := e.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.index < 0 {
		return false
	}
	l.agenda.remove(e.index)
	return true
}

// Loop is the agenda and its runner.
type Loop struct {
	now   func() int64
	start int64
	timer *time.Timer // wakes the runner
	reset func()      // sets the timer to wait

	mu     detrt.Mutex
	agenda agenda
	seq    uint64
	ran    uint64
	idle   time.Duration // when the runner will next look
	wait   time.Duration
}

// New returns an empty agenda. The function now tells the true virtual time in
// nanoseconds, since whenever, whoever calls it.
func New(now func() int64) *Loop {
	l := &Loop{now: now, start: now(), timer: time.NewTimer(longWait)}
	l.reset = func() { l.timer.Reset(l.wait) }
	return l
}

// Now is the true virtual time since New.
func (l *Loop) Now() time.Duration { return time.Duration(l.now() - l.start) }

// Ran counts the events that have been run.
func (l *Loop) Ran() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ran
}

// After implements [Scheduler].
func (l *Loop) After(d time.Duration, f func()) *Event {
	now := l.Now()
	e := &Event{at: now + max(d, 0), f: f, loop: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	e.seq = l.seq
	l.agenda.add(e)
	if e.index == 0 && e.at < l.idle {
		// Whoever asks: the timer is the world's and runs on its clock.
		l.idle, l.wait = e.at, e.at-now
		detrt.Aside(l.reset)
	}
	return e
}

// Run runs events as they fall due until the context ends. After each one it
// calls between, when not nil.
func (l *Loop) Run(ctx context.Context, between func()) {
	defer l.timer.Stop()
	for ctx.Err() == nil {
		if e := l.next(); e != nil {
			e.f()
			if between != nil {
				between()
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-l.timer.C:
		}
	}
}

const longWait = time.Hour

// next takes the first event that is due, or sets the timer to when one will be.
func (l *Loop) next() *Event {
	now := l.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = now
	if len(l.agenda) > 0 && l.agenda[0].at <= now {
		l.ran++
		return l.agenda.remove(0)
	}
	l.wait = longWait
	if len(l.agenda) > 0 {
		l.wait = l.agenda[0].at - now
	}
	l.idle = now + l.wait
	l.reset()
	return nil
}

// agenda is a heap of events in which each has up to four below it.
type agenda []*Event

const fan = 4

func (e *Event) before(o *Event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

func (a *agenda) add(e *Event) {
	*a = append(*a, e)
	a.up(len(*a)-1, e)
}

// remove takes out the event at i.
func (a *agenda) remove(i int) *Event {
	e, last := (*a)[i], len(*a)-1
	moved := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	if i < last && !a.up(i, moved) {
		a.down(i, moved)
	}
	e.index = -1
	return e
}

// up puts e at i or above, and reports whether above.
func (a agenda) up(i int, e *Event) bool {
	at := i
	for at > 0 && e.before(a[(at-1)/fan]) {
		a.put(at, a[(at-1)/fan])
		at = (at - 1) / fan
	}
	a.put(at, e)
	return at < i
}

// down puts e at i or below.
func (a agenda) down(i int, e *Event) {
	for {
		first := i*fan + 1
		if first >= len(a) {
			break
		}
		least := first
		for j := first + 1; j < min(first+fan, len(a)); j++ {
			if a[j].before(a[least]) {
				least = j
			}
		}
		if e.before(a[least]) {
			break
		}
		a.put(i, a[least])
		i = least
	}
	a.put(i, e)
}

func (a agenda) put(i int, e *Event) { a[i], e.index = e, i }
