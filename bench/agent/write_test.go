package agent_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// BenchmarkKVPut writes with several clients at once, each of which waits for
// its answer.
func BenchmarkKVPut(b *testing.B) {
	for _, servers := range []int{1, 3} {
		b.Run(fmt.Sprintf("servers=%d", servers), func(b *testing.B) {
			c := start(b, servers)
			for _, clients := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
					c.together(b, clients, func(i int) error {
						return c.leader.put(fmt.Sprintf("k%d", i%100), []byte("value"))
					})
				})
			}
		})
	}
}

// together is measure for several at once.
func (c cluster) together(b *testing.B, clients int, do func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	orders := make(chan int)
	var mu sync.Mutex
	var took latencies
	var wait sync.WaitGroup
	for range clients {
		wait.Go(func() {
			for i := range orders {
				begun := time.Now()
				if err := do(i); err != nil {
					b.Error(err)
				}
				mu.Lock()
				took = append(took, time.Since(begun))
				mu.Unlock()
			}
		})
	}
	for i := 0; b.Loop(); i++ {
		orders <- i
	}
	close(orders)
	wait.Wait()
	took.report(b)
	c.leads(b)
}

// BenchmarkAgentService registers a service with the agent, and takes it away.
func BenchmarkAgentService(b *testing.B) {
	c := start(b, 1)
	c.measure(b, func(i int) error {
		id := fmt.Sprintf("web-%d", i)
		s := &api.AgentServiceRegistration{ID: id, Name: "web", Port: 8080, Tags: []string{"v1"}, Check: &api.AgentServiceCheck{TTL: "1m"}}
		if err := c.leader.Client.Agent().ServiceRegister(s); err != nil {
			return err
		}
		return c.leader.Client.Agent().ServiceDeregister(id)
	})
}
