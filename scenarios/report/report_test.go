package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tribune/linearizability"
	"tribune/page"
	"tribune/scenarios"
	"tribune/scenarios/report"
	"tribune/sim"
	"tribune/sim/trace"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// tiny is a run of two seconds in which everything happens once.
func tiny() (report.Run, []trace.Event) {
	s := scenarios.Scenario{Name: "tiny", About: "A run of <two> seconds."}
	s.Topology.Servers, s.Topology.Clients = 2, 2
	s.Workload.Contenders, s.Workload.Tellers = 1, 1
	s.Duration.Duration = time.Second
	const ms = time.Millisecond
	plan := scenarios.NewPlan(s, 7)
	plan.Servers[0].Skew, plan.Servers[1].Rate = 300*ms, 1.05
	history := []linearizability.Op{
		{Client: 1, Key: "k", Kind: linearizability.Put, Value: "c1-1", Outcome: linearizability.OK, Call: 100 * ms, Return: 110 * ms, ServedBy: "s1"},
		{Client: 1, Key: "k", Kind: linearizability.Put, Value: "c1-2", Outcome: linearizability.OK, Call: 200 * ms, Return: 220 * ms, ServedBy: "s1"},
		{Client: 2, Key: "k", Kind: linearizability.Get, Mode: "default", Outcome: linearizability.OK, Call: 300 * ms, Return: 301 * ms, Found: true, Seen: "c1-1", SeenAt: 9, ServedBy: "s2"},
		{Client: 2, Key: "k", Kind: linearizability.CAS, Value: "c2-1", Index: 5, Outcome: linearizability.OK, Call: 400 * ms, Return: 410 * ms, ServedBy: "s2"},
		{Client: 2, Key: "k", Kind: linearizability.Delete, Outcome: linearizability.Failed, Call: 500 * ms, Return: 510 * ms, ServedBy: "s2", Error: "No cluster leader"},
		{Client: 3, Key: "probe", Kind: linearizability.Put, Value: "probe-1", Outcome: linearizability.Unknown, Call: 1100 * ms, Return: 1600 * ms, ServedBy: "s1", Error: "timeout"},
	}
	stale := linearizability.Check(history, linearizability.DefaultBudget)
	r := scenarios.Result{
		Scenario: "tiny", Seed: 7, Fingerprint: "f00d", Virtual: 2 * time.Second, Events: 99, PeakMemory: 1 << 20, Healed: time.Second,
		Ops: scenarios.Counts{OK: 4, Failed: 1, Unknown: 1},
		Verdicts: []scenarios.Verdict{
			{Check: "linearizable", Expected: "holds", Got: "violated", Text: "5 operations", Anomalies: linearizability.Explain(history, stale, time.Minute)},
			{Check: "invariants", Expected: "holds", Got: "violated", Text: "one"},
			{Check: "recovery", Expected: "holds", Got: "violated"},
			{Check: "exclusive", Expected: "violated", Got: "violated", OK: true, Text: "as known"},
		},
		Faults:     []scenarios.FaultLog{{At: 250 * ms, Until: 900 * ms, Kind: "partition", Nodes: []string{"s1"}, Text: "the network cuts s1 off"}},
		Reigns:     []scenarios.Reign{{At: 50 * ms, Until: 350 * ms, Term: 2, Server: "s1"}},
		Recovery:   scenarios.Recovered{Leader: scenarios.Reached{Asked: true, Text: "no server leads"}, Write: scenarios.Reached{Asked: true, OK: true}},
		Violations: []sim.Violation{{At: 333 * ms, Invariant: "election safety", Text: "s1 and s2 both lead in term 2"}},
		Lock: &scenarios.Locking{Late: []string{"at 1.5s h1 with token 3, after token 4"}, History: []linearizability.LockOp{
			{Client: 5, Kind: linearizability.LockAcquire, Session: "abc", Done: true, Outcome: linearizability.OK, Call: 600 * ms, Return: 610 * ms},
		}},
		History: history,
		Transactions: []linearizability.Txn{{Client: 2000, Done: true, Outcome: linearizability.OK, Call: 700 * ms, Return: 710 * ms, Steps: []linearizability.Step{
			{Verb: linearizability.StepSet, Key: "b", Value: "1"}, {Verb: linearizability.StepGet, Key: "a", Found: true, Seen: "2", SeenAt: 8},
		}}},
		Picture: "<!doctype html><p>a picture",
	}
	events := []trace.Event{
		{At: 0, Node: "s1", Kind: trace.Life, Text: "start 1"},
		{At: 0, Node: "s2", Kind: trace.Life, Text: "start 1"},
		{At: 0, Node: "c1", Kind: trace.Life, Text: "start 1"},
		{At: 0, Node: "w1", Kind: trace.Life, Text: "start 1"},
		{At: 100 * ms, Node: "c1", Kind: trace.Op, Peer: "s1", Text: "put k c1-1"},
		{At: 101 * ms, Node: "s1", Kind: trace.NetDeliver, Peer: "c1", Size: 40, Sum: 1, Text: "tcp", After: ms},
		{At: 250 * ms, Kind: trace.Fault, Text: "the network cuts s1 off"},
		{At: 260 * ms, Node: "s2", Kind: trace.NetDrop, Peer: "s1", Size: 60, Text: "partition"},
		{At: 270 * ms, Node: "s1", Kind: trace.Life, Text: "pause"},
		{At: 280 * ms, Node: "s1", Kind: trace.Fault, Text: "clock jumps by -3s"},
		{At: 290 * ms, Node: "s1", Kind: trace.Life, Text: "resume"},
		{At: 295 * ms, Node: "w1", Kind: trace.Op, Text: `watch k: "c1-2" at 9`},
		{At: 333 * ms, Kind: trace.Check, Text: "election safety: s1 and s2 both lead in term 2"},
		{At: 340 * ms, Node: "s1", Kind: trace.Log, Text: "WARN cluster leadership lost term=2"},
		{At: 345 * ms, Node: "s1", Kind: trace.DiskFail, Peer: "/data/wal", Text: "write: no space"},
		{At: 350 * ms, Node: "s1", Kind: trace.Life, Text: "kill"},
		{At: 360 * ms, Node: "s1", Kind: trace.Life, Text: "power failure"},
		{At: 900 * ms, Kind: trace.Fault, Text: "over: the network cuts s1 off"},
		{At: time.Second, Kind: trace.Fault, Text: "healed"},
		{At: 2 * time.Second, Node: "s2", Kind: trace.Life, Text: "kill"},
	}
	return report.Run{Made: report.Made{Order: scenarios.Order{Scenario: s, Seed: 7}, Program: "f00d"}, Plan: plan, Result: r, Took: time.Second, File: "scenarios/tiny.yaml"}, events
}

func recorded(t *testing.T, events []trace.Event) *bytes.Buffer {
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

func build(t *testing.T, r report.Run, events []trace.Event) page.Data {
	t.Helper()
	d, err := report.Build(r, "runs/tiny-7", recorded(t, events))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func html(t *testing.T, d page.Data) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := page.Write(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheDataOfATinyRun(t *testing.T) {
	r, events := tiny()
	d := build(t, r, events)
	if !strings.Contains(d.Settings, "seed: 7") || !strings.Contains(d.Plan, "tiny, seed 7") {
		t.Errorf("the settings are\n%s\nin words\n%s", d.Settings, d.Plan)
	}
	d.Settings, d.Plan = "", "" // their form is another package's
	got, err := json.MarshalIndent(d, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	golden := filepath.Join("testdata", "tiny.json")
	if *rewrite {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s\n(go test ./scenarios/report -rewrite, if that is meant)", d)
	}
}

func TestNothingOfARunBecomesPartOfThePage(t *testing.T) {
	const hostile = `</script><script>alert("x")</script><!-- & '`
	r, events := tiny()
	r.Plan.Scenario.About, r.Result.Scenario, r.Result.Picture = hostile, hostile, hostile
	for i := range r.Result.History {
		r.Result.History[i].Key = hostile
	}
	events = append(events, trace.Event{At: 3e9, Node: "s1", Kind: trace.Log, Text: "INFO " + hostile})
	d := build(t, r, events)
	whole := string(html(t, d))
	if strings.Contains(whole, `alert("x")`) || strings.Contains(whole, "<script>alert") {
		t.Error("text of a run is in the page as it is")
	}
	if got, want := strings.Count(whole, "</script>"), 2; got != want {
		t.Errorf("%d elements end that should be %d", got, want)
	}
	_, after, _ := strings.Cut(whole, `<script type="application/json" id="data">`)
	block, _, _ := strings.Cut(after, "</script>")
	var back page.Data
	if err := json.Unmarshal([]byte(block), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, back); diff != "" {
		t.Errorf("the page has other data: %s", diff)
	}
	for _, outside := range []string{"http://", "https://", "src=\"", "@import", "url("} {
		for line := range strings.Lines(whole) {
			if strings.Contains(line, outside) && !strings.Contains(line, "www.w3.org/2000/svg") {
				t.Errorf("the page refers to something outside: %s", strings.TrimSpace(line))
			}
		}
	}
}

// long is a page of ten minutes with 30,000 operations, and more messages and log
// lines than there is room for.
func long() page.Data {
	r, _ := tiny()
	r.Result.Virtual = 10 * time.Minute
	r.Result.History, r.Result.Transactions, r.Result.Lock = nil, nil, nil
	r.Plan.Scenario.Topology.Clients = 10
	for i := range 30_000 {
		at := time.Duration(i) * 20 * time.Millisecond
		o := linearizability.Op{Client: 1 + i%10, Key: fmt.Sprintf("k%d", i%7), Kind: linearizability.Put, Value: fmt.Sprintf("v%d", i), Outcome: linearizability.OK, Call: at, Return: at + 5*time.Millisecond, ServedBy: "s1"}
		if i%50 == 0 {
			o.Outcome = linearizability.Unknown
		}
		r.Result.History = append(r.Result.History, o)
	}
	r.Result.Verdicts = []scenarios.Verdict{{Check: "linearizable", Expected: "holds", Got: "violated", Anomalies: []linearizability.Anomaly{
		{Kind: linearizability.StaleRead, Text: "an old value", At: r.Result.History[29_000].Call, Ops: []int{29_000, 3}},
	}}}
	var events []trace.Event
	for i := range 10 {
		events = append(events, trace.Event{Node: fmt.Sprintf("c%d", i+1), Kind: trace.Life, Text: "start 1"})
	}
	events = append(events, trace.Event{Node: "s1", Kind: trace.Life, Text: "start 1"}, trace.Event{Node: "s2", Kind: trace.Life, Text: "start 1"})
	for i := range 300_000 {
		at := time.Duration(i) * 2 * time.Millisecond
		e := trace.Event{At: at, Node: "s1", Peer: "s2", Kind: trace.NetDeliver, Size: 100, Text: "tcp", After: time.Millisecond}
		if i%10 == 0 {
			e = trace.Event{At: at, Node: "s1", Kind: trace.Log, Text: fmt.Sprintf("INFO line %d with some more words in it, as lines of a log have them", i)}
		}
		if i%10_000 == 0 {
			e.Text = fmt.Sprintf("ERROR %d", i)
		}
		events = append(events, e)
	}
	var b bytes.Buffer
	rec := trace.NewRecording(&b, 0)
	for _, e := range events {
		rec.Record(e)
	}
	_ = rec.Flush() // a buffer takes everything
	d, err := report.Build(r, "runs/long-7", &b)
	if err != nil {
		panic(err) // it was recorded just now
	}
	return d
}

func TestALongRunStaysSmallAndKeepsWhatMatters(t *testing.T) {
	d := long()
	if size := len(html(t, d)); size > 10<<20 {
		t.Errorf("the page has %d bytes", size)
	}
	if d.Sample.AllMessages || d.Sample.AllEvents || d.Sample.Messages != 270_000 || len(d.Messages.Rows) > 60_000 || len(d.Messages.Rows) < 50_000 {
		t.Errorf("%d of %d messages", len(d.Messages.Rows), d.Sample.Messages)
	}
	if len(d.Ops.Rows) != 30_000 {
		t.Errorf("%d operations", len(d.Ops.Rows))
	}
	f := d.Verdicts[0].Findings[0]
	near := 0
	for _, m := range d.Messages.Rows {
		if at := m[0] + m[1]; at > f.At-4e8 && at < f.At+4e8 {
			near++
		}
	}
	if near < 350 {
		t.Errorf("only %d messages near what went wrong, of 360", near)
	}
	errorLines := 0
	for i, e := range d.Events.Rows {
		if e[3] == 3 {
			errorLines++
		}
		if i > 0 && e[0] < d.Events.Rows[i-1][0] {
			t.Fatal("events are not in the order of time")
		}
	}
	if errorLines != 30 {
		t.Errorf("%d errors are kept of 30", errorLines)
	}
	for i, w := range d.Sample.Windows {
		if i > 0 && w.From < d.Sample.Windows[i-1].Until {
			t.Errorf("windows overlap: %v, %v", d.Sample.Windows[i-1], w)
		}
	}
}

func TestCommandsMakeTheSameRun(t *testing.T) {
	r, events := tiny()
	r.Mutant, r.Flags = "blind-cas", []string{"-duration", "20s"}
	d, err := report.Build(r, "runs/tiny-7", recorded(t, events))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range d.Replay {
		lines = append(lines, c.Line)
	}
	for _, want := range []string{
		"simctl replay runs/tiny-7", "simctl debug runs/tiny-7", "simctl explain -seed 7 -duration 20s scenarios/tiny.yaml",
		"simctl run -mutant blind-cas -seed 7 -duration 20s -report runs scenarios/tiny.yaml",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no command %s in %q", want, lines)
		}
	}
	if got := report.Judge(r, "", nil).Replay; got != "simctl run -mutant blind-cas -seed 7 -duration 20s scenarios/tiny.yaml" {
		t.Errorf("a program is told to run %s", got)
	}
}

func TestAFolderThatIsNoReportIsSaidToBeNone(t *testing.T) {
	r, events := tiny()
	dir := reported(t, r, recorded(t, events).Bytes())
	if _, _, err := report.Read(filepath.Dir(dir)); err == nil || !strings.Contains(err.Error(), "take one of those in it: "+dir) {
		t.Errorf("of the folder of a folder: %v", err)
	}
	if _, _, err := report.Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is not the folder of a report: it has no") {
		t.Errorf("of an empty folder: %v", err)
	}
}

func TestAReportCanBeReadAgain(t *testing.T) {
	r, events := tiny()
	dir := reported(t, r, recorded(t, events).Bytes())
	made, result, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.Result.Picture = "" // it is in the page
	if diff := cmp.Diff(r.Made, made) + cmp.Diff(r.Result, result); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile(filepath.Join(dir, report.TextFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"FAILED  linearizable: violated, expected holds", "lost write: client 2 read k=c1-1 at 0.300 s from s2; c1-1 was overwritten by c1-2 of client 1, acknowledged at 0.220 s",
		"election safety: at 0.333 s s1 and s2 both lead in term 2 (at most one server leads in a term)",
		"all was healed at 1.000 s, and there was no leader in time: no server leads; the last to lead was s1, in term 2, seen until 0.350 s",
		"late write: at 1.500 s a write of h1 with token 3, after token 4;", "simctl replay " + dir,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the text does not say: %s\n%s", want, text)
		}
	}
}

func TestEveryPartOfTheRecoveryIsFound(t *testing.T) {
	parts := reflect.TypeFor[scenarios.Recovered]()
	for i := range parts.NumField() {
		var r scenarios.Result
		reflect.ValueOf(&r.Recovery).Elem().Field(i).Set(reflect.ValueOf(scenarios.Reached{Asked: true, Text: "not there"}))
		found := report.Findings(r, scenarios.Verdict{Check: "recovery", Got: "violated"})
		if len(found) != 1 || !strings.Contains(found[0].Text, "in time: not there") {
			t.Errorf("without %s this is found: %+v", parts.Field(i).Name, found)
		}
	}
}

// dead is the tiny run, whose process died when the lock was wanted. Its trace ends
// within an event.
func dead(t *testing.T) (r report.Run, recording []byte) {
	t.Helper()
	r, events := tiny()
	r.Result = scenarios.Result{}
	r.Died = &scenarios.Death{Scenario: "tiny", Seed: 7, Err: errors.New("exit status 2"), Output: "panic: <no> lock\n\ngoroutine 1:\n" + strings.Repeat("more\n", 900) + "the last line"}
	const ms = time.Millisecond
	r.Plan.Strikes = []scenarios.Strike{{Fault: scenarios.Fault{Kind: "partition"}, Begin: 250 * ms}}
	events = append(events[:4],
		trace.Event{At: 100 * ms, Node: "c1", Kind: trace.Op, Peer: "s1", Text: "put k c1-1"},
		trace.Event{At: 110 * ms, Node: "c1", Kind: trace.Op, Peer: "s1", Text: "put k returns ok done=false found=false @0 "},
		trace.Event{At: 120 * ms, Node: "c2", Kind: trace.Op, Peer: "s2", Text: "get k "},
		trace.Event{At: 130 * ms, Node: "c2", Kind: trace.Op, Peer: "s2", Text: "get k returns ok done=false found=true c1-1@9 "},
		trace.Event{At: 140 * ms, Node: "c2", Kind: trace.Op, Peer: "s2", Text: "delete k "},
		trace.Event{At: 150 * ms, Node: "c2", Kind: trace.Op, Peer: "s2", Text: "delete k returns failed done=false found=false @0 No cluster leader"},
		trace.Event{At: 200 * ms, Node: "s1", Kind: trace.Log, Text: "INFO election won part=raft term=2 tally=2"},
		trace.Event{At: 200 * ms, Node: "s1", Kind: trace.Log, Text: "INFO entering leader state part=raft"},
		trace.Event{At: 250 * ms, Kind: trace.Fault, Text: "the network cuts s1 off from the other servers"},
		trace.Event{At: 260 * ms, Kind: trace.Fault, Text: "s2 gets an empty disk"},
		trace.Event{At: 300 * ms, Node: "s1", Kind: trace.Log, Text: "INFO entering follower state part=raft"},
		trace.Event{At: 333 * ms, Kind: trace.Check, Text: "election safety: s1 and s2 both lead in term 2"},
		trace.Event{At: 400 * ms, Kind: trace.Fault, Text: "over: the network cuts s1 off from the other servers"},
		trace.Event{At: 500 * ms, Node: "c1", Kind: trace.Op, Peer: "s1", Text: "cas k c1-2"},
		trace.Event{At: 600 * ms, Node: "s2", Kind: trace.Life, Text: "kill"},
		trace.Event{At: 700 * ms, Node: "s1", Kind: trace.Log, Text: "INFO cut off in the middle"},
	)
	all := recorded(t, events).Bytes()
	return r, all[:len(all)-5]
}

// reported writes a report and returns its folder.
func reported(t *testing.T, r report.Run, recording []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tiny-7")
	if err := report.Write(dir, r, bytes.NewReader(recording)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestARunThatDiedHasAReportAsFarAsItsTraceGoes(t *testing.T) {
	r, events := dead(t)
	dir := reported(t, r, events)
	_, result, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	const ms = time.Millisecond
	want := scenarios.Result{
		Scenario: "tiny", Seed: 7, Virtual: 600 * ms, Ops: scenarios.Counts{OK: 2, Failed: 1, Unknown: 1},
		Verdicts: []scenarios.Verdict{
			{Check: "the run", Expected: "a result", Got: "without one", Text: "panic: <no> lock"},
			{Check: "invariants", Expected: "holds", Got: "violated", Text: "1 violations before the end"},
		},
		Faults:     []scenarios.FaultLog{{At: 250 * ms, Until: 400 * ms, Kind: "partition", Nodes: []string{"s1"}, Text: "the network cuts s1 off from the other servers"}},
		Reigns:     []scenarios.Reign{{At: 200 * ms, Until: 260 * ms, Term: 2, Server: "s1"}},
		Violations: []sim.Violation{{At: 333 * ms, Invariant: "election safety", Text: "s1 and s2 both lead in term 2"}},
		History: []linearizability.Op{
			{Client: 1, Key: "k", Kind: linearizability.Put, Value: "c1-1", Outcome: linearizability.OK, Call: 100 * ms, Return: 110 * ms, ServedBy: "s1"},
			{Client: 2, Key: "k", Kind: linearizability.Get, Outcome: linearizability.OK, Call: 120 * ms, Return: 130 * ms, Found: true, Seen: "c1-1", SeenAt: 9, ServedBy: "s2"},
			{Client: 2, Key: "k", Kind: linearizability.Delete, Outcome: linearizability.Failed, Call: 140 * ms, Return: 150 * ms, ServedBy: "s2", Error: "No cluster leader"},
			{Client: 1, Key: "k", Kind: linearizability.CAS, Value: "c1-2", Outcome: linearizability.Unknown, Call: 500 * ms, Return: 600 * ms, ServedBy: "s1", Error: "the run ended before"},
		},
	}
	if diff := cmp.Diff(want, result); diff != "" {
		t.Error(diff)
	}
	for file, says := range map[string][]string{
		report.DeathFile: {"panic: <no> lock\n", "the last line"},
		report.TextFile:  {"FAILED  the run: without one, expected a result", "exit status 2", "panic: <no> lock", "the last line", "died.txt has", "the network cuts s1 off", "simctl replay " + dir},
		report.PageFile:  {`"cause":"panic: \u003cno\u003e lock"`, `"kind":"the end"`},
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range says {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s does not say: %s", file, want)
			}
		}
		if lines := strings.Count(string(text), "more\n"); file == report.TextFile && lines > 500 {
			t.Errorf("the text has %d lines of what the process said", lines)
		}
	}
	if j := report.Judge(r, dir, r.Died); j.OK || j.Error != "exit status 2: panic: <no> lock" {
		t.Errorf("a program is told %+v", j)
	}
}
