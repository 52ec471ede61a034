package linearizability

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// AnomalyKind names what is wrong with a history.
type AnomalyKind string

// The kinds of anomalies.
const (
	NeverWritten  AnomalyKind = "read of a value that was never written"
	TooEarly      AnomalyKind = "read of a value before it was written"
	StaleRead     AnomalyKind = "stale read"
	LostWrite     AnomalyKind = "lost write"
	IndexWentBack AnomalyKind = "index that went back"
	IndexShared   AnomalyKind = "one index for two values"
	IndexChanged  AnomalyKind = "two indexes for one value"
	TwoSuccesses  AnomalyKind = "two successful CAS from one index"
	StaleCAS      AnomalyKind = "CAS on an index that was replaced"
	NoOrder       AnomalyKind = "no order"
	TwoHolders    AnomalyKind = "two holders of one token"
	TokenWentBack AnomalyKind = "token that went back"
	DeadSession   AnomalyKind = "session that came back"
)

// Anomaly is something in a history that cannot be, in words.
type Anomaly struct {
	Kind AnomalyKind   `json:"kind"`
	Key  string        `json:"key"`  // or the group of keys, or "lock"
	At   time.Duration `json:"at"`   // when the first of Ops was invoked
	Text string        `json:"text"` // a sentence, without the full stop
	// Ops are the operations that the sentence is about, as indices into the
	// history: first the one that shows that something is wrong.
	Ops []int `json:"ops"`
}

// maxAnomalies bounds how many are found for a key: the first ones tell most.
const maxAnomalies = 200

// Explain says what is wrong with a history that Check has found not to be
// linearizable: for each key of the result the contradictions between few
// operations, in the order of their time, and where there are none of those, a
// small set of operations that no order makes sense of. For that, it searches for
// up to limit of real time a key.
func Explain(history []Op, r Result, limit time.Duration) []Anomaly {
	var all []Anomaly
	for _, key := range r.Keys {
		var ops []int
		for i, o := range history {
			if o.Key == key && o.Outcome != Failed && (o.Kind != Get || o.Outcome == OK) {
				ops = append(ops, i)
			}
		}
		found := newReader(key, history, ops).anomalies()
		if len(found) == 0 {
			found = contradiction(history, ops, key, limit)
		}
		all = append(all, found...)
	}
	return all
}

// reader knows of a key's history what is needed to see that an operation cannot be.
// A value is written once, so that it never comes back once it is gone.
type reader struct {
	key     string
	history []Op
	ops     []int          // of the key
	writers map[string]int // by value
	refused map[string]int // writes that surely took no effect, by value
	first   map[string]int // the read that returned first, by what it saw
	writes  evidence       // that took effect for certain
	reads   evidence
	deletes []int // that may have taken effect
}

func newReader(key string, history []Op, ops []int) *reader {
	r := &reader{key: key, history: history, ops: ops, writers: map[string]int{}, refused: map[string]int{}, first: map[string]int{}}
	for i, o := range history {
		if o.Key == key && o.Value != "" && (o.Outcome == Failed || o.Kind == CAS && o.Outcome == OK && !o.Done) {
			r.refused[o.Value] = i
		}
	}
	for _, i := range ops {
		o := history[i]
		switch {
		case o.Kind == Get:
			r.reads = append(r.reads, proof{i, o.Call, o.Return, value(o)})
			if was, ok := r.first[o.Seen]; o.Found && (!ok || o.Return < history[was].Return) {
				r.first[o.Seen] = i
			}
		case o.refused():
		default:
			if o.Kind == Delete || o.Kind == DeleteCAS {
				r.deletes = append(r.deletes, i)
			} else {
				r.writers[o.Value] = i
			}
			// A delete-cas of what is gone already says that it was done.
			if o.Outcome == OK && o.Kind != DeleteCAS {
				r.writes = append(r.writes, proof{i, o.Call, o.Return, value(o)})
			}
		}
	}
	r.writes.prepare()
	r.reads.prepare()
	return r
}

// refused reports whether the answer was that nothing was changed.
func (o Op) refused() bool {
	return (o.Kind == CAS || o.Kind == DeleteCAS) && o.Outcome == OK && !o.Done
}

// value is what a key holds at the moment of an operation, "" for nothing.
func value(o Op) string {
	if o.Kind == Get && o.Found {
		return "=" + o.Seen
	}
	if o.Kind == Put || o.Kind == CAS {
		return "=" + o.Value
	}
	return ""
}

// anomalies lists what is wrong, each read once. A read that acknowledged writes
// show to be wrong says nothing about others: else one stale read would make those
// that came after it look wrong.
func (r *reader) anomalies() []Anomaly {
	byWrites := r.misreads(func(i int) *Anomaly {
		if r.history[i].Found {
			return r.value(i, r.writes)
		}
		return r.nothing(i, r.writes)
	})
	wrong := map[int]bool{}
	for _, a := range byWrites {
		wrong[a.Ops[0]] = true
	}
	r.reads = slices.DeleteFunc(r.reads, func(p proof) bool { return wrong[p.op] })
	byReads := r.misreads(func(i int) *Anomaly {
		switch {
		case wrong[i]:
			return nil
		case r.history[i].Found:
			return r.value(i, r.reads)
		}
		return r.nothing(i, r.reads)
	})
	for _, a := range byReads {
		wrong[a.Ops[0]] = true
	}
	all := slices.Concat(byWrites, byReads, r.indexes(wrong), r.conditions())
	slices.SortStableFunc(all, func(a, b Anomaly) int { return cmp.Compare(a.At, b.At) })
	return all[:min(len(all), maxAnomalies)]
}

// misreads asks about each read.
func (r *reader) misreads(ask func(i int) *Anomaly) []Anomaly {
	var all []Anomaly
	for _, i := range r.ops {
		if r.history[i].Kind != Get {
			continue
		}
		if a := ask(i); a != nil {
			all = append(all, *a)
		}
	}
	return all
}

func (r *reader) anomaly(kind AnomalyKind, ops []int, format string, args ...any) *Anomaly {
	return &Anomaly{Kind: kind, Key: r.key, At: r.history[ops[0]].Call, Ops: ops, Text: fmt.Sprintf(format, args...)}
}

// value looks for what is wrong with a read that found something, going by what
// others wrote or read.
func (r *reader) value(i int, by evidence) *Anomaly {
	o := r.history[i]
	w, written := r.writers[o.Seen]
	if !written {
		if f, ok := r.refused[o.Seen]; ok {
			return r.anomaly(NeverWritten, []int{i, f}, "%s, though the %s that wanted to write it was refused", r.did(i), r.history[f].Kind)
		}
		return r.anomaly(NeverWritten, []int{i}, "%s; nobody ever wrote that", r.did(i))
	}
	if by := r.history[w]; by.Call > o.Return {
		return r.anomaly(TooEarly, []int{i, w}, "%s; client %d began to write it only at %s", r.did(i), by.Client, seconds(by.Call))
	}
	// The value was there by the time at which its writer, or somebody who read it,
	// had an answer. What shows another value later shows that it is gone.
	for _, there := range []int{w, r.first[o.Seen]} {
		if r.history[there].Outcome != OK {
			continue
		}
		if x := by.between(r.history[there].Return, o.Call, value(o)); x >= 0 {
			return r.gone(i, there, x)
		}
	}
	return nil
}

// gone is the anomaly of a read whose value was there, as an earlier operation shows,
// and then was not any more, as another one shows.
func (r *reader) gone(i, there, x int) *Anomaly {
	o, before, after := r.history[i], r.history[there], r.history[x]
	ops, had := []int{i, x}, ""
	if before.Kind == Get {
		ops, had = append(ops, there), fmt.Sprintf(", which client %d had read by %s,", before.Client, seconds(before.Return))
	}
	if after.Kind == Get {
		return r.anomaly(StaleRead, ops, "%s; %s%s was gone by then: %s by %s", r.did(i), o.Seen, had, r.also(x), seconds(after.Return))
	}
	kind, note := StaleRead, ""
	if after.Kind != Delete && r.unread(x, o.Return) {
		kind, note = LostWrite, ", and was never seen"
	}
	return r.anomaly(kind, ops, "%s; %s%s was %s, acknowledged at %s%s", r.did(i), o.Seen, had, r.replaced(x), seconds(after.Return), note)
}

// nothing looks for what is wrong with a read that found nothing: something had
// been there, and no delete can have come since.
func (r *reader) nothing(i int, by evidence) *Anomaly {
	o := r.history[i]
	var last time.Duration = -1 // by which every delete was over that may have taken effect
	for _, d := range r.deletes {
		del := r.history[d]
		if del.Call > o.Return {
			continue
		}
		if del.Outcome == Unknown || del.Return >= o.Call {
			return nil
		}
		last = max(last, del.Return)
	}
	x := by.between(last, o.Call, "")
	if x < 0 {
		return nil
	}
	shown := r.history[x]
	if shown.Kind == Get {
		return r.anomaly(StaleRead, []int{i, x}, "%s; by %s %s, and nobody deleted it since", r.did(i), seconds(shown.Return), r.also(x))
	}
	kind := StaleRead
	if r.unread(x, o.Return) {
		kind = LostWrite
	}
	return r.anomaly(kind, []int{i, x}, "%s; client %d had written %s, acknowledged at %s, and nobody deleted it since", r.did(i), shown.Client, shown.Value, seconds(shown.Return))
}

// unread reports whether neither a write nor any later one was seen by a time.
func (r *reader) unread(write int, by time.Duration) bool {
	began := r.history[write].Call
	for _, p := range r.reads {
		o := r.history[p.op]
		if !o.Found {
			continue
		}
		if o.Seen == r.history[write].Value {
			return false
		}
		if w, ok := r.writers[o.Seen]; ok && o.Return <= by && r.history[w].Call > began {
			return false
		}
	}
	return true
}

// did says what a read returned, when and from whom.
func (r *reader) did(i int) string {
	o := r.history[i]
	from := ""
	if o.ServedBy != "" {
		from = " from " + o.ServedBy
	}
	if !o.Found {
		return fmt.Sprintf("client %d read %s at %s%s and found nothing", o.Client, o.Key, seconds(o.Call), from)
	}
	return fmt.Sprintf("client %d read %s=%s at %s%s", o.Client, o.Key, o.Seen, seconds(o.Call), from)
}

// also says what an earlier read returned.
func (r *reader) also(i int) string {
	o := r.history[i]
	seen := o.Seen
	if !o.Found {
		seen = "nothing"
	}
	if o.ServedBy != "" {
		return fmt.Sprintf("client %d had read %s from %s", o.Client, seen, o.ServedBy)
	}
	return fmt.Sprintf("client %d had read %s", o.Client, seen)
}

// replaced says what a write did to the value before it.
func (r *reader) replaced(i int) string {
	o := r.history[i]
	if o.Kind == Delete {
		return fmt.Sprintf("deleted by client %d", o.Client)
	}
	return fmt.Sprintf("overwritten by %s of client %d", o.Value, o.Client)
}

func seconds(t time.Duration) string {
	return fmt.Sprintf("%.3f s", t.Seconds())
}
