package page

import (
	"fmt"
	"strings"
	"time"

	"tribune/sim/trace"
)

// eventTables is what is kept of a trace while it is read.
type eventTables struct {
	lives    []trace.Event
	clocks   []trace.Event
	events   []trace.Event // for people: log lines, errors, what watchers saw
	messages []trace.Event
}

func (t *eventTables) add(e trace.Event) {
	switch e.Kind {
	case trace.NetDeliver, trace.NetDrop:
		t.messages = append(t.messages, e)
	case trace.Life:
		t.lives = append(t.lives, e)
		t.events = append(t.events, e)
	case trace.Fault:
		if e.Node != "" {
			t.clocks = append(t.clocks, e)
		}
		t.events = append(t.events, e)
	case trace.Log, trace.DiskFail, trace.Check, trace.NetReset, trace.Op:
		t.events = append(t.events, e)
	}
}

// lives turns starts and ends of processes into stretches of time.
func (b *builder) lives() []Life {
	lives := []Life{}
	open := map[string]int{} // by node: its last stretch
	end := b.run.Facts.Virtual
	for _, e := range b.tables.lives {
		state := StateAfter(e.Text)
		i, known := open[e.Node]
		if state == "" || known && lives[i].State == state && state == "down" {
			continue
		}
		if known {
			lives[i].Until = int64(e.At)
		}
		open[e.Node] = len(lives)
		lives = append(lives, Life{Node: b.node(e.Node), From: int64(e.At), Until: end, State: state, Why: e.Text})
	}
	kept := lives[:0]
	for _, l := range lives {
		if l.Until > l.From {
			kept = append(kept, l)
		}
	}
	return kept
}

// StateAfter says what a node is after an event of its life: up, paused or down; "": the same as before.
func StateAfter(text string) string {
	word, _, _ := strings.Cut(text, " ")
	switch strings.TrimSuffix(word, ":") {
	case "start", "resume":
		return "up"
	case "pause":
		return "paused"
	case "kill", "power", "exit", "panic":
		return "down"
	}
	return ""
}

// clocks follows the servers' clocks.
func (b *builder) clocks() []Clock {
	clocks := []Clock{}
	last := map[string]Clock{}
	add := func(node string, c Clock) {
		if c.Node = b.node(node); c.Node >= 0 {
			last[node] = c
			clocks = append(clocks, c)
		}
	}
	for _, s := range b.run.Clocks {
		add(s.Node, Clock{Offset: int64(s.Offset), Rate: s.Rate})
	}
	for _, e := range b.tables.clocks {
		c, ok := last[e.Node]
		if !ok {
			c = Clock{Rate: 1}
		}
		c.Offset += int64(float64(int64(e.At)-c.At) * (c.Rate - 1))
		c.At = int64(e.At)
		var num, den int64
		if jump, found := strings.CutPrefix(e.Text, "clock jumps by "); found {
			by, err := time.ParseDuration(jump)
			if err != nil {
				continue
			}
			c.Offset += int64(by)
		} else if _, err := fmt.Sscanf(e.Text, "clock goes %d/%d", &num, &den); err == nil && den > 0 {
			c.Rate = float64(num) / float64(den)
		} else {
			continue
		}
		add(e.Node, c)
	}
	return clocks
}

// level is how much an event matters: 3 is an error.
func level(e trace.Event) int {
	switch e.Kind {
	case trace.DiskFail, trace.Check:
		return 3
	case trace.Log:
		for i, name := range []string{"DEBUG", "INFO", "WARN", "ERROR"} {
			if strings.HasPrefix(e.Text, name) {
				return i
			}
		}
	case trace.Op:
		return 0
	}
	return 1
}

// say is the text of an event; the level of a log line has a column of its own.
func say(e trace.Event) string {
	text := e.Text
	if e.Kind == trace.Log {
		for _, name := range []string{"DEBUG ", "INFO ", "WARN ", "ERROR "} {
			text = strings.TrimPrefix(text, name)
		}
	}
	if e.Peer != "" {
		text = strings.TrimSpace(e.Peer + " " + text)
	}
	return text
}

// wanted reports whether an event is one that the page has no better form of: not an
// operation of a history, not the beginning or the end of a fault, and not a clock.
func (b *builder) wanted(e trace.Event, struck map[string]bool) bool {
	switch e.Kind {
	case trace.Op:
		return b.run.Role(e.Node) == "other"
	case trace.Fault:
		return e.Node == "" && !strings.HasPrefix(e.Text, "over: ") && !struck[e.Text]
	}
	return true
}
