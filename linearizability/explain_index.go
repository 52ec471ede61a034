package linearizability

import (
	"cmp"
	"slices"
	"time"
)

// proof is an operation that shows what a key held at some moment of its time.
type proof struct {
	op        int
	call, end time.Duration
	value     string
}

// evidence are proofs in the order of their beginning.
type evidence []proof

func (e evidence) prepare() {
	slices.SortStableFunc(e, func(a, b proof) int { return cmp.Compare(a.call, b.call) })
}

// between returns of the proofs that began after one time and ended before another,
// and that show another value, the one that ended first; -1 if there is none.
func (e evidence) between(after, before time.Duration, other string) int {
	first, _ := slices.BinarySearchFunc(e, after, func(p proof, t time.Duration) int {
		if p.call <= t {
			return -1
		}
		return 1
	})
	best := -1
	for i := first; i < len(e) && e[i].call < before; i++ {
		// What begins after the best one has ended cannot end before it.
		if best >= 0 && e[i].call > e[best].end {
			break
		}
		if e[i].end < before && e[i].value != other && (best < 0 || e[i].end < e[best].end) {
			best = i
		}
	}
	if best < 0 {
		return -1
	}
	return e[best].op
}

// indexes compares the indexes that reads returned: with time they grow, and each
// belongs to one value. Reads that are wrong for another reason are not looked at.
func (r *reader) indexes(wrong map[int]bool) []Anomaly {
	var all []Anomaly
	byIndex, byValue := map[uint64]int{}, map[string]int{}
	sorted := slices.Clone(r.reads)
	slices.SortStableFunc(sorted, func(a, b proof) int { return cmp.Compare(a.end, b.end) })
	// highest[i] is the read with the highest index of the first i+1 to end.
	var highest []int
	for _, p := range sorted {
		o := r.history[p.op]
		top := p.op
		if n := len(highest); n > 0 && r.history[highest[n-1]].SeenAt >= o.SeenAt {
			top = highest[n-1]
		}
		highest = append(highest, top)
		if !o.Found || o.SeenAt == 0 {
			continue
		}
		if other, ok := byIndex[o.SeenAt]; !ok {
			byIndex[o.SeenAt] = p.op
		} else if r.history[other].Seen != o.Seen && len(all) < maxAnomalies {
			all = append(all, *r.anomaly(IndexShared, []int{p.op, other}, "%s with index %d; with that index %s", r.did(p.op), o.SeenAt, r.also(other)))
		}
		if other, ok := byValue[o.Seen]; !ok {
			byValue[o.Seen] = p.op
		} else if r.history[other].SeenAt != o.SeenAt && len(all) < maxAnomalies {
			all = append(all, *r.anomaly(IndexChanged, []int{p.op, other}, "%s with index %d; %s with index %d", r.did(p.op), o.SeenAt, r.also(other), r.history[other].SeenAt))
		}
	}
	for _, p := range r.reads {
		o := r.history[p.op]
		n, _ := slices.BinarySearchFunc(sorted, p.call, func(s proof, t time.Duration) int {
			if s.end < t {
				return -1
			}
			return 1
		})
		if n == 0 || !o.Found || o.SeenAt == 0 || len(all) >= maxAnomalies || wrong[p.op] {
			continue
		}
		if before := r.history[highest[n-1]]; before.SeenAt > o.SeenAt {
			all = append(all, *r.anomaly(IndexWentBack, []int{p.op, highest[n-1]}, "%s with index %d; before that, by %s, %s with index %d",
				r.did(p.op), o.SeenAt, seconds(before.Return), r.also(highest[n-1]), before.SeenAt))
		}
	}
	return all
}

// conditions looks at changes that took effect on a condition that cannot have held.
func (r *reader) conditions() []Anomaly {
	var all []Anomaly
	byIndex := map[uint64]int{}
	for _, i := range r.ops {
		o := r.history[i]
		if !o.Done || o.Outcome != OK || o.Kind != CAS && o.Kind != DeleteCAS || len(all) >= maxAnomalies {
			continue
		}
		if o.Kind == DeleteCAS && len(r.deletes) > 1 {
			continue // it may have found the key deleted already
		}
		other, twice := byIndex[o.Index]
		byIndex[o.Index] = i
		switch {
		case twice && o.Index != 0:
			all = append(all, *r.anomaly(TwoSuccesses, []int{i, other}, "both client %d, at %s, and client %d, at %s, changed %s on the condition that its index is %d",
				r.history[other].Client, seconds(r.history[other].Call), o.Client, seconds(o.Call), r.key, o.Index))
		case twice && len(r.deletes) == 0:
			all = append(all, *r.anomaly(TwoSuccesses, []int{i, other}, "both client %d, at %s, and client %d, at %s, created %s on the condition that it is not there, and nobody deleted it",
				r.history[other].Client, seconds(r.history[other].Call), o.Client, seconds(o.Call), r.key))
		case o.Index != 0:
			if x := r.newer(o); x >= 0 {
				all = append(all, *r.anomaly(StaleCAS, []int{i, x}, "client %d changed %s at %s on the condition that its index is %d; before that, by %s, %s with index %d",
					o.Client, r.key, seconds(o.Call), o.Index, seconds(r.history[x].Return), r.also(x), r.history[x].SeenAt))
			}
		}
	}
	return all
}

// newer returns a read that ended before an operation began, and saw a later index
// than the operation asks for; -1 if there is none.
func (r *reader) newer(o Op) int {
	for _, p := range r.reads {
		if s := r.history[p.op]; s.Return < o.Call && s.SeenAt > o.Index {
			return p.op
		}
	}
	return -1
}
