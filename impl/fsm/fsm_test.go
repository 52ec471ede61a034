package fsm_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"tribune/impl/api"
	"tribune/impl/fsm"
	"tribune/impl/kv"
	"tribune/impl/query"
)

func newFSM(t interface{ Fatal(...any) }) *fsm.FSM {
	f, err := fsm.New(slog.New(slog.DiscardHandler), func(string, time.Duration) {})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func command(t interface{ Fatal(...any) }, f *fsm.FSM, index uint64, r api.KVApplyRequest) *raft.Log {
	b, err := f.Encode(fsm.KVSType, r)
	if err != nil {
		t.Fatal(err)
	}
	return &raft.Log{Index: index, Type: raft.LogCommand, Data: b}
}

// sink is a raft.SnapshotSink in memory.
type sink struct {
	bytes.Buffer
	cancelled bool
}

func (*sink) ID() string   { return "s" }
func (*sink) Close() error { return nil }

func (s *sink) Cancel() error {
	s.cancelled = true
	return nil
}

// drawLogs draws commands of all kinds.
func drawLogs(t *rapid.T, f *fsm.FSM) []*raft.Log {
	var logs []*raft.Log
	for i := range rapid.IntRange(1, 40).Draw(t, "commands") {
		if kind, request := drawOther(t); request != nil {
			b, err := f.Encode(kind, request)
			if err != nil {
				t.Fatal(err)
			}
			logs = append(logs, &raft.Log{Index: uint64(i + 1), Type: raft.LogCommand, Data: b})
			continue
		}
		logs = append(logs, command(t, f, uint64(i+1), api.KVApplyRequest{
			Op: rapid.SampledFrom([]api.KVOp{api.KVSet, api.KVSet, api.KVCAS, api.KVDelete, api.KVDeleteTree}).Draw(t, "op"),
			Entry: api.DirEntry{
				Key: rapid.StringN(1, 4, 8).Draw(t, "key"), Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"),
				RaftIndex: api.RaftIndex{ModifyIndex: rapid.Uint64Range(0, 5).Draw(t, "cas")},
			},
		}))
	}
	return logs
}

// drawOther draws a command that is not one of the key/value store, or none.
func drawOther(t *rapid.T) (fsm.Type, any) {
	node := rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node")
	id := rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "session")
	status := rapid.SampledFrom([]string{"passing", "critical"}).Draw(t, "status")
	switch rapid.IntRange(0, 10).Draw(t, "kind") {
	case 0:
		return fsm.RegisterType, api.RegisterRequest{Node: node, Address: "a", NodeMeta: map[string]string{"x": "1", "y": "2"}, Check: &api.HealthCheck{CheckID: "c", Status: status}}
	case 1:
		return fsm.DeregisterType, api.DeregisterRequest{Node: node}
	case 2:
		op := rapid.SampledFrom([]api.SessionOp{api.SessionCreate, api.SessionDestroy}).Draw(t, "session op")
		return fsm.SessionType, api.SessionApplyRequest{Op: op, Session: api.Session{ID: id, Node: node, NodeChecks: []string{"c"}, LockDelay: time.Second}}
	case 3, 4:
		var ops []api.TxnOp
		for range rapid.IntRange(1, 4).Draw(t, "operations") {
			ops = append(ops, api.TxnOp{KV: &api.TxnKVOp{
				Verb: rapid.SampledFrom([]string{"set", "cas", "lock", "delete", "delete-tree", "get", "check-not-exists"}).Draw(t, "verb"),
				Key:  rapid.SampledFrom([]string{"a", "b", "ab"}).Draw(t, "key"), Value: []byte(id), Session: id, Index: rapid.Uint64Range(0, 5).Draw(t, "cas"),
			}})
		}
		ops = append(ops, api.TxnOp{Check: &api.TxnCheckOp{Verb: "set", Check: api.HealthCheck{Node: node, CheckID: "c", Status: status}}})
		return fsm.TxnType, api.TxnRequest{Ops: ops}
	case 5:
		return fsm.CoordinateType, api.CoordinateBatch{Updates: []api.NodeCoordinate{{Node: node, Coord: &api.Coordinate{Vec: []float64{1, 2}}}}}
	case 6:
		op := rapid.SampledFrom([]api.QueryOp{api.QueryCreate, api.QueryCreate, api.QueryUpdate, api.QueryDelete}).Draw(t, "query op")
		return fsm.QueryType, api.QueryApplyRequest{Op: op, Query: api.PreparedQuery{
			ID: rapid.SampledFrom([]string{"q1", "q2"}).Draw(t, "query"), Name: node, Session: rapid.SampledFrom([]string{"", id}).Draw(t, "for"),
			Service:  api.ServiceQuery{Service: rapid.SampledFrom([]string{"web", "${name.full}", "${"}).Draw(t, "service")},
			Template: api.QueryTemplate{Type: rapid.SampledFrom([]string{"", api.QueryNamePrefix}).Draw(t, "template")},
		}}
	}
	return 0, nil
}

func digest(t interface{ Fatal(...any) }, f *fsm.FSM) string {
	d, err := f.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBatchesOfAnySizeMakeTheSameState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, many := newFSM(t), newFSM(t)
		logs := drawLogs(t, one)
		for _, l := range logs {
			one.Apply(l)
		}
		for rest := logs; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			if answers := many.ApplyBatch(rest[:n]); len(answers) != n {
				t.Fatalf("%d commands, %d answers", n, len(answers))
			}
			rest = rest[n:]
		}
		if digest(t, one) != digest(t, many) {
			t.Fatal("the states differ")
		}
	})
}

// TestACommandThatIsRefusedChangesNothing applies commands one by one.
func TestACommandThatIsRefusedChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFSM(t)
		before := digest(t, f)
		for _, l := range drawLogs(t, f) {
			answer := f.Apply(l)
			after := digest(t, f)
			_, refused := answer.(error)
			if txn, ok := answer.(api.TxnResponse); ok {
				refused = len(txn.Errors) > 0
			}
			if refused && before != after {
				t.Fatalf("%+v, and the state is another one", answer)
			}
			before = after
		}
	})
}

func TestASnapshotRestoresTheStateAsItWasWhenItWasTaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFSM(t)
		logs := drawLogs(t, f)
		f.ApplyBatch(logs)
		want := digest(t, f)
		s, err := f.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		f.Apply(command(t, f, 1000, api.KVApplyRequest{Op: api.KVSet, Entry: api.DirEntry{Key: "later", Value: []byte("x")}}))
		var to sink
		if err := s.Persist(&to); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(to.String(), "tribune state 1\n") {
			t.Fatalf("it begins with %q", to.Bytes()[:16])
		}
		other := newFSM(t)
		if err := other.Restore(io.NopCloser(&to)); err != nil {
			t.Fatal(err)
		}
		if digest(t, other) != want {
			t.Fatal("the restored state is another one")
		}
	})
}

func TestADamagedSnapshotIsRefusedAndChangesNothing(t *testing.T) {
	f := newFSM(t)
	f.Apply(command(t, f, 1, api.KVApplyRequest{Op: api.KVSet, Entry: api.DirEntry{Key: "a", Value: []byte("1")}}))
	want := digest(t, f)
	for _, text := range []string{"", "tribune", "tribune state 2\n", "tribune state 1\n", "tribune state 1\n\xc1\xc1"} {
		if err := f.Restore(io.NopCloser(strings.NewReader(text))); err == nil {
			t.Errorf("%q is taken for a snapshot", text)
		}
		if digest(t, f) != want {
			t.Errorf("%q changed the state", text)
		}
	}
}

func TestARestoreWakesWhoWatches(t *testing.T) {
	f := newFSM(t)
	abandoned := f.Store().Abandoned()
	s, err := f.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var to sink
	if err := s.Persist(&to); err != nil {
		t.Fatal(err)
	}
	if err := f.Restore(io.NopCloser(&to)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-abandoned:
	default:
		t.Error("nobody was told that the state is another one")
	}
}

func TestACommandOfAnUnknownTypeStopsTheServerUnlessItMayBeIgnored(t *testing.T) {
	f := newFSM(t)
	if got := f.Apply(&raft.Log{Index: 1, Type: raft.LogCommand, Data: []byte{byte(100 | fsm.IgnoreUnknown)}}); got != nil {
		t.Errorf("an unknown command that may be ignored answers %v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("an unknown command was passed over")
		}
	}()
	f.Apply(&raft.Log{Index: 2, Type: raft.LogCommand, Data: []byte{100}})
}

func TestAReapRemovesTombstones(t *testing.T) {
	f := newFSM(t)
	f.Apply(command(t, f, 1, api.KVApplyRequest{Op: api.KVSet, Entry: api.DirEntry{Key: "a"}}))
	f.Apply(command(t, f, 2, api.KVApplyRequest{Op: api.KVDelete, Entry: api.DirEntry{Key: "a"}}))
	b, err := f.Encode(fsm.TombstoneType, fsm.ReapRequest{UpTo: 2})
	if err != nil {
		t.Fatal(err)
	}
	if last, _ := kv.LastReapable(f.Store().Read()); last != 2 {
		t.Errorf("the last tombstone is that of %d", last)
	}
	f.Apply(&raft.Log{Index: 3, Type: raft.LogCommand, Data: b})
	if last, _ := kv.LastReapable(f.Store().Read()); last != 0 {
		t.Errorf("after the reap there is a tombstone of %d", last)
	}
}

// TestAQueryEndsWithItsSession has the session end with a check of its node.
func TestAQueryEndsWithItsSession(t *testing.T) {
	f := newFSM(t)
	index := uint64(0)
	do := func(kind fsm.Type, request any) any {
		b, err := f.Encode(kind, request)
		if err != nil {
			t.Fatal(err)
		}
		index++
		return f.Apply(&raft.Log{Index: index, Type: raft.LogCommand, Data: b})
	}
	check := func(status string) api.RegisterRequest {
		return api.RegisterRequest{Node: "n", Address: "a", Check: &api.HealthCheck{CheckID: "c", Status: status}}
	}
	create := api.QueryApplyRequest{Op: api.QueryCreate, Query: api.PreparedQuery{ID: "q", Session: "s", Service: api.ServiceQuery{Service: "web"}}}
	if err, _ := do(fsm.QueryType, create).(error); err == nil || err.Error() != `invalid session "s"` {
		t.Errorf("a query of a session that is not there: %v", err)
	}
	for _, answer := range []any{
		do(fsm.RegisterType, check(api.HealthPassing)),
		do(fsm.SessionType, api.SessionApplyRequest{Op: api.SessionCreate, Session: api.Session{ID: "s", Node: "n", NodeChecks: []string{"c"}}}),
		do(fsm.QueryType, create),
	} {
		if answer != nil {
			t.Fatal(answer)
		}
	}
	if q, err := query.Resolve(f.Store().Read(), "q"); q == nil || err != nil {
		t.Fatalf("%v, %v", q, err)
	}
	do(fsm.RegisterType, check(api.HealthCritical))
	if q, err := query.Resolve(f.Store().Read(), "q"); q != nil || err != nil {
		t.Errorf("after the session ended: %+v, %v", q, err)
	}
}

func FuzzApply(f *testing.F) {
	m := newFSM(f)
	f.Add(command(f, m, 1, api.KVApplyRequest{Op: api.KVSet, Entry: api.DirEntry{Key: "a", Value: []byte("1")}}).Data)
	f.Add([]byte{byte(fsm.TombstoneType), 0x81})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 && b[0]&^byte(fsm.IgnoreUnknown) != byte(fsm.KVSType) && b[0]&^byte(fsm.IgnoreUnknown) != byte(fsm.TombstoneType) {
			return // stops the server, see above
		}
		newFSM(t).Apply(&raft.Log{Index: 1, Type: raft.LogCommand, Data: b})
	})
}

func TestALockThatIsTakenAgainEndsTheLockDelay(t *testing.T) {
	told := []string{}
	f, err := fsm.New(slog.New(slog.DiscardHandler), func(key string, delay time.Duration) { told = append(told, key+" "+delay.String()) })
	if err != nil {
		t.Fatal(err)
	}
	index := uint64(0)
	apply := func(kind fsm.Type, request any) {
		t.Helper()
		index++
		b, err := f.Encode(kind, request)
		if err != nil {
			t.Fatal(err)
		}
		if answer, refused := f.Apply(&raft.Log{Index: index, Type: raft.LogCommand, Data: b}).(error); refused {
			t.Fatal(answer)
		}
	}
	apply(fsm.RegisterType, api.RegisterRequest{Node: "n", Address: "a"})
	for _, id := range []string{"s1", "s2"} {
		apply(fsm.SessionType, api.SessionApplyRequest{Op: api.SessionCreate, Session: api.Session{ID: id, Node: "n", LockDelay: time.Second}})
	}
	apply(fsm.KVSType, api.KVApplyRequest{Op: api.KVLock, Entry: api.DirEntry{Key: "k", Session: "s1"}})
	apply(fsm.SessionType, api.SessionApplyRequest{Op: api.SessionDestroy, Session: api.Session{ID: "s1"}})
	apply(fsm.KVSType, api.KVApplyRequest{Op: api.KVLock, AsOf: index, Entry: api.DirEntry{Key: "k", Session: "s2"}})
	apply(fsm.SessionType, api.SessionApplyRequest{Op: api.SessionDestroy, Session: api.Session{ID: "s2"}})
	apply(fsm.SessionType, api.SessionApplyRequest{Op: api.SessionCreate, Session: api.Session{ID: "s3", Node: "n"}})
	apply(fsm.TxnType, api.TxnRequest{AsOf: index, Ops: []api.TxnOp{{KV: &api.TxnKVOp{Verb: api.TxnLock, Key: "k", Session: "s3"}}}})
	if got := strings.Join(told, ", "); got != "k 0s, k 1s, k 0s, k 1s, k 0s" {
		t.Error(got)
	}
}
