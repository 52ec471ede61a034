package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Explain says in words what a plan will do.
func (p Plan) Explain() string {
	s := p.Scenario
	var b strings.Builder
	fmt.Fprintf(&b, "%s, seed %d", s.Name, p.Seed)
	if s.About != "" {
		fmt.Fprintf(&b, ": %s", strings.TrimSpace(s.About))
	}
	fmt.Fprintf(&b, "\n\n%d servers and %d clients on the network %q, raft multiplier %d.\n",
		s.Topology.Servers, s.Topology.Clients, s.Network.Model, s.Agent.RaftMultiplier)
	if s.Network.Latency.Duration > 0 {
		fmt.Fprintf(&b, "A packet takes %v in the median, one way.\n", s.Network.Latency)
	}
	if s.Network.Loss > 0 {
		fmt.Fprintf(&b, "%.2f %% of packets are lost.\n", 100*s.Network.Loss)
	}
	if s.Network.Bandwidth > 0 {
		fmt.Fprintf(&b, "Each link carries %d bits per second.\n", s.Network.Bandwidth)
	}
	if s.Agent.SnapshotThreshold > 0 {
		fmt.Fprintf(&b, "A snapshot is due after %d entries.\n", s.Agent.SnapshotThreshold)
	}
	if s.Agent.TrailingLogs > 0 {
		fmt.Fprintf(&b, "When a snapshot was taken %d entries stay in the log.\n", s.Agent.TrailingLogs)
	}
	if s.Disk.Sync.Duration > 0 {
		fmt.Fprintf(&b, "An fsync takes %v in the median.\n", s.Disk.Sync.Round(time.Microsecond))
	}
	for _, server := range p.Servers {
		if server.Skew != 0 {
			fmt.Fprintf(&b, "The clock of %s is off by %v.\n", server.Name, server.Skew.Round(time.Millisecond))
		}
		if c := server.Clock(); !c.Right() {
			fmt.Fprintf(&b, "The clock of %s goes at %s of true time.\n", server.Name, c.Rate())
		}
	}
	b.WriteString(s.Workload.work())
	b.WriteString(s.others())
	if s.Schedule.Kind != "" && s.Schedule.Kind != "shuffle" {
		fmt.Fprintf(&b, "Goroutines run in the order of the schedule %v.\n\n", s.Schedule)
	}
	b.WriteString(p.faults())
	fmt.Fprintf(&b, "\nThen all is healed, and there must be a leader within %v, a write within %v, and equal state\nmachines within %v.\n",
		s.Recovery.Leader, s.Recovery.Write, s.Recovery.Converge)
	if s.Topology.Agents > 0 {
		fmt.Fprintf(&b, "The catalog must agree with all agents, and they with the truth, within %v.\n", s.Recovery.Services)
	}
	fmt.Fprintf(&b, "All must take all others for alive within %v.\n", s.Recovery.Members)
	b.WriteString(s.expected())
	return b.String()
}

// work tells what the clients of the key/value store do.
func (w Workload) work() string {
	var b strings.Builder
	var mix []string
	for _, name := range slices.Sorted(maps.Keys(w.Mix)) {
		if n := w.Mix[name]; n > 0 {
			mix = append(mix, fmt.Sprintf("%s %d", name, n))
		}
	}
	fmt.Fprintf(&b, "Together the clients do %g operations a second on %d keys (%s), with %s reads, and talk to %s.\n", w.Rate, w.Keys, strings.Join(mix, ", "), w.Reads, w.Via)
	and := "when one fails it goes on with any of them"
	if w.Stick {
		and = "stays with one of them"
	}
	fmt.Fprintf(&b, "Each gives an operation up after %v, and %s.\n", w.Timeout, and)
	if w.MaxStale.Duration > 0 {
		fmt.Fprintf(&b, "Stale reads, and the DNS of client agents, allow data to be %v old.\n", w.MaxStale)
	}
	if w.Twice > 0 {
		fmt.Fprintf(&b, "A write is followed at once by another one of its key with probability %g.\n", w.Twice)
	}
	return b.String() + "\n"
}

// expected tells what the verdicts are to be.
func (s Scenario) expected() string {
	var b strings.Builder
	c := s.Checks
	fmt.Fprintf(&b, "Expected: linearizable %s, sequential %s, staleness %s (with a lag of %v), durable %s,\ninvariants %s, recovery %s, leaks %s.\n",
		c.Linearizable, c.Sequential, c.Staleness, c.Lag, c.Durable, c.Invariants, c.Recovery, c.Leaks)
	if s.Workload.Tellers > 0 {
		fmt.Fprintf(&b, "That transactions are linearizable: %s.\n", c.Transactions)
	}
	if s.Workload.Contenders > 0 {
		fmt.Fprintf(&b, "That the lock and its sessions are linearizable: %s.\n", c.Locks)
		fmt.Fprintf(&b, "That at no time two write who each believe to hold the lock: %s.\n", c.Exclusive)
	}
	if c.Bounds != "" {
		fmt.Fprintf(&b, "That dead services and dead nodes are found out in time, also while faults strike: %s.\n", c.Bounds)
	}
	if c.Reigns != "" {
		fmt.Fprintf(&b, "That no leader is deposed whom no fault strikes by its name: %s.\n", c.Reigns)
	}
	if c.Outage.Duration > 0 {
		fmt.Fprintf(&b, "At no time is there no write for longer than %v.\n", c.Outage)
	}
	if c.Behind.Duration > 0 {
		fmt.Fprintf(&b, "No default read is older than %v.\n", c.Behind)
	}
	return b.String()
}

// faults tells when and whom faults strike.
func (p Plan) faults() string {
	var timed, aimed strings.Builder
	for _, st := range p.Strikes {
		what := p.cast().Describe(st, st.Hits)
		if st.For > 0 {
			what += fmt.Sprintf(", for %v", st.For.Round(time.Millisecond))
		}
		if st.On != "" {
			fmt.Fprintf(&aimed, "  %s:\n    %s\n", p.cast().When(st), what)
			continue
		}
		fmt.Fprintf(&timed, "  %9.3fs  %s\n", st.Begin.Seconds(), what)
	}
	text := fmt.Sprintf("For %v faults strike:\n", p.Scenario.Duration)
	if len(p.Strikes) == 0 {
		return text + "  none\n"
	}
	return text + timed.String() + aimed.String()
}

// others tells who is there beside servers and clients.
func (s Scenario) others() string {
	var b strings.Builder
	if s.Workload.Watchers > 0 {
		fmt.Fprintf(&b, "Others (%d) watch a key each with blocking queries of %v.\n\n", s.Workload.Watchers, watchWait)
	}
	if s.Workload.PrefixWatchers > 0 {
		fmt.Fprintf(&b, "Others (%d) watch all keys that begin with %s, half of them with stale reads from one server.\n\n", s.Workload.PrefixWatchers, watchedPrefix)
	}
	if s.Workload.HealthWatchers > 0 {
		fmt.Fprintf(&b, "Others (%d) watch the job of a client agent each, with a filter.\n\n", s.Workload.HealthWatchers)
	}
	if s.Workload.Heralds > 0 {
		fmt.Fprintf(&b, "Others (%d) fire user events with any agent; no agent may list one twice.\n\n", s.Workload.Heralds)
	}
	if s.Workload.Renamers > 0 {
		fmt.Fprintf(&b, "Others (%d) have a node in the catalog each and rename it.\n\n", s.Workload.Renamers)
	}
	if s.Workload.Tellers > 0 {
		fmt.Fprintf(&b, "Others (%d) move money between the %d accounts of each of %d banks, with transactions.\n\n", s.Workload.Tellers, accounts, banks)
	}
	if s.Workload.Contenders > 0 {
		fmt.Fprintf(&b, "Others (%d) want one lock, with sessions that %s and a lock-delay of %v. Who has it\nwrites to a resource that it guards.\n\n", s.Workload.Contenders, s.standing(), s.Workload.LockDelay)
	}
	if n := s.Topology.Agents; n > 0 {
		fmt.Fprintf(&b, "Client agents (%d) have services that go down and come up again: one that is checked by HTTP, one by a\nscript.\n", n)
		if s.Workload.Registrars > 0 {
			fmt.Fprintf(&b, "Registrars (%d) register others with them, deregister them, and put them in maintenance mode.\n", s.Workload.Registrars)
		}
		if s.Checks.Bounds != "" {
			fmt.Fprintf(&b, "That a service is down the catalog says within %v, that an agent is dead within %v.\n",
				detection, suspicionBound(s.Topology.Servers+n))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// standing says how long the sessions of contenders live.
func (s Scenario) standing() string {
	if s.Workload.Sessions == onHealth {
		return "live as long as a client agent and its job are well,"
	}
	return fmt.Sprintf("have a TTL of %v", lockTTL)
}
