package debug

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tribune/impl/api"
	"tribune/impl/consensus"
	"tribune/scenarios"
	"tribune/scenarios/look"
	"tribune/sim"
	"tribune/sim/nemesis"
	"tribune/sim/simdisk"
	"tribune/sim/simnet"
	"tribune/sim/trace"
)

// told is a run that nobody made: three servers, whose leader pauses.
func told() Recorded {
	at := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return Recorded{
		Events: []trace.Event{
			{At: 0, Node: "s1", Kind: trace.Life, Text: "start 1"},
			{At: 0, Node: "s2", Kind: trace.Life, Text: "start 1"},
			{At: 0, Node: "s10", Kind: trace.Life, Text: "start 1"},
			{At: at(1), Node: "s1", Peer: "s2", Kind: trace.NetDeliver, Text: "tcp", Size: 120, Sum: 0xabc},
			{At: at(1.5), Node: "s1", Kind: trace.Log, Text: "INFO election won term=2"},
			{At: at(1.5), Node: "s1", Peer: "/data/raft/wal", Kind: trace.DiskSync, Size: 4096},
			{At: at(2), Node: "c1", Kind: trace.Op, Text: "put k1"},
			{At: at(5), Kind: trace.Fault, Text: "pause s1"},
			{At: at(5), Node: "s1", Kind: trace.Life, Text: "pause"},
			{At: at(7), Node: "s2", Kind: trace.Log, Text: "INFO election won term=3"},
			{At: at(9), Kind: trace.Fault, Text: "over: pause s1"},
			{At: at(9), Kind: trace.Check, Text: "election safety: s1 and s2 both lead"},
		},
		Result: scenarios.Result{
			Reigns:   []scenarios.Reign{{At: at(1.55), Term: 2, Server: "s1"}, {At: at(7.05), Term: 3, Server: "s2"}},
			Passages: []nemesis.Passage{{At: at(1.5), Point: "elected", Node: "s1"}, {At: at(3), Point: "candidate", Node: "s2"}, {At: at(7), Point: "elected", Node: "s2"}},
			Faults:   []scenarios.FaultLog{{At: at(5), Until: at(9), Text: "pause s1"}},
		},
	}
}

const dump = `goroutine 1 [running]:
main.main()
	/src/cmd/main.go:10 +0x1d

goroutine 20 [chan receive (durable), synctest bubble 1, since 0]:
tribune/sim.(*World).wait(...)
	/src/sim/world.go:20 +0x1d

goroutine 21 [select (durable), synctest bubble 1, node s2, since 7000000000]:
github.com/hashicorp/raft.(*Raft).leaderLoop(0xc000123456)
	/mod/github.com/hashicorp/raft@v1.8.0/raft.go:600 +0x65
created by github.com/hashicorp/raft.NewRaft in goroutine 20
	/mod/github.com/hashicorp/raft@v1.8.0/api.go:50 +0x65

goroutine 22 [sync.Mutex.Lock (durable), synctest bubble 1, node s2, since 8000000000]:
sync.(*Mutex).Lock(...)
	/go/src/sync/mutex.go:46
tribune/impl/kv.get({0xc0, 0x2})
	/src/impl/kv/kv.go:7 +0x11

goroutine 23 [sync.Mutex.Lock (durable), synctest bubble 1, node s2, since 8500000000]:
sync.(*Mutex).Lock(...)
	/go/src/sync/mutex.go:46
tribune/impl/kv.get({0xc9, 0x2})
	/src/impl/kv/kv.go:7 +0x11

goroutine 24 [sync.Mutex.Lock (durable), synctest bubble 1, node s2 (dead), since 100]:
sync.(*Mutex).Lock(...)
	/go/src/sync/mutex.go:46
`

// sightings are what would be seen in it, after 7 s.
func (r Recorded) sightings(_ context.Context, at position) (look.Seen, error) {
	if at.event < 9 {
		return look.Seen{}, errors.New("there is nothing to see there")
	}
	n := uint64(at.event + 1)
	leads := &look.Raft{
		Status:   consensus.Status{ID: "id-2", Leader: true, Term: 3, First: 1, Last: 7, Committed: 6, Applied: 6},
		LeaderID: "id-2", LeaderAddress: "10.0.0.2:8300", Group: []string{"10.0.0.1:8300", "10.0.0.2:8300"}, Stats: map[string]string{"num_peers": "1", "state": "Leader"}, Digest: "d1",
	}
	members := []api.Member{{Name: "s1", Addr: "10.0.0.1", Port: 8301, Status: 4}, {Name: "s2", Addr: "10.0.0.2", Port: 8301, Status: 1, Tags: map[string]string{"role": "consul"}}}
	check := api.HealthCheck{Node: "s2", CheckID: "serfHealth", Status: "passing", Output: strings.Repeat("alive ", 9), RaftIndex: api.RaftIndex{ModifyIndex: 4}}
	return look.Seen{Events: n, Fingerprint: r.fingerprint(n), Goroutines: dump, Leader: "s2", Nodes: []look.Node{
		{Name: "c1", Running: true, Starts: 1},
		{Name: "s1", Running: true, Paused: true, Starts: 1, Agent: &look.Agent{Silent: []string{"raft", "local"}, Members: &members}},
		{Name: "s10", Starts: 1, Err: "the disk is full"},
		{
			Name: "s2", Running: true, Starts: 2, Clock: sim.Clock{Skew: time.Minute, Num: 3, Den: 4},
			Files:   []simdisk.FileInfo{{Path: "data/a", Size: 10, Durable: 4, Unsynced: 512, Unnamed: true}, {Path: "data/b", Size: 5, Durable: 5}},
			Sockets: []simnet.Socket{{Protocol: "tcp", State: "established", Local: "10.0.0.2:8300", Remote: "10.0.0.1:40000", Peer: "s1", Unsent: 7}},
			Agent: &look.Agent{
				Raft: leads, Members: &members,
				Log:      &look.Log{Entries: []look.Entry{{Index: 5, Term: 2, Text: "kv set k1"}, {Index: 6, Term: 3, Text: "noop"}, {Index: 7, Term: 3, Text: "kv set k2"}}},
				Catalog:  &look.Catalog{Nodes: []api.Node{{Node: "s2", Address: "10.0.0.2"}}, Services: []look.Service{{Node: "s2", NodeService: api.NodeService{ID: "web1", Service: "web", Port: 80}}}, Checks: []api.HealthCheck{check}},
				Sessions: &[]api.Session{{ID: "aa-bb", Node: "s2", TTL: "15s", Behavior: "release", LockDelay: time.Second}},
				KV:       &[]api.DirEntry{{Key: "j", Value: []byte("0")}, {Key: "k1", Value: []byte("v\n1"), Session: "aa-bb", LockIndex: 1, RaftIndex: api.RaftIndex{CreateIndex: 5, ModifyIndex: 5}}},
				Local:    &look.Local{Services: []api.AgentService{{ID: "web1", Service: "web", Port: 80, Tags: []string{"x", "y"}}}, Checks: []api.HealthCheck{check}},
			},
		},
	}}, nil
}

var rewrite = flag.Bool("rewrite", false, "write down what the sessions print now")

// play carries out the commands of a session that was written down, lines that begin
// with "$ ", and returns it with what is printed now.
func play(t *testing.T, s *Session, out *bytes.Buffer, written string) string {
	t.Helper()
	for line := range strings.Lines(written) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		out.WriteString(line)
		if err := s.Do(t.Context(), command); err != nil {
			fmt.Fprintln(out, "error:", err)
		}
	}
	return out.String()
}

func TestASessionIsAsItIsWrittenDown(t *testing.T) {
	const name = "testdata/session.txt"
	written, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := New(told(), &out)
	s.look = told().sightings
	got := play(t, s, &out, string(written))
	if *rewrite {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(string(written), got); d != "" {
		t.Errorf("%s (go test -rewrite writes down what it is now)", d)
	}
}

func TestARunThatDiffersIsSaidToLoudly(t *testing.T) {
	var out bytes.Buffer
	s := New(told(), &out)
	s.look = func(context.Context, position) (look.Seen, error) {
		return look.Seen{Events: 3, Fingerprint: told().fingerprint(4)}, nil
	}
	if err := s.Do(t.Context(), "nodes"); err != nil || !strings.Contains(out.String(), "ANOTHER RUN") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestADifferenceOfNodesIsNoneOfTheLooks: that a look was of another run is said beside it.
func TestADifferenceOfNodesIsNoneOfTheLooks(t *testing.T) {
	var out bytes.Buffer
	s := New(told(), &out)
	s.look = func(ctx context.Context, at position) (look.Seen, error) {
		seen, err := told().sightings(ctx, at)
		seen.Fingerprint = "another"
		return seen, err
	}
	if err := errors.Join(s.Do(t.Context(), "goto end"), s.Do(t.Context(), "diff files s1 s2")); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !s.Another() || !strings.Contains(text, "ANOTHER RUN") || strings.Contains(text, "- !!!") {
		t.Errorf("another run: %t\n%s", s.Another(), text)
	}
}

func TestAPositionThatWasSeenIsNotLookedAtAgain(t *testing.T) {
	var out bytes.Buffer
	s := New(told(), &out)
	looks := 0
	s.look = func(context.Context, position) (look.Seen, error) {
		looks++
		return look.Seen{Fingerprint: told().fingerprint(0)}, nil
	}
	for _, c := range []string{"nodes", "clock", "step", "nodes", "back", "nodes", "goto 0.5s", "nodes", "goto 0s", "goto #2", "nodes"} {
		if err := s.Do(t.Context(), c); err != nil {
			t.Fatalf("%s: %v", c, err)
		}
	}
	if looks != 4 {
		t.Errorf("it looked %d times at 4 positions", looks)
	}
}

func TestWordsAreCompleted(t *testing.T) {
	s := New(told(), &bytes.Buffer{})
	for line, want := range map[string][]string{
		"ra": {"raft"}, "li": {"list"}, "c": {"catalog", "checks", "clock", "conns"}, "diff k": {"kv"}, "diff kv s1": {"s1", "s10"}, "x": nil,
		"raft ": {"c1", "s1", "s10", "s2"}, "raft s1": {"s1", "s10"}, "raft s1 ": nil, "goto ": {"end", "start"},
		"prev po": {"point"}, "next elec": {"elected"}, "help ra": {"raft"}, "nosuch ": nil,
	} {
		if got := s.Complete(line); !slices.Equal(got, want) {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestEveryCommandIsExplained(t *testing.T) {
	for _, c := range commands() {
		var out bytes.Buffer
		s := New(told(), &out)
		if err := s.Do(t.Context(), "help "+c.name); err != nil || !strings.HasPrefix(out.String(), c.name) || !strings.Contains(out.String(), c.about) {
			t.Errorf("help %s: %v\n%s", c.name, err, out.String())
		}
	}
}
