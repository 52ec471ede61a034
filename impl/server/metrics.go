package server

import (
	"context"
	"sync/atomic"
	"time"

	"tribune/impl/api"
	"tribune/impl/catalog"
	"tribune/impl/gossip"
	"tribune/impl/kv"
	"tribune/impl/metrics"
	"tribune/impl/store"
)

// figures are what the server tells about its work.
type figures struct {
	answered   map[string]metrics.Times // by the leader, by method
	queries    metrics.Counter
	blocking   atomic.Int64
	consistent metrics.Times
	applied    metrics.Counter
	commit     metrics.Times
	led        metrics.Counter
}

func newFigures(r *metrics.Registry) *figures {
	f := &figures{
		answered:   map[string]metrics.Times{},
		queries:    r.Counter("rpc.query", "reads that this server answered", nil),
		consistent: r.Times("rpc.consistentRead", "how long it took to make sure, before a consistent read, that this server leads"),
		applied:    r.Counter("raft.apply", "commands that this server, as the leader, had replicated", nil),
		commit:     r.Times("raft.commitTime", "how long it took until a command was committed and applied on the leader"),
		led:        r.Counter("raft.state.leader", "how often this server became the leader", nil),
	}
	for _, m := range []struct{ method, name, what string }{
		{api.MethodKVApply, "kvs.apply", "a write to the KV store"},
		{api.MethodTxnApply, "txn.apply", "a transaction"},
		{api.MethodTxnRead, "txn.read", "a transaction that only reads"},
		{api.MethodRegister, "catalog.register", "a registration in the catalog"},
		{api.MethodDeregister, "catalog.deregister", "a deregistration in the catalog"},
		{api.MethodSessionApply, "session.apply", "making or destroying a session"},
		{api.MethodSessionRenew, "session.renew", "renewing a session"},
		{api.MethodQueryApply, "prepared-query.apply", "a change of a prepared query"},
		{api.MethodQueryExecute, "prepared-query.execute", "a run of a prepared query"},
		{api.MethodQueryExplain, "prepared-query.explain", "an explanation of a prepared query"},
	} {
		f.answered[m.method] = r.Times(m.name, "how long "+m.what+" took the leader")
	}
	return f
}

// took adds what the leader took for a request; not of all methods this is kept.
func (f *figures) took(method string, begun time.Time) {
	if t, kept := f.answered[method]; kept {
		t.Took(time.Since(begun))
	}
}

// confirmed is confirm, and takes its time.
func (s *Server) confirmed(ctx context.Context, ended <-chan struct{}) error {
	begun := time.Now()
	defer func() { s.figures.consistent.Took(time.Since(begun)) }()
	return s.confirm(ctx, ended)
}

// measure adds the gauges, which read from the server's parts.
func (s *Server) measure(r *metrics.Registry) {
	r.Gauge("server.isLeader", "1 if this server leads, else 0", nil, func() float64 {
		if _, leads := s.leads(); leads {
			return 1
		}
		return 0
	})
	r.Gauge("rpc.queries_blocking", "blocking queries that wait on this server", nil, func() float64 { return float64(s.figures.blocking.Load()) })
	r.Gauge("state.watched", "channels of the state on which blocking queries wait (not in Consul)", nil, func() float64 { return float64(s.Watched()) })
	r.Gauge("session_ttl.active", "sessions with a TTL that this server, as the leader, looks after", nil, func() float64 {
		if _, leads := s.leads(); !leads {
			return 0
		}
		return float64(s.leases.count())
	})
	r.Gauge("raft.applied_index", "index of the last raft entry that this server applied", nil, func() float64 { return float64(s.raft.Status().Applied) })
	r.Gauge("raft.last_index", "index of the last raft entry in this server's log", nil, func() float64 { return float64(s.raft.Status().Last) })
	r.Gauge("raft.peers", "servers of the raft group", nil, func() float64 {
		group, err := s.raft.Servers()
		if err != nil {
			s.log.Warn("the raft group could not be read", "error", err)
		}
		return float64(len(group))
	})
	here := metrics.Labels{"datacenter": s.config.Datacenter}
	r.Gauge("members.servers", "servers in the gossip pool", here, func() float64 { return float64(s.alive(true)) })
	r.Gauge("members.clients", "client agents in the gossip pool", here, func() float64 { return float64(s.alive(false)) })
	for _, g := range []struct {
		name, help string
		count      func(*store.Txn) (int, error)
	}{
		{"state.nodes", "nodes in the catalog", catalog.CountNodes},
		{"state.services", "services in the catalog, by name", catalog.CountServices},
		{"state.service_instances", "instances of services in the catalog", catalog.CountInstances},
		{"state.kv_entries", "entries of the KV store", kv.Count},
	} {
		r.Gauge(g.name, g.help, here, func() float64 {
			n, err := g.count(s.fsm.Store().Read())
			if err != nil {
				s.log.Warn("a part of the state could not be counted", "metric", g.name, "error", err)
			}
			return float64(n)
		})
	}
}

// alive returns how many members of the pool are alive, servers or clients.
func (s *Server) alive(servers bool) int {
	n := 0
	for _, m := range s.pool.Members() {
		if _, server := gossip.ServerAddress(m, s.config.Datacenter); server == servers && m.Status == gossip.StatusAlive {
			n++
		}
	}
	return n
}
