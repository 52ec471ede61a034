package agent_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// BenchmarkBlockingQueries has 1,000 clients wait for a service each, and changes
// one service after the other. It ends with an error if another client than that
// service's is woken.
func BenchmarkBlockingQueries(b *testing.B) {
	const services = 1000
	c := start(b, 1)
	name := func(i int) string { return fmt.Sprintf("s%d", i) }
	for i := range services {
		c.register(name(i), 1)
	}
	ctx, stop := context.WithCancel(b.Context())
	woken := make(chan int)
	var armed, wait sync.WaitGroup
	var answers atomic.Int64
	armed.Add(services)
	defer wait.Wait()
	defer stop()
	for i := range services {
		client, _ := connect(b, c.leader.Agent, fmt.Sprintf("127.0.0.%d", i%10+1))
		wait.Go(func() {
			first := sync.OnceFunc(armed.Done)
			defer first()
			for o := (&api.QueryOptions{}).WithContext(ctx); ; {
				_, meta, err := client.Health().Service(name(i), "", false, o)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					b.Error(err)
					return
				}
				if o.WaitIndex > 0 {
					answers.Add(1)
					woken <- i
				}
				o.WaitIndex = meta.LastIndex
				first()
			}
		})
	}
	armed.Wait()
	changes := 0
	c.measure(b, func(int) error {
		i := changes * 7 % services
		changes++
		r := instance(name(i), 0)
		r.Service.Port = 10000 + changes
		if _, err := c.leader.Catalog().Register(r, nil); err != nil {
			return err
		}
		if got := <-woken; got != i {
			return fmt.Errorf("service %d was changed and the client of %d woken", i, got)
		}
		return nil
	})
	select {
	case i := <-woken:
		b.Errorf("the client of %d was woken in the end, too", i)
	case <-time.After(200 * time.Millisecond):
	}
	b.ReportMetric(float64(answers.Load())/float64(changes), "wakes/change")
}

const services = 5000

// service is the registration of one of many services, a hundred to a node.
func service(i, port int) *api.CatalogRegistration {
	r := instance(fmt.Sprintf("service-%d", i), i/100)
	r.Service.Port = port
	return r
}

// BenchmarkFillCatalog registers one service after the other with a server that
// has none yet, for sixteen clients at once, and reports what memory each takes,
// with its share of what raft keeps of its log in memory.
func BenchmarkFillCatalog(b *testing.B) {
	c := start(b, 1)
	before := heap()
	c.together(b, 16, func(i int) error {
		_, err := c.leader.Catalog().Register(service(i, 8080), nil)
		return err
	})
	b.ReportMetric(float64(heap()-before)/float64(b.N), "heap-B/service")
}

// heap is how many bytes are in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools held on to
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkFullCatalog uses a catalog of 5,000 services.
func BenchmarkFullCatalog(b *testing.B) {
	c := start(b, 1)
	for i := range services {
		if _, err := c.leader.Catalog().Register(service(i, 8080), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("register", func(b *testing.B) {
		c.measure(b, func(i int) error {
			_, err := c.leader.Catalog().Register(service(i%services, 10000+i), nil)
			return err
		})
	})
	b.Run("services/client", func(b *testing.B) {
		c.measure(b, func(int) error {
			found, _, err := c.leader.Catalog().Services(nil)
			if err == nil && len(found) != services+1 { // and the servers themselves
				err = fmt.Errorf("%d services", len(found))
			}
			return err
		})
	})
	b.Run("services/http", func(b *testing.B) {
		c.measure(b, func(int) error { return c.leader.get("/v1/catalog/services") })
	})
	b.Run("health", func(b *testing.B) {
		c.measure(b, func(i int) error {
			_, _, err := c.leader.Health().Service(fmt.Sprintf("service-%d", i%services), "", false, nil)
			return err
		})
	})
	b.Run("snapshot", func(b *testing.B) {
		c.measure(b, func(int) error {
			if err := c.leader.put("k", nil); err != nil { // without a change there is none to take
				return err
			}
			return c.leader.Server().Raft().Snapshot()
		})
	})
}
