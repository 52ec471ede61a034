package config

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"tribune/impl/definition"
	"tribune/impl/host"
)

// Validate reports the first setting that makes no sense, by its key. Names of
// datacenters become lower case, as in Consul.
func (c *Config) Validate() error {
	given := c.Datacenter
	c.Datacenter, c.PrimaryDatacenter = strings.ToLower(c.Datacenter), strings.ToLower(c.PrimaryDatacenter)
	c.NodeName = strings.TrimSpace(c.NodeName)
	switch {
	case c.DataDir == "" && !c.Dev:
		return fmt.Errorf("data_dir cannot be empty: give -data-dir DIR")
	case !c.Server && (c.Bootstrap || c.BootstrapExpect > 0):
		return fmt.Errorf("bootstrap and bootstrap_expect are for servers: give -server")
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
	if err := definition.ValidateMeta(c.NodeMeta); err != nil {
		return fmt.Errorf("node_meta: %w", err)
	}
	for _, d := range c.Services {
		if err := definition.ValidateService(d); err != nil {
			return fmt.Errorf("service %q: %w", cmp.Or(d.ID, d.Name), err)
		}
	}
	if err := c.validateAddresses(); err != nil {
		return err
	}
	return c.validateNumbers()
}

func (c *Config) validateAddresses() error {
	for _, a := range c.addresses() {
		if *a.target == "" && a.target != &c.BindAddr && a.target != &c.ClientAddr {
			continue // another address stands for it, or one is found
		}
		if isTemplate(*a.target) {
			continue // Expand looks at it
		}
		words := strings.Fields(*a.target)
		if len(words) != 1 && !a.several || len(words) == 0 {
			return fmt.Errorf("%s: %q is not an IP address", a.key, *a.target)
		}
		for i, w := range words {
			ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(w, "["), "]"))
			if err != nil {
				return fmt.Errorf("%s: %q is not an IP address", a.key, w)
			}
			if a.key == "advertise_addr" && ip.IsUnspecified() {
				return fmt.Errorf("advertise_addr: %q is no address that others can reach", w)
			}
			words[i] = ip.String()
		}
		*a.target = strings.Join(words, " ")
	}
	return nil
}

// address is a setting that is an IP address, or one that may be several.
type address struct {
	key     string
	target  *string
	several bool
}

func (c *Config) addresses() []address {
	return []address{
		{"bind_addr", &c.BindAddr, false}, {"advertise_addr", &c.AdvertiseAddr, false}, {"client_addr", &c.ClientAddr, true},
		{"addresses.http", &c.Addresses.HTTP, true}, {"addresses.dns", &c.Addresses.DNS, true},
	}
}

// Expand puts addresses for templates, as they are on a machine now, and looks at what
// came out. What stands for several is several items of a list.
func (c *Config) Expand(n host.Network) error {
	for _, a := range c.addresses() {
		words, err := expand(n, a.key, *a.target)
		if err != nil {
			return err
		}
		*a.target = strings.Join(words, " ")
	}
	for _, list := range []struct {
		key   string
		items *[]string
	}{{"retry_join", &c.Join.Retry}, {"recursors", &c.DNS.Recursors}} {
		var all []string // not in place: another configuration may have the same items
		for _, item := range *list.items {
			words, err := expand(n, list.key, item)
			if err != nil {
				return err
			}
			all = append(all, words...)
		}
		*list.items = all
	}
	if err := c.validateAddresses(); err != nil {
		return err
	}
	return c.validateDNS()
}

// expand returns a text as it is, or the words that come of it if it is a template.
func expand(n host.Network, key, text string) ([]string, error) {
	if !isTemplate(text) {
		return []string{text}, nil
	}
	expanded, err := n.Expand(text)
	if err != nil {
		return nil, fmt.Errorf("%s: the template %q: %w", key, text, err)
	}
	words := strings.Fields(expanded)
	if len(words) == 0 {
		return nil, fmt.Errorf("%s: this host has no address for the template %q", key, text)
	}
	return words, nil
}

func isTemplate(text string) bool { return strings.Contains(text, "{{") }

// validateDNS looks at the settings of DNS, apart from the templates that Expand has
// not replaced yet.
func (c *Config) validateDNS() error {
	s := c.DNS
	s.Recursors = slices.DeleteFunc(slices.Clone(s.Recursors), isTemplate)
	if err := s.Validate(); err != nil {
		return fmt.Errorf("dns_config: %w", err)
	}
	return nil
}

func (c *Config) validateNumbers() error {
	for _, n := range []struct {
		key             string
		value, min, max int
	}{
		{"ports.http", c.Ports.HTTP, -1, 65535},
		{"ports.dns", c.Ports.DNS, -1, 65535},
		{"ports.server", c.Ports.Server, 0, 65535},
		{"ports.serf_lan", c.Ports.SerfLAN, 0, 65535},
		{"performance.raft_multiplier", c.Raft.Multiplier, 1, 10},
		{"bootstrap_expect", c.BootstrapExpect, 0, 1000},
		{"retry_max", c.Join.Max, 0, math.MaxInt},
		{"check_output_max_size", c.Probing.OutputMaxSize, 1, 1 << 20},
		{"raft_snapshot_threshold", c.Raft.SnapshotThreshold, 0, math.MaxInt},
		{"raft_trailing_logs", c.Raft.TrailingLogs, 0, math.MaxInt},
		{"limits.kv_max_value_size", c.KVMaxValueSize, 1, 32 << 20},
		{"limits.txn_max_req_len", c.HTTP.MaxTxnLen, 0, 32 << 20},
		{"limits.rpc_max_burst", c.RPC.Burst, 0, math.MaxInt},
		{"log_rotate_bytes", c.LogFile.Bytes, 0, math.MaxInt},
		{"log_rotate_max_files", c.LogFile.Others, -1, 1 << 20},
	} {
		switch {
		case n.value < n.min && n.max == math.MaxInt:
			return fmt.Errorf("%s: %d is less than zero", n.key, n.value)
		case n.value < n.min || n.value > n.max:
			return fmt.Errorf("%s: %d is not between %d and %d", n.key, n.value, n.min, n.max)
		}
	}
	if err := c.validateDNS(); err != nil {
		return err
	}
	if c.Ports.Server == c.Ports.SerfLAN && c.Ports.Server != 0 {
		return fmt.Errorf("ports.server and ports.serf_lan are both %d", c.Ports.Server)
	}
	if c.RPC.Rate > 0 && c.RPC.Burst == 0 {
		return fmt.Errorf("limits.rpc_max_burst: with 0 and a limits.rpc_rate no request could be sent")
	}
	return c.validateTimes()
}

func (c *Config) validateTimes() error {
	if c.Join.Interval <= 0 {
		return fmt.Errorf("retry_interval: %v is no time to wait", c.Join.Interval)
	}
	if d := c.Raft.SnapshotInterval; d != 0 && d < minSnapshotInterval {
		return fmt.Errorf("raft_snapshot_interval: %v is less than %v", d, minSnapshotInterval)
	}
	for _, t := range []struct {
		key        string
		value, min time.Duration
	}{
		{"reconnect_timeout", c.ReconnectTimeout, 8 * time.Hour},
		{"default_query_time", c.Query.Default, time.Millisecond},
		{"max_query_time", c.Query.Max, time.Millisecond},
		{"limits.rpc_client_timeout", c.RPC.Timeout, time.Millisecond},
		{"session_ttl_min", c.SessionTTLMin, time.Millisecond},
		{"log_rotate_duration", c.LogFile.Age, 0},
	} {
		if t.value < t.min {
			return fmt.Errorf("%s: %v is less than %v", t.key, t.value, t.min)
		}
	}
	if c.SessionTTLMin > 24*time.Hour {
		return fmt.Errorf("session_ttl_min: %v is more than 24h, the most that a session may have", c.SessionTTLMin)
	}
	return nil
}

// minSnapshotInterval is raft's.
const minSnapshotInterval = 5 * time.Millisecond

// advise warns about what makes sense and is unwise.
func (c *Config) advise() {
	switch n := c.BootstrapExpect; {
	case c.Dev:
	case c.Bootstrap:
		c.Warnings = append(c.Warnings, "bootstrap = true: this server elects itself; only the first of a cluster may")
	case n == 2:
		c.Warnings = append(c.Warnings, "bootstrap_expect = 2: two servers tolerate no failure, as one does")
	case n > 2 && n%2 == 0:
		c.Warnings = append(c.Warnings, fmt.Sprintf("bootstrap_expect = %d: an even number of servers tolerates no more failures than one server less", n))
	}
}
