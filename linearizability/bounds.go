package linearizability

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Outage returns the longest time in a history without the return of a write that was
// done, between the first and an end, and when it began. Without any write it is all
// the time until the end.
func Outage(history []Op, end time.Duration) (longest, from time.Duration) {
	var at []time.Duration
	for _, o := range history {
		if o.Kind != Get && o.Outcome == OK && o.Return < end {
			at = append(at, o.Return)
		}
	}
	slices.Sort(at)
	if len(at) == 0 {
		return end, 0
	}
	for i, t := range append(at[1:], end) {
		if gap := t - at[i]; gap > longest {
			longest, from = gap, at[i]
		}
	}
	return longest, from
}

// Staleness returns by how much the reads of a mode were behind at least, at worst, and
// which read that was, for people. No two writes may have the same value. A read is
// behind if it returns the value of a write that another one has surely replaced: that
// was called after the first had returned, and returned before the read was called.
// Writes whose outcome is not known, and deletions, are left out.
func Staleness(history []Op, mode string) (worst time.Duration, which string) {
	writes, returned := map[string][]Op{}, map[string]time.Duration{}
	for _, o := range history {
		if o.Outcome == OK && (o.Kind == Put || o.Kind == CAS && o.Done) {
			writes[o.Key] = append(writes[o.Key], o)
			returned[o.Value] = o.Return
		}
	}
	for _, all := range writes {
		slices.SortFunc(all, func(a, b Op) int { return cmp.Compare(a.Return, b.Return) })
	}
	for _, o := range history {
		since, known := returned[o.Seen]
		if o.Kind != Get || o.Outcome != OK || o.Mode != mode || !known {
			continue
		}
		i := slices.IndexFunc(writes[o.Key], func(w Op) bool { return w.Call > since })
		if i < 0 {
			continue
		}
		if w := writes[o.Key][i]; o.Call-w.Return > worst {
			worst = o.Call - w.Return
			which = fmt.Sprintf("(at %v %s says that %s is %s, and %s was written at %v)", o.Call, o.ServedBy, o.Key, o.Seen, w.Value, w.Return)
		}
	}
	return worst, which
}
