package server_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/host"
	"tribune/impl/server"
)

// session creates one on a server's node.
func (w *world) session(at int, change func(*api.Session)) string {
	w.Helper()
	s := api.Session{Node: "s1", NodeChecks: []string{api.SerfCheckID}}
	if change != nil {
		change(&s)
	}
	a, err := w.at(at).SessionApply(w.Context(), api.SessionApplyRequest{Op: api.SessionCreate, Session: s})
	if err != nil {
		w.Fatal(err)
	}
	return a.ID
}

func (w *world) lock(at int, key, session string) bool {
	w.Helper()
	a, err := w.at(at).KVApply(w.Context(), api.KVApplyRequest{Op: api.KVLock, Entry: api.DirEntry{Key: key, Session: session}})
	if err != nil {
		w.Fatal(err)
	}
	return a.OK
}

// holder is the session that has locked a key.
func (w *world) holder(at int, key string) string {
	w.Helper()
	a, err := w.at(at).KVGet(w.Context(), api.KVRequest{Key: key, QueryOptions: consistent()})
	if err != nil || len(a.Entries) != 1 {
		w.Fatalf("%s: %+v, %v", key, a, err)
	}
	return a.Entries[0].Session
}

// registered waits until the catalog has a node with serfHealth.
func (w *world) registered(at int, node string) {
	w.Helper()
	w.within(time.Minute, node+" in the catalog", func() bool {
		return strings.Contains(w.state(at), node+"@10.0.0.1 serfHealth=passing")
	})
}

func TestSessionsThatMakeNoSenseAreRefusedInConsulsWords(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		w.registered(1, "s1")
		for want, s := range map[string]api.Session{
			"Must provide Node":                           {},
			"Invalid Behavior setting 'explode'":          {Node: "s1", Behavior: "explode"},
			"Session TTL 'soon' invalid":                  {Node: "s1", TTL: "soon"},
			"must be between [10s=24h0m0s]":               {Node: "s1", TTL: "1s"},
			"Missing node registration":                   {Node: "nobody"},
			"Missing check 'nothing' registration":        {Node: "s1", NodeChecks: []string{"nothing"}},
			"Missing check 'of a service' registration":   {Node: "s1", ServiceChecks: []api.ServiceCheck{{ID: "of a service"}}},
			"Invalid Session TTL '172800000000000', must": {Node: "s1", TTL: "48h"},
		} {
			if _, err := w.servers[1].SessionApply(w.Context(), api.SessionApplyRequest{Op: api.SessionCreate, Session: s}); err == nil || !strings.Contains(err.Error(), want) {
				w.Errorf("%+v: %v, want %s", s, err, want)
			}
		}
		if _, err := w.servers[1].KVApply(w.Context(), api.KVApplyRequest{Op: api.KVLock, Entry: api.DirEntry{Key: "k", Session: "none"}}); err == nil || err.Error() != `invalid session "none"` {
			w.Errorf("a lock without a session: %v", err)
		}
	})
}

func TestASessionEndsWithWhatItStandsOnAndItsLocksWithIt(t *testing.T) {
	register := func(w *world, status string) {
		_, err := w.servers[1].Register(w.Context(), api.RegisterRequest{
			Node: "ext", Address: "192.0.2.1", Service: &api.NodeService{Service: "web"},
			Checks: []api.HealthCheck{{CheckID: "up", Status: status}, {CheckID: "web-up", Status: "passing", ServiceID: "web"}},
		})
		if err != nil {
			w.Fatal(err)
		}
	}
	deregister := func(w *world, r api.DeregisterRequest) {
		if _, err := w.servers[1].Deregister(w.Context(), r); err != nil {
			w.Fatal(err)
		}
	}
	for name, end := range map[string]func(w *world, id string){
		"a check turns critical": func(w *world, _ string) { register(w, "critical") },
		"a check goes":           func(w *world, _ string) { deregister(w, api.DeregisterRequest{Node: "ext", CheckID: "up"}) },
		"a service goes":         func(w *world, _ string) { deregister(w, api.DeregisterRequest{Node: "ext", ServiceID: "web"}) },
		"the node goes":          func(w *world, _ string) { deregister(w, api.DeregisterRequest{Node: "ext"}) },
		"it is destroyed": func(w *world, id string) {
			if _, err := w.servers[1].SessionApply(w.Context(), api.SessionApplyRequest{Op: api.SessionDestroy, Session: api.Session{ID: id}}); err != nil {
				w.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 1, func(w *world) {
				w.start(1)
				w.leader()
				register(w, "warning") // is well enough
				on := func(s *api.Session) {
					s.Node, s.NodeChecks, s.ServiceChecks = "ext", []string{"up"}, []api.ServiceCheck{{ID: "web-up"}}
				}
				id := w.session(1, on)
				if !w.lock(1, "k", id) || w.holder(1, "k") != id {
					w.Fatal("it cannot lock")
				}
				end(w, id)
				if holder := w.holder(1, "k"); holder != "" {
					w.Errorf("the lock is held by %q", holder)
				}
				if left, err := w.servers[1].SessionRead(w.Context(), api.SessionRequest{ID: id}); err != nil || len(left.Items) != 0 {
					w.Errorf("%+v, %v", left, err)
				}
			})
		})
	}
}

// TestALockDelayHoldsOthersBackAlsoAfterAFailover has a session that holds a lock
// end, and another try at once: while the delay lasts it cannot.
func TestALockDelayHoldsOthersBackAlsoAfterAFailover(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.registered(1, "s1")
		delayed := func(s *api.Session) { s.LockDelay, s.NodeChecks = 30*time.Second, nil }
		first, second := w.session(1, delayed), w.session(1, func(s *api.Session) { s.NodeChecks = nil })
		if !w.lock(1, "k", first) {
			w.Fatal("it cannot lock")
		}
		if _, err := w.at(1).SessionApply(w.Context(), api.SessionApplyRequest{Op: api.SessionDestroy, Session: api.Session{ID: first}}); err != nil {
			w.Fatal(err)
		}
		ended := time.Now()
		leader := w.leader()
		if w.lock(leader, "k", second) {
			w.Error("locked within the delay")
		}
		w.close(leader)
		next := w.leader()
		if w.lock(next, "k", second) {
			w.Errorf("locked within the delay, %v after the session ended, by another leader", time.Since(ended))
		}
		time.Sleep(31 * time.Second) // it may have learnt of the end only when it began to lead
		if !w.lock(next, "k", second) {
			w.Error("not locked after the delay")
		}
	})
}

// Another leader may have ended the session, or handed the lock out and got it back.
func TestALeaderThatIsCutOffRenewsNoSessionAndRefusesNoLock(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.registered(1, "s1")
		delayed := func(s *api.Session) { s.LockDelay, s.NodeChecks = 30*time.Second, nil }
		first, second := w.session(1, delayed), w.session(1, delayed)
		if !w.lock(1, "k", first) {
			w.Fatal("it cannot lock")
		}
		if _, err := w.at(1).SessionApply(w.Context(), api.SessionApplyRequest{Op: api.SessionDestroy, Session: api.Session{ID: first}}); err != nil {
			w.Fatal(err)
		}
		old := w.leader()
		w.net.Cut(addr(old))
		var asked sync.WaitGroup
		asked.Go(func() {
			if a, err := w.at(old).SessionRenew(w.Context(), api.SessionRequest{ID: second}); err == nil {
				w.Errorf("renewed: %+v", a.Items)
			}
		})
		asked.Go(func() {
			if a, err := w.at(old).KVApply(w.Context(), api.KVApplyRequest{Op: api.KVLock, Entry: api.DirEntry{Key: "k", Session: second}}); err == nil {
				w.Errorf("locked: %t", a.OK)
			}
		})
		asked.Wait()
	})
}

// A server that starts from a snapshot begins the lock-delays in it anew.
func TestALockThatWasLostLongAgoIsForgotten(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		w.registered(1, "s1")
		delayed := func(s *api.Session) { s.LockDelay, s.NodeChecks = time.Minute, nil }
		first, second := w.session(1, delayed), w.session(1, delayed)
		if !w.lock(1, "k", first) {
			w.Fatal("it cannot lock")
		}
		if _, err := w.at(1).SessionApply(w.Context(), api.SessionApplyRequest{Op: api.SessionDestroy, Session: api.Session{ID: first}}); err != nil {
			w.Fatal(err)
		}
		time.Sleep(17 * time.Minute)
		if err := w.servers[1].Raft().Snapshot(); err != nil {
			w.Fatal(err)
		}
		w.close(1)
		w.start(1)
		w.leader()
		if !w.lock(1, "k", second) {
			w.Error("the lock-delay of long ago began anew")
		}
	})
}

// TestASessionThatIsNotRenewedEndsWithinTwiceItsTTL counts from its last renewal.
func TestASessionThatIsNotRenewedEndsWithinTwiceItsTTL(t *testing.T) {
	const ttl = 20 * time.Second
	inWorld(t, 3, func(w *world) {
		w.cluster(3)
		w.registered(1, "s1")
		id := w.session(1, func(s *api.Session) { s.TTL, s.NodeChecks = ttl.String(), nil })
		at := w.follower()
		for range 10 {
			time.Sleep(ttl)
			if a, err := w.at(at).SessionRenew(w.Context(), api.SessionRequest{ID: id}); err != nil || len(a.Items) != 1 {
				w.Fatalf("renewed in time: %+v, %v", a, err)
			}
		}
		renewed := time.Now()
		w.within(3*ttl, "its end", func() bool {
			a, err := w.at(at).SessionRead(w.Context(), api.SessionRequest{ID: id, QueryOptions: consistent()})
			return err == nil && len(a.Items) == 0
		})
		if after := time.Since(renewed); after < ttl || after > 2*ttl+2*time.Second {
			w.Errorf("it ended after %v", after)
		}
		if a, err := w.at(at).SessionRenew(w.Context(), api.SessionRequest{ID: id}); err != nil || len(a.Items) != 0 {
			w.Errorf("renewed after its end: %+v, %v", a, err)
		}
		w.equal(1, 2, 3)
	})
}

// TestASessionThatWasRenewedLivesOn has two sessions whose time is over at once, and a
// disk that takes long to end the first of them.
func TestASessionThatWasRenewedLivesOn(t *testing.T) {
	const ttl = 10 * time.Second
	inWorld(t, 1, func(w *world) {
		d := &stallDisk{FS: host.Real().FS()}
		s := w.start(1, func(c *server.Config) { c.Host = machine{c.Host, d} })
		w.leader()
		w.registered(1, "s1")
		short := func(s *api.Session) { s.TTL, s.NodeChecks = ttl.String(), nil }
		first, second := w.session(1, short), w.session(1, short)
		first, second = min(first, second), max(first, second)
		time.Sleep(2*ttl - 2*time.Second)
		goOn := d.stall()
		time.Sleep(4 * time.Second)
		time.AfterFunc(2*time.Second, goOn)
		renew := func(id string) int {
			a, err := s.SessionRenew(w.Context(), api.SessionRequest{ID: id})
			if err != nil {
				w.Errorf("%s: %v", id, err)
			}
			return len(a.Items)
		}
		if renew(second) != 1 {
			w.Error("the second could not be renewed before its turn")
		}
		if renew(first) != 0 {
			w.Error("the first was renewed while it was ended")
		}
		time.Sleep(ttl)
		if renew(second) != 1 {
			w.Error("the second was renewed and has ended")
		}
	})
}
