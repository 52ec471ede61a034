package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/term"

	"tribune/scenarios/debug"
	"tribune/sim/trace"
)

// session is one over a run that nobody made; moving in it needs no more.
func session() *debug.Session {
	return debug.New(debug.Recorded{Events: []trace.Event{
		{Node: "s1", Kind: trace.Life, Text: "start 1"}, {At: time.Second, Node: "s2", Kind: trace.Log, Text: "hello"},
	}}, io.Discard)
}

func TestAScriptGoesOnAfterAMistakeAndSaysSo(t *testing.T) {
	s := session()
	if err := script(t.Context(), s, strings.NewReader("frob\n\n goto 1s \n")); !errors.Is(err, errInput) || !strings.Contains(err.Error(), "frob") {
		t.Errorf("%v", err)
	}
	if s.Prompt() != "(1s #1) " {
		t.Errorf("it is at %s", s.Prompt())
	}
	if err := script(t.Context(), s, strings.NewReader("back\nquit\nfrob")); err != nil {
		t.Errorf("what comes after quit: %v", err)
	}
}

func TestAScriptEndsWhenItIsInterruptedThoughNothingIsTyped(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	terminal, keyboard := io.Pipe()
	defer func() { _ = keyboard.Close() }()
	interrupt()
	if err := script(ctx, session(), terminal); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestSemicolonsSeparateCommandsButForQuotedOnes(t *testing.T) {
	if got := lines(`where;until text~"a;b"; quit`); got != "where\nuntil text~\"a;b\"\n quit" {
		t.Errorf("%q", got)
	}
}

func TestTabCompletesAsFarAsThereIsOneWay(t *testing.T) {
	var shown strings.Builder
	terminal := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{strings.NewReader(""), &shown}, "")
	for _, c := range []struct {
		line, want string
		ways       string // that are shown
	}{
		{"fil", "fil", "files  filter"}, {"file", "files ", ""}, {"raft ", "raft s", ""}, {"raft s", "raft s", "s1  s2"}, {"raft s2", "raft s2 ", ""}, {"nosuch x", "nosuch x", ""},
	} {
		shown.Reset()
		line, pos, ok := complete(terminal, session(), c.line, len(c.line), '\t')
		if !ok || line != c.want || pos != len(c.want) || c.ways == "" != (shown.Len() == 0) || !strings.Contains(shown.String(), c.ways) {
			t.Errorf("%q becomes %q, %d, and shows %q", c.line, line, pos, shown.String())
		}
	}
	if _, _, ok := complete(terminal, session(), "fil", 3, 'x'); ok {
		t.Error("a letter completes")
	}
	if line, pos, _ := complete(terminal, session(), "raf s1", 3, '\t'); line != "raft  s1" || pos != 5 {
		t.Errorf("in the middle: %q, %d", line, pos)
	}
}
