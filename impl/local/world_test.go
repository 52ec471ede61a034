package local_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/host/hosttest"
	"tribune/impl/local"
	"tribune/impl/store"
)

// shared is the catalog: the real tables, without raft.
type shared struct {
	mu     sync.Mutex
	store  *store.Store
	index  uint64
	writes []string      // what was registered and deregistered
	err    error         // the answer to everything, while it is set
	slow   time.Duration // on the way there, and on the way back
	late   func()        // what happens between a look at the services and one at the checks
}

func newShared(t testing.TB) *shared {
	s, err := store.New(catalog.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	return &shared{store: s}
}

func (s *shared) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// write carries out a change of the catalog.
func (s *shared) write(what string, change func(tx *store.Txn, index uint64) error) (api.WriteResponse, error) {
	time.Sleep(s.slow)
	defer time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return api.WriteResponse{}, s.err
	}
	s.index++
	tx := s.store.Write()
	defer tx.Abort()
	err := change(tx, s.index)
	tx.Commit()
	s.writes = append(s.writes, what)
	return api.WriteResponse{Index: s.index}, err
}

func (s *shared) Register(_ context.Context, r api.RegisterRequest) (api.WriteResponse, error) {
	what := "register node"
	if r.Service != nil {
		what = "register " + r.Service.ID
	}
	for _, c := range r.Checks {
		what += " with " + c.CheckID + " " + c.Status
	}
	if r.Check != nil {
		what = "register " + r.Check.CheckID + " " + r.Check.Status
	}
	return s.write(what, func(tx *store.Txn, index uint64) error {
		_, err := catalog.Register(tx, index, r)
		return err
	})
}

func (s *shared) Deregister(_ context.Context, r api.DeregisterRequest) (api.WriteResponse, error) {
	return s.write("deregister "+r.ServiceID+r.CheckID, func(tx *store.Txn, index uint64) error { return catalog.Deregister(tx, index, r) })
}

func (s *shared) NodeServices(_ context.Context, r api.CatalogRequest) (a api.NodeServicesResponse, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return a, s.err
	}
	_, a.Node, a.Services, err = catalog.Node(s.store.Read(), nil, r.Node)
	return a, err
}

func (s *shared) NodeChecks(_ context.Context, r api.CatalogRequest) (a api.List[api.HealthCheck], err error) {
	if s.late != nil {
		s.late()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return a, s.err
	}
	_, a.Items, err = catalog.ChecksOfNode(s.store.Read(), nil, r.Node)
	return a, err
}

// took returns what was written since the last call.
func (s *shared) took() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := strings.Join(s.writes, ", ")
	s.writes = nil
	return list
}

// probes are checks that find what a test tells them.
type probes struct {
	state *local.State
	log   []string
	stops func() // is called when one stops; nil: nothing is
}

type probe struct {
	all *probes
	d   api.CheckDefinition
}

// Validate refuses what is no probe, as the real one does.
func (p *probes) Validate(d api.CheckDefinition, _ bool) error {
	switch {
	case d.HTTP == "invalid":
		return errors.New("that is no URL")
	case d.HTTP == "" && d.TTL <= 0:
		return errors.New("TTL must be > 0 for TTL checks")
	}
	return nil
}

func (p *probes) Start(d api.CheckDefinition) (local.Probe, error) {
	p.log = append(p.log, "start "+d.CheckID)
	return probe{p, d}, nil
}

func (p probe) Stop() {
	p.all.log = append(p.all.log, "stop "+p.d.CheckID)
	if p.all.stops != nil {
		p.all.stops()
	}
}

// Touch keeps eight bytes.
func (p probe) Touch(status, output string) (string, error) {
	output = output[:min(len(output), 8)]
	p.all.state.UpdateCheck(p.d.CheckID, status, output)
	return output, nil
}

func (p *probes) took() string {
	list := strings.Join(p.log, ", ")
	p.log = nil
	return list
}

// agent is one agent's registrations, in a bubble.
type agent struct {
	*testing.T
	*local.State
	catalog *shared
	probes  *probes
	disk    *hosttest.Disk
	delay   time.Duration
}

const node = "n1"

func inBubble(t *testing.T, f func(a *agent)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &agent{T: t, catalog: newShared(t), disk: hosttest.NewDisk()}
		a.start(local.Definitions{})
		defer a.stop()
		a.settle()
		a.catalog.took()
		f(a)
	})
}

func (a *agent) start(d local.Definitions) {
	a.Helper()
	a.State = local.New(local.Config{
		Node: api.Node{ID: "11111111-2222-4333-8444-555555555555", Node: node, Address: "10.0.0.1", Datacenter: "dc1", Meta: map[string]string{"a": "b"}},
		FS:   a.disk, Dir: "/data", Catalog: a.catalog, Members: func() int { return 3 }, Token: func() string { return "" }, Logger: slog.New(slog.DiscardHandler), OutputDelay: a.delay,
	})
	a.probes = &probes{state: a.State}
	if err := a.Start(a.probes, d); err != nil {
		a.Fatal(err)
	}
}

func (a *agent) stop() { a.Close() }

func (a *agent) restart(d local.Definitions) {
	a.Helper()
	a.stop()
	a.start(d)
	a.settle()
}

// settle lets everything happen that is to happen at once.
func (a *agent) settle() { synctest.Wait() }

func (a *agent) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

func (a *agent) wrote(want string) {
	a.Helper()
	a.settle()
	if got := a.catalog.took(); got != want {
		a.Errorf("written to the catalog: %s\nwant: %s", got, want)
	}
}

// wroteInAnyOrder is wrote for several changes at once.
func (a *agent) wroteInAnyOrder(want ...string) {
	a.Helper()
	a.settle()
	got := strings.Split(a.catalog.took(), ", ")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		a.Errorf("written to the catalog: %q\nwant: %q", got, want)
	}
}

func (a *agent) probed(want string) {
	a.Helper()
	if got := a.probes.took(); got != want {
		a.Errorf("probes: %s\nwant: %s", got, want)
	}
}
