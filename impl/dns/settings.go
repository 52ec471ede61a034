package dns

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Settings are what Apply can replace while the server runs: dns_config and
// recursors of Consul's configuration.
type Settings struct {
	AllowStale bool          // any server may answer, not only the leader
	MaxStale   time.Duration // an answer that is staler is asked of the leader

	NodeTTL time.Duration
	// ServiceTTL is by name of service; "PREFIX*" stands for all names that begin
	// with PREFIX, and the longest that fits counts.
	ServiceTTL map[string]time.Duration

	OnlyPassing        bool // leave out instances with a warning, too
	EnableTruncate     bool // set the TC bit
	UDPAnswerLimit     int  // records to a client that takes 512 bytes; 0: no limit
	ARecordLimit       int  // addresses in an answer; 0: no limit
	DisableCompression bool // of names
	NodeMetaTXT        bool // add the metadata of nodes to other answers

	SOA SOA

	Recursors        []string // IP or IP:PORT, of port 53 by default
	RecursorTimeout  time.Duration
	RecursorStrategy Strategy

	// SeveralTags makes A.B.NAME.service ask for instances with both of the tags A
	// and B. Without it, as in Consul, it asks for the tag "A.B".
	SeveralTags bool
}

// SOA has the numbers of the domain's SOA record, in seconds.
type SOA struct {
	Refresh, Retry, Expire uint32
	MinTTL                 uint32 // how long an answer that there is nothing may be kept
}

// Strategy says in which order recursors are asked.
type Strategy string

// The strategies.
const (
	Sequential Strategy = "sequential"
	Random     Strategy = "random"
)

// DefaultSettings are Consul's.
func DefaultSettings() Settings {
	return Settings{
		AllowStale:       true,
		MaxStale:         87600 * time.Hour,
		UDPAnswerLimit:   3,
		NodeMetaTXT:      true,
		SOA:              SOA{Refresh: 3600, Retry: 600, Expire: 86400},
		RecursorTimeout:  2 * time.Second,
		RecursorStrategy: Sequential,
	}
}

// Validate returns what makes no sense.
func (s Settings) Validate() error {
	_, err := compile(s)
	return err
}

// rules are settings as the server uses them.
type rules struct {
	Settings
	recursors []netip.AddrPort
	exact     map[string]time.Duration // TTL of a service by its name
	prefixes  []prefixTTL              // longest first
}

type prefixTTL struct {
	prefix string
	ttl    time.Duration
}

func compile(s Settings) (*rules, error) {
	r := &rules{Settings: s, exact: map[string]time.Duration{}}
	for _, name := range slices.Sorted(maps.Keys(s.ServiceTTL)) {
		ttl := s.ServiceTTL[name]
		if ttl < 0 {
			return nil, fmt.Errorf("service_ttl of %q: %v is negative", name, ttl)
		}
		if prefix, ok := strings.CutSuffix(strings.ToLower(name), "*"); ok {
			r.prefixes = append(r.prefixes, prefixTTL{prefix, ttl})
		} else {
			r.exact[prefix] = ttl
		}
	}
	slices.SortStableFunc(r.prefixes, func(a, b prefixTTL) int { return cmp.Compare(len(b.prefix), len(a.prefix)) })
	for _, text := range s.Recursors {
		at, err := recursor(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(r.recursors, at) { // as in Consul: nobody is asked twice
			r.recursors = append(r.recursors, at)
		}
	}
	switch {
	case s.NodeTTL < 0:
		return nil, fmt.Errorf("node_ttl: %v is negative", s.NodeTTL)
	case s.UDPAnswerLimit < 0:
		return nil, fmt.Errorf("udp_answer_limit: %d is negative", s.UDPAnswerLimit)
	case s.ARecordLimit < 0:
		return nil, fmt.Errorf("a_record_limit: %d is negative", s.ARecordLimit)
	case s.RecursorStrategy != Sequential && s.RecursorStrategy != Random:
		return nil, fmt.Errorf("recursor_strategy: %q is neither %q nor %q", s.RecursorStrategy, Sequential, Random)
	case len(r.recursors) > 0 && s.RecursorTimeout <= 0:
		return nil, fmt.Errorf("recursor_timeout: %v is no time at all", s.RecursorTimeout)
	}
	return r, nil
}

// recursor reads the address of a recursor: IP, [IP] or IP:PORT.
func recursor(text string) (netip.AddrPort, error) {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		at, err = netip.ParseAddrPort(net.JoinHostPort(strings.Trim(text, "[]"), "53"))
	}
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("recursors: %q is neither an IP nor an IP with a port", text)
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// serviceTTL is the TTL of answers about a service.
func (r *rules) serviceTTL(name string) time.Duration {
	name = strings.ToLower(name)
	if ttl, ok := r.exact[name]; ok {
		return ttl
	}
	for _, p := range r.prefixes {
		if strings.HasPrefix(name, p.prefix) {
			return p.ttl
		}
	}
	return 0
}

// seconds is a TTL on the wire (RFC 2181, 8: 31 bits).
func seconds(ttl time.Duration) uint32 {
	return uint32(min(max(ttl, 0)/time.Second, math.MaxInt32))
}
