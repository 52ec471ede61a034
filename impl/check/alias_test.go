package check_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tribune/impl/api"
)

// registry is what an agent or a catalog has, for one node.
type registry struct {
	mu       sync.Mutex
	changed  chan struct{}
	index    uint64
	services []string
	checks   []api.HealthCheck
	err      error // what reads answer
	unsure   error // what a read of services answers
	asked    []api.CatalogRequest
}

func newRegistry(services ...string) *registry {
	return &registry{changed: make(chan struct{}), index: 10, services: services}
}

// set replaces or adds a check, and wakes who waits.
func (r *registry) set(h api.HealthCheck) {
	r.change(func() {
		i := slices.IndexFunc(r.checks, func(o api.HealthCheck) bool { return o.CheckID == h.CheckID })
		if i < 0 {
			r.checks = append(r.checks, h)
		} else {
			r.checks[i] = h
		}
	})
}

func (r *registry) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	r.index++
	r.wake()
}

// fail has reads answer an error, or no more; nothing else changes.
func (r *registry) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	r.wake()
}

// wake wakes who waits. The caller holds mu.
func (r *registry) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Changed implements check.Local.
func (r *registry) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// ChecksOf implements check.Local.
func (r *registry) ChecksOf(service string) ([]api.HealthCheck, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []api.HealthCheck
	for _, h := range r.checks {
		if h.ServiceID == service {
			list = append(list, h)
		}
	}
	return list, slices.Contains(r.services, service)
}

// NodeChecks implements check.Catalog: a blocking query.
func (r *registry) NodeChecks(ctx context.Context, q api.CatalogRequest) (api.List[api.HealthCheck], error) {
	limit := time.After(q.MaxQueryTime)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, q)
	for r.err == nil && r.index <= q.MinQueryIndex {
		changed := r.changed
		r.mu.Unlock()
		over := false
		select {
		case <-changed:
		case <-limit:
			over = true
		case <-ctx.Done():
		}
		r.mu.Lock()
		if ctx.Err() != nil {
			return api.List[api.HealthCheck]{}, ctx.Err()
		}
		if over {
			break
		}
	}
	return api.List[api.HealthCheck]{Items: slices.Clone(r.checks), QueryMeta: api.QueryMeta{Index: r.index}}, r.err
}

// NodeServices implements check.Catalog.
func (r *registry) NodeServices(_ context.Context, q api.CatalogRequest) (api.NodeServicesResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var a api.NodeServicesResponse
	if q.Node == "there" {
		a.Node = &api.Node{Node: q.Node}
	}
	for _, s := range r.services {
		a.Services = append(a.Services, api.NodeService{ID: s})
	}
	return a, errors.Join(r.err, r.unsure)
}

func (r *registry) requests() []api.CatalogRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

func on(node, id, service, status string) api.HealthCheck {
	return api.HealthCheck{Node: node, CheckID: id, Name: "check " + id, ServiceID: service, Status: status, Output: "it says " + status}
}

// An alias of a service of this agent and one of another node's tell the same
// story.
func TestAnAliasIsAsBadAsTheWorstThatItMirrors(t *testing.T) {
	for node, d := range map[string]api.CheckDefinition{
		"here":  {AliasService: "db"},
		"there": {AliasService: "db", AliasNode: "there"},
	} {
		t.Run(node, func(t *testing.T) {
			inWorld(t, func(w *world) {
				r := newRegistry("db", "web")
				w.config.Local, w.config.Catalog = r, r
				k := w.start(d)
				w.want(<-w.heard, api.HealthPassing, "No checks found.")
				r.set(on(node, "a", "db", api.HealthPassing))
				w.want(<-w.heard, api.HealthPassing, "All checks passing.")
				r.set(on(node, "b", "db", api.HealthWarning))
				w.want(<-w.heard, api.HealthWarning, `Aliased check "check b" failing: it says warning`)
				r.set(on(node, "e", "db", api.HealthPassing))
				r.set(on(node, "z", "web", api.HealthCritical)) // of another service
				w.silent()
				r.set(on(node, "e", "db", api.HealthCritical))
				w.want(<-w.heard, api.HealthCritical, `Aliased check "check e" failing: it says critical`)
				r.set(on(node, "e", "db", api.HealthPassing))
				w.want(<-w.heard, api.HealthWarning, `Aliased check "check b" failing: it says warning`)
				r.set(on(node, "disk", "", api.HealthCritical)) // of the node
				w.want(<-w.heard, api.HealthCritical, `Aliased check "check disk" failing: it says critical`)
				r.change(func() {
					r.services = []string{"web"}
					r.checks = slices.DeleteFunc(r.checks, func(h api.HealthCheck) bool { return h.ServiceID == "db" })
				})
				w.want(<-w.heard, api.HealthCritical, "Service db could not be found on node "+node)
				w.promptly(k)
			})
		})
	}
}

func TestAnAliasDoesNotMirrorItself(t *testing.T) {
	inWorld(t, func(w *world) {
		r := newRegistry("db")
		w.config.Local = r
		r.set(on("here", "a", "db", api.HealthCritical))
		r.set(on("here", "me", "", api.HealthCritical))
		k := w.start(api.CheckDefinition{CheckID: "me", AliasService: "db"})
		w.want(<-w.heard, api.HealthCritical, `Aliased check "check a" failing: it says critical`)
		r.set(on("here", "a", "db", api.HealthPassing))
		w.want(<-w.heard, api.HealthPassing, "All checks passing.")
		w.promptly(k)
	})
}

func TestAnAliasDoesNotMirrorAliasesThatAreChecksOfTheNode(t *testing.T) {
	for node, d := range map[string]api.CheckDefinition{
		"here":  {AliasService: "db"},
		"there": {AliasService: "db", AliasNode: "there"},
	} {
		inWorld(t, func(w *world) {
			r := newRegistry("db")
			w.config.Local, w.config.Catalog = r, r
			other := on(node, "other", "", api.HealthCritical)
			other.Type = "alias"
			r.set(other)
			k := w.start(d)
			w.want(<-w.heard, api.HealthPassing, "No checks found.")
			w.promptly(k)
		})
	}
}

// Two aliases that mirror each other do not tell each other's story for ever; nor is
// one told at full length.
func TestWhatAnAliasSaysHasABound(t *testing.T) {
	inWorld(t, func(w *world) {
		r := newRegistry("db")
		w.config.Local = r
		w.config.OutputMaxSize = 5
		r.set(on("here", "b", "db", api.HealthWarning))
		k := w.start(api.CheckDefinition{AliasService: "db"})
		w.want(<-w.heard, api.HealthWarning, `Aliased check "check b" failing: it sa ... (captured 5 of 15 bytes)`)
		other := on("here", "a", "db", api.HealthCritical)
		other.Type = "alias"
		r.set(other)
		w.want(<-w.heard, api.HealthCritical, `Aliased check "check a" failing`)
		other.Output = "something else"
		r.set(other)
		w.silent()
		w.promptly(k)
	})
}

func TestAnAliasOfANodeMirrorsItsOwnChecksOnly(t *testing.T) {
	inWorld(t, func(w *world) {
		r := newRegistry("db")
		w.config.Catalog = r
		k := w.start(api.CheckDefinition{AliasNode: "elsewhere"})
		w.want(<-w.heard, api.HealthCritical, "Node elsewhere could not be found")
		k.Stop()
		k = w.start(api.CheckDefinition{CheckID: "same", AliasNode: "there"})
		w.want(<-w.heard, api.HealthPassing, "No checks found.")
		r.set(on("there", "a", "db", api.HealthCritical))
		w.silent()
		r.set(on("there", "same", "", api.HealthWarning)) // another node's, whatever it is called
		w.want(<-w.heard, api.HealthWarning, `Aliased check "check same" failing: it says warning`)
		w.promptly(k)
	})
}

func TestAnAliasOfAnotherNodeWaitsForChangesAndReadsStale(t *testing.T) {
	inWorld(t, func(w *world) {
		r := newRegistry("db")
		w.config.Catalog = r
		k := w.start(api.CheckDefinition{AliasNode: "there", AliasService: "db", Token: "secret"})
		<-w.heard
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		asked := r.requests()
		if len(asked) != 12 {
			t.Errorf("%d reads in ten minutes", len(asked))
		}
		for i, q := range asked {
			if q.Node != "there" || q.Token != "secret" || !q.AllowStale || q.MaxStaleDuration == 0 || q.MaxQueryTime != time.Minute || i > 0 && q.MinQueryIndex != 10 {
				t.Errorf("%+v", q)
			}
		}
		w.silent()
		w.promptly(k)
	})
}

func TestAnAliasWhoseCatalogCannotBeReadIsCriticalUntilItCan(t *testing.T) {
	inWorld(t, func(w *world) {
		r := newRegistry("db")
		w.config.Catalog = r
		k := w.start(api.CheckDefinition{AliasNode: "there", AliasService: "db"})
		w.want(<-w.heard, api.HealthPassing, "No checks found.")
		r.change(func() { r.err = errors.New("No cluster leader") })
		w.silent() // once may be an election
		w.want(<-w.heard, api.HealthCritical, "Failure checking aliased node or service: No cluster leader")
		before := len(r.requests())
		time.Sleep(time.Hour)
		if tries := len(r.requests()) - before; tries < 50 || tries > 80 {
			t.Errorf("%d reads in an hour", tries)
		}
		w.silent()
		r.change(func() { r.err = nil })
		w.want(<-w.heard, api.HealthPassing, "No checks found.")
		r.change(func() { r.services, r.unsure = nil, errors.New("No cluster leader") })
		w.silent() // nobody can tell that it is gone
		r.change(func() { r.unsure = nil })
		w.want(<-w.heard, api.HealthCritical, "Service db could not be found on node there")
		r.change(func() { r.err = errors.New("No cluster leader") })
		time.Sleep(10 * time.Minute)
		<-w.heard
		w.promptly(k) // while it waits for its next try
	})
}

func TestAnAliasIsAsItWasSoonAfterTheServersAreBack(t *testing.T) {
	inWorld(t, func(w *world) {
		r := newRegistry("db")
		w.config.Catalog = r
		k := w.start(api.CheckDefinition{AliasNode: "there", AliasService: "db"})
		w.want(<-w.heard, api.HealthPassing, "No checks found.")
		r.fail(errors.New("No cluster leader"))
		w.want(<-w.heard, api.HealthCritical, "Failure checking aliased node or service: No cluster leader")
		r.fail(nil)
		began := time.Now()
		w.want(<-w.heard, api.HealthPassing, "No checks found.")
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		w.promptly(k)
	})
}

func TestAServerThatNeverAnswersAnAliasIsGivenUp(t *testing.T) {
	inWorld(t, func(w *world) {
		w.config.Catalog = silentCatalog{}
		k := w.start(api.CheckDefinition{AliasNode: "there", AliasService: "db"})
		w.want(<-w.heard, api.HealthCritical, "Failure checking aliased node or service: context deadline exceeded")
		w.promptly(k)
	})
}

type silentCatalog struct{}

func (silentCatalog) NodeChecks(ctx context.Context, _ api.CatalogRequest) (api.List[api.HealthCheck], error) {
	<-ctx.Done()
	return api.List[api.HealthCheck]{}, ctx.Err()
}

func (silentCatalog) NodeServices(ctx context.Context, _ api.CatalogRequest) (api.NodeServicesResponse, error) {
	<-ctx.Done()
	return api.NodeServicesResponse{}, ctx.Err()
}
