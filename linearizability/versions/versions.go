// Package versions judges reads of a key/value store by the versions that they
// returned, without a search. Every write gives its key a new version, a number that
// grows (in Consul the ModifyIndex), and no value is written twice; so a read says
// which write it saw, and versions say which of two came first. What follows from
// that alone is cheap to find, and independent of the search for a linearization.
//
//   - staleness.go: how old what reads returned was, and whether it was older than
//     the store said (bounded staleness: Terry et al., Session Guarantees for Weakly
//     Consistent Replicated Data, 1994; Bailis et al., Probabilistically Bounded
//     Staleness, 2012).
//   - order.go: whether reads went backwards (monotonic reads of Terry et al.; for one
//     key and one server what is left of Lamport's sequential consistency, 1979).
//   - durable.go: whether acknowledged writes are there in the end.
//
// All that is said is sure: a read counts as stale only if a write surely came after
// the one that it saw, and was acknowledged before the read began. Where the order is
// not known a read counts as fresh.
package versions

import (
	"math"
	"time"

	"tribune/linearizability"
)

const never = time.Duration(math.MaxInt64)

// key is what is known of the writes to one key.
type key struct {
	writes  []linearizability.Op     // that may have taken effect
	version map[string]uint64        // by value, as reads returned it
	known   map[string]time.Duration // by value: when it was surely written
	over    map[string]*change       // by value: who overwrote it first, as far as was asked
}

// change is an acknowledged write that put an end to a value.
type change struct {
	at time.Duration // when it was acknowledged; never: there is none
	by linearizability.Op
}

// keys sorts a history by key.
func keys(history []linearizability.Op) map[string]*key {
	all := map[string]*key{}
	for _, o := range history {
		k := all[o.Key]
		if k == nil {
			k = &key{version: map[string]uint64{}, known: map[string]time.Duration{}, over: map[string]*change{}}
			all[o.Key] = k
		}
		switch {
		case o.Kind != linearizability.Get && tookEffect(o):
			k.writes = append(k.writes, o)
			if o.Outcome == linearizability.OK && puts(o) {
				k.sure(o.Value, o.Return)
			}
		case o.Kind == linearizability.Get && o.Outcome == linearizability.OK && o.Found:
			k.sure(o.Seen, o.Return)
			k.version[o.Seen] = max(k.version[o.Seen], o.SeenAt)
		}
	}
	return all
}

func (k *key) sure(value string, at time.Duration) {
	if before, ok := k.known[value]; !ok || at < before {
		k.known[value] = at
	}
}

// tookEffect reports whether a write may have: it was neither refused nor failed.
func tookEffect(o linearizability.Op) bool {
	conditional := o.Kind == linearizability.CAS || o.Kind == linearizability.DeleteCAS
	return o.Outcome == linearizability.Unknown || o.Outcome == linearizability.OK && (!conditional || o.Done)
}

func puts(o linearizability.Op) bool {
	return o.Kind == linearizability.Put || o.Kind == linearizability.CAS
}

// overwritten returns the first acknowledgement of a write that surely came after
// what a read returned.
func (k *key) overwritten(read linearizability.Op) change {
	if !read.Found {
		return k.filled(read)
	}
	if c := k.over[read.Seen]; c != nil {
		return *c
	}
	first := change{at: never}
	version, known := k.version[read.Seen], k.known[read.Seen]
	for i := range k.writes {
		w := &k.writes[i] // large, and there are many
		if w.Outcome != linearizability.OK || w.Return >= first.at || puts(*w) && w.Value == read.Seen {
			continue
		}
		later := w.Call > known
		if version != 0 && puts(*w) {
			if v := k.version[w.Value]; v != 0 {
				later = v > version
			}
		}
		if later {
			first = change{w.Return, *w}
		}
	}
	k.over[read.Seen] = &first
	return first
}

// filled is overwritten for a read that found nothing: the first write after the last
// deletion that it may have seen.
func (k *key) filled(read linearizability.Op) change {
	gone := time.Duration(-1)
	for i := range k.writes {
		w := &k.writes[i]
		if w.Call >= read.Return || puts(*w) {
			continue
		}
		if gone = max(gone, w.Return); w.Outcome != linearizability.OK {
			return change{at: never}
		}
	}
	first := change{at: never}
	for i := range k.writes {
		w := &k.writes[i]
		if w.Outcome == linearizability.OK && w.Call > gone && w.Return < first.at && puts(*w) {
			first = change{w.Return, *w}
		}
	}
	return first
}
