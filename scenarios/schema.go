package scenarios

import (
	"time"

	"tribune/netmodel"
)

// Scenario is what a file says.
type Scenario struct {
	Name     string   `yaml:"name"`
	About    string   `yaml:"about"`
	Storm    bool     `yaml:"storm"` // the seed draws everything that the file leaves out
	Topology Topology `yaml:"topology"`
	Network  Network  `yaml:"network"`
	Agent    Agent    `yaml:"agent"`
	Disk     Disk     `yaml:"disk"`
	Clocks   Clocks   `yaml:"clocks"`
	Workload Workload `yaml:"workload"`
	Faults   []Fault  `yaml:"faults"`
	Duration Duration `yaml:"duration"` // of the phase in which faults strike
	Recovery Recovery `yaml:"recovery"`
	Checks   Checks   `yaml:"checks"`
	Seeds    int      `yaml:"seeds"` // how many `go test` runs
}

// Topology says who is there.
type Topology struct {
	Servers int `yaml:"servers"`
	Agents  int `yaml:"agents"` // client agents, each with services
	Clients int `yaml:"clients"`
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
	SnapshotThreshold int `yaml:"raft_snapshot_threshold"`
	TrailingLogs      int `yaml:"raft_trailing_logs"`
	// JoinOnce has only the first process of each agent be told whom to join.
	JoinOnce bool `yaml:"join_once"`
}

// Disk says how long the disks take.
type Disk struct {
	Sync  Duration `yaml:"sync"`  // median of an fsync
	Write Duration `yaml:"write"` // median of a write
}

// Clocks says how far the servers' clocks are off.
type Clocks struct {
	Skew  Duration  `yaml:"skew"`  // each is off by up to this, either way
	Rates []float64 `yaml:"rates"` // least and most: each goes at a rate between
}

// Workload says what the clients do.
type Workload struct {
	Rate    float64        `yaml:"rate"` // operations per second of all clients
	Keys    int            `yaml:"keys"`
	Reads   string         `yaml:"reads"`   // consistent, default or stale
	Mix     map[string]int `yaml:"mix"`     // weights of get, put, cas, delete and delete-cas
	Stick   bool           `yaml:"stick"`   // each client stays with one server
	Via     string         `yaml:"via"`     // whom clients talk to: servers or agents
	Timeout Duration       `yaml:"timeout"` // after which a client gives an operation up

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
	Heralds        int      `yaml:"heralds"`    // further clients, which fire user events with agents
	Tellers        int      `yaml:"tellers"`    // further clients, which move money with transactions
}

// Fault is something that goes wrong.
type Fault struct {
	Kind   string   `yaml:"kind"`
	At     Duration `yaml:"at"`     // of the first strike
	For    Duration `yaml:"for"`    // how long it lasts
	Every  Duration `yaml:"every"`  // it strikes again and again; 0: once
	Jitter Duration `yaml:"jitter"` // each strike is later by up to this
	Target string   `yaml:"target"` // a server, "leader", "random", "majority" or "all"; a client agent or "agent"; "holder": who has the lock
	Shape  string   `yaml:"shape"`  // of a partition

	Rate      float64  `yaml:"rate"`      // a probability, or a clock's rate
	Duplicate float64  `yaml:"duplicate"` // probability
	Reorder   float64  `yaml:"reorder"`   // probability
	By        Duration `yaml:"by"`        // latency, a jump, the down part of a flap
	Period    Duration `yaml:"period"`    // of a flap
	Size      int      `yaml:"size"`      // bytes; of bit-rot, bits
	Protocol  string   `yaml:"protocol"`  // tcp or udp
	File      string   `yaml:"file"`      // pattern of file names
}

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
	Members  Duration `yaml:"members"`  // all agents see each other alive; 0: not asked
}

// Checks say what is expected: "holds" or "violated"; of Linearizable also "either",
// which asks for nothing.
type Checks struct {
	Linearizable string `yaml:"linearizable"`
	Transactions string `yaml:"transactions"` // are linearizable
	Locks        string `yaml:"locks"`        // and their sessions are linearizable
	Invariants   string `yaml:"invariants"`
	Recovery     string `yaml:"recovery"`
	Exclusive    string `yaml:"exclusive"` // of the lock, without a look at fencing tokens
	// Bounds asks that dead services and dead nodes are found out in time, while
	// faults strike as well; "" does not ask. It is judged as an invariant.
	Bounds string `yaml:"bounds"`
	// Reigns asks that no leader is deposed that no fault strikes by its name; ""
	// does not ask. It is judged as an invariant.
	Reigns    string   `yaml:"reigns"`
	Outage    Duration `yaml:"outage"`    // the longest time without a write while faults strike; 0: not asked
	Staleness Duration `yaml:"staleness"` // how far default reads may be behind; 0: not asked
}

// Duration is a time as Go writes it: 300ms, 10s, 5m.
type Duration struct {
	time.Duration
}

// UnmarshalYAML reads a duration with its unit.
func (d *Duration) UnmarshalYAML(read func(any) error) error {
	var text string
	if err := read(&text); err != nil {
		return err
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return &unitError{text}
	}
	d.Duration = v
	return nil
}

type unitError struct{ text string }

func (e *unitError) Error() string {
	return "\"" + e.text + "\" is not a duration with a unit, such as 300ms, 10s or 5m"
}

// parameters lists what a kind of fault takes, beside kind, at, for, every and
// jitter; those that it needs are marked by "!".
func parameters() map[string][]string {
	return map[string][]string{
		"partition":   {"shape!", "target", "protocol"},
		"flap":        {"target!", "by!", "period!"},
		"loss":        {"rate", "duplicate", "reorder", "by", "protocol", "target"},
		"slow-link":   {"target!", "by!"},
		"gray":        {"target!", "size!"},
		"reset":       {"target!"},
		"expel":       {},
		"kill":        {"target!"},
		"power":       {"target!"},
		"restart":     {"target!"},
		"leave":       {"target!"},
		"pause":       {"target!"},
		"clock-jump":  {"target!", "by!"},
		"clock-drift": {"target!", "rate!"},
		"disk-full":   {"target!"},
		"disk-slow":   {"target!", "by!"},
		"disk-stall":  {"target!"},
		"disk-error":  {"target!", "rate!", "file"},
		"bit-rot":     {"target!", "size!", "file"},
	}
}

// shapes are those of partitions.
func shapes() []string {
	return []string{"halves", "isolate", "one-way", "bridge", "ring"}
}
