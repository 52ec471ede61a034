// Package config is what a person can set: one struct, and one table that says
// for each setting its key in files, its flag, its default and what it is for.
// Names, defaults and the order in which sources override each other are
// Consul's (Consul documentation: Agent Configuration): defaults, then files in
// the order given, then flags; lists add up, those of flags first.
//
//   - config.go is the table; validate.go says what makes sense.
//   - load.go reads flags and files, assign.go sets what they say; place.go knows
//     on which lines keys stand.
//   - foreign.go knows the settings of Consul that Tribune does not have.
package config

import (
	"time"

	"tribune/impl/api"
	"tribune/impl/dns"
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
	LogFile           LogFile

	Server          bool
	Bootstrap       bool
	BootstrapExpect int

	BindAddr      string
	AdvertiseAddr string
	ClientAddr    string // addresses, with spaces between them
	Addresses     Addresses
	Ports         Ports
	PIDFile       string // written while the agent runs; empty: none

	Join  Join
	Leave Leave
	Raft  Raft

	ReconnectTimeout time.Duration // after which a member that failed is forgotten
	CleanDeadServers bool          // out of the raft group, once another has come

	NodeMeta map[string]string
	Services []api.ServiceDefinition
	Checks   []api.CheckDefinition
	Probing  Probing

	Domain    string
	AltDomain string
	DNS       dns.Settings

	Watches []map[string]any // as package watch reads them

	KVMaxValueSize       int
	Query                api.QueryTimes
	RPC                  RPC
	SessionTTLMin        time.Duration
	DisableKeyValidation bool // of KV
	ReapCriticalServices bool // that the catalog alone knows
	DisableRemoteExec    bool
	DisableCoordinates   bool // the agent does not tell where it is
	HTTP                 HTTP
	AutoReload           bool // when a file has changed

	// Dev asks for a server to try things out, which keeps nothing: whoever starts
	// it gives it a data directory and removes that in the end.
	Dev bool

	// Warnings are lines for the person who wrote the configuration: what has no
	// effect, and what is unwise.
	Warnings []string

	again func() (*Config, error) // loads it anew
	sum   string                  // of all that the files held
	now   func() (string, error)  // the same of what they hold now
	given map[string]bool         // the keys that somebody set
}

// LogFile is a file that gets the log, too.
type LogFile struct {
	Name   string        // empty: none; one that ends in a slash is a directory
	Bytes  int           // after which another is begun; 0: no limit
	Age    time.Duration // the same; 0: no limit
	Others int           // that are kept beside the one that is written; 0: all; less: none
}

// RPC are the limits of a client agent's requests to servers.
type RPC struct {
	Rate    float64 // requests a second; 0 or less: any number
	Burst   int
	Timeout time.Duration // for an answer that no change is waited for
}

// Addresses are where the faces listen that are not at the client address; empty:
// there. Each may be several, with spaces between them.
type Addresses struct {
	HTTP, DNS string
}

// Ports are the numbers of the agent's ports.
type Ports struct {
	HTTP, DNS, Server, SerfLAN int // -1: none, of HTTP and DNS
}

// Join says whom the agent contacts when it starts.
type Join struct {
	Retry    []string // until one answers
	Interval time.Duration
	Max      int  // attempts; 0: for ever
	Again    bool // also the members known from before the agent left
}

// Leave says on which signals the agent leaves the cluster for good.
type Leave struct {
	OnTerminate     bool
	SkipOnInterrupt bool
}

// Probing says how checks are run.
type Probing struct {
	Scripts        bool // of checks that the API registers
	LocalScripts   bool // only of those that files define
	OutputInterval time.Duration
	OutputMaxSize  int  // bytes
	DiscardOutput  bool // keep nothing of what checks print
}

// HTTP are the limits of the HTTP API.
type HTTP struct {
	MaxConns       int  // of a client, by its address; 0 or less: no limit
	MaxTxnLen      int  // most bytes of a transaction
	ExemptLoopback bool // clients on this machine have no limit
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
	target func(*Config) any // *string, *bool, *int, *uint32, *float64, *time.Duration, *[]string, *map[string]string or *map[string]time.Duration
}

// settings is the table.
func settings() []setting {
	return append(dnsSettings(), []setting{
		{"node_name", "node", "name of this agent, unique in the datacenter; default: the host's name", func(c *Config) any { return &c.NodeName }},
		{"node_id", "node-id", "UUID of this agent; default: made once and kept in the data directory", func(c *Config) any { return &c.NodeID }},
		{"datacenter", "datacenter", "datacenter of this agent", func(c *Config) any { return &c.Datacenter }},
		{"primary_datacenter", "", "the datacenter of this agent: there is no other yet", func(c *Config) any { return &c.PrimaryDatacenter }},
		{"data_dir", "data-dir", "directory for the agent's state", func(c *Config) any { return &c.DataDir }},
		{"log_level", "log-level", "trace, debug, info, warn or error", func(c *Config) any { return &c.LogLevel }},
		{"log_json", "log-json", "write log lines as JSON, and nothing else", func(c *Config) any { return &c.LogJSON }},
		{"log_file", "log-file", "file that gets the log, too; a directory if it ends in a slash; when another is begun, the time becomes part of its name", func(c *Config) any { return &c.LogFile.Name }},
		{"log_rotate_bytes", "log-rotate-bytes", "bytes of the log's file after which another is begun; 0: no limit", func(c *Config) any { return &c.LogFile.Bytes }},
		{"log_rotate_duration", "log-rotate-duration", "time after which another file of the log is begun; 0: no limit", func(c *Config) any { return &c.LogFile.Age }},
		{"log_rotate_max_files", "log-rotate-max-files", "older files of the log that are kept; 0: all; -1: none", func(c *Config) any { return &c.LogFile.Others }},
		{"server", "server", "run as a server", func(c *Config) any { return &c.Server }},
		{"bootstrap", "bootstrap", "lead a cluster of one without waiting for others; at most one server may", func(c *Config) any { return &c.Bootstrap }},
		{"bootstrap_expect", "bootstrap-expect", "number of servers that must be there before the first election", func(c *Config) any { return &c.BootstrapExpect }},
		{"bind_addr", "bind", "address for cluster communication, or a template such as {{ GetPrivateIP }}; 0.0.0.0 and [::] are all", func(c *Config) any { return &c.BindAddr }},
		{"advertise_addr", "advertise", "address that others reach this agent at; default: the bind address, or of all the only private IPv4 address, with [::] the only public IPv6 address", func(c *Config) any { return &c.AdvertiseAddr }},
		{"client_addr", "client", "addresses for the HTTP API and for DNS, with spaces between them", func(c *Config) any { return &c.ClientAddr }},
		{"addresses.http", "", "addresses for the HTTP API; default: client_addr", func(c *Config) any { return &c.Addresses.HTTP }},
		{"addresses.dns", "", "addresses for DNS; default: client_addr", func(c *Config) any { return &c.Addresses.DNS }},
		{"pid_file", "pid-file", "file that holds the number of the agent's process while it runs", func(c *Config) any { return &c.PIDFile }},
		{"ports.http", "http-port", "port of the HTTP API; -1: none", func(c *Config) any { return &c.Ports.HTTP }},
		{"ports.dns", "dns-port", "port of DNS, UDP and TCP; -1: none", func(c *Config) any { return &c.Ports.DNS }},
		{"ports.server", "server-port", "port for raft and requests between servers", func(c *Config) any { return &c.Ports.Server }},
		{"ports.serf_lan", "serf-lan-port", "port for gossip", func(c *Config) any { return &c.Ports.SerfLAN }},
		{"start_join", "join", "old name of retry_join", func(c *Config) any { return &c.Join.Retry }},
		{"retry_join", "retry-join", "agent to join at the start, tried until one answers; may be given many times", func(c *Config) any { return &c.Join.Retry }},
		{"retry_interval", "retry-interval", "time between attempts to join", func(c *Config) any { return &c.Join.Interval }},
		{"retry_max", "retry-max", "attempts to join before the agent gives up; 0: for ever", func(c *Config) any { return &c.Join.Max }},
		{"rejoin_after_leave", "rejoin", "join the members known from before, also if the agent has left", func(c *Config) any { return &c.Join.Again }},
		{"reconnect_timeout", "", "how long a member that failed is waited for until it is forgotten; 8h or more, the same on all agents", func(c *Config) any { return &c.ReconnectTimeout }},
		{"leave_on_terminate", "", "leave the cluster on SIGTERM; default: true in a client, false in a server", func(c *Config) any { return &c.Leave.OnTerminate }},
		{"skip_leave_on_interrupt", "", "do not leave the cluster on SIGINT; default: false in a client, true in a server", func(c *Config) any { return &c.Leave.SkipOnInterrupt }},
		{"autopilot.cleanup_dead_servers", "", "take a server that failed out of the raft group once another has come", func(c *Config) any { return &c.CleanDeadServers }},
		{"performance.raft_multiplier", "", "scales raft's timeouts, 1 to 10; lower finds a dead leader sooner", func(c *Config) any { return &c.Raft.Multiplier }},
		{"raft_snapshot_threshold", "", "for servers: entries after which a snapshot is taken", func(c *Config) any { return &c.Raft.SnapshotThreshold }},
		{"raft_snapshot_interval", "", "for servers: how often it is looked whether a snapshot is due", func(c *Config) any { return &c.Raft.SnapshotInterval }},
		{"raft_trailing_logs", "", "for servers: entries that stay in the log behind a snapshot; more helps followers that never catch up", func(c *Config) any { return &c.Raft.TrailingLogs }},
		{"default_query_time", "default-query-time", "how long a read waits for a change that does not say how long", func(c *Config) any { return &c.Query.Default }},
		{"max_query_time", "max-query-time", "how long a read may wait for a change", func(c *Config) any { return &c.Query.Max }},
		{"session_ttl_min", "", "for servers: the least TTL of a session", func(c *Config) any { return &c.SessionTTLMin }},
		{"auto_reload_config", "auto-reload-config", "reload the configuration when one of its files has changed", func(c *Config) any { return &c.AutoReload }},
		{"node_meta", "node-meta", "KEY:VALUE that describes the node; may be given many times", func(c *Config) any { return &c.NodeMeta }},
		{"enable_script_checks", "enable-script-checks", "run checks that are scripts, whoever registers them; who reaches the API can run commands then", func(c *Config) any { return &c.Probing.Scripts }},
		{"enable_local_script_checks", "enable-local-script-checks", "run checks that are scripts if files define them", func(c *Config) any { return &c.Probing.LocalScripts }},
		{"check_update_interval", "", "how long the catalog may lag behind in what a check prints while its status is the same", func(c *Config) any { return &c.Probing.OutputInterval }},
		{"check_output_max_size", "check_output_max_size", "most bytes that are kept of what a check prints", func(c *Config) any { return &c.Probing.OutputMaxSize }},
		{"discard_check_output", "", "keep nothing of what checks print", func(c *Config) any { return &c.Probing.DiscardOutput }},
		{"disable_remote_exec", "", "do not run what `tribune exec` asks for", func(c *Config) any { return &c.DisableRemoteExec }},
		{"disable_coordinates", "", "do not tell the servers where the agent is in the network: nothing is near to it, or far, then", func(c *Config) any { return &c.DisableCoordinates }},
		{"disable_kv_key_validation", "", "take keys that begin or end with a space or hold .. between slashes", func(c *Config) any { return &c.DisableKeyValidation }},
		{"reap_critical_services", "", "for servers: deregister services whose check in the catalog is critical for longer than the deregister_critical_service_after of its definition (not in Consul)", func(c *Config) any { return &c.ReapCriticalServices }},
		{"limits.kv_max_value_size", "", "most bytes of a value in the KV store", func(c *Config) any { return &c.KVMaxValueSize }},
		{"limits.txn_max_req_len", "", "most bytes of a transaction, if that is more than limits.kv_max_value_size", func(c *Config) any { return &c.HTTP.MaxTxnLen }},
		{"limits.rpc_rate", "", "for clients: most requests to servers a second; -1: any number", func(c *Config) any { return &c.RPC.Rate }},
		{"limits.rpc_max_burst", "", "for clients: requests to servers that may come at once under limits.rpc_rate", func(c *Config) any { return &c.RPC.Burst }},
		{"limits.rpc_client_timeout", "", "for clients: how long a server may take for an answer, apart from the time for which it is asked to wait for a change", func(c *Config) any { return &c.RPC.Timeout }},
		{"limits.http_max_conns_per_client", "", "most connections of a client to the HTTP API; 0: any number", func(c *Config) any { return &c.HTTP.MaxConns }},
		{"limits.http_exempt_loopback", "", "that limit is not for clients on this machine (not in Consul)", func(c *Config) any { return &c.HTTP.ExemptLoopback }},
	}...)
}

// dnsSettings is the part of the table about DNS.
func dnsSettings() []setting {
	return []setting{
		{"domain", "domain", "domain that DNS answers for", func(c *Config) any { return &c.Domain }},
		{"alt_domain", "alt-domain", "a second domain that DNS answers for", func(c *Config) any { return &c.AltDomain }},
		{"recursors", "recursor", "DNS server for names of other domains, IP, IP:PORT or a template; may be given many times", func(c *Config) any { return &c.DNS.Recursors }},
		{"dns_config.recursor_timeout", "", "how long a recursor may take", func(c *Config) any { return &c.DNS.RecursorTimeout }},
		{"dns_config.recursor_strategy", "", "in which order recursors are asked: sequential or random", func(c *Config) any { return (*string)(&c.DNS.RecursorStrategy) }},
		{"dns_config.allow_stale", "", "any server may answer, not only the leader", func(c *Config) any { return &c.DNS.AllowStale }},
		{"dns_config.max_stale", "", "an answer that is staler is asked of the leader", func(c *Config) any { return &c.DNS.MaxStale }},
		{"dns_config.node_ttl", "", "TTL of answers about nodes", func(c *Config) any { return &c.DNS.NodeTTL }},
		{"dns_config.service_ttl", "", "TTL of answers about services, by name; PREFIX* stands for all that begin so", func(c *Config) any { return &c.DNS.ServiceTTL }},
		{"dns_config.only_passing", "", "leave out instances with a warning, too", func(c *Config) any { return &c.DNS.OnlyPassing }},
		{"dns_config.enable_truncate", "", "say in an answer over UDP that something was left out", func(c *Config) any { return &c.DNS.EnableTruncate }},
		{"dns_config.udp_answer_limit", "", "most records for a client that takes 512 bytes; 0: no limit", func(c *Config) any { return &c.DNS.UDPAnswerLimit }},
		{"dns_config.a_record_limit", "", "most addresses in an answer; 0: no limit", func(c *Config) any { return &c.DNS.ARecordLimit }},
		{"dns_config.disable_compression", "", "write names in full", func(c *Config) any { return &c.DNS.DisableCompression }},
		{"dns_config.enable_additional_node_meta_txt", "", "add the metadata of nodes to other answers", func(c *Config) any { return &c.DNS.NodeMetaTXT }},
		{"dns_config.several_tags", "", "A.B.NAME.service asks for both tags, A and B, and not for the tag A.B (not in Consul)", func(c *Config) any { return &c.DNS.SeveralTags }},
		{"dns_config.soa.refresh", "", "of the SOA record, in seconds", func(c *Config) any { return &c.DNS.SOA.Refresh }},
		{"dns_config.soa.retry", "", "of the SOA record, in seconds", func(c *Config) any { return &c.DNS.SOA.Retry }},
		{"dns_config.soa.expire", "", "of the SOA record, in seconds", func(c *Config) any { return &c.DNS.SOA.Expire }},
		{"dns_config.soa.min_ttl", "", "how long it may be kept that there is nothing, in seconds", func(c *Config) any { return &c.DNS.SOA.MinTTL }},
	}
}

// Default returns the configuration of an agent that nobody configured.
func Default() *Config {
	return &Config{
		Datacenter: "dc1", LogLevel: "info", BindAddr: "0.0.0.0", ClientAddr: "127.0.0.1",
		Ports:         Ports{HTTP: 8500, DNS: 8600, Server: 8300, SerfLAN: 8301},
		Join:          Join{Interval: 30 * time.Second},
		Leave:         Leave{SkipOnInterrupt: true},
		Domain:        "consul.",
		DNS:           dns.DefaultSettings(),
		Probing:       Probing{OutputInterval: 5 * time.Minute, OutputMaxSize: 4096},
		Raft:          Raft{Multiplier: 5, SnapshotThreshold: 16384, SnapshotInterval: 30 * time.Second, TrailingLogs: 10240},
		HTTP:          HTTP{MaxConns: 200, MaxTxnLen: 512 << 10},
		LogFile:       LogFile{Age: 24 * time.Hour},
		Query:         api.QueryTimes{Default: api.DefaultWait, Max: api.MaxWait},
		RPC:           RPC{Rate: -1, Burst: 1000, Timeout: time.Minute},
		SessionTTLMin: api.MinSessionTTL, ReconnectTimeout: 72 * time.Hour,
		KVMaxValueSize: 512 << 10, DisableRemoteExec: true, CleanDeadServers: true,
	}
}
