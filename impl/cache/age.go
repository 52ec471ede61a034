package cache

import (
	"context"
	"time"

	"tribune/impl/api"
)

// aged is a result that ages.
type aged struct {
	answer  any
	meta    api.QueryMeta
	fetched time.Time
	used    time.Time
}

// age reads a result that ages.
func age[Answer any](ctx context.Context, c *Cache, kind string, r api.CatalogRequest, f fetch[Answer]) (Answer, api.QueryMeta, error) {
	id, begun := key(kind, r), time.Now()
	known, found := c.known(id, begun)
	old := begun.Sub(known.fetched)
	wanted := r.Cache
	if found && !wanted.MustRevalidate && (wanted.MaxAge == 0 || old <= wanted.MaxAge) && known.meta.Index > r.MinQueryIndex {
		return known.answer.(Answer), hit(known.meta, old), nil
	}
	a, meta, err := once(ctx, c, r, f)
	switch {
	case err == nil:
	case !unanswered(err):
		c.forget(id)
		return a, meta, err
	case found && old <= wanted.StaleIfError:
		return known.answer.(Answer), hit(known.meta, old), nil
	default:
		return a, meta, err
	}
	c.learn(id, aged{answer: a, meta: meta, fetched: time.Now(), used: begun})
	meta.Cache.Used = true
	return a, meta, nil
}

// hit tells that a result was known already.
func hit(m api.QueryMeta, age time.Duration) api.QueryMeta {
	m.Cache = api.CacheMeta{Used: true, Hit: true, Age: age}
	return m
}

// known returns a result that somebody reads now.
func (c *Cache) known(id string, now time.Time) (aged, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.aging[id]
	if e == nil || now.Sub(e.used) > keep {
		return aged{}, false
	}
	e.used = now
	return *e, true
}

// learn keeps a result, unless a younger one is known, and forgets those that nobody
// reads any more.
func (c *Cache) learn(id string, e aged) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other, o := range c.aging {
		if e.used.Sub(o.used) > keep {
			delete(c.aging, other)
			c.evicted.Inc()
		}
	}
	if now := c.aging[id]; now == nil || !now.fetched.After(e.fetched) {
		c.aging[id] = &e
	}
}

// forget drops what is known: a server refuses to answer that now.
func (c *Cache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.aging, id)
}
