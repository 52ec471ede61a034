package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tribune/impl/api"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
	"tribune/impl/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is some servers on a network of their own, in a bubble.
type world struct {
	*testing.T
	net     *hosttest.Network
	dir     string
	expect  int
	mu      sync.Mutex // guards writes to servers, and reads by other goroutines than the test's
	servers map[int]*server.Server
}

// at returns a running server, in whatever goroutine.
func (w *world) at(i int) *server.Server {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.servers[i]
}

func (w *world) set(i int, s *server.Server) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s == nil {
		delete(w.servers, i)
	} else {
		w.servers[i] = s
	}
}

// inWorld runs a test in a bubble and closes the servers that are left.
func inWorld(t *testing.T, expect int, f func(w *world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, net: hosttest.NewNetwork(), dir: dir, expect: expect, servers: map[int]*server.Server{}}
		f(w)
		for i := range 10 {
			if w.servers[i] != nil {
				w.close(i)
			}
		}
		time.Sleep(time.Minute) // memberlist and raft do not wait for all that they started
	})
}

func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

func id(i int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", i) }

func (w *world) config(i int) server.Config {
	h := w.net.Host(fmt.Sprintf("s%d", i), addr(i), host.Real().FS())
	rpc, lan := netip.AddrPortFrom(addr(i), 8300), netip.AddrPortFrom(addr(i), 8301)
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SERVER_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("on", i)
	}
	return server.Config{
		Host: h, Logger: log, NodeName: fmt.Sprintf("s%d", i), NodeID: id(i), Datacenter: "dc1",
		DataDir: filepath.Join(w.dir, fmt.Sprint(i)), Build: "1.2.3", BootstrapExpect: w.expect,
		RPCBind: rpc.String(), RPCAdvertise: rpc, LANBind: lan.String(), LANAdvertise: lan,
	}
}

func (w *world) start(i int, change ...func(*server.Config)) *server.Server {
	w.Helper()
	c := w.config(i)
	for _, f := range change {
		f(&c)
	}
	s, err := server.New(w.Context(), c)
	if err != nil {
		w.Fatal(err)
	}
	w.set(i, s)
	return s
}

func (w *world) close(i int) {
	w.Helper()
	if err := w.servers[i].Close(); err != nil {
		w.Error(err)
	}
	w.set(i, nil)
}

// cluster starts servers 1 to n, joins them and waits for a leader.
func (w *world) cluster(n int) {
	w.Helper()
	for i := 1; i <= n; i++ {
		w.start(i)
	}
	for i := 2; i <= n; i++ {
		w.join(i, 1)
	}
	w.leader()
}

func (w *world) join(i, to int) {
	w.Helper()
	if _, err := w.servers[i].Join(w.Context(), []string{addr(to).String()}); err != nil {
		w.Fatal(err)
	}
}

// within waits, in virtual time, until something holds.
func (w *world) within(limit time.Duration, what string, holds func() bool) {
	w.Helper()
	for start := time.Now(); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Since(start) > limit {
			w.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// leader waits until one server, apart from some, answers as the leader and
// returns its number.
func (w *world) leader(except ...int) int {
	w.Helper()
	leader := 0
	w.within(30*time.Second, "a leader", func() bool {
		for i := range 10 {
			if s := w.servers[i]; s != nil && !slices.Contains(except, i) && s.Raft().IsLeader() {
				if _, err := s.KVGet(w.Context(), api.KVRequest{Key: "x", QueryOptions: consistent()}); err == nil {
					leader = i
					return true
				}
			}
		}
		return false
	})
	return leader
}

// follower returns a running server that does not lead.
func (w *world) follower() int {
	w.Helper()
	leader := w.leader()
	for i := range 10 {
		if w.servers[i] != nil && i != leader {
			return i
		}
	}
	w.Fatal("no follower runs")
	return 0
}

func consistent() api.QueryOptions { return api.QueryOptions{RequireConsistent: true} }

func stale() api.QueryOptions { return api.QueryOptions{AllowStale: true} }

func (w *world) put(ctx context.Context, i int, key, value string) (uint64, error) {
	a, err := w.at(i).KVApply(ctx, api.KVApplyRequest{Op: api.KVSet, Entry: api.DirEntry{Key: key, Value: []byte(value)}})
	if err == nil && !a.OK {
		w.Errorf("setting %s was refused", key)
	}
	return a.Index, err
}

func (w *world) mustPut(i int, key, value string) uint64 {
	w.Helper()
	index, err := w.put(w.Context(), i, key, value)
	if err != nil {
		w.Fatalf("server %d: setting %s: %v", i, key, err)
	}
	return index
}

func (w *world) get(i int, key string, o api.QueryOptions) (string, api.QueryMeta, error) {
	a, err := w.at(i).KVGet(w.Context(), api.KVRequest{Key: key, QueryOptions: o})
	if err != nil || len(a.Entries) == 0 {
		return "", a.QueryMeta, err
	}
	return string(a.Entries[0].Value), a.QueryMeta, nil
}

func (w *world) wantGet(i int, key string, o api.QueryOptions, want string) api.QueryMeta {
	w.Helper()
	got, meta, err := w.get(i, key, o)
	if err != nil || got != want {
		w.Errorf("server %d: %s is %q, error %v; want %q", i, key, got, err, want)
	}
	return meta
}

// group is how many servers a server counts in the raft group.
func (w *world) group(i int) int {
	w.Helper()
	peers, err := w.servers[i].RaftPeers(w.Context(), api.QueryOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return len(peers)
}
