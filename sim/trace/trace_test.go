package trace_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tribune/sim/trace"
)

func drawEvents(t *rapid.T) []trace.Event {
	var at time.Duration
	var events []trace.Event
	name := rapid.SampledFrom([]string{"", "s1", "s2", "c1", "a rather long name"})
	for range rapid.IntRange(0, 200).Draw(t, "events") {
		at += time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "after"))
		events = append(events, trace.Event{
			At: at, Node: name.Draw(t, "node"), Peer: name.Draw(t, "peer"), Kind: trace.Kind(rapid.IntRange(int(trace.NetSend), int(trace.Check)).Draw(t, "kind")),
			Size: rapid.Int64().Draw(t, "size"), Sum: rapid.Uint64().Draw(t, "sum"), Text: rapid.StringN(0, 20, 60).Draw(t, "text"),
			After: time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "on its way")),
		})
	}
	return events
}

func record(events []trace.Event, keep int) (*trace.Recording, []byte) {
	var b bytes.Buffer
	r := trace.NewRecording(&b, keep)
	for _, e := range events {
		r.Record(e)
	}
	_ = r.Flush() // a buffer takes everything
	return r, b.Bytes()
}

func readAll(t interface{ Fatal(...any) }, b []byte) []trace.Event {
	var events []trace.Event
	for r := trace.NewReader(bytes.NewReader(b)); ; {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
}

func TestWhatIsRecordedIsReadAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t)
		r, b := record(events, 10)
		if d := cmp.Diff(events, readAll(t, b)); d != "" {
			t.Fatal(d)
		}
		if d := cmp.Diff(events[max(0, len(events)-10):], r.Recent()); len(events) > 0 && d != "" {
			t.Fatalf("the latest events: %s", d)
		}
	})
}

func TestTheFingerprintTellsEveryDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t)
		one, a := record(events, 0)
		two, _ := record(events, 5)
		if one.Fingerprint() != two.Fingerprint() {
			t.Fatal("equal events, two fingerprints")
		}
		if len(events) == 0 {
			return
		}
		at := rapid.IntRange(0, len(events)-1).Draw(t, "at")
		changed := append([]trace.Event(nil), events...)
		changed[at].Size++
		other, b := record(changed, 0)
		if other.Fingerprint() == one.Fingerprint() {
			t.Fatal("another event, one fingerprint")
		}
		index, ea, eb, err := trace.Diff(trace.NewReader(bytes.NewReader(a)), trace.NewReader(bytes.NewReader(b)))
		if err != nil || index != uint64(at) || *ea != events[at] || *eb != changed[at] {
			t.Fatalf("the first difference is at %d, not at %d (%v)", at, index, err)
		}
	})
}

func TestWhatDiffersIsSaidInWords(t *testing.T) {
	hello, world := trace.Event{At: time.Second, Node: "s1", Kind: trace.Log, Text: "hello"}, trace.Event{At: 2 * time.Second, Node: "s1", Kind: trace.Log, Text: "world"}
	for _, c := range []struct {
		was, is []trace.Event
		want    string
	}{
		{[]trace.Event{hello, world}, []trace.Event{hello, world}, ""},
		{[]trace.Event{hello, world}, []trace.Event{hello, hello}, "the first event that differs is number 1:\n  was " + trace.Format(world) + "\n  is  " + trace.Format(hello)},
		{[]trace.Event{hello}, nil, "the first event that differs is number 0:\n  was " + trace.Format(hello) + "\n  is  the end"},
	} {
		_, was := record(c.was, 0)
		_, is := record(c.is, 0)
		if got, err := trace.Difference(bytes.NewReader(was), bytes.NewReader(is)); got != c.want || err != nil {
			t.Errorf("%q, %v\nwant %q", got, err, c.want)
		}
	}
}

func TestATraceThatEndsEarlyIsAnError(t *testing.T) {
	_, b := record([]trace.Event{{At: 1, Kind: trace.Log, Node: "s1", Text: "hello"}}, 0)
	for n := range len(b) {
		r := trace.NewReader(bytes.NewReader(b[:n]))
		_, err := r.Next()
		if n == len("tribune trace 2\n") {
			if !errors.Is(err, io.EOF) {
				t.Errorf("an empty trace: %v", err)
			}
			continue
		}
		if !errors.Is(err, trace.ErrFormat) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
}

func TestTheTextFormIsAsTheLegendSays(t *testing.T) {
	var lines []string
	for k := trace.NetSend; k <= trace.Check; k++ {
		lines = append(lines, trace.Format(trace.Event{At: 1500 * time.Millisecond, Node: "s1", Kind: k, Peer: "s2", Size: 40, Sum: 0xabc, Text: "why"}))
		if !strings.Contains(trace.Legend, k.String()) {
			t.Errorf("the legend does not explain %s", k)
		}
		if parsed, err := trace.ParseKind(k.String()); err != nil || parsed != k {
			t.Errorf("%s is parsed as %v, %v", k, parsed, err)
		}
	}
	got := strings.Join(lines, "\n") + "\n"
	golden := filepath.Join("testdata", "format.golden")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v; the text form is now\n%s", err, got)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

func TestAFilterChooses(t *testing.T) {
	e := trace.Event{At: 5 * time.Second, Node: "s1", Peer: "s2", Kind: trace.Log}
	for _, c := range []struct {
		filter trace.Filter
		want   bool
	}{
		{trace.Filter{}, true},
		{trace.Filter{Node: "s2"}, true},
		{trace.Filter{Node: "s3"}, false},
		{trace.Filter{Kinds: []trace.Kind{trace.Fault, trace.Log}}, true},
		{trace.Filter{Kinds: []trace.Kind{trace.Fault}}, false},
		{trace.Filter{From: 5 * time.Second, To: 6 * time.Second}, true},
		{trace.Filter{To: 5 * time.Second}, false},
	} {
		if got := c.filter.Match(e); got != c.want {
			t.Errorf("%+v: %t", c.filter, got)
		}
	}
	world, ofTheWorld := trace.Filter{Node: "-"}, e
	ofTheWorld.Node, ofTheWorld.Peer = "", ""
	if !world.Match(ofTheWorld) || world.Match(e) || (trace.Filter{Node: "s1"}).Match(ofTheWorld) {
		t.Error("the world is not found as -, or is taken for a node")
	}
}

func FuzzReader(f *testing.F) {
	_, b := record([]trace.Event{{At: 1, Kind: trace.Log, Node: "s1", Text: "hello"}, {At: 2, Kind: trace.Fault, Node: "s1"}}, 0)
	f.Add(b)
	f.Add([]byte("tribune trace 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var events []trace.Event
		for r := trace.NewReader(bytes.NewReader(b)); ; {
			e, err := r.Next()
			if err != nil {
				if err != io.EOF && !errors.Is(err, trace.ErrFormat) {
					t.Errorf("no error of a reader: %v", err)
				}
				break
			}
			events = append(events, e)
		}
		_, again := record(events, 0)
		if d := cmp.Diff(events, readAll(t, again)); d != "" {
			t.Error(d)
		}
	})
}

func TestATornTraceIsNotTheEndOfOne(t *testing.T) {
	_, whole := record([]trace.Event{{At: 1, Kind: trace.Log, Node: "s1", Text: "hello"}}, 0)
	for n := len("tribune trace 2\n") + 1; n < len(whole); n++ {
		if _, err := trace.NewReader(bytes.NewReader(whole[:n])).Next(); errors.Is(err, io.EOF) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
		if _, _, _, err := trace.Diff(trace.NewReader(bytes.NewReader(whole[:n])), trace.NewReader(bytes.NewReader(whole))); !errors.Is(err, trace.ErrFormat) {
			t.Errorf("cut after %d bytes, the difference: %v", n, err)
		}
	}
}

func TestATextOfAnyLengthIsReadableAndOneLine(t *testing.T) {
	_, b := record([]trace.Event{{At: 1, Kind: trace.Log, Text: strings.Repeat("x", 3<<20)}, {At: 2, Kind: trace.Log, Text: "a\nb\r"}}, 0)
	events := readAll(t, b)
	if len(events) != 2 || events[1].Text != "a\nb\r" {
		t.Fatalf("%d events", len(events))
	}
	if line := trace.Format(events[1]); strings.ContainsAny(line, "\n\r") {
		t.Errorf("%q", line)
	}
}

func TestTheJSONFormHasTheFieldsThatItsLegendLists(t *testing.T) {
	e := trace.Event{At: 1500 * time.Millisecond, Node: "s1", Kind: trace.NetDeliver, Peer: "s2", Size: 40, Sum: 1<<63 + 1, After: time.Millisecond, Text: "tcp \"x\"\n"}
	got, err := trace.JSON(e)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"at":1500000000,"node":"s1","kind":"deliver","peer":"s2","size":40,"sum":"8000000000000001","after":1000000,"text":"tcp \"x\"\n"}`
	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	var fields map[string]any
	if err := json.Unmarshal(got, &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		if !strings.Contains(trace.JSONLegend, "\n  "+name+" ") {
			t.Errorf("the legend does not explain %s", name)
		}
	}
	if got, _ := trace.JSON(trace.Event{Kind: trace.Fault}); string(got) != `{"at":0,"kind":"fault"}` {
		t.Errorf("an empty event is %s", got)
	}
}
