package config

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// stance is what happens to a setting that Consul has and Tribune has not.
type stance bool

// What it is harmless to leave out is named in a warning: without it nothing is
// less protected, and no data and no cluster is kept in another way. Anything
// else ends the start, for an agent that runs without it would not be the one
// that was asked for.
const (
	refused  stance = false
	harmless stance = true
)

// stances lists Consul's keys that Tribune does not have, an object stands for all
// that is in it (Consul documentation: Agent Configuration).
var stances = map[string]stance{
	"acl": refused, "addresses": harmless, "advertise_addr_ipv4": refused, "advertise_addr_ipv6": refused, "advertise_addr_wan": harmless,
	"advertise_addr_wan_ipv4": harmless, "advertise_addr_wan_ipv6": harmless, "advertise_reconnect_timeout": refused, "audit": refused,
	"auto_config": refused, "auto_encrypt": refused, "autopilot": refused, "ca_file": refused, "ca_path": refused,
	"cache": harmless, "cert_file": refused, "cloud": refused, "config_entries": refused, "connect": harmless,
	"disable_anonymous_signature": harmless, "disable_host_node_id": harmless,
	"disable_http_unprintable_char_filter": refused, "disable_keyring_file": harmless,
	"disable_update_check": harmless, "discovery_max_stale": harmless, "enable_agent_tls_for_checks": refused,
	"enable_central_service_config": harmless, "enable_debug": harmless, "enable_syslog": harmless, "encrypt": refused,
	"encrypt_verify_incoming": refused, "encrypt_verify_outgoing": refused, "experiments": refused, "gossip_lan": refused, "gossip_wan": harmless,
	"http_config": refused, "key_file": refused, "license_path": refused, "locality": harmless,
	"non_voting_server": refused, "partition": refused,
	"peering": harmless, "performance.leave_drain_time": harmless, "performance.rpc_hold_timeout": refused,
	"primary_gateways": refused, "primary_gateways_interval": harmless, "protocol": refused, "raft_boltdb": harmless, "raft_logstore": harmless,
	"raft_prevote_disabled": refused, "raft_protocol": refused, "read_replica": refused,
	"reconnect_timeout_wan": harmless, "reporting": harmless, "request_limits": refused, "retry_interval_wan": harmless,
	"retry_join_wan": refused, "retry_max_wan": harmless, "rpc": harmless, "segment": refused, "segments": refused, "serf_lan": refused,
	"serf_lan_allowed_cidrs": refused, "serf_wan": harmless, "serf_wan_allowed_cidrs": harmless, "server_name": refused,
	"server_rejoin_age_max": refused, "snapshot_agent": refused, "start_join_wan": refused, "syslog_facility": harmless,
	"tagged_addresses": harmless, "telemetry": harmless, "tls": refused, "tls_cipher_suites": refused, "tls_min_version": refused,
	"translate_wan_addrs": harmless, "ui": harmless, "ui_config": harmless, "ui_content_path": harmless, "ui_dir": harmless, "unix_sockets": refused,
	"use_streaming_backend": harmless, "verify_incoming": refused, "verify_incoming_https": refused, "verify_incoming_rpc": refused,
	"verify_outgoing": refused, "verify_server_hostname": refused, "xds": harmless,

	"dns_config.cache_max_age": harmless, "dns_config.prefer_namespace": harmless, "dns_config.use_cache": harmless,

	"limits.https_handshake_timeout": harmless, "limits.request_limits": refused,
	"limits.rpc_handshake_timeout":    refused,
	"limits.rpc_max_conns_per_client": refused,

	"ports.expose_max_port": harmless, "ports.expose_min_port": harmless, "ports.grpc": harmless,
	"ports.grpc_tls": harmless, "ports.https": harmless, "ports.proxy_max_port": harmless, "ports.proxy_min_port": harmless,
	"ports.serf_wan": harmless, "ports.sidecar_max_port": harmless, "ports.sidecar_min_port": harmless,
}

// constants lists values of such keys that say what Tribune does anyway.
var constants = map[string]string{
	"acl.default_policy": "allow", "limits.request_limits.mode": "disabled", "limits.rpc_handshake_timeout": "5s",
	"limits.rpc_max_conns_per_client": "100", "performance.rpc_hold_timeout": "7s",
	"protocol": "2", "raft_logstore.backend": "wal", "raft_protocol": "3",
}

// foreignFlags lists Consul's flags that Tribune does not have, by the keys that
// they set. Those that end in "=" take a value.
var foreignFlags = map[string]string{
	"advertise-wan=": "advertise_addr_wan", "allow-write-http-from=": "http_config",
	"disable-host-node-id": "disable_host_node_id", "disable-keyring-file": "disable_keyring_file", "encrypt=": "encrypt",
	"grpc-port=": "ports.grpc", "grpc-tls-port=": "ports.grpc_tls", "https-port=": "ports.https", "join-wan=": "start_join_wan",

	"non-voting-server": "non_voting_server", "primary-gateway=": "primary_gateways", "protocol=": "protocol",
	"raft-protocol=": "raft_protocol", "read-replica": "read_replica",
	"retry-interval-wan=": "retry_interval_wan", "retry-join-wan=": "retry_join_wan", "retry-max-wan=": "retry_max_wan", "segment=": "segment",
	"serf-lan-allowed-cidrs=": "serf_lan_allowed_cidrs", "serf-lan-bind=": "serf_lan", "serf-wan-allowed-cidrs=": "serf_wan_allowed_cidrs",
	"serf-wan-bind=": "serf_wan", "serf-wan-port=": "ports.serf_wan", "syslog": "enable_syslog", "ui": "ui", "ui-content-path=": "ui_content_path",
	"ui-dir=": "ui_dir",
}

// defineForeign adds the flags that Tribune does not have, so that they get an
// answer of their own.
func defineForeign(fs *flag.FlagSet, l *line) {
	for name, key := range foreignFlags {
		set := func(text string) error {
			var scratch Config
			_, err := scratch.foreign(key, text)
			for _, w := range scratch.Warnings {
				l.warnings = append(l.warnings, fmt.Sprintf("flag -%s: %s", strings.TrimSuffix(name, "="), w))
			}
			return err
		}
		if value, ok := strings.CutSuffix(name, "="); ok {
			fs.Func(value, "", set)
		} else {
			fs.BoolFunc(name, "", set)
		}
	}
}

// foreign reports whether a key is one of Consul's that Tribune does not have.
// Its value may ask for nothing, or for what is done anyway; else it is a warning
// or an error.
func (c *Config) foreign(key string, value any) (known bool, err error) {
	s, known := stances[key]
	for outer := key; !known && outer != ""; s, known = stances[outer] {
		outer = outer[:max(strings.LastIndexByte(outer, '.'), 0)]
	}
	switch text := fmt.Sprint(value); {
	case !known || constants[key] == text:
	case s == harmless && strings.HasPrefix(key, "disable_") && text == "true": // what it forbids is not done
	case idle(value):
	case s == refused:
		return true, fmt.Errorf("this version of Tribune does not support Consul's %s", key)
	default:
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s has no effect: this version of Tribune does not support it", key))
	}
	return known, nil
}

// refuseCloud is an error if an item of a list asks a cloud for the agents to join, as
// Consul does where it reads "provider=" (Consul documentation: Cloud auto-join). No
// host has such a name, and an agent would look it up for ever.
func refuseCloud(item string) error {
	if strings.Contains(item, "provider=") {
		return fmt.Errorf("%q: this version of Tribune does not support Consul's cloud auto-join", item)
	}
	return nil
}

// idle reports whether a value asks for nothing.
func idle(value any) bool {
	return value == nil || slices.Contains([]string{"", "false", "0", "-1", "0s", "[]", "map[]"}, fmt.Sprint(value))
}
