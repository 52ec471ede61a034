package page

import (
	"cmp"
	"slices"
	"time"

	"tribune/sim/trace"
)

// The page has at most so many of what there is most of; a row is about 45 bytes, the
// text of an event about 100.
const (
	maxMessages = 60_000
	maxEvents   = 15_000
)

// sample chooses messages and events. Where there are too many, those stay that are
// close to what went wrong, then those close to elections, then those close to where
// faults begin and end, and then there may be room for more.
func (b *builder) sample() {
	b.data.Sample.Messages, b.data.Sample.AllMessages = len(b.tables.messages), len(b.tables.messages) <= maxMessages
	windows := []Window{{0, b.run.Facts.Virtual, "the whole run"}}
	if !b.data.Sample.AllMessages {
		windows = b.fitting(b.candidates(), maxMessages)
	}
	b.data.Sample.Windows = windows
	b.data.Messages = Table{Columns: messageColumns(), Rows: [][]int64{}}
	for _, e := range b.tables.messages {
		if within(windows, e.At) {
			b.data.Messages.Rows = append(b.data.Messages.Rows, b.message(e))
		}
	}
	b.events(b.fitting(b.candidates(), maxMessages))
}

func (b *builder) message(e trace.Event) []int64 {
	protocol, fate := b.text(e.Text), int64(-1)
	if e.Kind == trace.NetDrop {
		protocol, fate = -1, b.text(e.Text)
	}
	return []int64{int64(e.At - e.After), int64(e.After), int64(b.node(e.Peer)), int64(b.node(e.Node)), e.Size, protocol, fate}
}

// candidates are windows, those that matter most first.
func (b *builder) candidates() []Window {
	const near = 500 * time.Millisecond
	var all []Window
	add := func(from, until time.Duration, why string) {
		all = append(all, Window{int64(max(from, 0)), int64(min(until, time.Duration(b.run.Facts.Virtual))), why})
	}
	const telling = 10 // findings of a check; what follows is often more of the same
	for _, v := range b.data.Verdicts {
		for _, f := range v.Findings[:min(len(v.Findings), telling)] {
			at := time.Duration(f.At)
			add(at-near, at+near, "a finding of the check "+v.Check)
			for _, op := range f.Ops[:min(len(f.Ops), 2)] {
				row := b.data.Ops.Rows[op]
				add(time.Duration(row[4])-near/2, time.Duration(row[4]+row[5])+near/2, "an operation of that finding")
			}
		}
	}
	for _, l := range b.run.Reigns {
		add(l.At-2*near, l.At+near/2, "an election")
	}
	for _, f := range b.run.Faults {
		add(f.At-near/5, f.At+near, "a fault begins")
	}
	for _, f := range b.run.Faults {
		add(f.Until-near/5, f.Until+near, "a fault ends")
	}
	for at := time.Duration(0); at < time.Duration(b.run.Facts.Virtual); at += 2 * near {
		add(at, at+2*near, "there was room")
	}
	return all
}

// fitting takes windows, in their order, as long as the messages in them fit, and
// returns them in the order of time, none overlapping another.
func (b *builder) fitting(candidates []Window, limit int) []Window {
	taken, n := []Window{}, 0
	for _, c := range candidates {
		for _, part := range without(c, taken) {
			count := b.count(part)
			if n+count > limit {
				continue
			}
			n += count
			taken = append(taken, part)
			slices.SortFunc(taken, func(x, y Window) int { return cmp.Compare(x.From, y.From) })
		}
	}
	return taken
}

// without cuts what is taken already, in the order of time, out of a window.
func without(w Window, taken []Window) []Window {
	var parts []Window
	for _, t := range taken {
		if t.Until <= w.From || t.From >= w.Until {
			continue
		}
		if t.From > w.From {
			parts = append(parts, Window{w.From, t.From, w.Why})
		}
		w.From = t.Until
	}
	if w.From < w.Until {
		parts = append(parts, w)
	}
	return parts
}

// count counts the messages in a window.
func (b *builder) count(w Window) int {
	place := func(at int64) int {
		i, _ := slices.BinarySearchFunc(b.tables.messages, at, func(e trace.Event, at int64) int { return cmp.Compare(int64(e.At), at) })
		return i
	}
	return place(w.Until) - place(w.From)
}

func within(windows []Window, at time.Duration) bool {
	i, _ := slices.BinarySearchFunc(windows, int64(at), func(w Window, at int64) int { return cmp.Compare(w.Until, at) })
	return i < len(windows) && windows[i].From <= int64(at)
}

// events chooses events: errors first, then warnings, then what is in the windows,
// then the rest.
func (b *builder) events(windows []Window) {
	struck := b.struck()
	var all []trace.Event
	for _, e := range b.tables.events {
		if b.wanted(e, struck) {
			all = append(all, e)
		}
	}
	b.data.Sample.Events, b.data.Sample.AllEvents = len(all), len(all) <= maxEvents
	if len(all) > maxEvents {
		rank := func(e trace.Event) int {
			n := -2 * level(e)
			if within(windows, e.At) {
				n -= 3
			}
			return n
		}
		slices.SortStableFunc(all, func(x, y trace.Event) int { return cmp.Compare(rank(x), rank(y)) })
		all = all[:maxEvents]
		slices.SortStableFunc(all, func(x, y trace.Event) int { return cmp.Compare(x.At, y.At) })
	}
	b.data.Events = Table{Columns: eventColumns(), Rows: [][]int64{}}
	for _, e := range all {
		b.data.Events.Rows = append(b.data.Events.Rows, []int64{int64(e.At), int64(b.node(e.Node)), b.text(e.Kind.String()), int64(level(e)), b.text(say(e))})
	}
}

// struck are the texts of faults, which the trace has as well.
func (b *builder) struck() map[string]bool {
	texts := map[string]bool{}
	for _, f := range b.run.Faults {
		texts[f.Text] = true
	}
	return texts
}
