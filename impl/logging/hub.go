package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
)

// Hub is a slog.Handler that passes lines on to another one, from a level on that
// can be changed, and to those who listen for a while, each from a level of
// their own.
type Hub struct {
	*hub
	next slog.Handler
	with []func(slog.Handler) slog.Handler // what WithAttrs and WithGroup did
}

// hub is what a Hub and those derived from it share.
type hub struct {
	level slog.LevelVar

	mu        sync.RWMutex
	listeners []*listener
}

type listener struct {
	slog.Handler
	lines chan string
}

// NewHub returns a hub in front of a handler.
func NewHub(next slog.Handler, least slog.Level) *Hub {
	h := &Hub{hub: &hub{}, next: next}
	h.SetLevel(least)
	return h
}

// SetLevel changes from which level on lines are passed on.
func (h *Hub) SetLevel(least slog.Level) { h.level.Set(least) }

// maxUnread is how many lines a listener may be behind. What comes then is lost
// to it: who logs never waits.
const maxUnread = 512

// Listen returns the lines to come, from a level on, in the format of a handler,
// until stop is called.
func (h *Hub) Listen(format func(io.Writer, slog.Level) slog.Handler, least slog.Level) (lines <-chan string, stop func()) {
	l := &listener{lines: make(chan string, maxUnread)}
	l.Handler = format(l, least)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners = append(slices.Clone(h.listeners), l)
	return l.lines, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.listeners = slices.DeleteFunc(slices.Clone(h.listeners), func(o *listener) bool { return o == l })
	}
}

// Write takes a line that was formatted.
func (l *listener) Write(line []byte) (int, error) {
	select {
	case l.lines <- string(line):
	default:
	}
	return len(line), nil
}

func (h *hub) listening() []*listener {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.listeners
}

// Enabled implements slog.Handler.
func (h *Hub) Enabled(ctx context.Context, l slog.Level) bool {
	if l >= h.level.Level() && h.next.Enabled(ctx, l) {
		return true
	}
	return slices.ContainsFunc(h.listening(), func(o *listener) bool { return o.Enabled(ctx, l) })
}

// Handle implements slog.Handler.
func (h *Hub) Handle(ctx context.Context, r slog.Record) error {
	for _, o := range h.listening() {
		if !o.Enabled(ctx, r.Level) {
			continue
		}
		to := o.Handler
		for _, with := range h.with {
			to = with(to)
		}
		_ = to.Handle(ctx, r.Clone()) // its Write does not fail
	}
	if r.Level < h.level.Level() || !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *Hub) derive(with func(slog.Handler) slog.Handler) slog.Handler {
	return &Hub{h.hub, with(h.next), append(slices.Clone(h.with), with)}
}

// WithAttrs implements slog.Handler.
func (h *Hub) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.derive(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h *Hub) WithGroup(name string) slog.Handler {
	return h.derive(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}
