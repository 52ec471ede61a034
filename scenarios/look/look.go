// Package look is what somebody sees who stops a run and looks around in it: who
// runs, what each agent says of itself and of the cluster, what is on the disks and
// on its way through the sockets, and what the goroutines wait for.
//
//   - look.go: what is seen.
//   - take.go: how it is gathered, in the run's process, from a world that is at rest.
//
// A Seen is plain data, so that it can be sent out of the process of the run.
package look

import (
	"time"

	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/sim"
	"tribune/sim/simdisk"
	"tribune/sim/simnet"
)

// Stop says when to look.
type Stop struct {
	Event uint64        // the number of the last event before, counted from 0
	After time.Duration // since that event
}

// Seen is what there is to see at one moment of a run.
type Seen struct {
	At          time.Duration // true virtual time since the world began
	Events      uint64        // recorded until then
	Fingerprint string        // of these
	Leader      string        // the server that leads in the highest term, empty if none
	Nodes       []Node        // sorted by name
	Goroutines  string        // a dump of all, as runtime.Stack makes it
}

// Node returns the node of a name, nil if there is none.
func (s Seen) Node(name string) *Node {
	for i := range s.Nodes {
		if s.Nodes[i].Name == name {
			return &s.Nodes[i]
		}
	}
	return nil
}

// Node is a machine.
type Node struct {
	Name    string
	Running bool // a process runs on it
	Paused  bool
	Starts  int    // processes that were started on it
	Err     string // with which the last one ended that ended by itself
	Clock   sim.Clock
	Files   []simdisk.FileInfo
	Sockets []simnet.Socket
	Agent   *Agent // nil if none runs here, or it has not started yet
}

// Agent is what an agent says. A part is nil that it has not, as a client agent has
// no raft, or for which it did not answer.
type Agent struct {
	// Silent are the parts for which it did not answer: whoever asked waits for a
	// lock, a goroutine or the disk.
	Silent   []string
	Raft     *Raft
	Log      *Log
	Members  *[]api.Member
	Catalog  *Catalog
	Sessions *[]api.Session
	KV       *[]api.DirEntry
	Local    *Local
}

// Raft is a server's part in the raft group.
type Raft struct {
	consensus.Status
	LeaderID, LeaderAddress string            // as it believes
	Group                   []string          // addresses, as it believes
	Stats                   map[string]string // raft's own figures
	Digest                  string            // SHA-256 of the replicated state
}

// Log is the end of a server's raft log.
type Log struct {
	Entries []Entry // oldest first
	Err     string  // why it could not be read further back
}

// Entry is an entry of the log.
type Entry struct {
	Index, Term uint64
	Text        string // what it is about
}

// Catalog is a server's copy of the catalog.
type Catalog struct {
	Nodes    []api.Node
	Services []Service
	Checks   []api.HealthCheck
}

// Service is an instance of a service.
type Service struct {
	Node string
	api.NodeService
}

// Local is what an agent itself has registered.
type Local struct {
	InSync   bool
	Services []api.AgentService
	Checks   []api.HealthCheck
}
