package sim

import (
	"context"
	"log/slog"
	"strings"

	"tribune/sim/trace"
)

// handler takes the log lines of a node into the trace. They carry the true
// time there, and not the node's.
type handler struct {
	node   *Node
	prefix string // of attributes that With gave
	group  string
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool {
	return l >= h.node.world.observed()
}

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Level.String() + " " + r.Message + h.prefix)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(h.attr(a))
		return true
	})
	w := h.node.world
	at := w.Now()
	w.logged(r.Level, trace.Event{At: at, Node: h.node.name, Kind: trace.Log, Text: b.String()})
	if w.options.Log != nil && r.Level >= w.options.LogLevel {
		w.options.Log(at, h.node.name, b.String())
	}
	return nil
}

func (h *handler) attr(a slog.Attr) string {
	return " " + h.group + a.Key + "=" + strings.ReplaceAll(a.Value.Resolve().String(), "\n", "\\n")
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	for _, a := range attrs {
		c.prefix += h.attr(a)
	}
	return &c
}

func (h *handler) WithGroup(name string) slog.Handler {
	c := *h
	c.group += name + "."
	return &c
}
