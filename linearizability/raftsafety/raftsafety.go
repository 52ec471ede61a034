// Package raftsafety holds what servers say about their part in a raft group against
// what raft promises (Ongaro and Ousterhout, In Search of an Understandable Consensus
// Algorithm, 2014, figure 3), and against what its proof rests on: votes, terms and
// entries that stay on a server's disk.
//
// It knows servers by what somebody who looks at them from outside sees, all of them
// at one moment, again and again. So it misses what comes and goes between two looks;
// but a vote stays until the next one, and an entry until it is compacted.
package raftsafety

import (
	"fmt"
	"hash/fnv"
	"slices"
)

// Court takes complaints: the name of the invariant that does not hold, and a text.
type Court interface {
	Violate(invariant, format string, args ...any)
}

// Entry is what a log holds at an index.
type Entry struct {
	Term    uint64
	Command bool // for the state machine; others are raft's own
	Group   bool // it says who belongs to the group
	Data    []byte
}

// Observation is what is seen of a server that runs.
type Observation struct {
	Server string // its name
	ID     string // in the group; another one after it has lost its disk
	Life   int    // which of its processes it is

	Leader    bool
	Term      uint64
	First     uint64 // first index of its log, 0 of an empty one
	Last      uint64
	End       uint64 // last index of its log and its newest snapshot together
	Committed uint64
	Applied   uint64

	Address  string   // where others reach it
	VoteTerm uint64   // of its last vote; 0: none
	VotedFor string   // the address of whom it voted for
	Voters   []string // the IDs of the group as it knows it; nil: not known

	// Entry returns an entry of its log; false if it has been compacted. It is not called
	// if Silent says that whoever reads the log now would wait for the disk.
	Entry  func(index uint64) (Entry, bool)
	Silent bool
}

// Watch is what has been seen so far. It is used by one goroutine at a time.
type Watch struct {
	court   Court
	leaders map[uint64]string // by term
	votes   map[ballot]string // for whom
	entries map[uint64]Entry  // that were committed, by index
	sums    map[uint64]uint64 // of their data
	commits []commit          // by index
	lives   map[string]*life  // by server
	disks   map[string]disk   // by ID
}

// commit is an index up to which the log was committed in a term, or before it.
type commit struct{ index, term uint64 }

// ballot is where a server's vote belongs.
type ballot struct {
	id   string
	term uint64
}

// life is what was seen of one process of a server.
type life struct {
	number    int
	checked   uint64 // up to which index its committed entries were compared
	committed uint64
	applied   uint64
	led       uint64 // the last term in which it was seen leading
	short     int    // how often in a row its log ended before what it has applied
	// unread are judgements that need its log, as it is when it can be read.
	unread []func(now Observation)
}

// disk is what a server must remember, whatever becomes of its process.
type disk struct{ term, vote uint64 }

// New returns a watch that has seen nothing.
func New(court Court) *Watch {
	return &Watch{
		court: court, leaders: map[uint64]string{}, votes: map[ballot]string{}, entries: map[uint64]Entry{}, sums: map[uint64]uint64{},
		lives: map[string]*life{}, disks: map[string]disk{},
	}
}

// See takes what was seen of all servers at one moment, and returns those that were
// seen leading in a term for the first time.
func (w *Watch) See(all []Observation) (elected []Observation) {
	for _, o := range all {
		l := w.lives[o.Server]
		if l == nil || l.number != o.Life {
			l = &life{number: o.Life}
			w.lives[o.Server] = l
		}
		w.forward(l, o)
		w.remembers(o)
		if o.Leader && w.leads(l, o) {
			w.elected(l, o, all)
			elected = append(elected, o)
		}
		if !o.Silent {
			w.read(l, o)
		}
		w.learned(o)
	}
	return elected
}

// read makes up for what needs a server's log and was not judged yet.
func (w *Watch) read(l *life, o Observation) {
	for _, judge := range l.unread {
		judge(o)
	}
	l.unread = nil
	for i := max(l.checked+1, o.First, 1); i <= min(o.Committed, o.Last); i++ {
		w.committed(o, i)
	}
	l.checked = max(l.checked, min(o.Committed, o.Last))
}

// forward sees that the indexes of a process do not go back, and that its log and its
// snapshot reach as far as what it has applied. While it installs a snapshot they may
// be seen not to; when it is looked at again that is over.
func (w *Watch) forward(l *life, o Observation) {
	if l.short++; o.End >= o.Applied {
		l.short = 0
	}
	if l.short == 2 {
		w.court.Violate("log as long as the state", "%s has applied %d and takes its log to end at %d", o.Server, o.Applied, o.End)
	}
	if o.Committed < l.committed {
		w.court.Violate("monotonic commit index", "%s: from %d to %d", o.Server, l.committed, o.Committed)
	}
	if o.Applied < l.applied {
		w.court.Violate("monotonic applied index", "%s: from %d to %d", o.Server, l.applied, o.Applied)
	}
	l.committed, l.applied = max(l.committed, o.Committed), o.Applied
}

// remembers sees that a server's term and votes outlive its processes, and that it
// votes once a term. A first term that ended with nothing in the log may be forgotten:
// nobody was told of it.
func (w *Watch) remembers(o Observation) {
	d := w.disks[o.ID]
	if o.Term < d.term && d.term > 1 {
		w.court.Violate("monotonic term", "%s: from %d to %d", o.Server, d.term, o.Term)
	}
	if o.VoteTerm < d.vote {
		w.court.Violate("monotonic vote", "%s voted in term %d, and then its last vote is one in term %d", o.Server, d.vote, o.VoteTerm)
	}
	w.disks[o.ID] = disk{o.Term, max(d.vote, o.VoteTerm)}
	if o.VoteTerm == 0 {
		return
	}
	b := ballot{o.ID, o.VoteTerm}
	if other, ok := w.votes[b]; ok && other != o.VotedFor {
		w.court.Violate("one vote a term", "%s voted for %s and for %s in term %d", o.Server, other, o.VotedFor, o.VoteTerm)
	}
	w.votes[b] = o.VotedFor
}

// leads sees that no other server leads in the term, and that the log of one that
// begins to lead holds what was committed before. It reports whether it begins.
func (w *Watch) leads(l *life, o Observation) bool {
	if other, ok := w.leaders[o.Term]; ok && other != o.Server {
		w.court.Violate("election safety", "%s and %s both lead in term %d", other, o.Server, o.Term)
	}
	if l.led == o.Term {
		return false
	}
	l.led = o.Term
	w.leaders[o.Term] = o.Server
	committed := w.by(o.Term)
	if o.End < committed { // what its log does not hold its snapshot does
		w.court.Violate("leader completeness", "%s leads in term %d with a log up to %d, and %d is committed", o.Server, o.Term, o.End, committed)
	}
	// Nobody takes from it what was committed before, so that may be read later.
	l.unread = append(l.unread, func(now Observation) {
		for i := max(now.First, 1); i <= min(committed, now.Last); i++ {
			if e, ok := now.Entry(i); ok && !w.same(i, e) {
				w.court.Violate("leader completeness", "%s leads in term %d and has another entry at index %d: of term %d, and not %d", o.Server, o.Term, i, e.Term, w.entries[i].Term)
			}
		}
	})
	return true
}

// learned takes note of up to where a server knows the log to be committed. It learned
// that in its present term or before, so it was committed by then.
func (w *Watch) learned(o Observation) {
	n := len(w.commits)
	switch {
	case n == 0 || o.Committed > w.commits[n-1].index && o.Term != w.commits[n-1].term:
		w.commits = append(w.commits, commit{o.Committed, o.Term})
	case o.Committed > w.commits[n-1].index:
		w.commits[n-1].index = o.Committed
	case o.Committed == w.commits[n-1].index:
		w.commits[n-1].term = min(w.commits[n-1].term, o.Term)
	}
}

// by is up to where the log was committed by a term, so that its leader has it: it was
// committed before, or by this leader. Who is elected late, when there is a leader of a
// later term already, needs not have what that one committed.
func (w *Watch) by(term uint64) uint64 {
	for _, c := range slices.Backward(w.commits) {
		if c.term <= term {
			return c.index
		}
	}
	return 0
}

// elected sees that a majority can have voted for a leader. One that has changed the group
// since its election is not judged: another group elected it. Nor is one whose log can be
// read only when its term is over: it may have lost what would say so.
func (w *Watch) elected(l *life, o Observation, all []Observation) {
	l.unread = append(l.unread, func(now Observation) {
		for i := now.Last; i >= max(now.First, 1); i-- {
			e, ok := now.Entry(i)
			if !ok || e.Term != o.Term {
				break
			}
			if e.Group {
				return
			}
		}
		if now.Term == o.Term {
			w.majority(o, all)
		}
	})
}

// majority complains about a leader for which too few can have voted: too many did not.
// Who does not run, or has voted in a later term since, may have.
func (w *Watch) majority(o Observation, all []Observation) {
	var not []string
	for _, v := range all {
		if slices.Contains(o.Voters, v.ID) && (v.VoteTerm < o.Term || v.VoteTerm == o.Term && v.VotedFor != o.Address) {
			not = append(not, v.Server)
		}
	}
	if majority := len(o.Voters)/2 + 1; len(o.Voters)-len(not) < majority {
		w.court.Violate("votes of a majority", "%s leads in term %d, and of %d servers %v did not vote for it", o.Server, o.Term, len(o.Voters), not)
	}
}

// committed holds an entry that a server has committed against that which others have
// committed at the same index.
func (w *Watch) committed(o Observation, i uint64) {
	e, ok := o.Entry(i)
	if !ok {
		return
	}
	if _, known := w.entries[i]; !known {
		w.entries[i], w.sums[i] = e, sum(e)
	} else if !w.same(i, e) {
		w.court.Violate("state machine safety", "%s has committed another entry at index %d: of term %d, and not %d", o.Server, i, e.Term, w.entries[i].Term)
	}
}

// same reports whether an entry is the one that was committed at its index, if that
// is known.
func (w *Watch) same(i uint64, e Entry) bool {
	known, ok := w.entries[i]
	return !ok || known.Term == e.Term && w.sums[i] == sum(e)
}

func sum(e Entry) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(e.Data) // never fails
	return h.Sum64()
}

// Committed returns the entries from index 1 to an index, in order, as they were
// committed. An error says which of them was never seen: it was compacted before
// anybody looked.
func (w *Watch) Committed(to uint64) ([]Entry, error) {
	all := make([]Entry, 0, to)
	for i := uint64(1); i <= to; i++ {
		e, ok := w.entries[i]
		if !ok {
			return nil, fmt.Errorf("the entry %d was never seen", i)
		}
		all = append(all, e)
	}
	return all, nil
}
