package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/server"
)

func TestAWriteIsRefusedBeforeItGoesAnywhereWhenItMakesNoSense(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1, func(c *server.Config) { c.MaxValueSize = 10 })
		w.leader()
		for _, c := range []struct {
			name string
			r    api.KVApplyRequest
			kind fault.Kind
			text string
		}{
			{"too large", api.KVApplyRequest{Op: api.KVSet, Entry: api.DirEntry{Key: "k", Value: make([]byte, 11)}}, fault.TooLarge, "Value exceeds 10 byte limit"},
			{"no key", api.KVApplyRequest{Op: api.KVSet}, fault.Invalid, "Must provide key"},
			{"no such operation", api.KVApplyRequest{Op: "swap", Entry: api.DirEntry{Key: "k"}}, fault.Internal, `kv: unknown operation "swap"`},
			{"another datacenter", api.KVApplyRequest{Op: api.KVSet, Entry: api.DirEntry{Key: "k"}, WriteOptions: api.WriteOptions{Datacenter: "dc2"}}, fault.Internal, "No path to datacenter"},
		} {
			if _, err := w.servers[1].KVApply(w.Context(), c.r); fault.Of(err) != c.kind || err.Error() != c.text {
				w.Errorf("%s: %v: %v", c.name, fault.Of(err), err)
			}
		}
		if _, err := w.servers[1].KVGet(w.Context(), api.KVRequest{Key: "k", QueryOptions: api.QueryOptions{Datacenter: "dc2"}}); err == nil || err.Error() != fault.TextNoPath {
			w.Errorf("reading from another datacenter: %v", err)
		}
		if _, err := w.put(w.Context(), 1, "k", "0123456789"); err != nil {
			w.Errorf("a value of the largest size: %v", err)
		}
	})
}

func TestCheckAndSetDecidesOnceWhereverItIsAsked(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		index := w.mustPut(1, "key", "0")
		var mu sync.Mutex
		won := 0
		var wait sync.WaitGroup
		for i := 1; i <= 3; i++ {
			wait.Go(func() {
				a, err := w.servers[i].KVApply(w.Context(), api.KVApplyRequest{Op: api.KVCAS, Entry: api.DirEntry{Key: "key", Value: []byte{byte('0' + i)}, RaftIndex: api.RaftIndex{ModifyIndex: index}}})
				if err != nil {
					w.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if a.OK {
					won++
				}
			})
		}
		wait.Wait()
		if won != 1 {
			w.Errorf("%d of 3 won", won)
		}
	})
}

// A write that may have happened is an error and not done again: the client
// alone can know whether that would be right.
func TestAWriteOfALeaderThatIsCutOffHasAnUnknownOutcomeAndIsNotRepeated(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		old := w.leader()
		w.net.Cut(addr(old))
		_, err := w.put(w.Context(), old, "key", "lost")
		if fault.Of(err) != fault.Unknown {
			w.Errorf("%v: %v", fault.Of(err), err)
		}
		time.Sleep(10 * time.Second) // the others choose a leader
		w.net.Mend(addr(old))
		time.Sleep(10 * time.Second)
		w.wantGet(w.leader(), "key", consistent(), "")
	})
}

func TestAForwardedWriteWhoseLeaderVanishesHasAnUnknownOutcome(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		leader, at := w.leader(), w.follower()
		w.mustPut(at, "warm", "1") // the connection is there
		w.net.Cut(addr(leader))
		start := time.Now()
		if _, err := w.put(w.Context(), at, "key", "lost"); fault.Of(err) != fault.Unknown {
			w.Errorf("%v: %v", fault.Of(err), err)
		}
		if took := time.Since(start); took > 20*time.Second {
			w.Errorf("it took %v to know that", took)
		}
		w.net.Mend(addr(leader))
		time.Sleep(10 * time.Second)
	})
}

func TestAWriteThatWasNotSentWaitsForTheNextLeader(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		at := w.follower()
		w.mustPut(at, "warm", "1")
		w.close(w.leader())
		w.mustPut(at, "key", "kept")
		w.wantGet(at, "key", consistent(), "kept")
	})
}

func TestWithoutALeaderARequestIsHeldAndThenRefused(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.close(3)
		w.close(2)
		time.Sleep(5 * time.Second)
		start := time.Now()
		_, err := w.put(w.Context(), 1, "key", "v")
		if fault.Of(err) != fault.NoLeader || err.Error() != "No cluster leader" {
			w.Errorf("%v: %v", fault.Of(err), err)
		}
		if took := time.Since(start); took < 5*time.Second || took > 7*time.Second {
			w.Errorf("it was held for %v", took)
		}
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if _, err := w.put(ctx, 1, "key", "v"); err == nil || time.Since(start) > time.Second {
			w.Errorf("a client that waits one second: %v after %v", err, time.Since(start))
		}
	})
}

func TestEveryAcknowledgedWriteSurvivesLeadersThatStop(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		acknowledged := 0
		for round := range 4 {
			stopped := w.leader()
			at := w.follower()
			var writing sync.WaitGroup
			ctx, cancel := context.WithCancel(w.Context())
			writing.Go(func() {
				for ctx.Err() == nil {
					if _, err := w.put(ctx, at, fmt.Sprintf("key/%04d", acknowledged), "v"); err == nil {
						acknowledged++
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
			time.Sleep(time.Second)
			w.close(stopped)
			time.Sleep(5 * time.Second)
			cancel()
			writing.Wait()
			w.start(stopped)
			if a, err := w.servers[at].KVKeys(w.Context(), api.KVKeysRequest{Prefix: "key/", QueryOptions: consistent()}); err != nil || len(a.Keys) < acknowledged {
				w.Fatalf("round %d: %d keys, %d were acknowledged; %v", round, len(a.Keys), acknowledged, err)
			}
			w.within(20*time.Second, "the server that stopped has caught up", func() bool {
				a, err := w.servers[stopped].KVKeys(w.Context(), api.KVKeysRequest{Prefix: "key/", QueryOptions: stale()})
				return err == nil && len(a.Keys) >= acknowledged
			})
		}
		if acknowledged < 400 {
			w.Errorf("only %d writes went through", acknowledged)
		}
		w.equal(1, 2, 3)
	})
}

// equal checks that servers have applied the same.
func (w *world) equal(servers ...int) {
	w.Helper()
	digests := map[string]string{}
	w.within(10*time.Second, "equal state machines", func() bool {
		clear(digests)
		for _, i := range servers {
			d, err := w.servers[i].StateDigest()
			if err != nil {
				w.Fatal(err)
			}
			digests[d] = fmt.Sprint(i)
		}
		return len(digests) == 1
	})
}

func TestAllServersStoppedAtOnceComeBackWithTheirData(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.mustPut(1, "key", "v")
		for i := 1; i <= 3; i++ {
			w.close(i)
		}
		time.Sleep(time.Hour)
		for _, i := range []int{3, 1, 2} {
			w.start(i) // nobody tells them to join
		}
		w.leader()
		for i := 1; i <= 3; i++ {
			w.wantGet(i, "key", consistent(), "v")
		}
		time.Sleep(10 * time.Second)
		if m := w.servers[1].Members(); len(m) != 3 {
			w.Errorf("server 1 sees %d members", len(m))
		}
	})
}

func TestOldTombstonesAreReapedOnEveryServer(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.mustPut(1, "key", "v")
		if _, err := w.servers[1].KVApply(w.Context(), api.KVApplyRequest{Op: api.KVDelete, Entry: api.DirEntry{Key: "key"}}); err != nil {
			w.Fatal(err)
		}
		time.Sleep(time.Second) // server 1 may follow
		index := w.servers[1].Raft().Status().Last
		time.Sleep(14 * time.Minute)
		if now := w.servers[1].Raft().Status().Last; now != index {
			w.Errorf("an idle cluster wrote %d entries", now-index)
		}
		time.Sleep(3 * time.Minute)
		if now := w.servers[1].Raft().Status().Last; now != index+1 {
			w.Errorf("%d entries were written to reap once", now-index)
		}
		w.equal(1, 2, 3)
		time.Sleep(20 * time.Minute)
		if now := w.servers[1].Raft().Status().Last; now != index+1 {
			w.Errorf("reaped again and again: %d entries", now-index)
		}
	})
}

func TestAnErrorTextOfTheLeaderReachesTheClientOfAFollowerUnchanged(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		_, err := w.servers[w.follower()].KVApply(w.Context(), api.KVApplyRequest{Op: "swap", Entry: api.DirEntry{Key: strings.Repeat("k", 1000)}})
		if fault.Of(err) != fault.Internal || err.Error() != `kv: unknown operation "swap"` {
			w.Errorf("%v: %v", fault.Of(err), err)
		}
	})
}
