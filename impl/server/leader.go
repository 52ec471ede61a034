package server

import (
	"context"
	"sync"
	"time"
)

// tenure is what the server knows of its own leadership.
type tenure struct {
	mu    sync.Mutex
	term  uint64        // in which it leads and may answer reads; 0: in none
	ended chan struct{} // closed when that is over
	reign int           // counts what raft has said of leadership
	gone  bool          // this reign was forfeited
}

// begin says that the server leads in a term and has applied all that earlier
// terms committed; ctx is that of the leader's duties. If they have been called
// off already, or the reign was forfeited, there is no tenure.
func (t *tenure) begin(ctx context.Context, term uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ctx.Err() != nil || t.gone {
		return false
	}
	t.term, t.ended = term, make(chan struct{})
	return true
}

// end says that raft has told of leadership: what was is over.
func (t *tenure) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reign++
	t.gone = false
	t.over()
}

// over ends the tenure, if there is one. The caller holds mu.
func (t *tenure) over() {
	if t.term != 0 {
		close(t.ended)
		t.term, t.ended = 0, nil
	}
}

// current is the reign of now, of which raft may know more than the tenure does.
func (t *tenure) current() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reign
}

// forfeit ends a reign's tenure, or keeps it from beginning, unless the reign is over. It
// calls f before anybody can learn of it.
func (t *tenure) forfeit(reign int, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reign == reign && !t.gone {
		f()
		t.gone = true
		t.over()
	}
}

// now returns the term in which the server may answer as the leader, 0 if in
// none, and a channel that closes when it may no longer.
func (t *tenure) now() (term uint64, ended <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.term, t.ended
}

// leads reports whether the server leads and has applied everything that was
// acknowledged before it did. raft's own word is asked each time: leadership may
// have been lost, and won again in a later term, before watchLeadership heard.
func (s *Server) leads() (ended <-chan struct{}, ok bool) {
	term, ended := s.tenure.now()
	st := s.raft.Status()
	return ended, term != 0 && st.Leader && st.Term == term
}

// watchLeadership starts the leader's duties when leadership is won and calls
// them off when it is lost. It never waits for them, since raft waits for it:
// the next duties wait for the last.
func (s *Server) watchLeadership() {
	retire := func() {}
	last := make(chan struct{})
	close(last)
	for {
		select {
		case <-s.ctx.Done():
			retire()
			s.tenure.end()
			<-last
			return
		case leads := <-s.raft.Leadership():
			retire()
			s.tenure.end()
			s.port.MuteRaft(false)
			if !leads {
				s.log.Info("cluster leadership lost")
				continue
			}
			s.log.Info("cluster leadership acquired")
			s.figures.led.Inc()
			ctx, cancel := context.WithCancel(s.ctx)
			retire = cancel
			before, done := last, make(chan struct{})
			last = done
			s.wait.Go(func() {
				defer close(done)
				<-before
				s.lead(ctx)
			})
		}
	}
}

const (
	barrierTimeout    = 2 * time.Minute
	barrierPause      = 100 * time.Millisecond
	reconcileInterval = time.Minute
	reconcilePause    = 2 * time.Second
	reapInterval      = 30 * time.Second
	expireInterval    = time.Second
)

// lead is the leader's life: catch up, then serve and keep the raft group and the
// catalog as gossip sees them.
func (s *Server) lead(ctx context.Context) {
	if !s.establish(ctx) {
		return
	}
	group := roster{known: map[string]peer{}}
	graves := graveyard{}
	look := time.NewTimer(0)
	defer look.Stop()
	reap := time.NewTicker(reapInterval)
	defer reap.Stop()
	critical := ward{}
	care := time.NewTicker(careInterval)
	defer care.Stop()
	if !s.config.ReapServices {
		care.Stop()
	}
	s.leases.begin()
	expire := time.NewTicker(expireInterval)
	defer expire.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.members:
			look.Reset(0)
		case <-look.C:
			settled := s.reconcile(ctx, &group)
			if s.enroll(ctx) && settled {
				look.Reset(reconcileInterval)
			} else {
				look.Reset(reconcilePause)
			}
		case <-reap.C:
			s.reap(ctx, &graves)
		case <-expire.C:
			s.expire(ctx)
		case <-care.C:
			s.care(ctx, critical)
		}
	}
}

// establish returns when the leader has applied everything that was committed
// before its term, or false when it leads no longer.
func (s *Server) establish(ctx context.Context) bool {
	for {
		term := s.raft.Status().Term
		barrier, cancel := context.WithTimeout(ctx, barrierTimeout)
		err := s.watched(func() error { return s.raft.Barrier(barrier) })
		cancel()
		if st := s.raft.Status(); err == nil && st.Leader && st.Term == term {
			return s.tenure.begin(ctx, term)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("the leader could not catch up", "error", err)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(barrierPause):
		}
	}
}
