// Package cache answers reads of the catalog on the agent that is asked, without
// asking a server each time (Consul API: Agent Caching).
//
// There are two kinds of reads:
//
//   - One that is kept fresh: the first read has the agent follow the result, by one
//     blocking query after the other for all who read it here; later ones are
//     answered from what is known. While servers answer the result has the age 0,
//     and when they do not, the time since then. Readers may wait for a change as on
//     a server. refresh.go.
//   - One that ages: a result is kept, and fetched anew when a reader wants a younger
//     one. age.go.
//
// Results are kept per request, with its token, and forgotten when nobody has read
// them for three days. They are always fetched as stale reads: what is kept may be
// old anyway, and so the leader is spared.
package cache

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tribune/impl/api"
	"tribune/impl/metrics"
)

// keep is how long a result is kept that nobody reads.
const keep = 3 * 24 * time.Hour

// Source is where results come from.
type Source interface {
	HealthOfService(context.Context, api.CatalogRequest) (api.List[api.CheckServiceNode], error)
	ServiceNodes(context.Context, api.CatalogRequest) (api.List[api.CatalogService], error)
	Services(context.Context, api.CatalogRequest) (api.ServicesResponse, error)
}

// Cache keeps results. A request whose options do not ask for it goes to the source.
type Cache struct {
	source  Source
	query   api.QueryTimes
	success metrics.Counter
	failure metrics.Counter
	evicted metrics.Counter

	mu     sync.Mutex
	fresh  map[string]*followed
	aging  map[string]*aged
	closed bool

	ctx  context.Context // ends when the cache closes
	stop context.CancelFunc
	wait sync.WaitGroup
}

var _ Source = (*Cache)(nil)

// New returns an empty cache, which must be closed. Who waits for a change there waits
// as long as t says.
func New(s Source, t api.QueryTimes, r *metrics.Registry) *Cache {
	c := &Cache{
		source: s, query: t, fresh: map[string]*followed{}, aging: map[string]*aged{},
		success: r.Counter("cache.fetch_success", "results that the agent's cache fetched", nil),
		failure: r.Counter("cache.fetch_error", "fetches by the agent's cache that failed", nil),
		evicted: r.Counter("cache.evict_expired", "results that the agent's cache forgot since nobody read them", nil),
	}
	r.Gauge("cache.entries_count", "results in the agent's cache", nil, func() float64 { return float64(c.Len()) })
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Len is how many results are kept.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.fresh) + len(c.aging)
}

// Close ends all fetches and waits for them. Later reads go to the source.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.wait.Wait()
}

// HealthOfService implements Source; the result is kept fresh.
func (c *Cache) HealthOfService(ctx context.Context, r api.CatalogRequest) (api.List[api.CheckServiceNode], error) {
	if !r.Cache.Use {
		return c.source.HealthOfService(ctx, r)
	}
	return list(follow(ctx, c, "health", r, func(ctx context.Context, r api.CatalogRequest) (api.List[api.CheckServiceNode], *api.QueryMeta, error) {
		a, err := c.source.HealthOfService(ctx, r)
		return a, &a.QueryMeta, err
	}))
}

// ServiceNodes implements Source; the result is kept fresh.
func (c *Cache) ServiceNodes(ctx context.Context, r api.CatalogRequest) (api.List[api.CatalogService], error) {
	if !r.Cache.Use {
		return c.source.ServiceNodes(ctx, r)
	}
	return list(follow(ctx, c, "instances", r, func(ctx context.Context, r api.CatalogRequest) (api.List[api.CatalogService], *api.QueryMeta, error) {
		a, err := c.source.ServiceNodes(ctx, r)
		return a, &a.QueryMeta, err
	}))
}

// list gives a reader items of its own.
func list[Item any](a api.List[Item], meta api.QueryMeta, err error) (api.List[Item], error) {
	return api.List[Item]{Items: slices.Clone(a.Items), QueryMeta: meta}, err
}

// Services implements Source; the result ages.
func (c *Cache) Services(ctx context.Context, r api.CatalogRequest) (api.ServicesResponse, error) {
	if !r.Cache.Use {
		return c.source.Services(ctx, r)
	}
	a, meta, err := age(ctx, c, "services", r, func(ctx context.Context, r api.CatalogRequest) (api.ServicesResponse, *api.QueryMeta, error) {
		a, err := c.source.Services(ctx, r)
		return a, &a.QueryMeta, err
	})
	return api.ServicesResponse{Services: maps.Clone(a.Services), QueryMeta: meta}, err
}

// fetch asks the source. Beside the answer it returns what in it tells about it.
type fetch[Answer any] func(context.Context, api.CatalogRequest) (Answer, *api.QueryMeta, error)

// once fetches, and counts that.
func once[Answer any](ctx context.Context, c *Cache, r api.CatalogRequest, f fetch[Answer]) (Answer, api.QueryMeta, error) {
	o := r.QueryOptions
	r.QueryOptions = api.QueryOptions{
		Datacenter: o.Datacenter, Token: o.Token, Filter: o.Filter, AllowStale: true, MinQueryIndex: o.MinQueryIndex, MaxQueryTime: o.MaxQueryTime,
	}
	a, meta, err := f(ctx, r)
	if err != nil {
		c.failure.Inc()
	} else {
		c.success.Inc()
	}
	return a, *meta, err
}

// key tells requests apart that have different results.
func key(kind string, r api.CatalogRequest) string {
	r.QueryOptions = api.QueryOptions{Datacenter: r.Datacenter, Token: r.Token, Filter: r.Filter}
	if r.Source.Node != api.NearIP {
		r.Source.IP = "" // which then makes no difference
	}
	b, err := json.Marshal(r) // with the keys of maps in order
	if err != nil {
		panic(fmt.Sprintf("cache: a request that is no JSON: %v", err))
	}
	return kind + string(b)
}
