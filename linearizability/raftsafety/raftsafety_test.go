package raftsafety_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tribune/linearizability/raftsafety"
)

// court keeps the names of the invariants that were violated.
type court struct{ names []string }

func (c *court) Violate(invariant, _ string, _ ...any) { c.names = append(c.names, invariant) }

// server is an observation of a follower in a group of three whose log holds, from
// index 1, entries of the given terms, all of them committed and applied.
func server(n int, term uint64, log ...uint64) raftsafety.Observation {
	last := uint64(len(log))
	return raftsafety.Observation{
		Server: fmt.Sprint("s", n), ID: fmt.Sprint("id", n), Life: 1, Address: fmt.Sprint("10.0.0.", n), Voters: []string{"id1", "id2", "id3"},
		Term: term, First: min(1, last), Last: last, End: last, Committed: last, Applied: last,
		Entry: func(i uint64) (raftsafety.Entry, bool) {
			return raftsafety.Entry{Term: log[i-1], Command: true, Data: []byte(fmt.Sprint(i, " ", log[i-1]))}, true
		},
	}
}

func with(o raftsafety.Observation, change func(*raftsafety.Observation)) raftsafety.Observation {
	change(&o)
	return o
}

func voted(o raftsafety.Observation, term uint64, n int) raftsafety.Observation {
	o.VoteTerm, o.VotedFor = term, fmt.Sprint("10.0.0.", n)
	return o
}

func leading(o raftsafety.Observation) raftsafety.Observation {
	o.Leader = true
	return voted(o, o.Term, int(o.Server[1]-'0'))
}

// grouped says that the entry at an index changed the group.
func grouped(o raftsafety.Observation, at uint64) raftsafety.Observation {
	entry := o.Entry
	o.Entry = func(i uint64) (raftsafety.Entry, bool) {
		e, ok := entry(i)
		e.Group = i == at
		return e, ok
	}
	return o
}

// silent says that the disk does not answer: whoever reads the log would wait.
func silent(o raftsafety.Observation) raftsafety.Observation {
	o.Silent = true
	o.Entry = func(i uint64) (raftsafety.Entry, bool) { panic(fmt.Sprintf("entry %d of %s is read", i, o.Server)) }
	return o
}

type look = []raftsafety.Observation

func TestWhatRaftDoesNotAllowIsFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		looks []look
		want  string // "" for none
	}{
		{"an election", []look{
			{server(1, 2), server(2, 2), server(3, 2)},
			{leading(server(1, 3)), voted(server(2, 3), 3, 1), server(3, 3)},
			{leading(server(1, 3, 3, 3)), voted(server(2, 3, 3), 3, 1), server(3, 3)},
		}, ""},
		{"two leaders in two terms", []look{{leading(server(1, 3)), voted(leading(server(2, 4)), 4, 2), voted(server(3, 4), 4, 2)}}, ""},
		{"two leaders in one term", []look{{leading(server(1, 3)), voted(server(2, 3), 3, 1)}, {leading(server(2, 3)), voted(server(3, 3), 3, 2)}}, "election safety"},
		{"a leader without votes", []look{{leading(server(1, 3)), voted(server(2, 3), 3, 3), voted(server(3, 3), 3, 3)}}, "votes of a majority"},
		{"a leader that has changed the group already", []look{{grouped(leading(server(1, 3, 2, 3, 3)), 2), server(2, 3), server(3, 3)}}, ""},
		{"a leader of a group that was changed before", []look{{grouped(leading(server(1, 3, 2, 3, 3)), 1), server(2, 3), server(3, 3)}}, "votes of a majority"},
		{"a leader whose voters have forgotten", []look{{leading(server(1, 3)), server(2, 3), server(3, 3)}}, "votes of a majority"},
		{"a leader whose voters are down or have voted again", []look{{leading(server(1, 3)), voted(server(2, 4), 4, 3)}}, ""},
		{"a second vote", []look{{voted(server(2, 3), 3, 1)}, {with(voted(server(2, 3), 3, 3), func(o *raftsafety.Observation) { o.Life = 2 })}}, "one vote a term"},
		{"a vote that is forgotten", []look{{voted(server(2, 3), 3, 1)}, {with(voted(server(2, 3), 2, 1), func(o *raftsafety.Observation) { o.Life = 2 })}}, "monotonic vote"},
		{"a term that is forgotten", []look{{server(2, 3)}, {with(server(2, 2), func(o *raftsafety.Observation) { o.Life = 2 })}}, "monotonic term"},
		{"a disk that is replaced", []look{{voted(server(2, 3), 3, 1)}, {with(server(2, 0), func(o *raftsafety.Observation) { o.Life, o.ID = 2, "id9" })}}, ""},
		{"a bootstrap that is forgotten", []look{{server(2, 1)}, {with(server(2, 0), func(o *raftsafety.Observation) { o.Life = 2 })}}, ""},
		{"another entry at one index", []look{{server(1, 3, 2, 2)}, {server(2, 3, 2, 3)}}, "state machine safety"},
		{"a leader that lacks what is committed", []look{{server(1, 3, 2, 2)}, {voted(server(1, 3, 2, 2), 3, 2), leading(server(2, 3, 2))}}, "leader completeness"},
		{"a leader that has what is committed in its snapshot", []look{
			{server(1, 3, 2, 2, 2)},
			{voted(server(1, 3, 2, 2, 2), 3, 2), with(leading(server(2, 3)), func(o *raftsafety.Observation) { o.End, o.Committed, o.Applied = 3, 3, 3 })},
		}, ""},
		{"a leader that has something else", []look{
			{server(1, 3, 2, 2)},
			{voted(server(1, 3, 2, 2), 3, 2), with(leading(server(2, 3, 2, 3)), func(o *raftsafety.Observation) { o.Committed, o.Applied = 1, 1 })},
		}, "leader completeness"},
		{"a leader that is elected late", []look{
			{server(1, 4, 2, 2, 4)},
			{server(1, 4, 2, 2, 4), voted(leading(server(2, 3, 2, 2)), 3, 2), voted(server(3, 4, 2, 2), 4, 1)},
		}, ""},
		{"a late leader that lacks what was committed before", []look{
			{server(1, 2, 2, 2)}, {server(1, 4, 2, 2, 4)},
			{server(1, 4, 2, 2, 4), voted(leading(server(2, 3, 2)), 3, 2), voted(server(3, 4, 2, 2), 4, 1)},
		}, "leader completeness"},
		{"a commit index that goes back", []look{{server(1, 3, 2, 2)}, {with(server(1, 3, 2, 2), func(o *raftsafety.Observation) { o.Committed = 1 })}}, "monotonic commit index"},
		{"an applied index that goes back", []look{{server(1, 3, 2, 2)}, {with(server(1, 3, 2, 2), func(o *raftsafety.Observation) { o.Applied = 1 })}}, "monotonic applied index"},
		{"a log that ends before what was applied", []look{
			{with(server(1, 3, 2, 2), func(o *raftsafety.Observation) { o.End = 1 })}, {with(server(1, 3, 2, 2), func(o *raftsafety.Observation) { o.End = 1 })},
		}, "log as long as the state"},
		{"a log that does so while a snapshot is installed", []look{{with(server(1, 3, 2, 2), func(o *raftsafety.Observation) { o.End = 1 })}, {server(1, 3, 2, 2)}}, ""},
		{"both go back with the process", []look{{server(1, 3, 2, 2)}, {with(server(1, 3, 2, 2), func(o *raftsafety.Observation) { o.Life, o.Committed, o.Applied = 2, 0, 0 })}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := &court{}
			w := raftsafety.New(got)
			for _, all := range c.looks {
				w.See(all)
			}
			if c.want == "" && len(got.names) > 0 || c.want != "" && !slices.Contains(got.names, c.want) {
				t.Errorf("complaints about %q, want %q", got.names, c.want)
			}
		})
	}
}

// TestWhoseDiskDoesNotAnswerIsJudgedAllTheSame takes what needs no log at once, and the rest
// when the log can be read.
func TestWhoseDiskDoesNotAnswerIsJudgedAllTheSame(t *testing.T) {
	leader := func(log ...uint64) raftsafety.Observation {
		return with(leading(server(2, 3, log...)), func(o *raftsafety.Observation) { o.Committed, o.Applied = 1, 1 })
	}
	follower := func(log ...uint64) raftsafety.Observation {
		return with(voted(server(2, 4, log...), 3, 2), func(o *raftsafety.Observation) { o.Committed, o.Applied = 1, 1 })
	}
	before, voter := server(1, 3, 2, 2), voted(server(1, 3, 2, 2), 3, 2)
	nobody, other := voted(server(1, 3, 2, 2), 3, 3), voted(server(3, 3), 3, 3)
	for _, c := range []struct {
		name       string
		first      look // in which the disk does not answer
		now, later string
		then       raftsafety.Observation // when it does
	}{
		{"a leader", look{silent(leader(2, 2)), voter}, "", "", leader(2, 2, 3)},
		{"a second leader", look{silent(leader(2, 2)), leading(server(1, 3, 2, 2))}, "election safety", "election safety", leader(2, 2)},
		{"a leader that lacks what is committed", look{silent(leader(2)), voter}, "leader completeness", "leader completeness", leader(2)},
		{"a leader that has something else", look{silent(leader(2, 3)), voter}, "", "leader completeness", leader(2, 3)},
		{"one that has something else and leads no more", look{silent(leader(2, 3)), voter}, "", "leader completeness", follower(2, 3)},
		{"a leader without votes", look{silent(leader(2, 2)), nobody, other}, "", "votes of a majority", leader(2, 2, 3)},
		{"a leader that has changed the group", look{silent(leader(2, 2)), nobody, other}, "", "", grouped(leader(2, 2, 3), 3)},
		{"one that may have done so and leads no more", look{silent(leader(2, 2)), nobody, other}, "", "", follower(2, 2, 4)},
		{"another entry at one index", look{silent(server(2, 3, 2, 3))}, "", "state machine safety", server(2, 3, 2, 3)},
		{"another entry in the next process", look{silent(leader(2, 3)), voter}, "", "", with(follower(2, 3), func(o *raftsafety.Observation) { o.Life = 2 })},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := &court{}
			w := raftsafety.New(got)
			w.See(look{before})
			if elected := w.See(c.first); (len(elected) > 0) != c.first[0].Leader {
				t.Errorf("%d are seen to lead for the first time", len(elected))
			}
			if names := strings.Join(slices.Compact(got.names), ", "); names != c.now {
				t.Errorf("complaints about %q while the disk does not answer, want %q", names, c.now)
			}
			w.See(look{c.then})
			w.See(look{c.then})
			if names := strings.Join(slices.Compact(got.names), ", "); names != c.later {
				t.Errorf("complaints about %q when it does, want %q", names, c.later)
			}
		})
	}
}

func TestCommittedEntriesAreThoseFromTheBeginning(t *testing.T) {
	w := raftsafety.New(&court{})
	if elected := w.See(look{leading(server(1, 2, 2, 2))}); len(elected) != 1 {
		t.Errorf("%d elected, want 1", len(elected))
	}
	if elected := w.See(look{leading(server(1, 2, 2, 2))}); len(elected) != 0 {
		t.Errorf("%d elected again", len(elected))
	}
	all, err := w.Committed(2)
	if err != nil || len(all) != 2 || string(all[1].Data) != "2 2" {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := w.Committed(3); err == nil {
		t.Error("an entry that nobody has seen is there")
	}
}
