package server_test

import (
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// wait is a blocking read in the making.
type wait struct {
	value string
	meta  api.QueryMeta
	err   error
	took  time.Duration
	done  chan struct{}
}

func (w *world) wait(i int, key string, o api.QueryOptions) *wait {
	r := &wait{done: make(chan struct{})}
	start := time.Now()
	go func() {
		defer close(r.done)
		r.value, r.meta, r.err = w.get(i, key, o)
		r.took = time.Since(start)
	}()
	return r
}

func (r *wait) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func TestABlockingReadWakesWhenItsResultChangesAndOnlyThen(t *testing.T) {
	for _, mode := range []api.QueryOptions{{}, consistent(), stale()} {
		for _, where := range []string{"leader", "follower"} {
			inWorld(t, 3, func(w *world) {
				w.cluster(3)
				at := w.leader()
				if where == "follower" {
					at = w.follower()
				}
				index := w.mustPut(at, "key", "old")
				w.within(time.Second, "the value is everywhere", func() bool {
					v, _, err := w.get(at, "key", mode)
					return err == nil && v == "old"
				})
				mode.MinQueryIndex, mode.MaxQueryTime = index, time.Minute
				r := w.wait(at, "key", mode)
				w.mustPut(at, "another", "1")
				w.mustPut(at, "key", "old") // the same value is no change
				w.mustPut(at, "key/below", "1")
				time.Sleep(10 * time.Second)
				if r.over() {
					w.Errorf("%+v on a %s: woke for nothing: %+v", mode, where, r)
				}
				index = w.mustPut(at, "key", "new")
				time.Sleep(time.Second)
				if !r.over() || r.err != nil || r.value != "new" || r.meta.Index != index {
					w.Errorf("%+v on a %s: %+v, index %d", mode, where, r, index)
				}
			})
		}
	}
}

func TestABlockingReadEndsAfterItsTimeAndUpToASixteenth(t *testing.T) {
	for _, c := range []struct{ ask, least time.Duration }{
		{0, 5 * time.Minute}, {time.Second, time.Second}, {time.Hour, 10 * time.Minute},
	} {
		inWorld(t, 1, func(w *world) {
			w.start(1)
			w.leader()
			index := w.mustPut(1, "key", "v")
			r := w.wait(1, "key", api.QueryOptions{MinQueryIndex: index, MaxQueryTime: c.ask})
			<-r.done
			if r.err != nil || r.value != "v" || r.meta.Index != index {
				w.Errorf("wait %v: %+v", c.ask, r)
			}
			if most := c.least + c.least/16 + time.Millisecond; r.took < c.least || r.took > most {
				w.Errorf("wait %v: took %v, want %v to %v", c.ask, r.took, c.least, most)
			}
		})
	}
}

func TestTheIndexIsNeverZeroAndAnOldIndexReturnsAtOnce(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		if _, meta, err := w.get(1, "key", api.QueryOptions{}); err != nil || meta.Index != 1 {
			w.Errorf("an empty store: index %d, %v", meta.Index, err)
		}
		r := w.wait(1, "key", api.QueryOptions{MinQueryIndex: 1, MaxQueryTime: time.Minute})
		time.Sleep(time.Second)
		index := w.mustPut(1, "key", "v")
		<-r.done
		if r.value != "v" || r.meta.Index != index {
			w.Errorf("%+v", r)
		}
		r = w.wait(1, "key", api.QueryOptions{MinQueryIndex: index - 1})
		<-r.done
		if r.took != 0 || r.value != "v" {
			w.Errorf("an older index: %+v", r)
		}
	})
}

func TestWaitingForAnAbsentKeyOutlastsChangesOfOthers(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		index := w.mustPut(1, "neighbour", "1")
		r := w.wait(1, "key", api.QueryOptions{MinQueryIndex: index, MaxQueryTime: time.Minute})
		list := make(chan api.KVResponse, 1)
		go func() {
			a, err := w.servers[1].KVGet(w.Context(), api.KVRequest{Key: "dir/", Recurse: true, QueryOptions: api.QueryOptions{MinQueryIndex: index, MaxQueryTime: time.Minute}})
			if err != nil {
				w.Error(err)
			}
			list <- a
		}()
		time.Sleep(time.Second)
		for _, key := range []string{"neighbour", "kez", "ke", "dis"} {
			w.mustPut(1, key, "2")
		}
		time.Sleep(time.Second)
		if r.over() || len(list) > 0 {
			w.Error("a change of other keys woke who waited for an absent one")
		}
		w.mustPut(1, "key", "here")
		w.mustPut(1, "dir/a", "here")
		<-r.done
		if r.value != "here" {
			w.Errorf("%+v", r)
		}
		if a := <-list; len(a.Entries) != 1 || a.Entries[0].Key != "dir/a" {
			w.Errorf("%+v", a)
		}
	})
}

func TestADeletionWakesAndNeverTakesTheIndexBack(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		w.mustPut(1, "dir/a", "1")
		index := w.mustPut(1, "dir/b", "1")
		wakes := func(what string, o api.KVOp, key string) {
			w.Helper()
			done := make(chan api.KVKeysResponse, 1)
			go func() {
				a, err := w.servers[1].KVKeys(w.Context(), api.KVKeysRequest{Prefix: "dir/", QueryOptions: api.QueryOptions{MinQueryIndex: index}})
				if err != nil {
					w.Error(err)
				}
				done <- a
			}()
			time.Sleep(time.Second)
			if _, err := w.servers[1].KVApply(w.Context(), api.KVApplyRequest{Op: o, Entry: api.DirEntry{Key: key}}); err != nil {
				w.Fatal(err)
			}
			time.Sleep(time.Second)
			if len(done) != 1 {
				w.Fatalf("%s did not wake", what)
			}
			if a := <-done; a.Index <= index {
				w.Errorf("%s: the index went from %d to %d", what, index, a.Index)
			} else {
				index = a.Index
			}
		}
		wakes("deleting the newest key", api.KVDelete, "dir/b")
		wakes("deleting the rest", api.KVDeleteTree, "dir/")
	})
}

func TestAReadThatBlocksOnALeaderThatDiesGoesOnWithTheNext(t *testing.T) {
	for _, mode := range []api.QueryOptions{{}, consistent()} {
		inWorld(t, 3, func(w *world) {
			w.cluster(3)
			at := w.follower()
			index := w.mustPut(at, "key", "old")
			mode.MinQueryIndex = index
			r := w.wait(at, "key", mode)
			time.Sleep(20 * time.Second)
			w.close(w.leader())
			w.leader()
			time.Sleep(5 * time.Second)
			if r.over() {
				w.Fatalf("ended with its leader: %+v", r)
			}
			index = w.mustPut(at, "key", "new")
			time.Sleep(time.Second)
			if !r.over() || r.err != nil || r.value != "new" || r.meta.Index != index {
				w.Errorf("%+v", r)
			}
		})
	}
}

func TestABlockingReadThatLosesItsLeaderEndsInItsTimeAllTheSame(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		old, at := w.leader(), w.follower()
		index := w.mustPut(at, "key", "v")
		const asked = 5 * time.Minute
		r := w.wait(at, "key", api.QueryOptions{MinQueryIndex: index, MaxQueryTime: asked})
		time.Sleep(asked - 10*time.Second)
		if r.over() {
			w.Fatalf("it ended early: %+v", r)
		}
		w.close(old)
		<-r.done
		if most := asked + asked/16 + 10*time.Second; r.err != nil || r.value != "v" || r.took < asked || r.took > most {
			w.Errorf("after %v, at most %v: %q, %v", r.took, most, r.value, r.err)
		}
	})
}

func TestBlockingReadsEndWhenTheServerCloses(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		index := w.mustPut(1, "key", "v")
		o := stale()
		o.MinQueryIndex = index
		reads := []*wait{w.wait(1, "key", o), w.wait(1, "key", api.QueryOptions{MinQueryIndex: index})}
		time.Sleep(time.Second)
		start := time.Now()
		w.close(1)
		for _, r := range reads {
			<-r.done
		}
		if took := time.Since(start); took > time.Second {
			w.Errorf("it took %v", took)
		}
	})
}

func TestALeaderThatIsCutOffRefusesConsistentReadsAtOnceAndOthersAfterItsLease(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		old := w.leader()
		w.mustPut(old, "key", "old")
		time.Sleep(time.Second)
		w.net.Cut(addr(old))
		r := w.wait(old, "key", consistent())
		w.wantGet(old, "key", api.QueryOptions{}, "old") // the lease
		time.Sleep(5 * time.Second)
		next := w.leader(old)
		w.mustPut(next, "key", "new")
		<-r.done
		if fault.Of(r.err) != fault.NoLeader || r.err.Error() != fault.TextNoLeader {
			w.Errorf("consistent: %+v", r)
		}
		if _, _, err := w.get(old, "key", api.QueryOptions{}); fault.Of(err) != fault.NoLeader {
			w.Errorf("default, after the lease: %v", err)
		}
		m := w.wantGet(old, "key", stale(), "old")
		if m.KnownLeader || m.LastContact < 4*time.Second {
			w.Errorf("stale: %+v", m)
		}
		o := stale()
		o.MaxStaleDuration = time.Second
		if _, _, err := w.get(old, "key", o); err == nil {
			w.Error("a stale read took more than the staleness it allows")
		}
		w.net.Mend(addr(old))
		time.Sleep(5 * time.Second)
		for _, o := range []api.QueryOptions{{}, consistent(), stale(), o} {
			w.wantGet(old, "key", o, "new")
		}
	})
}

func TestAStaleReadOfAFollowerTellsItsAge(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		at := w.follower()
		w.mustPut(at, "key", "v")
		time.Sleep(time.Second)
		if m := w.wantGet(at, "key", stale(), "v"); m.LastContact > time.Second || !m.KnownLeader || m.ConsistencyLevel != "stale" {
			w.Errorf("%+v", m)
		}
	})
}

func TestManyConsistentReadsAtOnceAreAllAnswered(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.mustPut(1, "key", "v")
		var reads []*wait
		for range 200 {
			for i := 1; i <= 3; i++ {
				reads = append(reads, w.wait(i, "key", consistent()))
			}
		}
		for _, r := range reads {
			<-r.done
			if r.err != nil || r.value != "v" || r.took > time.Second {
				w.Fatalf("%+v", r)
			}
		}
	})
}

func TestAFollowerThatDoesNotAnswerDelaysAConsistentReadNoMoreThanTheHedge(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		leader := w.leader()
		w.mustPut(leader, "key", "v")
		for i := 1; i <= 3; i++ {
			if i == leader {
				continue
			}
			w.net.Cut(addr(i))
			r := w.wait(leader, "key", consistent())
			<-r.done
			if r.err != nil || r.value != "v" || r.took > 100*time.Millisecond {
				w.Errorf("with server %d cut off: %+v", i, r)
			}
			w.net.Mend(addr(i))
			time.Sleep(10 * time.Second)
		}
	})
}
