// Package logging lets libraries that bring a logger of their own write into
// the agent's log/slog logger: hclog for raft and its log store, package log
// for serf, memberlist and net/http.
package logging

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// Trace is the level below slog.LevelDebug, Consul's TRACE.
const Trace = slog.LevelDebug - 4

// partKey says which part of the agent a line is from.
const partKey = "part"

// HCLog returns an hclog.Logger that writes to l.
func HCLog(l *slog.Logger) hclog.Logger {
	return newBridge(l, "", nil)
}

// bridge embeds the null logger for those methods of hclog's wide interface
// that have no meaning here (changing levels, standard writers).
type bridge struct {
	hclog.Logger
	root *slog.Logger
	to   *slog.Logger // root, with the name and the arguments
	name string
	with []any
}

func newBridge(root *slog.Logger, name string, with []any) *bridge {
	to := root
	if name != "" {
		to = to.With(partKey, name)
	}
	return &bridge{hclog.NewNullLogger(), root, to.With(with...), name, with}
}

func level(l hclog.Level) slog.Level {
	switch l {
	case hclog.Trace:
		return Trace
	case hclog.Debug:
		return slog.LevelDebug
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Error:
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

func (b *bridge) Log(l hclog.Level, msg string, args ...any) {
	at := level(l)
	if !b.to.Enabled(context.Background(), at) {
		return
	}
	args = slices.Clone(args)
	for i, a := range args {
		// hclog's way to give a format with its values.
		if f, ok := a.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	b.to.Log(context.Background(), at, msg, args...)
}

func (b *bridge) Trace(msg string, args ...any) { b.Log(hclog.Trace, msg, args...) }
func (b *bridge) Debug(msg string, args ...any) { b.Log(hclog.Debug, msg, args...) }
func (b *bridge) Info(msg string, args ...any)  { b.Log(hclog.Info, msg, args...) }
func (b *bridge) Warn(msg string, args ...any)  { b.Log(hclog.Warn, msg, args...) }
func (b *bridge) Error(msg string, args ...any) { b.Log(hclog.Error, msg, args...) }

func (b *bridge) enabled(l slog.Level) bool { return b.to.Enabled(context.Background(), l) }
func (b *bridge) IsTrace() bool             { return b.enabled(Trace) }
func (b *bridge) IsDebug() bool             { return b.enabled(slog.LevelDebug) }
func (b *bridge) IsInfo() bool              { return b.enabled(slog.LevelInfo) }
func (b *bridge) IsWarn() bool              { return b.enabled(slog.LevelWarn) }
func (b *bridge) IsError() bool             { return b.enabled(slog.LevelError) }

func (b *bridge) Name() string       { return b.name }
func (b *bridge) ImpliedArgs() []any { return b.with }

func (b *bridge) With(args ...any) hclog.Logger {
	return newBridge(b.root, b.name, slices.Concat(b.with, args))
}

func (b *bridge) Named(name string) hclog.Logger {
	if b.name != "" {
		name = b.name + "." + name
	}
	return b.ResetNamed(name)
}

func (b *bridge) ResetNamed(name string) hclog.Logger {
	return newBridge(b.root, name, b.with)
}

func (b *bridge) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger { return Std(b.to) }

func (b *bridge) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return &lines{b.to} }

// Std returns a standard logger that writes to l. A line that begins with
// "[DEBUG]" or another level in brackets, as serf and memberlist write them, is
// logged at that level; others at info.
func Std(l *slog.Logger) *log.Logger { return log.New(&lines{l}, "", 0) }

// lines is an io.Writer that logs every line written to it.
type lines struct{ to *slog.Logger }

func (w *lines) Write(p []byte) (int, error) {
	text := strings.TrimRight(string(p), "\n")
	at := slog.LevelInfo
	if rest, ok := strings.CutPrefix(text, "["); ok {
		if name, message, ok := strings.Cut(rest, "]"); ok {
			if named, known := parse(name); known {
				at, text = named, strings.TrimSpace(message)
			}
		}
	}
	w.to.Log(context.Background(), at, text)
	return len(p), nil
}

func parse(name string) (slog.Level, bool) {
	switch name {
	case "TRACE":
		return Trace, true
	case "DEBUG":
		return slog.LevelDebug, true
	case "INFO":
		return slog.LevelInfo, true
	case "WARN":
		return slog.LevelWarn, true
	case "ERR", "ERROR":
		return slog.LevelError, true
	default:
		return 0, false
	}
}

// JSON writes log lines for programs, with the keys that Consul's log_json has.
func JSON(w io.Writer, least slog.Level) slog.Handler {
	keys := map[string]string{slog.TimeKey: "@timestamp", slog.LevelKey: "@level", slog.MessageKey: "@message", partKey: "@module"}
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if l, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey {
			name := strings.ToLower(l.String())
			if l == Trace {
				name = "trace"
			}
			a.Value = slog.StringValue(name)
		}
		if key, ok := keys[a.Key]; ok && len(groups) == 0 {
			a.Key = key
		}
		return a
	}})
}

// Handler writes log lines for people: time, level, message, then key=value.
func Handler(w io.Writer, least slog.Level) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: least, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if l, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && l == Trace {
			return slog.String(a.Key, "TRACE")
		}
		return a
	}})
}
