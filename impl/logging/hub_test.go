package logging_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"tribune/impl/logging"
)

func TestAListenerHearsFromItsOwnLevelOnWhileItListens(t *testing.T) {
	var b bytes.Buffer
	h := logging.NewHub(logging.Handler(&b, logging.Trace), slog.LevelWarn)
	log := slog.New(h).With("part", "raft")
	log.Info("before")
	lines, stop := h.Listen(logging.JSON, slog.LevelDebug)
	log.Debug("one", "n", 1)
	log.Log(t.Context(), logging.Trace, "too low")
	log.Warn("two")
	stop()
	log.Debug("after")
	if got := b.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "msg=two part=raft") {
		t.Errorf("logged: %s", got)
	}
	var heard []string
	for len(lines) > 0 {
		heard = append(heard, <-lines)
	}
	if len(heard) != 2 || !strings.Contains(heard[0], `"@message":"one","@module":"raft","n":1`) || !strings.HasSuffix(heard[1], "\n") {
		t.Errorf("heard: %q", heard)
	}
}

func TestTheLevelOfALogCanBeChanged(t *testing.T) {
	var b bytes.Buffer
	h := logging.NewHub(logging.Handler(&b, logging.Trace), slog.LevelWarn)
	log := slog.New(h).WithGroup("g").With("a", 1)
	log.Info("one")
	h.SetLevel(slog.LevelInfo)
	log.Info("two")
	if got := b.String(); strings.Contains(got, "one") || !strings.Contains(got, "msg=two g.a=1") {
		t.Error(got)
	}
}

func TestAListenerThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	h := logging.NewHub(slog.DiscardHandler, slog.LevelWarn)
	lines, stop := h.Listen(logging.Handler, slog.LevelInfo)
	defer stop()
	for range 10000 {
		slog.New(h).Info("again")
	}
	if len(lines) == 0 || len(lines) > 1000 {
		t.Errorf("%d lines wait", len(lines))
	}
}
