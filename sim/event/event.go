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
	"container/heap"
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
	heap.Remove(&l.agenda, e.index)
	return true
}

// Loop is the agenda and its runner.
type Loop struct {
	now   func() time.Time
	start time.Time
	wake  chan struct{}

	mu     detrt.Mutex
	agenda agenda
	seq    uint64
	ran    uint64
	idle   time.Duration // when the runner will next look, if nobody wakes it
}

// New returns an empty agenda. The function now tells the true virtual time
// whoever calls it.
func New(now func() time.Time) *Loop {
	return &Loop{now: now, start: now(), wake: make(chan struct{}, 1)}
}

// Now is the true virtual time since New.
func (l *Loop) Now() time.Duration { return l.now().Sub(l.start) }

// Ran counts the events that have been run.
func (l *Loop) Ran() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ran
}

// After implements [Scheduler].
func (l *Loop) After(d time.Duration, f func()) *Event {
	e := &Event{at: l.Now() + max(d, 0), f: f, loop: l}
	l.mu.Lock()
	l.seq++
	e.seq = l.seq
	heap.Push(&l.agenda, e)
	first := e.index == 0 && e.at < l.idle
	l.mu.Unlock()
	if first {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return e
}

// Run runs events as they fall due until the context ends. After each one it
// calls between, when not nil.
func (l *Loop) Run(ctx context.Context, between func()) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		e, wait := l.next()
		if e != nil {
			e.f()
			if between != nil {
				between()
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-l.wake:
		}
	}
}

const longWait = time.Hour

// next takes the first event that is due, or tells how long to wait for one.
func (l *Loop) next() (*Event, time.Duration) {
	now := l.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.agenda) == 0 {
		l.idle = now + longWait
		return nil, longWait
	}
	if first := l.agenda[0]; first.at > now {
		l.idle = first.at
		return nil, first.at - now
	}
	l.idle = now
	l.ran++
	return heap.Pop(&l.agenda).(*Event), 0
}

type agenda []*Event

func (a agenda) Len() int { return len(a) }

func (a agenda) Less(i, j int) bool {
	if a[i].at != a[j].at {
		return a[i].at < a[j].at
	}
	return a[i].seq < a[j].seq
}

func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}

func (a *agenda) Push(x any) {
	e := x.(*Event)
	e.index = len(*a)
	*a = append(*a, e)
}

func (a *agenda) Pop() any {
	old := *a
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*a = old[:len(old)-1]
	e.index = -1
	return e
}
