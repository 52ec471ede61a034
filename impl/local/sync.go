package local

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"time"
)

// Times of anti-entropy (Consul documentation: Anti-Entropy).
const (
	// syncInterval is how often the catalog is looked through, in a cluster of up
	// to scaleAt agents; with every doubling an interval more.
	syncInterval = time.Minute
	scaleAt      = 128
	// firstRetry is how long after a failure, and longRetry after several.
	firstRetry = time.Second
	longRetry  = 15 * time.Second
	// syncTimeout bounds one exchange with the catalog.
	syncTimeout = 30 * time.Second
	// flushTimeout is how long somebody waits at most until the catalog has heard of a
	// change: longer than requests wait for a new leader.
	flushTimeout = 10 * time.Second
)

// syncer keeps the catalog in line with a table.
type syncer struct {
	*table
	config Config
	log    *slog.Logger
	soon   chan struct{} // something is to be pushed now
	full   chan struct{} // the catalog is to be looked through
	// asked takes channels that are to be closed when all has been pushed, or could not be.
	asked chan chan struct{}
	over  chan struct{} // closed when run has ended
}

// flush is State.Flush.
func (s *syncer) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	pushed := make(chan struct{})
	select {
	case s.asked <- pushed:
	case <-s.over:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-pushed:
	case <-s.over:
	case <-ctx.Done():
	}
}

// others are those who ask at the same time.
func (s *syncer) others() (all []chan struct{}) {
	for {
		select {
		case pushed := <-s.asked:
			all = append(all, pushed)
		default:
			return all
		}
	}
}

// scale returns the interval for a cluster of so many agents.
func scale(members int) time.Duration {
	if members <= scaleAt {
		return syncInterval
	}
	return syncInterval * time.Duration(math.Ceil(math.Log2(float64(members))-math.Log2(scaleAt))+1)
}

// stagger adds up to a sixteenth, so that agents that began together do not go on
// together.
func stagger(d time.Duration) time.Duration { return d + rand.N(d/16+1) }

// run looks the catalog through at once, now and then, and some time after
// a failure; and writes what has changed as soon as it has.
func (s *syncer) run(ctx context.Context) {
	defer close(s.over)
	look := time.NewTimer(0)
	defer look.Stop()
	outputs := time.NewTimer(time.Hour)
	defer outputs.Stop()
	retry := firstRetry
	through := false // the catalog has been looked through since the start or the last failure
	for {
		var waiting []chan struct{}
		select {
		case <-ctx.Done():
			return
		case <-s.full:
			through = false
		case <-look.C:
			through = false
		case <-outputs.C:
		case <-s.soon:
		case pushed := <-s.asked:
			waiting = append(s.others(), pushed)
		}
		err := s.sync(ctx, !through)
		if ctx.Err() != nil {
			return
		}
		for _, pushed := range waiting {
			close(pushed)
		}
		switch {
		case err != nil:
			s.log.Warn("the catalog could not be brought in line with this agent, will retry", "error", err)
			look.Reset(stagger(retry))
			retry = min(2*retry, longRetry)
			through = false
		case !through:
			look.Reset(stagger(scale(s.config.Members())))
			through, retry = true, firstRetry
		}
		outputs.Reset(s.nextOutput())
	}
}

// sync looks for differences, if it is to, and pushes them.
func (s *syncer) sync(ctx context.Context, look bool) error {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if look {
		if err := s.compare(ctx); err != nil {
			return err
		}
	}
	return s.pushAll(ctx)
}

// nextOutput makes those outputs be pushed that are due, and returns how long it
// is until another is.
func (s *syncer) nextOutput() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, next := time.Now(), time.Hour
	for _, c := range sorted(s.checks) {
		switch {
		case c.due.IsZero():
		case c.due.After(now):
			next = min(next, c.due.Sub(now))
		default:
			c.due, c.same = time.Time{}, false
			kick(s.soon)
		}
	}
	return next
}
