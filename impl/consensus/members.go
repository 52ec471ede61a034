package consensus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// Server is a member of the raft group.
type Server struct {
	ID      string
	Address string // "IP:PORT" of its server port
	Voter   bool
}

// Bootstrap gives a server without state its first group. Each of its servers
// may be given the same one.
func (n *Node) Bootstrap(servers []Server) error {
	var c raft.Configuration
	for _, s := range servers {
		c.Servers = append(c.Servers, raft.Server{
			Suffrage: raft.Voter, ID: raft.ServerID(s.ID), Address: raft.ServerAddress(s.Address),
		})
	}
	if err := n.raft.BootstrapCluster(c).Error(); err != nil {
		return fmt.Errorf("bootstrapping raft: %w", err)
	}
	return nil
}

// Servers is the group's latest configuration that this server knows, sorted by ID.
func (n *Node) Servers() ([]Server, error) {
	f := n.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return nil, wrap(err)
	}
	var servers []Server
	for _, s := range f.Configuration().Servers {
		servers = append(servers, Server{string(s.ID), string(s.Address), s.Suffrage == raft.Voter})
	}
	slices.SortFunc(servers, func(a, b Server) int { return strings.Compare(a.ID, b.ID) })
	return servers, nil
}

// changeTimeout is how long a change of the group waits until the last one is committed.
const changeTimeout = 5 * time.Second

// AddVoter adds a server to the group, or changes its address.
func (n *Node) AddVoter(id, address string) error {
	if !n.call() {
		return errClosed
	}
	defer n.calls.Done()
	return wrap(n.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(address), 0, changeTimeout).Error())
}

// RemoveServer takes a server out of the group.
func (n *Node) RemoveServer(id string) error {
	if !n.call() {
		return errClosed
	}
	defer n.calls.Done()
	return wrap(n.raft.RemoveServer(raft.ServerID(id), 0, changeTimeout).Error())
}

// TransferLeadership hands leadership to the most up-to-date follower.
func (n *Node) TransferLeadership() error { return wrap(n.raft.LeadershipTransfer().Error()) }

// Status is a server's view of itself.
type Status struct {
	ID        string
	Leader    bool
	Candidate bool
	Term      uint64
	First     uint64 // first index of the log
	Last      uint64 // last index of the log
	End       uint64 // of the log and the newest snapshot together, as raft has it
	Committed uint64
	Applied   uint64
}

// Status returns the server's view of itself. Its parts are read one after
// the other; Leader belongs to Term.
func (n *Node) Status() Status {
	term := n.raft.CurrentTerm()
	state := n.raft.State()
	if n.raft.CurrentTerm() != term {
		state = raft.Follower // it moved on meanwhile; whoever won will say so
	}
	s := Status{
		ID: n.id, Leader: state == raft.Leader, Candidate: state == raft.Candidate,
		Term: term, Committed: n.raft.CommitIndex(), Applied: n.raft.AppliedIndex(), End: n.raft.LastIndex(),
	}
	// The log's own bounds: raft's LastIndex counts the snapshot too. They
	// cannot fail but when the log is closed.
	s.First, _ = n.log.FirstIndex()
	s.Last, _ = n.log.LastIndex()
	return s
}

// Leader returns the identity and address of the leader that this server knows
// of, empty if it knows none.
func (n *Node) Leader() (id, address string) {
	a, i := n.raft.LeaderWithID()
	return string(i), string(a)
}

// IsLeader reports whether this server takes itself for the leader.
func (n *Node) IsLeader() bool { return n.raft.State() == raft.Leader }
