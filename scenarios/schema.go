package scenarios

import (
	"tribune/netmodel"
	"tribune/sim"
	"tribune/sim/nemesis"
	"tribune/sim/simdisk"
)

// Scenario is what a file says.
type Scenario struct {
	Name     string   `yaml:"name"`
	About    string   `yaml:"about"`
	Storm    bool     `yaml:"storm"` // the seed draws who is there, what strikes and more, whatever the file says (Draw)
	Topology Topology `yaml:"topology"`
	Network  Network  `yaml:"network"`
	Agent    Agent    `yaml:"agent"`
	Disk     Disk     `yaml:"disk"`
	Clocks   Clocks   `yaml:"clocks"`
	Workload Workload `yaml:"workload"`
	Schedule Schedule `yaml:"schedule"` // of goroutines; no kind: shuffle, and in a storm what the seed draws
	Faults   []Fault  `yaml:"faults"`
	Duration Duration `yaml:"duration"` // of the phase in which faults strike
	Explore  Explore  `yaml:"explore"`  // from what `simctl explore` and storms draw
	Recovery Recovery `yaml:"recovery"`
	Checks   Checks   `yaml:"checks"`
	Seeds    int      `yaml:"seeds"` // how many `go test` runs
	Seed     uint64   `yaml:"seed"`  // that `simctl` runs when it is told none
}

// Schedule says in which order the goroutines of a node run.
type Schedule = sim.Schedule

// Features is a set of what schedules showed.
type Features = sim.Features

// ParseSchedule reads a schedule as it is given on a command line, such as pct:3.
func ParseSchedule(text string) (Schedule, error) { return sim.ParseSchedule(text) }

// Topology says who is there.
type Topology struct {
	Servers int `yaml:"servers"`
	Agents  int `yaml:"agents"` // client agents, each with services
	Clients int `yaml:"clients"`
}

// Explore are bounds: from what `simctl explore` and storms draw scenarios. A pair is
// the least and the most; where the least is 0, every other scenario has none. What is
// left out is drawn as Draw says.
type Explore struct {
	Servers []int `yaml:"servers"` // odd numbers, if there are any between
	Agents  []int `yaml:"agents"`
	Clients []int `yaml:"clients"`

	Rate   []float64 `yaml:"rate"`
	Keys   []int     `yaml:"keys"`
	Reads  []string  `yaml:"reads"` // one of them
	Crowds `yaml:",inline"`

	Network []string   `yaml:"network"` // one of these models
	Sync    []Duration `yaml:"sync"`    // median of an fsync
	Skew    []Duration `yaml:"skew"`    // of clocks; every other scenario has none

	Faults  []int    `yaml:"faults"`  // how many
	Kinds   []string `yaml:"kinds"`   // of faults
	Targets []string `yaml:"targets"` // of faults; a word that is said twice is drawn twice as often
	On      []string `yaml:"on"`      // points that some of the faults wait for
}

// Crowds are the bounds of the further clients of a workload.
type Crowds struct {
	Watchers       []int `yaml:"watchers"`
	PrefixWatchers []int `yaml:"prefix_watchers"`
	HealthWatchers []int `yaml:"health_watchers"`
	Registrars     []int `yaml:"registrars"`
	Contenders     []int `yaml:"contenders"`
	Renamers       []int `yaml:"renamers"`
	Heralds        []int `yaml:"heralds"`
	Tellers        []int `yaml:"tellers"`
}

// Network names a model of package netmodel, and what is to be otherwise in it.
type Network struct {
	Model     string   `yaml:"model"`
	Latency   Duration `yaml:"latency"`   // median one way; 0: the model's
	Loss      float64  `yaml:"loss"`      // probability; 0: the model's
	Bandwidth int64    `yaml:"bandwidth"` // bits per second; 0: the model's
}

// build returns the model.
func (n Network) build() (netmodel.Model, error) {
	base, err := netmodel.Named(n.Model)
	if err != nil {
		return nil, err
	}
	return netmodel.Altered{Model: base, Change: func(l netmodel.Link) netmodel.Link {
		if n.Latency.Duration > 0 {
			l.Latency = netmodel.LogNormal(n.Latency.Duration, 0.3)
		}
		if n.Loss > 0 {
			l.Loss = netmodel.Bernoulli(n.Loss)
		}
		if n.Bandwidth > 0 {
			l.Bandwidth = n.Bandwidth
		}
		return l
	}}, nil
}

// Agent are settings of the agents.
type Agent struct {
	RaftMultiplier    int `yaml:"raft_multiplier"`
	SnapshotThreshold int `yaml:"raft_snapshot_threshold"` // 0: the agent's default
	TrailingLogs      int `yaml:"raft_trailing_logs"`      // likewise
	// JoinOnce has only the first process of each agent be told whom to join.
	JoinOnce bool `yaml:"join_once"`
}

// Disk says how long the disks take.
type Disk struct {
	Sync  Duration `yaml:"sync"`  // median of an fsync
	Write Duration `yaml:"write"` // median of a write
}

// build returns what the disks are like.
func (d Disk) build() (o simdisk.Options) {
	if d.Sync.Duration > 0 {
		o.Sync = netmodel.LogNormal(d.Sync.Duration, 0.4)
	}
	if d.Write.Duration > 0 {
		o.Write = netmodel.LogNormal(d.Write.Duration, 0.4)
	}
	return o
}

// Clocks says how far the servers' clocks are off.
type Clocks struct {
	Skew  Duration  `yaml:"skew"`  // each is off by up to this, either way
	Rates []float64 `yaml:"rates"` // least and most: each goes at a rate between
}

// Workload says what the clients do.
type Workload struct {
	Rate  float64 `yaml:"rate"` // operations per second of all clients
	Keys  int     `yaml:"keys"`
	Reads string  `yaml:"reads"` // consistent, default or stale
	// MaxStale is how old stale reads allow the data to be, and so do client agents for
	// their DNS; 0 sets no limit.
	MaxStale Duration       `yaml:"max_stale"`
	Mix      map[string]int `yaml:"mix"`     // weights of get, put, cas, delete and delete-cas
	Twice    float64        `yaml:"twice"`   // probability that a write is followed at once by another one of the same key
	Stick    bool           `yaml:"stick"`   // each client stays with one server
	Via      string         `yaml:"via"`     // whom clients talk to: servers or agents
	Timeout  Duration       `yaml:"timeout"` // after which a client gives an operation up

	Watchers int `yaml:"watchers"` // further clients, which watch a key each
	// PrefixWatchers are further clients that watch all keys with a prefix.
	PrefixWatchers int `yaml:"prefix_watchers"`
	// HealthWatchers are further clients that watch the job of an agent each, and
	// want to hear of it only while its check is critical.
	HealthWatchers int      `yaml:"health_watchers"`
	Registrars     int      `yaml:"registrars"` // further clients, which register services with agents
	Contenders     int      `yaml:"contenders"` // further clients, which want one lock
	Sessions       string   `yaml:"sessions"`   // of the contenders: they have a ttl, or stand on the health of a client agent
	LockDelay      Duration `yaml:"lock_delay"` // of their sessions
	Renamers       int      `yaml:"renamers"`   // further clients, which rename nodes in the catalog
	Heralds        int      `yaml:"heralds"`    // further clients, which fire user events with agents
	Tellers        int      `yaml:"tellers"`    // further clients, which move money with transactions
}

// Fault is something that goes wrong, Duration a time with its unit.
type (
	Fault    = nemesis.Fault
	Duration = nemesis.Duration
)

// Recovery are the virtual times within which a healed cluster must have a
// leader, do a write, have equal state machines, hand out the lock, and know all
// services as they are.
type Recovery struct {
	Leader   Duration `yaml:"leader"`
	Write    Duration `yaml:"write"`
	Converge Duration `yaml:"converge"`
	Lock     Duration `yaml:"lock"`     // that some contender gets
	Services Duration `yaml:"services"` // the catalog and DNS agree with all agents
	Events   Duration `yaml:"events"`   // are on all agents
	Members  Duration `yaml:"members"`  // all take all others for alive
}

// Checks say what is expected: "holds" or "violated"; of Linearizable also "either",
// which asks for nothing.
type Checks struct {
	Linearizable string `yaml:"linearizable"`
	Sequential   string `yaml:"sequential"` // reads go forward
	Staleness    string `yaml:"staleness"`  // reads are no older than their answers say
	// Lag is by how much a stale read may be older than its answer says, and than its
	// max_stale; 0: half a second times the raft multiplier, and 0.1 s.
	Lag          Duration `yaml:"lag"`
	Durable      string   `yaml:"durable"`      // acknowledged writes are there in the end
	Leaks        string   `yaml:"leaks"`        // holds: processes give back what they held
	Transactions string   `yaml:"transactions"` // are linearizable
	Locks        string   `yaml:"locks"`        // and their sessions are linearizable
	Invariants   string   `yaml:"invariants"`
	Recovery     string   `yaml:"recovery"`
	Exclusive    string   `yaml:"exclusive"` // of the lock, without a look at fencing tokens
	// Bounds asks that dead services and dead nodes are found out in time, while
	// faults strike as well; "" does not ask. It is judged as an invariant.
	Bounds string `yaml:"bounds"`
	// Reigns asks that no leader is deposed that no fault strikes by its name; ""
	// does not ask. It is judged as an invariant.
	Reigns string   `yaml:"reigns"`
	Outage Duration `yaml:"outage"` // the longest time without a write while faults strike; 0: not asked
	Behind Duration `yaml:"behind"` // by how much default reads may be; 0: not asked
}
