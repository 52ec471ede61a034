// Package server is the brain of a server agent: it puts gossip, raft, the state
// machine and the server port together, and answers requests.
//
//   - server.go opens and closes the parts.
//   - bootstrap.go makes the first raft group out of what gossip finds.
//   - leader.go holds the leader's life, and decides from when on it may answer
//     reads; members.go keeps the raft group as gossip sees it, enroll.go the
//     catalog, for which census.go knows who ever was a member; tombstones.go
//     forgets old deletions; care.go removes services that are ill for too long.
//   - forward.go brings a request to the server that may answer it.
//   - read.go is reading: the three consistency modes and blocking queries;
//     confirm.go is how a consistent read makes sure that the leader still leads.
//   - metrics.go is what the server tells about its work.
//   - kv.go, catalog.go, session.go, txn.go, coordinate.go, query.go and status.go are the endpoints, for callers in this
//     process and, in the table of endpoints.go, for agents and other servers.
package server

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path"
	"strconv"
	"sync"
	"time"

	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/impl/fsm"
	"tribune/impl/gossip"
	"tribune/impl/host"
	"tribune/impl/metrics"
	"tribune/impl/rpc"
)

// Config says who the server is. All of it is required but where a default is
// named.
type Config struct {
	Host       host.Host
	Logger     *slog.Logger
	NodeName   string
	NodeID     string
	Datacenter string
	DataDir    string
	Build      string // version, shown to others

	RPCBind      string         // "IP:PORT" of the server port
	RPCAdvertise netip.AddrPort // where others reach it
	LANBind      string         // "IP:PORT" of the gossip port
	LANAdvertise netip.AddrPort

	Bootstrap       bool // lead a group of one, without asking anybody
	BootstrapExpect int  // make the first group once so many servers are there; 0: join one that exists

	MaxValueSize int // most bytes of a KV value; 0: DefaultMaxValueSize

	ReapServices bool // deregister services whose checks are critical for too long, see care.go

	Events chan<- api.RawEvent // see gossip.Config; nil: they are lost

	Metrics *metrics.Registry // gets the server's figures; nil: nobody does

	Raft RaftConfig

	Times  Times
	Gossip gossip.Settings
}

// Times are bounds of what clients ask for.
type Times struct {
	Query         api.QueryTimes
	SessionTTLMin time.Duration // the least TTL of a session; 0: api.MinSessionTTL
}

// RaftConfig are raft's settings; zero means the default of consensus.Config.
type RaftConfig struct {
	Multiplier int
	Alone      bool
	Compaction Compaction
	KeepDead   bool // servers stay in the group that failed, also when another has come
}

// Compaction says when a snapshot takes the place of the log.
type Compaction = consensus.Compaction

// SetCompaction is consensus.Node.SetCompaction.
func (s *Server) SetCompaction(c Compaction) error { return s.raft.SetCompaction(c) }

// timers are the times that run for sessions.
type timers struct {
	leases leases
	delays delays
}

// DefaultMaxValueSize is Consul's limit on a KV value, in bytes.
const DefaultMaxValueSize = 512 << 10

// Server is a running server.
type Server struct {
	config Config
	log    *slog.Logger
	fsm    *fsm.FSM
	raft   *consensus.Node
	port   *rpc.Port
	pool   *gossip.Pool
	client *rpc.Client
	rpc    *rpc.Server

	tenure tenure
	quorum quorum
	book   addressBook
	timers
	census  census
	places  places
	members chan struct{} // they changed: the leader looks again

	ctx  context.Context // ends when the server closes
	stop context.CancelFunc
	wait sync.WaitGroup

	figures *figures
	close   closing
}

// closing is done once.
type closing struct {
	once sync.Once
	err  error
}

// New starts a server: everything, or nothing with an error that says what
// could not be had.
func New(ctx context.Context, c Config) (*Server, error) {
	c.MaxValueSize = cmp.Or(c.MaxValueSize, DefaultMaxValueSize)
	c.Times.SessionTTLMin = cmp.Or(c.Times.SessionTTLMin, api.MinSessionTTL)
	s := &Server{config: c, log: c.Logger, members: make(chan struct{}, 1), quorum: quorum{kick: make(chan struct{}, 1)}}
	if c.Metrics == nil {
		s.config.Metrics = metrics.New()
	}
	s.census.patience = cmp.Or(c.Gossip.Reconnect, gossip.DefaultReconnect)
	s.figures = newFigures(s.config.Metrics)
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.measure(s.config.Metrics)
	s.wait.Go(s.watchMembers)
	s.wait.Go(s.watchLeadership)
	s.wait.Go(s.askQuorum)
	s.wait.Go(s.keepPlaces)
	return s, nil
}

// open opens the parts, gossip last: it tells others that they can be used.
func (s *Server) open(ctx context.Context) error {
	var err error
	c := s.config
	if s.fsm, err = fsm.New(s.log, s.delays.add); err != nil {
		return err
	}
	if s.port, err = rpc.Listen(ctx, c.Host.Network(), c.RPCBind, c.RPCAdvertise, s.log); err != nil {
		return err
	}
	s.client = rpc.NewClient(c.Host.Network())
	s.raft, err = consensus.Open(consensus.Config{
		ID: c.NodeID, FS: c.Host.FS(), Dir: path.Join(c.DataDir, "raft"), FSM: s.fsm, Stream: s.port.Raft(),
		Address: s.book.find, Logger: s.log, Multiplier: c.Raft.Multiplier, Alone: c.Raft.Alone, Compaction: c.Raft.Compaction,
	})
	if err != nil {
		return err
	}
	s.rpc = rpc.Serve(s.port, s.endpoints()...)
	if err := host.MakeDir(c.Host.FS(), path.Join(c.DataDir, "serf"), 0o700); err != nil {
		return err
	}
	s.pool, err = gossip.Start(ctx, gossip.Config{
		Name: c.NodeName, Bind: c.LANBind, Advertise: c.LANAdvertise, Tags: s.tags(), Admit: gossip.Only(c.Datacenter),
		Network: c.Host.Network(), FS: c.Host.FS(), PeersFile: path.Join(c.DataDir, "serf", "lan-peers.json"), Events: c.Events, Logger: s.log,
		Metrics: s.config.Metrics, Settings: c.Gossip,
	})
	return err
}

// tags is what the server says about itself in gossip.
func (s *Server) tags() map[string]string {
	c := s.config
	tags := gossip.Tags(c.Datacenter, c.NodeID, c.Build, strconv.Itoa(int(c.RPCAdvertise.Port())))
	tags["raft_vsn"] = "3"
	if c.Bootstrap {
		tags["bootstrap"] = "1"
	}
	if c.BootstrapExpect > 0 {
		tags["expect"] = strconv.Itoa(c.BootstrapExpect)
	}
	return tags
}

// watchMembers acts on every change of membership: bootstrap, the connections
// to other servers, and the leader's reconciliation.
func (s *Server) watchMembers() {
	s.book.write(s.peers())
	s.census.meet(s.pool.Members())
	done := s.bootstrap()
	for {
		var again <-chan time.Time
		if !done {
			again = time.After(bootstrapWait)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-again:
		case <-s.pool.Changed():
			s.book.write(s.peers())
			s.census.meet(s.pool.Members())
			select {
			case s.members <- struct{}{}:
			default:
			}
			if err := s.client.Keep(s.addresses()); err != nil {
				s.log.Warn("the connection to a server that went away could not be closed", "error", err)
			}
		}
		if !done {
			done = s.bootstrap()
		}
	}
}

// addresses are those at which other servers are or may come back. gossip and
// raft may each know one that the other does not know yet.
func (s *Server) addresses() []string {
	var found []string
	for _, p := range s.peers() {
		if p.status != gossip.StatusLeft {
			found = append(found, p.address)
		}
	}
	group, err := s.raft.Servers()
	if err != nil {
		s.log.Warn("the raft group could not be read", "error", err)
	}
	for _, m := range group {
		found = append(found, m.Address)
	}
	_, leader := s.raft.Leader()
	return append(found, leader)
}

// Close stops the server without a word to the others and waits until all of
// it has stopped. What was acknowledged is on disk.
//
// The port closes before raft, so that nothing raft still says gets out; raft
// closes before the requests are waited for, since some of them wait for raft.
func (s *Server) Close() error {
	s.close.once.Do(func() {
		s.stop()
		var errs []error
		if s.pool != nil {
			errs = append(errs, s.pool.Close())
		}
		if s.port != nil {
			errs = append(errs, s.port.Close())
		}
		if s.raft != nil {
			errs = append(errs, s.raft.Close())
		}
		if s.rpc != nil {
			s.rpc.Close()
		}
		if s.client != nil {
			errs = append(errs, s.client.Close())
		}
		s.wait.Wait()
		s.close.err = errors.Join(errs...)
	})
	return s.close.err
}

// Members lists the members of the LAN pool, sorted by name.
func (s *Server) Members() []api.Member { return s.pool.Members() }

// Join contacts agents of the LAN pool and returns how many answered.
func (s *Server) Join(ctx context.Context, addresses []string) (int, error) {
	return s.pool.Join(ctx, addresses)
}

// ForceLeave moves a failed member to "left"; with prune it is forgotten.
func (s *Server) ForceLeave(name string, prune bool) error { return s.pool.Remove(name, prune) }

// Fire sends an event to all agents of the LAN pool, see gossip.Pool.
func (s *Server) Fire(name string, payload []byte) error { return s.pool.Fire(name, payload) }

// Raft is the server's part in the raft group.
func (s *Server) Raft() *consensus.Node { return s.raft }

// StateDigest is the SHA-256 of the replicated state: equal on servers that
// have applied the same entries.
func (s *Server) StateDigest() (string, error) { return s.fsm.Digest() }

// Watched is the number of channels of the state on which blocking queries wait.
func (s *Server) Watched() int { return s.fsm.Store().Watched() }

// Failed receives the error after which the server cannot go on, such as a disk
// that refused a write; it should be closed then.
func (s *Server) Failed() <-chan error { return s.raft.Failed() }
