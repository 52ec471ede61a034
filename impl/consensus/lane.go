package consensus

import (
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// oneLane has raft take heartbeats where it takes everything else. By default
// raft 1.8 takes them beside its main goroutine, to be quick when that waits for
// the disk; then a heartbeat of an old leader that writes its term while the main
// goroutine begins an election in the next one sets the term back, in memory and
// on disk.
//
// What goes through it carries the promises of contact.go.
type oneLane struct {
	*raft.NetworkTransport
	node  *Node
	inbox chan raft.RPC
	stop  chan struct{}
	relay *sync.WaitGroup
}

// newLane returns a lane on a transport. It is closed with close.
func newLane(n *Node) oneLane {
	t := oneLane{n.transport, n, make(chan raft.RPC), make(chan struct{}), &sync.WaitGroup{}}
	t.relay.Go(t.listen)
	return t
}

// close ends what newLane began; the transport is closed by its owner.
func (t oneLane) close() {
	close(t.stop)
	t.relay.Wait()
}

// SetHeartbeatHandler leaves the other lane closed.
func (oneLane) SetHeartbeatHandler(func(raft.RPC)) {}

// Consumer returns what other servers send.
func (t oneLane) Consumer() <-chan raft.RPC { return t.inbox }

// listen hands on what other servers send, and hears the promises. A server whose log
// cannot be written takes part in nothing any more, however long it takes to close: raft
// would install a snapshot, and go on though it could not drop the log before it.
func (t oneLane) listen() {
	for {
		select {
		case <-t.stop:
			return
		case rpc := <-t.NetworkTransport.Consumer():
			if err := t.node.log.before(); err != nil && rpc.Reader == nil {
				rpc.Respond(nil, err)
				continue
			}
			switch c := rpc.Command.(type) {
			case *raft.AppendEntriesRequest:
				//lint:ignore SA1019 it is free, see encode
				if p, ok := decodePromise(c.Leader); ok {
					t.node.contact.hear(c.Term, p, time.Now())
				}
				verified(c)
				t.node.skip(c)
			case *raft.InstallSnapshotRequest:
				rpc.Reader = arriving{rpc.Reader, t.node, c.LastLogIndex, c.LastLogTerm}
				rpc.RespChan = t.content(rpc.RespChan)
			}
			select {
			case t.inbox <- rpc:
			case <-t.stop:
				return
			}
		}
	}
}

// AppendEntries sends entries or a heartbeat, with a promise.
func (t oneLane) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	n := t.node
	p, ok := n.contact.next(id, args.Term)
	if !ok || !n.log.running.Load() {
		return t.NetworkTransport.AppendEntries(id, target, args, resp)
	}
	now := time.Now()
	if since := n.inTerm(args.Term, now, raft.ServerID(n.id), id); !since.IsZero() {
		p.index, p.age = n.state.index.Load(), now.Sub(since)
	}
	message := *args // heartbeats are sent again and again from one place
	//lint:ignore SA1019 it is free, see encode
	message.Leader = p.encode()
	if err := t.NetworkTransport.AppendEntries(id, target, &message, resp); err != nil {
		return err
	}
	if resp.Term == args.Term && n.raft.CurrentTerm() == args.Term {
		n.contact.answer(id, args.Term, p.number, now)
		n.contact.advance(n.inTerm(args.Term, now, raft.ServerID(n.id)))
	}
	return nil
}

// inTerm returns the latest moment at which each of a majority was in a term that
// this server leads, zero if it does not or if that is not known. Those in present
// count as being in it now.
func (n *Node) inTerm(term uint64, now time.Time, present ...raft.ServerID) time.Time {
	servers := n.raft.GetConfiguration().Configuration().Servers
	voters := make([]raft.ServerID, 0, len(servers))
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			voters = append(voters, s.ID)
		}
	}
	moment := n.contact.confirmed(term, voters, now, present...)
	if n.raft.CurrentTerm() != term {
		return time.Time{}
	}
	return moment
}

// errNoSnapshot refuses to send a snapshot.
var errNoSnapshot = errors.New("this server does not lead whom the snapshot is for, or not any more")

// InstallSnapshot sends a snapshot. Who gets one forgets its log, even if it had
// more; so it must come from its leader alone, who knows what it has. raft 1.8
// leaves goroutines behind that go on for a leader that was deposed, or for a
// server that was removed and whose address another has now.
func (t oneLane) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if args.LastLogTerm > args.Term || !t.node.leads(id, args.Term) {
		return errNoSnapshot
	}
	return t.NetworkTransport.InstallSnapshot(id, target, args, resp, data)
}

// leads reports whether this server leads in a term and has another in its group.
func (n *Node) leads(id raft.ServerID, term uint64) bool {
	if !n.log.running.Load() || n.raft.State() != raft.Leader || n.raft.CurrentTerm() != term {
		return false
	}
	group := n.raft.GetConfiguration().Configuration().Servers
	return slices.ContainsFunc(group, func(s raft.Server) bool { return s.ID == id })
}
