package levels_test

import (
	"testing"

	"tribune/scenarios/levels"
)

func TestALevelMayBeHigherByWhatServersNeedAndNoMore(t *testing.T) {
	if why := levels.Higher(map[string]levels.Level{}, map[string]levels.Level{levels.Server: {Goroutines: 800, Streams: 200}}, 4); why != "" {
		t.Errorf("servers that nobody saw in the beginning: %s", why)
	}
	start := map[string]levels.Level{levels.Server: {Goroutines: 80, Streams: 20, Watched: 40}, levels.Agent: {Goroutines: 40, Streams: 3}}
	for _, c := range []struct {
		name string
		end  map[string]levels.Level
		back bool
	}{
		{"as it was, without watches", map[string]levels.Level{levels.Server: {Goroutines: 80, Streams: 20}, levels.Agent: start[levels.Agent]}, true},
		{"less", map[string]levels.Level{levels.Server: {Goroutines: 8, Streams: 2}}, true},
		{"a new leader", map[string]levels.Level{levels.Server: {Goroutines: 80 + 28, Streams: 20 + 20}}, true},
		{"an agent that has asked all servers", map[string]levels.Level{levels.Agent: {Goroutines: 40 + 4*6, Streams: 3 + 4}}, true},
		{"streams that nobody closed", map[string]levels.Level{levels.Server: {Goroutines: 80, Streams: 20 + 21}}, false},
		{"a watch that nobody ended", map[string]levels.Level{levels.Server: {Watched: 1}}, false},
		{"goroutines that nobody ended", map[string]levels.Level{levels.Agent: {Goroutines: 40 + 37}}, false},
	} {
		if why := levels.Higher(start, c.end, 4); (why == "") != c.back {
			t.Errorf("%s: %q", c.name, why)
		}
	}
}

func TestAProcessMayHoldTheStateAndLittleElse(t *testing.T) {
	const state = 1 << 20
	for _, c := range []struct {
		name          string
		server, agent uint64
		fits          bool
	}{
		{"nothing runs", 0, 0, true},
		{"as measured", levels.ServerMemory/2 + state, levels.AgentMemory / 2, true},
		{"the state in three forms", levels.ServerMemory + levels.States*state, 0, true},
		{"a server that keeps what is old", levels.ServerMemory + levels.States*state + 1, 0, false},
		{"an agent that keeps what is old", 0, levels.AgentMemory + 1, false},
	} {
		m := levels.Memory{State: state, Held: map[string]uint64{levels.Server: c.server, levels.Agent: c.agent}}
		if why := m.Above(); (why == "") != c.fits {
			t.Errorf("%s: %q", c.name, why)
		}
	}
}
