package server_test

import (
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
)

func TestAWaitWithoutAnIndexDoesNotBlock(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		w.mustPut(1, "key", "v")
		for _, key := range []string{"key", "absent"} {
			r := w.wait(1, key, api.QueryOptions{MaxQueryTime: time.Hour})
			<-r.done
			if r.err != nil || r.took != 0 {
				t.Errorf("%s: %+v", key, r)
			}
		}
	})
}

// A client that waits on an index beyond what the server has, since the cluster
// was restored or made anew, is told the lower index when its time is up.
func TestAnIndexAheadOfTheStoreWaitsItsTimeAndIsToldTheLowerOne(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		index := w.mustPut(1, "key", "v")
		r := w.wait(1, "key", api.QueryOptions{MinQueryIndex: index + 1000, MaxQueryTime: 10 * time.Second})
		time.Sleep(time.Second)
		changed := w.mustPut(1, "key", "w")
		<-r.done
		if r.err != nil || r.took < 10*time.Second || r.took > 11*time.Second || r.meta.Index != changed || r.value != "w" {
			t.Errorf("%+v, want index %d after ten seconds", r, changed)
		}
	})
}

// TestWhoHasSeenWhatAServerDoesNotHaveYetHearsThatItIsGone: a client that has seen a key at
// one server asks another that lags behind, which gets the key and its end at once.
func TestWhoHasSeenWhatAServerDoesNotHaveYetHearsThatItIsGone(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		index := w.mustPut(1, "other", "v")
		r := w.wait(1, "key", api.QueryOptions{MinQueryIndex: index + 1, MaxQueryTime: time.Minute})
		time.Sleep(time.Second)
		if _, err := w.servers[1].Register(w.Context(), api.RegisterRequest{Node: "n", Address: "10.0.0.1"}); err != nil { // the next index
			w.Fatal(err)
		}
		kv := func(verb string) api.TxnOp { return api.TxnOp{KV: &api.TxnKVOp{Verb: verb, Key: "key"}} }
		if _, err := w.servers[1].TxnApply(w.Context(), api.TxnRequest{Ops: []api.TxnOp{kv(api.TxnSet), kv(api.TxnDelete)}}); err != nil {
			w.Fatal(err)
		}
		<-r.done
		if r.err != nil || r.took > 2*time.Second || r.value != "" {
			w.Errorf("%+v", r)
		}
	})
}

func TestAnotherDatacenterHasNoPath(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		for _, o := range []api.QueryOptions{{Datacenter: "dc2"}, {Datacenter: "dc2", AllowStale: true}} {
			if _, _, err := w.get(1, "key", o); err == nil || err.Error() != fault.TextNoPath {
				t.Errorf("%+v: %v", o, err)
			}
		}
		w.wantGet(1, "key", api.QueryOptions{Datacenter: "dc1"}, "")
	})
}

// TestWaitsForWhatIsNotThereOutlastChangesOfOthers waits again and again, each time on
// the index of the last answer, as clients do.
func TestWaitsForWhatIsNotThereOutlastChangesOfOthers(t *testing.T) {
	reads := map[string]func(*world, api.QueryOptions) (uint64, error){
		"a service": func(w *world, o api.QueryOptions) (uint64, error) {
			a, err := w.at(1).HealthOfService(w.Context(), api.CatalogRequest{Service: "awaited", QueryOptions: o})
			return a.Index, err
		},
		"a node": func(w *world, o api.QueryOptions) (uint64, error) {
			a, err := w.at(1).NodeServices(w.Context(), api.CatalogRequest{Node: "awaited", QueryOptions: o})
			return a.Index, err
		},
		"the checks of a node": func(w *world, o api.QueryOptions) (uint64, error) {
			a, err := w.at(1).NodeChecks(w.Context(), api.CatalogRequest{Node: "awaited", QueryOptions: o})
			return a.Index, err
		},
		"a coordinate": func(w *world, o api.QueryOptions) (uint64, error) {
			a, err := w.at(1).CoordinateNode(w.Context(), api.CoordinateRequest{Node: "awaited", QueryOptions: o})
			return a.Index, err
		},
	}
	for what, read := range reads {
		t.Run(what, func(t *testing.T) {
			inWorld(t, 1, func(w *world) {
				w.start(1)
				w.leader()
				w.registered(1, "s1")
				change := func(name string) {
					r := api.RegisterRequest{Node: name, Address: "192.0.2.1", Service: &api.NodeService{Service: name}, Check: &api.HealthCheck{Name: "c"}}
					_, err := w.at(1).Register(w.Context(), r)
					if err == nil {
						_, err = w.at(1).CoordinateUpdate(w.Context(), at(name, 1))
					}
					if err != nil {
						w.Error(err)
					}
					time.Sleep(6 * time.Second) // until the coordinate is there
				}
				change("first")
				index, err := read(w, api.QueryOptions{})
				if err != nil {
					w.Fatal(err)
				}
				for i := range 3 {
					change(string(rune('a' + i)))
					began := time.Now()
					go change(string(rune('x' + i)))
					if index, err = read(w, api.QueryOptions{MinQueryIndex: index, MaxQueryTime: 10 * time.Second}); err != nil || time.Since(began) < 10*time.Second {
						w.Fatalf("wait %d ended after %v: %v", i, time.Since(began), err)
					}
				}
				began := time.Now()
				go change("awaited")
				if _, err = read(w, api.QueryOptions{MinQueryIndex: index, MaxQueryTime: time.Minute}); err != nil || time.Since(began) > 10*time.Second {
					w.Errorf("it was there for %v: %v", time.Since(began), err)
				}
				time.Sleep(10 * time.Second)
			})
		})
	}
}
