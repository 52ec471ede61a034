package config

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode"

	"tribune/impl/definition"
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
	for _, a := range []struct {
		key    string
		target *string
	}{
		{"bind_addr", &c.BindAddr}, {"advertise_addr", &c.AdvertiseAddr}, {"client_addr", &c.ClientAddr},
		{"addresses.http", &c.Addresses.HTTP}, {"addresses.dns", &c.Addresses.DNS},
	} {
		if *a.target == "" && a.target != &c.BindAddr && a.target != &c.ClientAddr {
			continue // another address stands for it, or one is found
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
	} {
		switch {
		case n.value < n.min && n.max == math.MaxInt:
			return fmt.Errorf("%s: %d is less than zero", n.key, n.value)
		case n.value < n.min || n.value > n.max:
			return fmt.Errorf("%s: %d is not between %d and %d", n.key, n.value, n.min, n.max)
		}
	}
	if err := c.DNS.Validate(); err != nil {
		return fmt.Errorf("dns_config: %w", err)
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
	case c.Dev:
	case c.Bootstrap:
		c.Warnings = append(c.Warnings, "bootstrap = true: this server elects itself; only the first of a cluster may")
	case n == 2:
		c.Warnings = append(c.Warnings, "bootstrap_expect = 2: two servers tolerate no failure, as one does")
	case n > 2 && n%2 == 0:
		c.Warnings = append(c.Warnings, fmt.Sprintf("bootstrap_expect = %d: an even number of servers tolerates no more failures than one server less", n))
	}
}
