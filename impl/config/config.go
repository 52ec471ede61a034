// Package config is what a person can set: one struct, and one table that says
// for each setting its key in files, its flag, its default and what it is for.
// Names, defaults and the order in which sources override each other are
// Consul's (Consul documentation: Agent Configuration): defaults, then files in
// the order given, then flags; lists add up, those of flags first.
//
//   - config.go is the table, and what makes sense.
//   - load.go reads flags and files; place.go knows on which lines keys stand.
//   - foreign.go knows the settings of Consul that Tribune does not have.
package config

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// Config is an agent's configuration.
type Config struct {
	NodeName          string
	NodeID            string
	Datacenter        string
	PrimaryDatacenter string // empty, or the same
	DataDir           string
	LogLevel          string
	LogJSON           bool

	Server          bool
	Bootstrap       bool
	BootstrapExpect int

	BindAddr      string
	AdvertiseAddr string
	ClientAddr    string
	Ports         Ports

	Join  Join
	Leave Leave
	Raft  Raft

	KVMaxValueSize    int
	DisableRemoteExec bool

	// Warnings are lines for the person who wrote the configuration: what has no
	// effect, and what is unwise.
	Warnings []string
}

// Ports are the numbers of the agent's ports.
type Ports struct {
	HTTP, Server, SerfLAN int
}

// Join says whom the agent contacts when it starts.
type Join struct {
	Start    []string // once; that none answers is an error
	Retry    []string // until one answers
	Interval time.Duration
	Max      int // attempts; 0: for ever
}

// Leave says on which signals the agent leaves the cluster for good.
type Leave struct {
	OnTerminate     bool
	SkipOnInterrupt bool
}

// Raft are the settings of consensus.
type Raft struct {
	Multiplier        int
	SnapshotThreshold int
	SnapshotInterval  time.Duration
	TrailingLogs      int
}

// setting is a line of the table.
type setting struct {
	key    string // in files, dotted
	flag   string // empty: only in files
	doc    string
	target func(*Config) any // *string, *bool, *int, *time.Duration or *[]string
}

// settings is the table.
func settings() []setting {
	return []setting{
		{"node_name", "node", "name of this agent, unique in the datacenter; default: the host's name", func(c *Config) any { return &c.NodeName }},
		{"node_id", "node-id", "UUID of this agent; default: made once and kept in the data directory", func(c *Config) any { return &c.NodeID }},
		{"datacenter", "datacenter", "datacenter of this agent", func(c *Config) any { return &c.Datacenter }},
		{"primary_datacenter", "", "the datacenter of this agent: there is no other yet", func(c *Config) any { return &c.PrimaryDatacenter }},
		{"data_dir", "data-dir", "directory for the agent's state", func(c *Config) any { return &c.DataDir }},
		{"log_level", "log-level", "trace, debug, info, warn or error", func(c *Config) any { return &c.LogLevel }},
		{"log_json", "log-json", "write log lines as JSON", func(c *Config) any { return &c.LogJSON }},
		{"server", "server", "run as a server", func(c *Config) any { return &c.Server }},
		{"bootstrap", "bootstrap", "lead a cluster of one without waiting for others; at most one server may", func(c *Config) any { return &c.Bootstrap }},
		{"bootstrap_expect", "bootstrap-expect", "number of servers that must be there before the first election", func(c *Config) any { return &c.BootstrapExpect }},
		{"bind_addr", "bind", "address for cluster communication; 0.0.0.0 is all", func(c *Config) any { return &c.BindAddr }},
		{"advertise_addr", "advertise", "address that others reach this agent at; default: the bind address, or the first private one", func(c *Config) any { return &c.AdvertiseAddr }},
		{"client_addr", "client", "address for the HTTP API", func(c *Config) any { return &c.ClientAddr }},
		{"ports.http", "http-port", "port of the HTTP API", func(c *Config) any { return &c.Ports.HTTP }},
		{"ports.server", "server-port", "port for raft and requests between servers", func(c *Config) any { return &c.Ports.Server }},
		{"ports.serf_lan", "serf-lan-port", "port for gossip", func(c *Config) any { return &c.Ports.SerfLAN }},
		{"start_join", "join", "agent to join at the start, which must answer; may be given many times", func(c *Config) any { return &c.Join.Start }},
		{"retry_join", "retry-join", "agent to join at the start, tried until one answers; may be given many times", func(c *Config) any { return &c.Join.Retry }},
		{"retry_interval", "retry-interval", "time between attempts to join", func(c *Config) any { return &c.Join.Interval }},
		{"retry_max", "retry-max", "attempts to join before the agent gives up; 0: for ever", func(c *Config) any { return &c.Join.Max }},
		{"leave_on_terminate", "", "leave the cluster on SIGTERM", func(c *Config) any { return &c.Leave.OnTerminate }},
		{"skip_leave_on_interrupt", "", "do not leave the cluster on SIGINT", func(c *Config) any { return &c.Leave.SkipOnInterrupt }},
		{"performance.raft_multiplier", "", "scales raft's timeouts, 1 to 10; lower finds a dead leader sooner", func(c *Config) any { return &c.Raft.Multiplier }},
		{"raft_snapshot_threshold", "", "entries after which a snapshot is taken", func(c *Config) any { return &c.Raft.SnapshotThreshold }},
		{"raft_snapshot_interval", "", "how often a server looks whether a snapshot is due", func(c *Config) any { return &c.Raft.SnapshotInterval }},
		{"raft_trailing_logs", "", "entries that stay in the log behind a snapshot", func(c *Config) any { return &c.Raft.TrailingLogs }},
		{"disable_remote_exec", "", "do not run what `tribune exec` asks for", func(c *Config) any { return &c.DisableRemoteExec }},
		{"limits.kv_max_value_size", "", "most bytes of a value in the KV store", func(c *Config) any { return &c.KVMaxValueSize }},
	}
}

// Default returns the configuration of an agent that nobody configured.
func Default() *Config {
	return &Config{
		Datacenter: "dc1", LogLevel: "info", BindAddr: "0.0.0.0", ClientAddr: "127.0.0.1",
		Ports:          Ports{HTTP: 8500, Server: 8300, SerfLAN: 8301},
		Join:           Join{Interval: 30 * time.Second},
		Leave:          Leave{SkipOnInterrupt: true},
		Raft:           Raft{Multiplier: 5, SnapshotThreshold: 16384, SnapshotInterval: 30 * time.Second, TrailingLogs: 10240},
		KVMaxValueSize: 512 << 10, DisableRemoteExec: true,
	}
}

// Validate reports the first setting that makes no sense, by its key. Names of
// datacenters become lower case, as in Consul.
func (c *Config) Validate() error {
	given := c.Datacenter
	c.Datacenter, c.PrimaryDatacenter = strings.ToLower(c.Datacenter), strings.ToLower(c.PrimaryDatacenter)
	c.NodeName = strings.TrimSpace(c.NodeName)
	switch {
	case c.DataDir == "":
		return fmt.Errorf("data_dir cannot be empty: give -data-dir DIR")
	case !c.Server:
		return fmt.Errorf("server is false: this version runs only as a server, give -server")
	case !regexp.MustCompile(`^[a-z0-9_-]+$`).MatchString(c.Datacenter):
		return fmt.Errorf("datacenter: %q may hold only letters, 0-9, _ and -", given)
	case c.PrimaryDatacenter != "" && c.PrimaryDatacenter != c.Datacenter:
		return fmt.Errorf("primary_datacenter: %q is another datacenter; this version knows only its own, %q", c.PrimaryDatacenter, c.Datacenter)
	case strings.ContainsFunc(c.NodeName, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("\"'`", r) }):
		return fmt.Errorf("node_name: %q may hold neither white space nor quotation marks", c.NodeName)
	case c.Bootstrap && c.BootstrapExpect > 0:
		return fmt.Errorf("bootstrap and bootstrap_expect exclude each other")
	}
	if _, ok := ParseLevel(c.LogLevel); !ok {
		return fmt.Errorf("log_level: %q is none of trace, debug, info, warn, error", c.LogLevel)
	}
	if err := c.validateAddresses(); err != nil {
		return err
	}
	return c.validateNumbers()
}

func (c *Config) validateAddresses() error {
	for _, a := range []struct {
		key    string
		target *string
	}{
		{"bind_addr", &c.BindAddr}, {"advertise_addr", &c.AdvertiseAddr}, {"client_addr", &c.ClientAddr},
	} {
		if a.key == "advertise_addr" && *a.target == "" {
			continue // the bind address, or one that is found
		}
		if strings.Contains(*a.target, "{{") {
			return fmt.Errorf("%s: %q is a template; this version takes IP addresses only", a.key, *a.target)
		}
		ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(*a.target, "["), "]"))
		if err != nil {
			return fmt.Errorf("%s: %q is not an IP address", a.key, *a.target)
		}
		if a.key == "advertise_addr" && ip.IsUnspecified() {
			return fmt.Errorf("advertise_addr: %q is no address that others can reach", *a.target)
		}
		*a.target = ip.String()
	}
	return nil
}

func (c *Config) validateNumbers() error {
	for _, n := range []struct {
		key             string
		value, min, max int
	}{
		{"ports.http", c.Ports.HTTP, 0, 65535},
		{"ports.server", c.Ports.Server, 0, 65535},
		{"ports.serf_lan", c.Ports.SerfLAN, 0, 65535},
		{"performance.raft_multiplier", c.Raft.Multiplier, 1, 10},
		{"bootstrap_expect", c.BootstrapExpect, 0, 1000},
		{"retry_max", c.Join.Max, 0, math.MaxInt},
		{"raft_snapshot_threshold", c.Raft.SnapshotThreshold, 0, math.MaxInt},
		{"raft_trailing_logs", c.Raft.TrailingLogs, 0, math.MaxInt},
		{"limits.kv_max_value_size", c.KVMaxValueSize, 1, 32 << 20},
	} {
		switch {
		case n.value < n.min && n.max == math.MaxInt:
			return fmt.Errorf("%s: %d is less than zero", n.key, n.value)
		case n.value < n.min || n.value > n.max:
			return fmt.Errorf("%s: %d is not between %d and %d", n.key, n.value, n.min, n.max)
		}
	}
	if c.Ports.Server == c.Ports.SerfLAN && c.Ports.Server != 0 {
		return fmt.Errorf("ports.server and ports.serf_lan are both %d", c.Ports.Server)
	}
	if c.Join.Interval <= 0 {
		return fmt.Errorf("retry_interval: %v is no time to wait", c.Join.Interval)
	}
	if d := c.Raft.SnapshotInterval; d != 0 && d < minSnapshotInterval {
		return fmt.Errorf("raft_snapshot_interval: %v is less than %v", d, minSnapshotInterval)
	}
	return nil
}

// minSnapshotInterval is raft's.
const minSnapshotInterval = 5 * time.Millisecond

// advise warns about what makes sense and is unwise.
func (c *Config) advise() {
	switch n := c.BootstrapExpect; {
	case c.Bootstrap:
		c.Warnings = append(c.Warnings, "bootstrap = true: this server elects itself; only the first of a cluster may")
	case n == 2:
		c.Warnings = append(c.Warnings, "bootstrap_expect = 2: two servers tolerate no failure, as one does")
	case n > 2 && n%2 == 0:
		c.Warnings = append(c.Warnings, fmt.Sprintf("bootstrap_expect = %d: an even number of servers tolerates no more failures than one server less", n))
	}
}
