package client

import (
	"context"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/host"
	"tribune/impl/metrics"
	"tribune/impl/rpc"
)

// TestAServerFailsWhenItDoesNotAnswerAndNotWhenWhoAskedGoesAway asks servers that nobody
// runs.
func TestAServerFailsWhenItDoesNotAnswerAndNotWhenWhoAskedGoesAway(t *testing.T) {
	figures := metrics.New()
	k := &Client{rpc: rpc.NewClient(host.Real().Network()), asked: figures.Counter("asked", "", nil), failed: figures.Counter("failed", "", nil)}
	k.servers.set([]string{"127.0.0.1:1", "127.0.0.1:2"})
	gone, leave := context.WithCancel(t.Context())
	leave()
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	for _, c := range []struct {
		about string
		ctx   context.Context
		other bool
	}{{"who asked has gone", gone, false}, {"no answer in time", late, true}, {"nobody there", t.Context(), true}} {
		before := k.servers.pick()
		_, err := ask[api.WriteResponse](c.ctx, k, "Register", api.RegisterRequest{}, 0)
		if after := k.servers.pick(); err == nil || (after != before) != c.other {
			t.Errorf("%s: %v; first %s is asked and then %s", c.about, err, before, after)
		}
	}
	if err := k.rpc.Close(); err != nil {
		t.Error(err)
	}
}
