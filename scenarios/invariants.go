package scenarios

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/hashicorp/raft"

	"tribune/impl/consensus"
	"tribune/impl/fsm"
	"tribune/linearizability/raftsafety"
	"tribune/scenarios/outage"
)

// watchEvery is how often the servers are looked at.
const watchEvery = 50 * time.Millisecond

// watcher looks at the servers from outside while a run goes on.
type watcher struct {
	run     *run
	raft    *raftsafety.Watch
	reigns  []Reign
	members *membership
	levels  *levels

	leaderless []outage.Span
	since      time.Duration // when the present time without a leader began
	led        bool          // there is a leader
}

func newWatcher(r *run) *watcher {
	return &watcher{run: r, raft: raftsafety.New(r.world), members: newMembership(r), levels: newLevels(r)}
}

// look holds what the servers say against what they said, and against each other.
func (w *watcher) look() {
	var seen []raftsafety.Observation
	var nodes []*consensus.Node
	for _, name := range w.run.plan.names() {
		a := w.run.agents[name]
		if a == nil || w.run.world.Node(name).Paused() {
			continue
		}
		nodes = append(nodes, a.Server().Raft())
		seen = append(seen, observe(name, w.run.world.Node(name).Starts(), a.Server().Advertise(), a.Server().Raft()))
	}
	// A leader has its votes before it leads, so votes are looked at after that.
	for i, n := range nodes {
		v := n.Vote()
		seen[i].VoteTerm, seen[i].VotedFor = v.Term, hostOf(v.For)
	}
	for _, o := range w.raft.See(seen) {
		w.reigns = append(w.reigns, Reign{At: w.run.world.Now(), Term: o.Term, Server: o.Server})
	}
	led := false
	for _, o := range seen {
		led = led || o.Leader
	}
	w.leadership(led)
	w.members.look()
}

// observe is what a server says of itself.
func observe(name string, life int, address string, n *consensus.Node) raftsafety.Observation {
	s := n.Status()
	o := raftsafety.Observation{
		Server: name, ID: s.ID, Life: life, Leader: s.Leader, Term: s.Term, First: s.First, Last: s.Last,
		Committed: s.Committed, Applied: s.Applied, Address: address,
		Entry: func(i uint64) (raftsafety.Entry, bool) {
			e, err := n.Entry(i) // an error: it was compacted meanwhile
			return raftsafety.Entry{Term: e.Term, Command: e.Command, Data: e.Data}, err == nil
		},
	}
	if group, _, err := n.Servers(); err == nil && s.Leader {
		for _, g := range group {
			if g.Voter {
				o.Voters = append(o.Voters, g.ID)
			}
		}
	}
	return o
}

// hostOf is the host of an address with a port, empty for what is none.
func hostOf(address string) string {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return ""
	}
	return a.Addr().String()
}

// leadership takes note of the times without a leader.
func (w *watcher) leadership(led bool) {
	now := w.run.world.Now()
	if led && !w.led {
		w.leaderless = append(w.leaderless, outage.Span{From: w.since, To: now})
	}
	if !led && w.led {
		w.since = now
	}
	w.led = led
}

// report puts what was seen into a result, when all is over.
func (w *watcher) report(r *Result) {
	w.leadership(true)
	r.Reigns, r.Figures.Leaderless = w.reigns, w.leaderless
	r.Figures.Detection = w.members.result()
	r.Figures.Heap = Heap{w.levels.heap, liveHeap()}
}

// equal reports whether all servers have applied the same entries and have the
// same state.
func (w *watcher) equal() (bool, string) {
	var index uint64
	digest, first := "", ""
	for _, name := range w.run.plan.names() {
		a := w.run.agents[name]
		if a == nil {
			return false, name + " does not run"
		}
		s := a.Server().Raft().Status()
		d, err := a.Server().StateDigest()
		if err != nil {
			return false, err.Error()
		}
		if first == "" {
			first, index, digest = name, s.Applied, d
			continue
		}
		if s.Applied != index {
			return false, fmt.Sprintf("%s has applied entries up to %d, %s up to %d of %d committed", first, index, name, s.Applied, s.Committed)
		}
		if d != digest {
			return false, fmt.Sprintf("%s and %s have both applied entries up to %d, and their states differ", first, name, index)
		}
	}
	return true, ""
}

// replayLimit is how long the servers may go on applying what is committed while their
// states are held against a replay.
const replayLimit = 5 * time.Second

// replayed sees that each committed command was applied exactly once: all servers
// have, whatever snapshots and restarts they went through, the state that a state
// machine has that applies the committed entries one by one from the first on. (All of
// them may be wrong alike, which comparing them with each other does not show.)
func (w *watcher) replayed(applied func() (index uint64, digest string, err error)) {
	var gap error
	done := w.run.until(replayLimit, func() (bool, string) {
		index, theirs, err := applied()
		if err != nil {
			return false, err.Error()
		}
		var entries []raftsafety.Entry
		if entries, gap = w.raft.Committed(index); gap != nil {
			return true, ""
		}
		own, err := replay(entries)
		if err != nil {
			return false, err.Error()
		}
		return own == theirs, fmt.Sprintf("the state of the servers at index %d is not what the %d entries make", index, len(entries))
	})
	switch {
	case gap != nil:
		w.run.result.Figures.Unreplayed = gap.Error()
	case !done.OK:
		w.run.world.Violate("exactly-once application", "%s", done.Text)
	}
}

var errUnequal = errors.New("the servers are not equal")

// applied is the index up to which all servers have applied entries, and the digest of
// their state.
func (w *watcher) applied() (index uint64, digest string, err error) {
	if ok, why := w.equal(); !ok {
		return 0, "", fmt.Errorf("%w: %s", errUnequal, why)
	}
	s := w.run.agents[w.run.plan.names()[0]].Server()
	digest, err = s.StateDigest()
	return s.Raft().AppliedIndex(), digest, err
}

// replay returns the digest of the state that entries make, the first of which has
// index 1.
func replay(entries []raftsafety.Entry) (string, error) {
	f, err := fsm.New(slog.New(slog.DiscardHandler), func(string, time.Duration) {})
	if err != nil {
		return "", err
	}
	for i, e := range entries {
		if e.Command {
			f.Apply(&raft.Log{Index: uint64(i + 1), Term: e.Term, Type: raft.LogCommand, Data: e.Data})
		}
	}
	return f.Digest()
}
