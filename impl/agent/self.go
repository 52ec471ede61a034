package agent

import (
	"strings"
	"time"

	"tribune/impl/api"
	"tribune/impl/config"
	"tribune/impl/metrics"
)

// Self is what the agent says about itself.
func (f face) Self() api.AgentSelf {
	c := f.config
	self := api.AgentSelf{
		Config:      f.Identity(),
		DebugConfig: debugConfig(c, f.Advertise()),
		Stats:       f.brain.Stats(),
		Meta:        f.local.Node().Meta,
	}
	if !c.DisableCoordinates {
		self.Coord = f.brain.Coordinate()
	}
	for _, m := range f.brain.Members() {
		if m.Name == c.NodeName {
			self.Member = m
		}
	}
	return self
}

// Identity implements httpapi.Agent.
func (f face) Identity() api.AgentConfig {
	c := f.config
	return api.AgentConfig{
		Datacenter: c.Datacenter, PrimaryDatacenter: c.Datacenter, NodeName: c.NodeName, NodeID: c.NodeID,
		Server: c.Server, Version: Version, SessionTTLMin: c.SessionTTLMin,
	}
}

// forever stands for the age at which metrics vanish, which they do not: a Consul
// without one has no metrics for Prometheus, as tools understand it.
const forever = 100 * 365 * 24 * time.Hour

// debugConfig is the configuration in effect, by Consul's internal names, which some
// tools read. Consul promises nothing about it.
func debugConfig(c *config.Config, advertise string) map[string]any {
	return map[string]any{
		"AdvertiseAddrLAN": advertise, "BindAddr": c.BindAddr, "ClientAddrs": strings.Fields(c.ClientAddr),
		"Bootstrap": c.Bootstrap, "BootstrapExpect": c.BootstrapExpect, "ServerMode": c.Server,
		"DataDir": c.DataDir, "Datacenter": c.Datacenter, "PrimaryDatacenter": c.Datacenter,
		"NodeID": c.NodeID, "NodeMeta": c.NodeMeta, "NodeName": c.NodeName, "Version": Version,
		"LogLevel": c.LogLevel, "Logging": map[string]any{"LogLevel": c.LogLevel, "LogJSON": c.LogJSON},
		"HTTPPort": c.Ports.HTTP, "DNSPort": c.Ports.DNS, "ServerPort": c.Ports.Server, "SerfPortLAN": c.Ports.SerfLAN,
		"DNSDomain": c.Domain, "DNSAltDomain": c.AltDomain, "DNSRecursors": c.DNS.Recursors,
		"DNSAllowStale": c.DNS.AllowStale, "DNSMaxStale": c.DNS.MaxStale.String(), "DNSNodeTTL": c.DNS.NodeTTL.String(), "DNSOnlyPassing": c.DNS.OnlyPassing,
		"RetryJoinLAN": c.Join.Retry, "RetryJoinIntervalLAN": c.Join.Interval.String(), "RetryJoinMaxAttemptsLAN": c.Join.Max,
		"LeaveOnTerm": c.Leave.OnTerminate, "SkipLeaveOnInt": c.Leave.SkipOnInterrupt,
		"EnableRemoteScriptChecks": c.Probing.Scripts, "EnableLocalScriptChecks": c.Probing.Scripts || c.Probing.LocalScripts,
		"CheckUpdateInterval": c.Probing.OutputInterval.String(), "CheckOutputMaxSize": c.Probing.OutputMaxSize, "DiscardCheckOutput": c.Probing.DiscardOutput,
		"RaftSnapshotThreshold": c.Raft.SnapshotThreshold, "RaftSnapshotInterval": c.Raft.SnapshotInterval.String(), "RaftTrailingLogs": c.Raft.TrailingLogs,
		"DisableRemoteExec": c.DisableRemoteExec, "HTTPMaxConnsPerClient": c.HTTP.MaxConns, "KVMaxValueSize": c.KVMaxValueSize,
		"SessionTTLMin": c.SessionTTLMin.String(),
		"Telemetry": map[string]any{
			"Disable": false, "DisableHostname": true, "MetricsPrefix": metrics.Prefix,
			"PrometheusOpts": map[string]any{"Expiration": forever.String()},
		},
	}
}
