package scenarios

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	kv "tribune/impl/api"
	"tribune/impl/host"
	"tribune/sim"
	"tribune/sim/trace"
)

// watchedPrefix is what prefix watchers watch: some of the keys.
const watchedPrefix = "k1"

// lister watches all keys under a prefix with blocking queries. Every other one
// reads stale and stays with its server, also while that restores a snapshot; the
// rest read consistently, from any.
type lister struct {
	*client
	stale bool
	where string // whose answers can be compared: all consistent ones, or those of one process; empty: nobody's
	index uint64 // of the last answer
	list  string // that answer
}

// startListers starts the watchers of a prefix, if the scenario has any, and
// returns their nodes.
func (r *run) startListers() []*sim.Node {
	var nodes []*sim.Node
	for i := range r.plan.Scenario.Workload.PrefixWatchers {
		n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("p%d", i+1), Addrs: address(11, i+1)})
		n.Start(func(ctx context.Context, h host.Host, _ *slog.Logger) error {
			c, err := newWaiting(r, 1500+i, n.Name(), h.Network(), watchWait)
			if err != nil {
				return err
			}
			l := &lister{client: c, stale: i%2 == 0}
			if l.stale {
				l.at = i / 2 % len(l.servers)
			}
			r.listers = append(r.listers, l)
			for ctx.Err() == nil {
				l.turn(ctx)
			}
			return nil
		})
		nodes = append(nodes, n)
	}
	return nodes
}

// place is whose answers those that the lister gets now can be compared with.
func (l *lister) place() string {
	switch {
	case !l.stale:
		return "consistent"
	case l.handedOn("stale"):
		return ""
	}
	server := l.agents[l.at]
	return fmt.Sprintf("%s, process %d", server, l.run.world.Node(server).Starts())
}

// turn waits for the keys to change.
func (l *lister) turn(ctx context.Context) {
	where, began := l.place(), l.run.world.Now()
	if where != l.where {
		l.where, l.index, l.list = where, 0, ""
	}
	q := &api.QueryOptions{WaitIndex: l.index, WaitTime: l.wait, AllowStale: l.stale, RequireConsistent: !l.stale}
	pairs, meta, err := l.servers[l.at].KV().List(watchedPrefix, q.WithContext(ctx))
	if err != nil {
		if !l.stale {
			l.at = l.draws.IntN(len(l.servers))
		}
		l.where = "" // the process may be another one
		select {
		case <-ctx.Done():
		case <-time.After(tryEvery):
		}
		return
	}
	l.answered = l.run.world.Now()
	if l.place() != where { // either process may have answered
		l.where = ""
		return
	}
	if !l.stale && meta.LastIndex == l.index {
		l.missed(began, watchedPrefix+"*", func(key string) (watched, there bool) {
			return strings.HasPrefix(key, watchedPrefix), slices.ContainsFunc(pairs, func(p *api.KVPair) bool { return p.Key == key })
		})
	}
	var b strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&b, "%s=%s@%d ", p.Key, p.Value, p.ModifyIndex)
	}
	l.saw(meta.LastIndex, b.String())
}

// saw compares an answer with the last one: no index goes back, and none has two
// answers, since who waits for the next would not hear of the second.
func (l *lister) saw(index uint64, list string) {
	w := l.run.world
	w.Recordf(trace.Op, l.name, "", "watch %s*: at %d %s", watchedPrefix, index, list)
	switch {
	case l.where == "":
	case index < l.index:
		w.Violate("monotonic index", "%s (%s): X-Consul-Index of %s* went from %d to %d", l.name, l.where, watchedPrefix, l.index, index)
	case index == l.index && list != l.list:
		w.Violate("one answer an index", "%s (%s): at %d %s* was %s and is %s", l.name, l.where, index, watchedPrefix, l.list, list)
	}
	l.index, l.list = index, list
}

// listed reports whether every watcher of the prefix has seen what there is in the
// end.
func (r *run) listed() (bool, string) {
	leader := r.agents[r.leader()]
	if leader == nil {
		return false, "no server leads"
	}
	a, err := leader.Server().KVGet(context.Background(), kv.KVRequest{Key: watchedPrefix, Recurse: true, QueryOptions: kv.QueryOptions{AllowStale: true}})
	if err != nil {
		return false, err.Error()
	}
	var b strings.Builder
	for _, e := range a.Entries {
		fmt.Fprintf(&b, "%s=%s@%d ", e.Key, e.Value, e.ModifyIndex)
	}
	for _, l := range r.listers {
		if l.list != b.String() {
			return false, fmt.Sprintf("%s saw %s last, and it is %s", l.name, l.list, b.String())
		}
	}
	return true, ""
}
