package config

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"tribune/impl/host"
)

func TestNoSettingIsBothOursAndForeign(t *testing.T) {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	Flags(fs)
	for _, s := range settings() {
		if _, both := stances[s.key]; both {
			t.Errorf("%s is a setting", s.key)
		}
	}
	for name, key := range foreignFlags {
		if fs.Lookup(strings.TrimSuffix(name, "=")) != nil {
			t.Errorf("-%s is a flag", name)
		}
		if first, _, _ := strings.Cut(key, "."); !known(key) && !known(first) {
			t.Errorf("-%s sets %s, of which nothing is known", name, key)
		}
	}
}

func known(key string) bool {
	_, ok := stances[key]
	return ok
}

func TestWhatConsulHasAndTribuneHasNotIsRefusedOrWarnedAbout(t *testing.T) {
	const none, warned, refused = "", " has no effect: this version of Tribune does not support it", "this version of Tribune does not support Consul's "
	for _, c := range []struct{ text, answer, key string }{
		{`acl { enabled = true }`, refused, "acl.enabled"},
		{`acl { enabled = false default_policy = "allow" }`, none, ""},
		{`acl { tokens { agent = "x" } }`, refused, "acl.tokens.agent"},
		{`encrypt = "x"`, refused, "encrypt"},
		{`encrypt = ""`, none, ""},
		{`tls { defaults { verify_incoming = true } }`, refused, "tls.defaults.verify_incoming"},
		{`verify_incoming = false`, none, ""},
		{`limits { rpc_handshake_timeout = "9s" }`, refused, "limits.rpc_handshake_timeout"},
		{`limits { rpc_handshake_timeout = "5s" rpc_max_conns_per_client = 100 }`, none, ""},
		{`limits { rpc_max_conns_per_client = 1000 }`, refused, "limits.rpc_max_conns_per_client"},
		{`limits { request_limits { mode = "disabled" read_rate = -1 write_rate = -1 } }`, none, ""},
		{`limits { request_limits { mode = "enforcing" } }`, refused, "limits.request_limits.mode"},
		{`autopilot { last_contact_threshold = "1s" }`, refused, "autopilot.last_contact_threshold"},
		{`autopilot { max_trailing_logs = 5 }`, refused, "autopilot.max_trailing_logs"},
		{`autopilot { server_stabilization_time = "1s" }`, refused, "autopilot.server_stabilization_time"},
		{`limits { rpc_rate = -1 }`, none, ""},
		{`retry_join_wan = ["x"]`, refused, "retry_join_wan"},
		{`retry_join_wan = []`, none, ""},
		{`advertise_addr_ipv4 = "10.0.0.1"`, refused, "advertise_addr_ipv4"},
		{`disable_http_unprintable_char_filter = true`, refused, "disable_http_unprintable_char_filter"},
		{`disable_update_check = true`, none, ""},
		{`disable_update_check = false`, none, ""},
		{`raft_protocol = 3`, none, ""},
		{`raft_protocol = 2`, refused, "raft_protocol"},
		{`raft_logstore { backend = "wal" }`, none, ""},
		{`raft_logstore { backend = "boltdb" }`, warned, "raft_logstore.backend"},
		{`ports { https = 0 }`, none, ""},
		{`ports { grpc = 8502 }`, warned, "ports.grpc"},
		{`addresses { grpc = "127.0.0.1" }`, warned, "addresses.grpc"},
		{`dns_config { use_cache = true }`, warned, "dns_config.use_cache"},
		{`ui_config { enabled = true }`, warned, "ui_config.enabled"},
		{`telemetry { statsd_address = "x" }`, warned, "telemetry.statsd_address"},
		{`performance { rpc_hold_timeout = "7s" }`, none, ""},
		{`performance { rpc_hold_timeout = "9s" }`, refused, "performance.rpc_hold_timeout"},
		{`connect { enabled = true }`, warned, "connect.enabled"},
	} {
		got := Default()
		err := got.Merge([]byte(c.text), false)
		switch c.answer {
		case refused:
			if err == nil || err.Error() != "line 1: "+refused+c.key {
				t.Errorf("%s: %v, want it refused by its line and key", c.text, err)
			}
		case warned:
			if err != nil || !slices.Equal(got.Warnings, []string{"line 1: " + c.key + warned}) {
				t.Errorf("%s: %v, %q, want a warning", c.text, err, got.Warnings)
			}
		default:
			if err != nil || got.Warnings != nil {
				t.Errorf("%s: %v, %q, want it taken", c.text, err, got.Warnings)
			}
		}
	}
}

func TestFlagsThatTribuneHasNotAreRefusedOrWarnedAbout(t *testing.T) {
	server := []string{"-server", "-data-dir", "/d"}
	c, err := Load(host.Real().FS(), append(server, "-ui", "-grpc-port", "8502", "-https-port=8501", "-raft-protocol", "3", "-bootstrap-expect", "2"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"flag -ui: ui has no effect: this version of Tribune does not support it",
		"flag -grpc-port: ports.grpc has no effect: this version of Tribune does not support it",
		"flag -https-port: ports.https has no effect: this version of Tribune does not support it",
		"bootstrap_expect = 2: two servers tolerate no failure, as one does",
	}
	if !slices.Equal(c.Warnings, want) {
		t.Errorf("%q, want %q", c.Warnings, want)
	}
	for _, args := range [][]string{{"-encrypt", "x"}, {"-segment", "x"}, {"-retry-join-wan", "x"}, {"-serf-lan-bind", "x"}} {
		if _, err := Load(host.Real().FS(), append(server, args...)); err == nil || !strings.Contains(err.Error(), args[0][1:]) || !strings.Contains(err.Error(), "does not support Consul's") {
			t.Errorf("%s: %v", args, err)
		}
	}
}
