package levels_test

import (
	"testing"

	"tribune/scenarios/levels"
)

func TestALevelMayBeHigherByWhatPeersNeedAndNoMore(t *testing.T) {
	start := map[string]levels.Level{levels.Server: {Goroutines: 80, Streams: 20}, levels.Agent: {Goroutines: 40, Streams: 3}}
	for _, c := range []struct {
		name string
		end  map[string]levels.Level
		back bool
	}{
		{"as it was", start, true},
		{"less", map[string]levels.Level{levels.Server: {Goroutines: 8, Streams: 2}}, true},
		{"a new leader", map[string]levels.Level{levels.Server: {Goroutines: 80 + 28, Streams: 20 + 20}}, true},
		{"streams that nobody closed", map[string]levels.Level{levels.Server: {Goroutines: 80, Streams: 20 + 21}}, false},
		{"goroutines that nobody ended", map[string]levels.Level{levels.Agent: {Goroutines: 40 + 29}}, false},
	} {
		if why := levels.Higher(start, c.end, 4); (why == "") != c.back {
			t.Errorf("%s: %q", c.name, why)
		}
	}
}
