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
