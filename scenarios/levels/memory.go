package levels

import "fmt"

// Memory is what processes hold when all is over, in bytes. It is of small objects alone
// (sim.World.Live): buffers of a connection are large, and connections are counted.
//
// How much is a process's own is found out by ending it: that is what becomes free. It is
// measured for all nodes of a kind together: each collection of garbage takes one or two
// hundredths of the time that the run took.
type Memory struct {
	Held  map[string]uint64 `json:"held"`  // a process, on average, by kind of node
	State uint64            `json:"state"` // the replicated state, once
	World uint64            `json:"world"` // what is left without any process
}

const (
	// ServerMemory and AgentMemory are what a process may hold beside the state.
	// In all scenarios it is 220 to 490 kB for a server, more with more streams, and 110
	// to 220 kB for a client agent, which remembers events.
	ServerMemory, AgentMemory = 1 << 20, 512 << 10
	// States is how many times a server may hold the state: once as it is, and parts
	// of it as entries of the log and as messages.
	States = 3
)

// Weigh measures the memory. It ends all processes of the kinds: drop has the caller
// forget a state such as the servers have, live collects garbage and returns what is in
// use.
func (w *Watch) Weigh(drop func(), live func() uint64) Memory {
	m := Memory{Held: map[string]uint64{}, World: live()}
	less := func() uint64 {
		before := m.World
		m.World = live()
		return before - min(before, m.World)
	}
	drop()
	m.State = less()
	for _, k := range w.kinds {
		running := uint64(0)
		for _, n := range k.Nodes {
			if n.Running() {
				running++
				n.Kill()
			}
		}
		if running > 0 {
			m.Held[k.Name] = less() / running
		}
	}
	return m
}

// Above says which processes hold more than they may, if any do.
func (m Memory) Above() string {
	for _, k := range []struct {
		name string
		most uint64
	}{{Server, ServerMemory + States*m.State}, {Agent, AgentMemory}} {
		if held := m.Held[k.name]; held > k.most {
			return fmt.Sprintf("%s holds %d kB of memory, and may hold %d kB with a state of %d kB", One(k.name), held>>10, k.most>>10, m.State>>10)
		}
	}
	return ""
}

// String says what is held.
func (m Memory) String() string {
	return fmt.Sprintf("%d kB a server, %d kB a client agent, %d kB the state, %d kB the world", m.Held[Server]>>10, m.Held[Agent]>>10, m.State>>10, m.World>>10)
}
