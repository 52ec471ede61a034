package simnet

import (
	"sync"
	"time"
)

// deadline closes a channel when a socket's deadline has passed. Its timer runs
// on the clock of whoever set it.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	over  chan struct{}
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	passed := d.over != nil && isOver(d.over)
	if t.IsZero() {
		if passed {
			d.over = nil
		}
		return
	}
	if d.over == nil || passed {
		d.over = make(chan struct{})
	}
	over := d.over
	left := time.Until(t)
	if left <= 0 {
		close(over)
		return
	}
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.over == over && !isOver(over) {
			close(over)
		}
	})
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

func isOver(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
