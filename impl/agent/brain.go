package agent

import (
	"context"
	"net"
	"net/netip"
	"strconv"

	"tribune/impl/api"
	"tribune/impl/client"
	"tribune/impl/config"
	"tribune/impl/gossip"
	"tribune/impl/host"
	"tribune/impl/httpapi"
	"tribune/impl/server"
)

// brain is what answers requests: a server by itself or with other servers, a
// client by asking servers.
type brain interface {
	httpapi.KV
	httpapi.Catalog
	httpapi.Session
	httpapi.Txn
	httpapi.Coordinate
	httpapi.Query
	httpapi.Status
	Members() []api.Member
	Coordinate() *api.Coordinate
	Join(ctx context.Context, addresses []string) (int, error)
	ForceLeave(name string, prune bool) error
	Leave(context.Context) error
	Stats() map[string]map[string]string
	Advertise() string
	Fire(name string, payload []byte) error
	Failed() <-chan error
	Close() error
}

// think starts the brain that the configuration asks for.
func (a *Agent) think(ctx context.Context, h host.Host, address netip.Addr, fired chan<- api.RawEvent) error {
	if a.config.Server {
		sc := a.serverConfig(h, address)
		sc.Events = fired
		s, err := server.New(ctx, sc)
		if err == nil {
			a.brain = s
		}
		return err
	}
	kc := a.clientConfig(h, address)
	kc.Events = fired
	k, err := client.New(ctx, kc)
	if err == nil {
		a.brain = k
	}
	return err
}

func (a *Agent) clientConfig(h host.Host, address netip.Addr) client.Config {
	c := a.config
	return client.Config{
		Host: h, Logger: a.log, NodeName: c.NodeName, NodeID: c.NodeID, Datacenter: c.Datacenter, DataDir: c.DataDir, Build: Version, Metrics: a.metrics,
		LANBind:      net.JoinHostPort(c.BindAddr, strconv.Itoa(c.Ports.SerfLAN)),
		LANAdvertise: netip.AddrPortFrom(address, uint16(c.Ports.SerfLAN)),
		Query:        c.Query, RPC: rpcLimits(c), Gossip: gossipSettings(c),
	}
}

// rpcLimits are the limits of a client's requests to servers.
func rpcLimits(c *config.Config) client.RPCConfig {
	return client.RPCConfig{Rate: c.RPC.Rate, Burst: c.RPC.Burst, Timeout: c.RPC.Timeout}
}

func gossipSettings(c *config.Config) gossip.Settings {
	return gossip.Settings{Reconnect: c.ReconnectTimeout, Rejoin: c.Join.Again}
}

func (a *Agent) serverConfig(h host.Host, address netip.Addr) server.Config {
	c := a.config
	return server.Config{
		Host: h, Logger: a.log, NodeName: c.NodeName, NodeID: c.NodeID, Datacenter: c.Datacenter,
		DataDir: c.DataDir, Build: Version, Metrics: a.metrics,
		RPCBind:         net.JoinHostPort(c.BindAddr, strconv.Itoa(c.Ports.Server)),
		RPCAdvertise:    netip.AddrPortFrom(address, uint16(c.Ports.Server)),
		LANBind:         net.JoinHostPort(c.BindAddr, strconv.Itoa(c.Ports.SerfLAN)),
		LANAdvertise:    netip.AddrPortFrom(address, uint16(c.Ports.SerfLAN)),
		Bootstrap:       c.Bootstrap,
		BootstrapExpect: c.BootstrapExpect,
		MaxValueSize:    c.KVMaxValueSize,
		ReapServices:    c.ReapCriticalServices,
		Times:           server.Times{Query: c.Query, SessionTTLMin: c.SessionTTLMin},
		Gossip:          gossipSettings(c),
		Raft: server.RaftConfig{
			Multiplier: c.Raft.Multiplier, Alone: c.Dev, Compaction: compaction(c), KeepDead: !c.CleanDeadServers,
		},
	}
}

// compaction is when a server's snapshots take the place of its log.
func compaction(c *config.Config) server.Compaction {
	return server.Compaction{
		Threshold: uint64(max(c.Raft.SnapshotThreshold, 0)), Interval: c.Raft.SnapshotInterval, Trailing: uint64(max(c.Raft.TrailingLogs, 0)),
	}
}
