package server_test

import (
	"testing"
	"time"

	"tribune/impl/api"
)

func TestAServerAloneServesReadsAndWritesInAllModes(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.start(1)
		w.leader()
		w.mustPut(1, "a", "1")
		for _, c := range []struct {
			o     api.QueryOptions
			level string
		}{{api.QueryOptions{}, "leader"}, {consistent(), "consistent"}, {stale(), "stale"}} {
			m := w.wantGet(1, "a", c.o, "1")
			if m.ConsistencyLevel != c.level || !m.KnownLeader || m.Index == 0 || m.LastContact != 0 {
				w.Errorf("%s: %+v", c.level, m)
			}
		}
	})
}

func TestThreeServersFormOneGroupAndForwardToTheLeader(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		start := time.Now()
		w.cluster(3)
		w.Logf("a leader after %v", time.Since(start))
		for i := 1; i <= 3; i++ {
			w.mustPut(i, "key", string(rune('0'+i)))
			for j := 1; j <= 3; j++ {
				w.wantGet(j, "key", consistent(), string(rune('0'+i)))
				w.wantGet(j, "key", api.QueryOptions{}, string(rune('0'+i)))
			}
			if n := w.group(i); n != 3 {
				w.Errorf("server %d counts %d servers", i, n)
			}
		}
	})
}
