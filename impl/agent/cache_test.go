package agent_test

import (
	"fmt"
	"strings"
	"sync"
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
			c.Server, c.BootstrapExpect, c.Join.Retry = false, 0, []string{"10.0.0.1"}
		})
		two.ready(client)
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

// TestReadersDoNotWriteIntoWhatTheyShare has many read the same rows of the store and
// the same results of the cache at once, in every way that changes an answer before it
// is shown. It is for the race detector; and nobody may see what another one made of it.
func TestReadersDoNotWriteIntoWhatTheyShare(t *testing.T) {
	inWorld(t, func(w world) {
		m := w.machine(1)
		a := m.start()
		m.ready(a)
		for i := range 20 { // without tags, which are shown as an empty list
			m.want(a, "PUT", "/v1/catalog/register", fmt.Sprintf(`{"Node": "n%d", "Address": "10.9.9.9", "Service": {"Service": "web"},
				"Checks": [{"Name": "node", "Status": "passing"}, {"Name": "web", "ServiceID": "web"}]}`, i), "true")
		}
		paths := []string{
			"/v1/health/service/web?", "/v1/health/service/web?near=n3", "/v1/health/service/web?filter=Node.Node!=n2", "/v1/health/service/web?effective",
			"/v1/catalog/service/web?", "/v1/catalog/service/web?near=n3", "/v1/catalog/service/web?filter=Node!=n2",
			"/v1/catalog/services?", "/v1/catalog/services?filter=Node!=n2", "/v1/catalog/node/n1?", "/v1/catalog/node-services/n1?",
			"/v1/health/node/n2?", "/v1/health/checks/web?effective", "/v1/health/state/any?near=n2",
		}
		const readers = 6 // of a path, half of them by the cache
		answers := make([][readers]string, len(paths))
		var wait sync.WaitGroup
		for reader := range readers {
			how := []string{"", "&cached"}[reader%2]
			for i, path := range paths {
				wait.Go(func() {
					status, answer, err := m.ask(a, "GET", path+how, "")
					if answers[i][reader] = answer; err != nil || status != 200 {
						w.Errorf("%s: %d %s, %v", path+how, status, answer, err)
					}
				})
			}
		}
		wait.Wait()
		for i, path := range paths {
			for _, answer := range answers[i] {
				if first := answers[i][0]; answer != first || !strings.Contains(answer, "web") || strings.Contains(answer, "Tags\":null") {
					w.Errorf("%s: %s\nand\n%s", path, first, answer)
				}
			}
		}
		w.close(a)
	})
}
