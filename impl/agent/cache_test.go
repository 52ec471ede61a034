package agent_test

import (
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/config"
)

// TestACachedAnswerOutlivesTheServers has a client agent whose only server goes.
func TestACachedAnswerOutlivesTheServers(t *testing.T) {
	inWorld(t, func(w world) {
		one, two := w.machine(1), w.machine(2)
		server := one.start()
		one.ready(server)
		client := two.start(func(c *config.Config) {
			c.Server, c.BootstrapExpect, c.Join.Start = false, 0, []string{"10.0.0.1"}
		})
		c := two.client(client)
		register := func(node string) {
			if _, err := c.Catalog().Register(&capi.CatalogRegistration{Node: node, Address: "10.9.9.9", Service: &capi.AgentService{Service: "web"}}, nil); err != nil {
				w.Fatal(err)
			}
		}
		cached := &capi.QueryOptions{UseCache: true}
		read := func(nodes int, hit bool, age time.Duration) {
			w.Helper()
			found, meta, err := c.Health().Service("web", "", false, cached)
			if err != nil || len(found) != nodes || meta.CacheHit != hit || meta.CacheAge.Round(time.Minute) != age {
				w.Errorf("%d found, %+v, %v; want %d, %v, %v", len(found), meta, err, nodes, hit, age)
			}
		}
		register("a")
		read(1, false, 0)
		read(1, true, 0)
		register("b")
		time.Sleep(time.Second)
		read(2, true, 0)
		if _, meta, err := c.Catalog().Service("web", "", cached); err != nil || meta.CacheHit {
			w.Errorf("%+v, %v", meta, err)
		}
		if _, meta, err := c.Catalog().Services(cached); err != nil || meta.CacheHit {
			w.Errorf("%+v, %v", meta, err)
		}
		w.close(server)
		time.Sleep(10 * time.Minute)
		read(2, true, 10*time.Minute)
		if _, meta, err := c.Catalog().Services(cached); err != nil || !meta.CacheHit {
			w.Errorf("%+v, %v", meta, err)
		}
		fresh := &capi.QueryOptions{UseCache: true, MaxAge: time.Minute}
		if _, _, err := c.Catalog().Services(fresh); err == nil {
			w.Error("what is older than a minute is answered")
		}
		fresh.StaleIfError = time.Hour
		if _, meta, err := c.Catalog().Services(fresh); err != nil || meta.CacheAge < 9*time.Minute {
			w.Errorf("%+v, %v", meta, err)
		}
		if status, answer, _ := two.ask(client, "GET", "/v1/health/service/web?cached&consistent", ""); status != 400 || answer != "Cannot specify ?cached with ?consistent, conflicting semantics." {
			w.Errorf("%d %s", status, answer)
		}
		w.close(client)
	})
}
