package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"tribune/impl/logging"
)

// logged returns a logger that keeps what is logged at a level or above, and
// what it kept since the last call, without the times.
func logged(least slog.Level) (*slog.Logger, func() string) {
	var b bytes.Buffer
	return slog.New(logging.Handler(&b, least)), func() string {
		var lines []string
		for line := range strings.Lines(b.String()) {
			time, rest, _ := strings.Cut(line, " ")
			if !strings.HasPrefix(time, "time=20") {
				rest = line
			}
			lines = append(lines, rest)
		}
		b.Reset()
		return strings.TrimSuffix(strings.Join(lines, ""), "\n")
	}
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("logged\n%s\nwant\n%s", got, want)
	}
}

func TestALineForPeopleNamesItsLevel(t *testing.T) {
	log, lines := logged(logging.Trace)
	log.Log(context.Background(), logging.Trace, "very fine", "n", 1)
	log.Debug("fine")
	log.Info("two words", "text", "with a space", "quote", `"`)
	log.Warn("look", "error", errors.New("it broke"))
	log.Error("wrong")
	// An attribute that is called level, or has that type, is left alone.
	log.Info("levels", "of", logging.Trace, slog.Group("g", "level", "high"))
	want(t, lines(), `level=TRACE msg="very fine" n=1
level=DEBUG msg=fine
level=INFO msg="two words" text="with a space" quote="\""
level=WARN msg=look error="it broke"
level=ERROR msg=wrong
level=INFO msg=levels of=DEBUG-4 g.level=high`)
}

func TestALineForProgramsHasConsulsKeys(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(logging.JSON(&b, logging.Trace))
	logging.HCLog(log).Named("raft").Warn("look", "error", errors.New("it broke"))
	log.Log(context.Background(), logging.Trace, "very fine", "n", 1)
	d := json.NewDecoder(&b)
	for _, want := range []map[string]any{
		{"@level": "warn", "@message": "look", "@module": "raft", "error": "it broke"},
		{"@level": "trace", "@message": "very fine", "n": 1.0},
	} {
		var got map[string]any
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if _, err := time.Parse(time.RFC3339, fmt.Sprint(got["@timestamp"])); err != nil {
			t.Error(err)
		}
		delete(got, "@timestamp")
		if !maps.Equal(got, want) {
			t.Errorf("logged %v, want %v", got, want)
		}
	}
}

func TestNothingBelowTheLeastLevelIsLogged(t *testing.T) {
	levels := []slog.Level{logging.Trace, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	for i, least := range levels {
		log, lines := logged(least)
		h := logging.HCLog(log)
		for _, f := range []func(string, ...any){h.Trace, h.Debug, h.Info, h.Warn, h.Error} {
			f("x")
		}
		if got := strings.Count(lines(), "msg=x"); got != len(levels)-i {
			t.Errorf("%d of %d levels are logged at %v", got, len(levels), least)
		}
		for j, is := range []bool{h.IsTrace(), h.IsDebug(), h.IsInfo(), h.IsWarn(), h.IsError()} {
			if is != (j >= i) {
				t.Errorf("at %v, %v is enabled: %t", least, levels[j], is)
			}
		}
		std := logging.Std(log)
		for _, name := range []string{"TRACE", "DEBUG", "INFO", "WARN", "ERR"} {
			std.Printf("[%s] part: x", name)
		}
		if got := strings.Count(lines(), `msg="part: x"`); got != len(levels)-i {
			t.Errorf("%d of %d lines are logged at %v", got, len(levels), least)
		}
	}
}

func TestALoggerOfRaftWritesIntoTheAgents(t *testing.T) {
	log, lines := logged(logging.Trace)
	h := logging.HCLog(log)
	h.Trace("a", "n", 1)
	h.Debug("b")
	h.Info("c", "peers", []string{"x", "y"})
	h.Warn("d", "error", errors.New("it broke"))
	h.Error("e", "entry", hclog.Fmt("%d of %d", 3, 7))
	h.Log(hclog.Warn, "f")
	h.Log(hclog.NoLevel, "g")
	h.Info("h", "lonely")
	want(t, lines(), `level=TRACE msg=a n=1
level=DEBUG msg=b
level=INFO msg=c peers="[x y]"
level=WARN msg=d error="it broke"
level=ERROR msg=e entry="3 of 7"
level=WARN msg=f
level=INFO msg=g
level=INFO msg=h !BADKEY=lonely`)
}

func TestALoggerOfAPartSaysWhichAndKeepsWhatItWasGiven(t *testing.T) {
	log, lines := logged(slog.LevelInfo)
	root := logging.HCLog(log)
	part := root.Named("raft").With("id", 7)
	part.Info("a")
	part.Named("snapshot").With("n", 1).Info("b")
	part.ResetNamed("wal").Info("c")
	root.Info("d")
	want(t, lines(), `level=INFO msg=a part=raft id=7
level=INFO msg=b part=raft.snapshot id=7 n=1
level=INFO msg=c part=wal id=7
level=INFO msg=d`)

	if got := part.Named("snapshot").Name(); got != "raft.snapshot" {
		t.Errorf("its name is %s", got)
	}
	one, other := part.With("x", 1), part.With("x", 2)
	for l, want := range map[hclog.Logger]string{root: "[]", part: "[id 7]", one: "[id 7 x 1]", other: "[id 7 x 2]"} {
		if got := fmt.Sprint(l.ImpliedArgs()); got != want {
			t.Errorf("it was given %s, want %s", got, want)
		}
	}
}

func TestLinesOfTheStandardLoggerFindTheirLevel(t *testing.T) {
	log, lines := logged(logging.Trace)
	for _, std := range []interface{ Print(...any) }{
		logging.Std(log), logging.HCLog(log).StandardLogger(nil), printer{logging.HCLog(log).StandardWriter(nil)},
	} {
		for _, line := range []string{
			"[TRACE] t", "[DEBUG] memberlist: Stream connection from=10.0.0.1:1\n", "[INFO] serf: EventMemberJoin: s1", "[WARN] w", "[ERR] e", "[ERROR] e2",
			"http: a plain line", "[::1]:8500: an address", "[half",
		} {
			std.Print(line)
		}
		want(t, lines(), `level=TRACE msg=t
level=DEBUG msg="memberlist: Stream connection from=10.0.0.1:1"
level=INFO msg="serf: EventMemberJoin: s1"
level=WARN msg=w
level=ERROR msg=e
level=ERROR msg=e2
level=INFO msg="http: a plain line"
level=INFO msg="[::1]:8500: an address"
level=INFO msg=[half`)
	}
}

type printer struct{ io.Writer }

func (p printer) Print(v ...any) { _, _ = fmt.Fprint(p, v...) }

func TestALoggerChangesNothingOfItsCaller(t *testing.T) {
	log, _ := logged(slog.LevelInfo)
	args := []any{"entry", hclog.Fmt("%d", 3)}
	logging.HCLog(log).Info("x", args...)
	if _, still := args[1].(hclog.Format); !still {
		t.Errorf("the caller's argument became %v", args[1])
	}
}
