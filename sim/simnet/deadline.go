package simnet

import (
	"time"

	"tribune/sim/detrt"
)

// deadline closes a channel when a socket's deadline has passed. Its timer runs
// on the clock of whoever set it.
type deadline struct {
	mu    detrt.Mutex
	timer *time.Timer
	turn  int // counts calls of set: a timer that was too late to be stopped is of an earlier turn
	over  chan struct{}
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.turn++
	if d.over != nil && isOver(d.over) {
		d.over = nil
	}
	if t.IsZero() {
		return
	}
	if d.over == nil {
		d.over = make(chan struct{})
	}
	left := time.Until(t)
	if left <= 0 {
		close(d.over)
		return
	}
	turn := d.turn
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.turn == turn {
			close(d.over)
		}
	})
}

// stop ends the timer of a socket that is closed.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turn++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// wait returns a channel that closes when the deadline has passed.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over == nil {
		d.over = make(chan struct{})
	}
	return d.over
}

// passed reports whether the deadline has passed.
func (d *deadline) passed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over != nil && isOver(d.over)
}

func isOver(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
