package page_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tribune/linearizability"
	"tribune/page"
	"tribune/sim/trace"
)

func recorded(t *testing.T, events ...trace.Event) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	r := trace.NewRecording(&b, 0)
	for _, e := range events {
		r.Record(e)
	}
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func server(string) string { return "server" }

func TestARunInWhichNothingHappensHasEmptyLists(t *testing.T) {
	d, err := page.Build(page.Run{Role: server}, recorded(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"verdicts", "nodes", "faults", "lives", "reigns", "clocks", "texts", "replay"} {
		if !strings.Contains(string(b), `"`+list+`":[]`) {
			t.Errorf("%s is no empty list in %s", list, b)
		}
	}
}

func TestAFaultThatIsNotOverLastsUntilTheEnd(t *testing.T) {
	r := page.Run{Role: server, Facts: page.Facts{Virtual: int64(3 * time.Second)}, Faults: []page.Strike{{At: time.Second, Nodes: []string{"b", "unknown"}}}}
	d, err := page.Build(r, recorded(t, trace.Event{Node: "a", Kind: trace.Life, Text: "start 1"}, trace.Event{Node: "b", Kind: trace.Life, Text: "start 1"}))
	if err != nil {
		t.Fatal(err)
	}
	if f := d.Faults[0]; f.Until != int64(3*time.Second) || len(f.Nodes) != 1 || d.Nodes[f.Nodes[0]].Name != "b" {
		t.Errorf("the fault is %+v, of the nodes %+v", f, d.Nodes)
	}
}

func TestOperationsInWords(t *testing.T) {
	const ok = linearizability.OK
	for want, o := range map[string]linearizability.Op{
		"get k: nothing, done":                             {Kind: linearizability.Get, Key: "k", Outcome: ok},
		"get k (stale): v at index 7, done":                {Kind: linearizability.Get, Mode: "stale", Key: "k", Outcome: ok, Found: true, Seen: "v", SeenAt: 7},
		"get k: , unknown":                                 {Kind: linearizability.Get, Key: "k", Outcome: linearizability.Unknown},
		"put k = v: , refused":                             {Kind: linearizability.Put, Key: "k", Value: "v", Outcome: linearizability.Failed},
		"put k = v if its index is 7: , condition not met": {Kind: linearizability.CAS, Key: "k", Value: "v", Index: 7, Outcome: ok},
		"delete k if its index is 7: , done":               {Kind: linearizability.DeleteCAS, Key: "k", Index: 7, Outcome: ok, Done: true},
		"add = job: , done":                                {Kind: "add", Value: "job", Outcome: ok},
		"take: job, done":                                  {Kind: "take", Seen: "job", Outcome: ok},
	} {
		p := page.OfKey("client1", o)
		if got := p.What + ": " + p.Answer + ", " + p.Outcome; got != want {
			t.Errorf("%+v is %q, want %q", o, got, want)
		}
	}
}
