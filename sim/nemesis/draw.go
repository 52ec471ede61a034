package nemesis

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tribune/sim"
)

// Strike is one fault at one time.
type Strike struct {
	Fault
	Begin time.Duration // of an aimed fault: before that, no point counts
	For   time.Duration
	Later time.Duration // of an aimed fault: so long after the point
	Hits  []string      // nodes; a role, "here" or "peer" alone: found out when it strikes
	Order [2][]string   // of a bridge: the servers and the others, as they stand when they are halved
	ID    string        // of the fault among those drawn with it, for its streams
	Turn  int           // counts the strikes of one fault
}

// cuts is the direction that a strike of a one-way partition cuts.
func (s Strike) cuts() string {
	switch {
	case s.Cuts != "":
		return s.Cuts
	case s.Turn%2 == 0:
		return inward
	}
	return outward
}

// Draw draws from the seed when and whom faults strike before end, in the order
// of their time. Each fault draws from a stream of its own, so that one that is
// taken away leaves the draws of all others as they were.
func (c Cast) Draw(faults []Fault, seed uint64, end time.Duration) []Strike {
	var all []Strike
	for i, id := range IDs(faults) {
		all = append(all, c.strikes(id, faults[i], sim.Stream(seed, "planner "+id), end)...)
	}
	slices.SortStableFunc(all, func(a, b Strike) int { return cmp.Compare(a.Begin, b.Begin) })
	return all
}

// IDs names faults by what they are and not by their place in the list. Only
// those that are alike are numbered.
func IDs(faults []Fault) []string {
	seen := map[string]int{}
	ids := make([]string, len(faults))
	for i, f := range faults {
		id := strings.Join([]string{f.Kind, f.Shape + f.Cuts, f.Target, f.Protocol, f.File, f.At.String()}, " ")
		if f.On != "" {
			id = fmt.Sprintf("%s on %s of %q %s from %d", id, f.On, f.Of, f.Line, f.Nth)
		}
		seen[id]++
		ids[i] = fmt.Sprintf("%s #%d", id, seen[id])
	}
	return ids
}

func (c Cast) strikes(id string, f Fault, r *rand.Rand, end time.Duration) []Strike {
	if f.On != "" {
		return c.aimed(id, f, r)
	}
	var all []Strike
	for at := f.At.Duration; at <= end; at += f.Every.Duration {
		st := Strike{Fault: f, Begin: at, For: f.For.Duration, Hits: c.hits(f, r), Order: c.order(f, r), ID: id, Turn: len(all)}
		if f.Jitter.Duration > 0 {
			st.Begin += time.Duration(r.Int64N(int64(f.Jitter.Duration)))
		}
		if st.Begin < end {
			all = append(all, st)
		}
		if f.Every.Duration <= 0 {
			break
		}
	}
	return all
}

// aimed draws the strikes of a fault that waits for a point.
func (c Cast) aimed(id string, f Fault, r *rand.Rand) []Strike {
	f.Nth, f.Times = max(f.Nth, 1), max(f.Times, 1)
	var all []Strike
	for turn := range f.Times {
		st := Strike{Fault: f, Begin: f.At.Duration, For: f.For.Duration, Later: f.After.Duration, Hits: c.hits(f, r), Order: c.order(f, r), ID: id, Turn: turn}
		if f.Jitter.Duration > 0 {
			st.Later += time.Duration(r.Int64N(int64(f.Jitter.Duration)))
		}
		all = append(all, st)
	}
	return all
}

// order draws how those stand whom a bridge halves.
func (c Cast) order(f Fault, r *rand.Rand) (order [2][]string) {
	if f.Shape == "bridge" {
		order = [2][]string{shuffle(c.Servers, r), shuffle(c.Others, r)}
	}
	return order
}

func shuffle(names []string, r *rand.Rand) []string {
	names = slices.Clone(names)
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

// hits draws whom a fault strikes.
func (c Cast) hits(f Fault, r *rand.Rand) []string {
	shuffled := shuffle(c.Servers, r)
	kind, _ := c.kind(f.Kind)
	_, role := c.role(f.Target)
	switch {
	case f.dividesAll():
		members := slices.Concat(shuffled, c.Others)
		if len(c.Others) > 0 {
			members = shuffle(members, r)
		}
		return members
	case f.Target != "" && f.Target == c.Other:
		return []string{c.Others[r.IntN(len(c.Others))]}
	case f.Target == "" && kind.Role != "":
		return []string{kind.Role}
	case f.Shape == "bridge" && (f.Target == "majority" || f.Target == "all"):
		return shuffled[:1] // there is one bridge
	case f.Target == "" || f.Target == "all":
		return slices.Clone(c.Servers)
	case role:
		return []string{f.Target}
	case f.Target == "random":
		return shuffled[:1]
	case f.Target == "majority":
		return shuffled[:len(shuffled)/2+1]
	}
	return []string{f.Target}
}
