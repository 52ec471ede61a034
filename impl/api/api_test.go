package api_test

import (
	"testing"
	"time"

	"tribune/impl/api"
)

func TestAQueryWaitsAsLongAsItAsksButNotTooLong(t *testing.T) {
	set := api.QueryTimes{Default: time.Second, Max: time.Minute}
	for _, c := range []struct {
		times       api.QueryTimes
		asked, want time.Duration
	}{
		{api.QueryTimes{}, 0, 5 * time.Minute},
		{api.QueryTimes{}, time.Second, time.Second},
		{api.QueryTimes{}, time.Hour, 10 * time.Minute},
		{set, 0, time.Second},
		{set, 2 * time.Second, 2 * time.Second},
		{set, time.Hour, time.Minute},
		{api.QueryTimes{Max: time.Minute}, 0, time.Minute},
	} {
		if got := c.times.Wait(c.asked); got != c.want {
			t.Errorf("%+v, asked for %v: %v, want %v", c.times, c.asked, got, c.want)
		}
	}
}
