// Package local is what this agent itself knows: the services and checks that
// were registered with it, and its own node. The agent is their authority; the
// catalog, which all agents share, is brought in line with them by anti-entropy
// (Consul documentation: Anti-Entropy).
//
//   - register.go takes services and checks in and out; load.go those of the
//     configuration and of the data directory; maintenance.go are the checks that
//     take an instance out of use by hand.
//   - update.go is what checks find.
//   - table.go is what there is; read.go shows it.
//   - sync.go is anti-entropy: when; diff.go is what it finds, push.go what it
//     writes.
//   - files.go keeps registrations over restarts.
//
// A check that runs is a Probe; who makes probes is given from outside.
package local

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"tribune/impl/api"
	"tribune/impl/host"
)

// Catalog is where registrations go.
type Catalog interface {
	Register(context.Context, api.RegisterRequest) (api.WriteResponse, error)
	Deregister(context.Context, api.DeregisterRequest) (api.WriteResponse, error)
	NodeServices(context.Context, api.CatalogRequest) (api.NodeServicesResponse, error)
	NodeChecks(context.Context, api.CatalogRequest) (api.List[api.HealthCheck], error)
}

// Probe is a check that runs and calls State.UpdateCheck with what it finds.
type Probe interface {
	// Stop ends it and waits until it has ended.
	Stop()
	// Touch sets what a TTL check finds, for one TTL, and returns how much is kept of the
	// output. Other kinds refuse.
	Touch(status, output string) (kept string, err error)
}

// Prober makes probes.
type Prober interface {
	// Validate returns why a check cannot be; filed is set for one that the
	// configuration defines.
	Validate(d api.CheckDefinition, filed bool) error
	// Start has a check run until it is stopped.
	Start(api.CheckDefinition) (Probe, error)
}

// Config is what the state stands on.
type Config struct {
	Node    api.Node      // this agent's: name, ID, address, datacenter, tagged addresses, metadata
	Token   func() string // for what has none of its own
	FS      host.FS
	Dir     string // where registrations are kept
	Catalog Catalog
	Members func() int // how many agents the cluster has
	Logger  *slog.Logger
	// OutputDelay is how long the catalog may lag behind in what a check printed,
	// as long as its status is the same (Consul: check_update_interval); 0: not
	// at all.
	OutputDelay   time.Duration
	DiscardOutput bool // keep nothing of what checks print, until SetDiscardOutput
}

// State is what the agent knows, and how it changes.
type State struct {
	*table
	config Config
	log    *slog.Logger
	files  files
	sync   *syncer
	prober Prober

	// changing is held by those who register and deregister: one at a time, since
	// they wait for probes to stop and for files to be written.
	changing sync.Mutex

	stop context.CancelFunc
	wait sync.WaitGroup
}

// New returns a state without services and checks. Start must follow, once the
// prober is known, whose probes report to the state.
func New(c Config) *State {
	t := &table{node: c.Node, discard: c.DiscardOutput, services: map[string]*service{}, checks: map[string]*check{}, changed: make(chan struct{})}
	return &State{
		table: t, config: c, log: c.Logger, files: files{c.FS, c.Dir, c.Logger},
		sync: &syncer{table: t, config: c, log: c.Logger, soon: make(chan struct{}, 1), full: make(chan struct{}, 1), asked: make(chan chan struct{}), over: make(chan struct{})},
	}
}

// Start takes up what the configuration and the data directory say, and begins
// to keep the catalog in line.
func (s *State) Start(p Prober, d Definitions) error {
	s.prober = p
	if err := s.load(d); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.wait.Go(func() { s.sync.run(ctx) })
	s.wait.Go(func() { s.reap(ctx) })
	return nil
}

// StopSync ends anti-entropy, and waits until it has ended: the catalog does not hear
// of this agent any more. Close must follow.
func (s *State) StopSync() {
	if s.stop != nil {
		s.stop()
		s.wait.Wait()
	}
}

// Close stops all probes and anti-entropy; registrations stay in the catalog and
// on disk. It waits until everything has stopped.
func (s *State) Close() {
	s.StopSync()
	s.changing.Lock()
	defer s.changing.Unlock()
	for _, c := range s.all() {
		if c.probe != nil {
			c.probe.Stop()
		}
	}
}

// Node is this agent's node as the catalog shall have it.
func (s *State) Node() api.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.node
}

// SetNodeMeta gives the node other metadata, which nobody may change afterwards.
func (s *State) SetNodeMeta(meta map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !maps.Equal(meta, s.node.Meta) {
		s.node.Meta, s.nodeSame = meta, false
		s.push()
	}
}

// SetDiscardOutput says whether something is kept of what checks print from now on.
func (s *State) SetDiscardOutput(discard bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discard = discard
}

// Sync has the catalog looked through soon.
func (s *State) Sync() { kick(s.sync.full) }

// Flush waits until the catalog has heard of all that has changed, or could not be told;
// for ten seconds at most, and until the context ends. (Consul, too, tries to write a change
// to the catalog before it answers whoever made it.)
func (s *State) Flush(ctx context.Context) { s.sync.flush(ctx) }

// push has what is not in the catalog written there now.
func (s *State) push() { kick(s.sync.soon) }

func kick(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
