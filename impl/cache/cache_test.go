package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tribune/impl/api"
	"tribune/impl/cache"
	"tribune/impl/fault"
	"tribune/impl/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// catalog is a source with one answer to everything, in which the index is the name
// of a node and of a service. It blocks as a server does.
type catalog struct {
	mu      sync.Mutex
	index   uint64
	err     error
	asked   int
	last    api.CatalogRequest
	changed chan struct{}
}

func (c *catalog) set(index uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index, c.err = index, err
	close(c.changed)
	c.changed = make(chan struct{})
}

// times is how often it was asked since the last call.
func (c *catalog) times() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.asked
	c.asked = 0
	return n
}

func (c *catalog) request() api.CatalogRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

func (c *catalog) read(ctx context.Context, r api.CatalogRequest) (string, api.QueryMeta, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	c.last = r
	limit := time.After(r.MaxQueryTime)
	from := c.index // a server that is restored answers those who wait
	for over := false; c.err == nil && r.MinQueryIndex >= c.index && c.index >= from && !over; {
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-limit:
			over = true
		case <-ctx.Done():
			over = true
		}
		c.mu.Lock()
	}
	return fmt.Sprint(c.index), api.QueryMeta{Index: c.index, KnownLeader: true}, c.err
}

func (c *catalog) HealthOfService(ctx context.Context, r api.CatalogRequest) (api.List[api.CheckServiceNode], error) {
	name, meta, err := c.read(ctx, r)
	if err != nil {
		return api.List[api.CheckServiceNode]{}, err
	}
	return api.List[api.CheckServiceNode]{Items: []api.CheckServiceNode{{Node: &api.Node{Node: name}}}, QueryMeta: meta}, nil
}

func (c *catalog) ServiceNodes(ctx context.Context, r api.CatalogRequest) (api.List[api.CatalogService], error) {
	name, meta, err := c.read(ctx, r)
	if err != nil {
		return api.List[api.CatalogService]{}, err
	}
	return api.List[api.CatalogService]{Items: []api.CatalogService{{Node: name}}, QueryMeta: meta}, nil
}

func (c *catalog) Services(ctx context.Context, r api.CatalogRequest) (api.ServicesResponse, error) {
	name, meta, err := c.read(ctx, r)
	if err != nil {
		return api.ServicesResponse{}, err
	}
	return api.ServicesResponse{Services: map[string][]string{name: nil}, QueryMeta: meta}, nil
}

// world is a cache before a catalog, in a bubble.
type world struct {
	*testing.T
	catalog *catalog
	cache   *cache.Cache
}

func inWorld(t *testing.T, f func(w world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &catalog{index: 10, changed: make(chan struct{})}
		w := world{t, c, cache.New(c, api.QueryTimes{}, metrics.New())}
		f(w)
		w.cache.Close()
	})
}

// answer is a read's answer in short.
type answer struct {
	name string
	hit  bool
	age  time.Duration
	err  error
}

func cached(change ...func(*api.CatalogRequest)) api.CatalogRequest {
	r := api.CatalogRequest{Service: "web"}
	r.Cache.Use = true
	for _, f := range change {
		f(&r)
	}
	return r
}

// health reads what is kept fresh.
func (w world) health(change ...func(*api.CatalogRequest)) answer {
	a, err := w.cache.HealthOfService(w.Context(), cached(change...))
	got := answer{hit: a.Cache.Hit, age: a.Cache.Age, err: err}
	for _, item := range a.Items {
		got.name += item.Node.Node
	}
	if err == nil && !a.Cache.Used {
		w.Error("the answer does not say that the cache was used")
	}
	return got
}

// services reads what ages.
func (w world) services(change ...func(*api.CatalogRequest)) answer {
	a, err := w.cache.Services(w.Context(), cached(change...))
	got := answer{hit: a.Cache.Hit, age: a.Cache.Age, err: err}
	for name := range a.Services {
		got.name += name
	}
	return got
}

func (w world) want(got, want answer) {
	w.Helper()
	if got != want {
		w.Errorf("%+v, want %+v", got, want)
	}
}

func waitFor(index uint64) func(*api.CatalogRequest) {
	return func(r *api.CatalogRequest) { r.MinQueryIndex = index }
}

func TestAResultThatIsFollowedIsKnownAndFresh(t *testing.T) {
	inWorld(t, func(w world) {
		w.want(w.health(), answer{name: "10"})
		w.want(w.health(), answer{name: "10", hit: true})
		w.catalog.set(11, nil)
		synctest.Wait()
		w.want(w.health(), answer{name: "11", hit: true})
		time.Sleep(time.Hour)
		w.want(w.health(), answer{name: "11", hit: true})
		if r := w.catalog.request(); !r.AllowStale || r.MinQueryIndex != 11 || r.Cache.Use {
			w.Errorf("the source is asked %+v", r)
		}
		if n := w.catalog.times(); n > 9 {
			w.Errorf("the source was asked %d times", n)
		}
	})
}

func TestReadersShareOneBlockingQuery(t *testing.T) {
	inWorld(t, func(w world) {
		w.want(w.health(), answer{name: "10"})
		w.catalog.times()
		done := make(chan answer)
		for range 100 {
			go func() { done <- w.health(waitFor(10)) }()
		}
		time.Sleep(time.Minute)
		w.catalog.set(12, nil)
		for range 100 {
			w.want(<-done, answer{name: "12"})
		}
		if n := w.catalog.times(); n != 1 { // the one after the change; the one before was under way
			w.Errorf("the source was asked %d times", n)
		}
	})
}

func TestAReadWaitsNoLongerThanItSays(t *testing.T) {
	inWorld(t, func(w world) {
		w.health()
		begun := time.Now()
		w.want(w.health(waitFor(10), func(r *api.CatalogRequest) { r.MaxQueryTime = 16 * time.Second }), answer{name: "10"})
		if took := time.Since(begun); took < 16*time.Second || took > 17*time.Second {
			w.Errorf("it waited for %v", took)
		}
	})
}

func TestAReadReturnsWhenTheIndexGoesBack(t *testing.T) {
	inWorld(t, func(w world) {
		w.health()
		time.AfterFunc(time.Second, func() { w.catalog.set(3, nil) })
		begun := time.Now()
		w.want(w.health(waitFor(10)), answer{name: "3"})
		if took := time.Since(begun); took != time.Second {
			w.Errorf("it waited for %v", took)
		}
	})
}

func TestTheAgeTellsForHowLongNoServerAnswered(t *testing.T) {
	inWorld(t, func(w world) {
		w.health()
		w.catalog.set(10, fault.New(fault.Unavailable, "no server"))
		synctest.Wait()
		time.Sleep(time.Minute)
		w.want(w.health(), answer{name: "10", hit: true, age: time.Minute})
		if n := w.catalog.times(); n < 4 || n > 8 {
			w.Errorf("the source was asked %d times in a minute", n)
		}
		w.catalog.set(10, nil) // nothing has changed meanwhile
		time.Sleep(2 * time.Minute)
		w.want(w.health(), answer{name: "10", hit: true})
		w.catalog.times()
		time.Sleep(time.Hour)
		if n := w.catalog.times(); n > 9 {
			w.Errorf("the source was asked %d times in an hour in which nothing changed", n)
		}
		w.catalog.set(11, nil)
		synctest.Wait()
		w.want(w.health(), answer{name: "11", hit: true})
	})
}

func TestAReadThatWaitsTellsForHowLongNoServerAnswered(t *testing.T) {
	inWorld(t, func(w world) {
		w.health()
		w.catalog.set(10, fault.New(fault.Unavailable, "no server"))
		synctest.Wait()
		time.Sleep(time.Minute)
		got := w.health(waitFor(10), func(r *api.CatalogRequest) { r.MaxQueryTime = 16 * time.Second })
		if got.age < 76*time.Second || got.age > 77*time.Second {
			w.Errorf("its age is %v", got.age)
		}
		w.want(got, answer{name: "10", hit: true, age: got.age})
		time.AfterFunc(time.Second, func() { w.catalog.set(11, nil) })
		w.want(w.health(waitFor(10)), answer{name: "11"})
	})
}

func TestAResultThatCannotBeHadIsNotKept(t *testing.T) {
	inWorld(t, func(w world) {
		none := fault.New(fault.Unavailable, "no server")
		w.catalog.set(10, none)
		w.want(w.health(), answer{err: none})
		if n := w.cache.Len(); n != 0 {
			w.Errorf("%d results are kept", n)
		}
		w.catalog.set(10, nil)
		w.want(w.health(), answer{name: "10"})
	})
}

func TestAResultThatServersRefuseIsForgottenAndOneThatTheyCannotGiveIsNot(t *testing.T) {
	anew := func(r *api.CatalogRequest) { r.Cache.MustRevalidate, r.Cache.StaleIfError = true, time.Hour }
	for kind := fault.Internal; kind.Valid(); kind++ {
		inWorld(t, func(w world) {
			w.health()
			w.services()
			refused := fault.New(kind, "no")
			w.catalog.set(11, refused)
			synctest.Wait()
			switch kind {
			case fault.NoLeader, fault.NotLeader, fault.Unavailable, fault.Unknown, fault.Busy:
				w.want(w.health(), answer{name: "10", hit: true})
				w.want(w.services(anew), answer{name: "10", hit: true})
			default:
				w.want(w.health(), answer{err: refused})
				w.want(w.services(anew), answer{err: refused})
				w.want(w.services(), answer{err: refused})
			}
		})
	}
}

func TestResultsThatNobodyReadsAreForgotten(t *testing.T) {
	inWorld(t, func(w world) {
		w.health()
		w.services()
		time.Sleep(2 * 24 * time.Hour)
		w.want(w.health(), answer{name: "10", hit: true})
		time.Sleep(2 * 24 * time.Hour)
		if n := w.cache.Len(); n != 2 {
			w.Errorf("%d results are kept, want both", n)
		}
		w.want(w.services(), answer{name: "10"}) // four days old
		time.Sleep(25 * time.Hour)
		if n := w.cache.Len(); n != 1 {
			w.Errorf("%d results are kept, want one", n)
		}
		w.want(w.health(), answer{name: "10"})
	})
}

func TestOthersDoNotGetTheResult(t *testing.T) {
	inWorld(t, func(w world) {
		w.health()
		for name, other := range map[string]func(*api.CatalogRequest){
			"another token":        func(r *api.CatalogRequest) { r.Token = "x" },
			"another filter":       func(r *api.CatalogRequest) { r.Filter = "x" },
			"another service":      func(r *api.CatalogRequest) { r.Service = "x" },
			"only passing":         func(r *api.CatalogRequest) { r.Passing = true },
			"near another":         func(r *api.CatalogRequest) { r.Source.Node = "x" },
			"near another address": func(r *api.CatalogRequest) { r.Source = api.Source{Node: api.NearIP, IP: "10.0.0.1"} },
		} {
			if got := w.health(other); got.hit {
				w.Error(name)
			}
		}
		w.want(w.health(func(r *api.CatalogRequest) { r.Source.IP = "10.0.0.1" }), answer{name: "10", hit: true})
	})
}

func TestWhatAReaderDoesToItsAnswerOthersDoNotSee(t *testing.T) {
	inWorld(t, func(w world) {
		for range 2 {
			a, err := w.cache.ServiceNodes(w.Context(), cached())
			if err != nil || a.Items[0].Node != "10" {
				w.Fatalf("%+v, %v", a, err)
			}
			a.Items[0].Node = "mine"
			s, err := w.cache.Services(w.Context(), cached())
			if err != nil || len(s.Services) != 1 {
				w.Fatalf("%+v, %v", s, err)
			}
			s.Services["mine"] = nil
		}
	})
}

func TestAResultThatAgesIsFetchedWhenItIsTooOld(t *testing.T) {
	type headers = api.CacheOptions
	inWorld(t, func(w world) {
		none := fault.New(fault.Unavailable, "no server")
		read := func(o headers) answer {
			return w.services(func(r *api.CatalogRequest) { r.Cache = o; r.Cache.Use = true })
		}
		w.want(read(headers{}), answer{name: "10"})
		time.Sleep(time.Minute)
		w.catalog.set(11, nil)
		w.want(read(headers{}), answer{name: "10", hit: true, age: time.Minute})
		w.want(read(headers{MaxAge: time.Minute}), answer{name: "10", hit: true, age: time.Minute})
		w.want(read(headers{MaxAge: 59 * time.Second}), answer{name: "11"})
		w.want(read(headers{MaxAge: time.Second}), answer{name: "11", hit: true})
		w.catalog.set(12, nil)
		w.want(read(headers{MustRevalidate: true}), answer{name: "12"})
		w.catalog.set(13, none)
		time.Sleep(time.Minute)
		w.want(read(headers{MaxAge: time.Second}), answer{err: none})
		w.want(read(headers{MaxAge: time.Second, StaleIfError: 59 * time.Second}), answer{err: none})
		w.want(read(headers{MaxAge: time.Second, StaleIfError: time.Hour}), answer{name: "12", hit: true, age: time.Minute})
		w.want(read(headers{}), answer{name: "12", hit: true, age: time.Minute})
	})
}

func TestABlockingReadOfAResultThatAgesWaitsForAChange(t *testing.T) {
	inWorld(t, func(w world) {
		w.services()
		time.AfterFunc(time.Second, func() { w.catalog.set(11, nil) })
		w.want(w.services(waitFor(10), func(r *api.CatalogRequest) { r.MaxQueryTime = time.Minute }), answer{name: "11"})
		w.want(w.services(), answer{name: "11", hit: true})
	})
}

func TestWhoDoesNotAskForTheCacheGetsTheSourcesAnswer(t *testing.T) {
	inWorld(t, func(w world) {
		for range 2 {
			a, err := w.cache.HealthOfService(w.Context(), api.CatalogRequest{})
			b, err2 := w.cache.ServiceNodes(w.Context(), api.CatalogRequest{})
			c, err3 := w.cache.Services(w.Context(), api.CatalogRequest{})
			if err := errors.Join(err, err2, err3); err != nil || a.Cache.Used || b.Cache.Used || c.Cache.Used {
				w.Errorf("%v %v %v, %v", a, b, c, err)
			}
		}
		if n := w.catalog.times(); n != 6 || w.cache.Len() != 0 {
			w.Errorf("the source was asked %d times, %d results are kept", n, w.cache.Len())
		}
	})
}

func TestACacheThatClosesLetsReadersGo(t *testing.T) {
	inWorld(t, func(w world) {
		w.health()
		done := make(chan answer)
		go func() { done <- w.health(waitFor(10)) }()
		synctest.Wait()
		w.cache.Close()
		w.want(<-done, answer{name: "10"})
		if a, err := w.cache.HealthOfService(w.Context(), cached()); err != nil || a.Items[0].Node.Node != "10" || w.cache.Len() != 0 {
			w.Errorf("after it closed: %+v, %v", a, err)
		}
	})
}
