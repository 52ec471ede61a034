package cache

import (
	"context"
	"math/rand/v2"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// After a fetch has failed the next one waits, each time twice as long.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// followed is a result that is kept fresh. The cache's mutex guards it.
type followed struct {
	answer  any // nil until there is one
	meta    api.QueryMeta
	lost    time.Time     // since when no server answers; zero: they do
	over    error         // why nothing follows
	changed chan struct{} // closed when any of these changes
	used    time.Time
}

func (e *followed) wake() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// follow reads a result that is kept fresh; if it is not yet, that begins.
func follow[Answer any](ctx context.Context, c *Cache, kind string, r api.CatalogRequest, f fetch[Answer]) (Answer, api.QueryMeta, error) {
	id := key(kind, r)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		a, meta, err := f(ctx, r)
		return a, *meta, err
	}
	e := c.fresh[id]
	if e == nil {
		e = &followed{changed: make(chan struct{})}
		c.fresh[id] = e
		c.wait.Go(func() { keepFresh(c, id, e, r, f) })
	}
	e.used = time.Now()
	answer, meta, err := c.await(ctx, e, r.QueryOptions)
	c.mu.Unlock()
	a, _ := answer.(Answer)
	return a, meta, err
}

// await returns a result when there is one. As on a server, a read with
// MinQueryIndex waits until the result's index is greater, or the time is up, or
// until the index went back. The caller holds the mutex, so that what it found is what
// is waited for; it is free while the read waits.
func (c *Cache) await(ctx context.Context, e *followed, o api.QueryOptions) (any, api.QueryMeta, error) {
	wait := c.query.Wait(o.MaxQueryTime)
	limited, cancel := context.WithTimeout(ctx, wait+rand.N(wait/16+1))
	defer cancel()
	known, from := e.answer != nil, e.meta.Index
	for e.over == nil && (e.answer == nil || e.meta.Index <= o.MinQueryIndex && e.meta.Index >= from) {
		until := limited
		if e.answer == nil {
			until = ctx // with nothing to answer when the time is up
		}
		if until.Err() != nil {
			break
		}
		known = false
		changed := e.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-until.Done():
		}
		c.mu.Lock()
	}
	switch {
	case e.answer == nil && e.over != nil:
		return nil, e.meta, e.over
	case e.answer == nil:
		return nil, e.meta, ctx.Err()
	case !e.lost.IsZero():
		return e.answer, hit(e.meta, time.Since(e.lost)), nil // also after a wait, which brought nothing
	case known:
		return e.answer, hit(e.meta, 0), nil
	}
	meta := e.meta
	meta.Cache.Used = true
	return e.answer, meta, nil
}

// unanswered reports whether an error says that no server could be heard. What is known
// stands in for its answer then, but not for one by which a server refuses the read: that
// would be the same again, for ever.
func unanswered(err error) bool {
	switch fault.Of(err) {
	case fault.NoLeader, fault.NotLeader, fault.Unavailable, fault.Unknown, fault.Busy:
		return true
	}
	return false
}

// keepFresh follows a result until the cache closes or nobody reads it any more, or
// until the very first fetch fails or a server refuses a later one. The fetch after one
// that failed does not block: how old the result is says whether servers answer, not
// whether something has changed.
func keepFresh[Answer any](c *Cache, id string, e *followed, r api.CatalogRequest, f fetch[Answer]) {
	r.MinQueryIndex, r.MaxQueryTime = 0, api.MaxWait
	pause := firstPause
	for {
		a, meta, err := once(c.ctx, c, r, f)
		if err == nil {
			r.MinQueryIndex, pause = meta.Index, firstPause
		}
		if !c.fetched(id, e, a, meta, err) {
			return
		}
		if err == nil {
			continue
		}
		r.MinQueryIndex = 0
		select {
		case <-c.ctx.Done():
		case <-time.After(pause + rand.N(pause)):
		}
		pause = min(2*pause, lastPause)
	}
}

// fetched takes note of what a fetch brought and reports whether another one is to
// follow.
func (c *Cache) fetched(id string, e *followed, a any, meta api.QueryMeta, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ctx.Err() != nil:
		e.over = c.ctx.Err()
	case err != nil && (e.answer == nil || !unanswered(err)):
		e.answer, e.over = nil, err
	case err != nil:
		if e.lost.IsZero() {
			e.lost = time.Now()
		}
	default:
		news := e.answer == nil || meta.Index != e.meta.Index
		e.answer, e.meta, e.lost = a, meta, time.Time{}
		if news {
			e.wake()
		}
	}
	if e.over == nil && time.Since(e.used) <= keep {
		return true
	}
	if e.over == nil {
		c.evicted.Inc()
	}
	delete(c.fresh, id)
	e.wake()
	return false
}
