package scenarios

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"

	kv "tribune/impl/api"
	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/sim"
	"tribune/sim/nemesis"
	"tribune/sim/trace"
)

const (
	watchWait  = 4 * time.Second         // of a watcher's blocking queries
	watchSlack = 1500 * time.Millisecond // within which a watcher hears of a write that was acknowledged

	endSlack = 3 * time.Second // by which a query may end later than it was asked to
)

// follower watches one key with blocking queries and knows what it last saw.
type follower struct {
	*client
	key   string
	index uint64 // to wait on
	value string // empty: there is no entry
}

// follow is the program of a node that watches a key.
func (r *run) follow(number int, name string) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		c, err := newWaiting(r, number, name, h.Network(), watchWait)
		if err != nil {
			return err
		}
		f := &follower{client: c, key: fmt.Sprintf("k%d", len(r.followers)%r.plan.Scenario.Workload.Keys)}
		r.followers = append(r.followers, f)
		for ctx.Err() == nil {
			if err := f.look(ctx); err != nil {
				f.at = f.draws.IntN(len(f.servers))
				select {
				case <-ctx.Done():
				case <-time.After(tryEvery):
				}
			}
		}
		return nil
	}
}

// newWaiting returns a client of the servers that asks blocking queries, which wait for
// up to a time.
func newWaiting(r *run, number int, name string, n host.Network, wait time.Duration) (*client, error) {
	c, err := r.newClient(number, name, n, r.plan.Scenario.patience(wait))
	if err == nil {
		c.wait = wait
	}
	return c, err
}

// patience is how long a client waits for the answer to a query that waits for up to a
// time.
func (s Scenario) patience(wait time.Duration) time.Duration {
	return s.bySlowest(wait) + s.Workload.Timeout.Duration
}

// look waits for the key to change.
func (f *follower) look(ctx context.Context) error {
	w := f.run.world
	began := w.Now()
	q := &api.QueryOptions{WaitIndex: f.index, WaitTime: f.wait}
	pair, meta, err := f.servers[f.at].KV().Get(f.key, q.WithContext(ctx))
	if err != nil {
		return err
	}
	f.answered = w.Now()
	if meta.LastIndex == f.index {
		f.missed(began, f.key, func(key string) (watched, there bool) { return key == f.key, pair != nil })
	}
	value := ""
	if pair != nil {
		value = string(pair.Value)
	}
	f.saw(meta.LastIndex, value)
	return nil
}

// saw compares an answer with the last one: no index has two.
func (f *follower) saw(index uint64, value string) {
	w := f.run.world
	w.Recordf(trace.Op, f.name, "", "watch %s: %q at %d", f.key, value, index)
	if index == f.index && value != f.value {
		w.Violate("one answer an index", "%s: at %d %s was %q and is %q", f.name, index, f.key, f.value, value)
	}
	if index < f.index {
		index = 0 // begin anew, as Consul's documentation asks
	}
	f.index, f.value = index, value
}

// missed looks for a write that a query which began at a time and found nothing
// new should have been woken by: it was asked for after that, surely changed what
// is watched, and was acknowledged long enough before the query could end. (It may seem
// to end later, when its answer was held up on the way.) Of a key, is tells whether it is
// watched, and whether the answer has it: then no delete can have found it.
func (c *client) missed(began time.Duration, what string, is func(key string) (watched, there bool)) {
	now := c.run.world.Now()
	end := min(began+c.run.plan.Scenario.byServers(c.wait), now) - watchSlack
	for i := len(c.run.history) - 1; i >= 0 && c.run.history[i].Return > began; i-- {
		o := c.run.history[i]
		watched, there := is(o.Key)
		if !watched || o.Outcome != linearizability.OK || o.Call <= began || o.Return >= end || !changes(o, there) {
			continue
		}
		if !c.run.watcher.slept(began) {
			c.run.world.Violate("wake-up", "%s waited from %v to %v for %s, and a %s of %s was done there at %v", c.name, began, now, what, o.Kind, o.Key, o.Return)
		}
		return
	}
}

// changes reports whether a write that succeeded surely changed its key, which is there
// afterwards.
func changes(o linearizability.Op, there bool) bool {
	switch o.Kind {
	case linearizability.Put:
		return true
	case linearizability.CAS:
		return o.Done
	case linearizability.Delete:
		return there
	case linearizability.DeleteCAS:
		return there && o.Done
	}
	return false
}

// slept reports whether a server has been paused since a time. If it led, queries that it
// had may have ended while it slept; when it wakes it answers them with what it knew,
// before it notices that another leads.
func (w *watcher) slept(since time.Duration) bool {
	return slices.ContainsFunc(w.run.nemesis.Log(), func(s nemesis.Struck) bool {
		lasted := s.Until == 0 || s.Until >= since
		return s.Kind == "pause" && lasted && slices.ContainsFunc(s.Nodes, func(name string) bool { return slices.Contains(w.run.plan.names(), name) })
	})
}

// waiting lists those who ask blocking queries.
func (w *watcher) waiting() (all []*client) {
	for _, f := range w.run.followers {
		all = append(all, f.client)
	}
	for _, l := range w.run.listers {
		all = append(all, l.client)
	}
	for _, k := range w.run.fleet.nurses {
		all = append(all, k.client)
	}
	return all
}

// ended complains about blocking queries that do not end, now that all is healed and nothing
// is written any more. Those that are under way may still fail.
func (w *watcher) ended() {
	r, s := w.run, w.run.plan.Scenario
	since := r.world.Now()
	for _, c := range w.waiting() {
		limit := s.patience(c.wait) + tryEvery + s.bySlowest(c.wait+c.wait/16) + endSlack
		ended := r.until(max(since+limit-r.world.Now(), 0), func() (bool, string) { return c.answered > since, "" })
		if !ended.OK {
			r.world.Violate("blocking queries end", "%s waits for up to %v, and has had no answer since %v", c.name, c.wait, since)
		}
	}
}

// bySlowest is the true time within which a time passes by the clock of each server, when
// no fault slows it down.
func (s Scenario) bySlowest(d time.Duration) time.Duration {
	slowest := 1.0
	if rates := s.Clocks.Rates; len(rates) == 2 {
		slowest = min(slowest, rates[0])
	}
	return time.Duration(float64(d) / slowest)
}

// followed reports whether all watchers have seen what there is in the end.
func (r *run) followed() (bool, string) {
	if ok, why := r.seen(); !ok {
		return false, why
	}
	if ok, why := r.listed(); !ok {
		return false, why
	}
	return r.fleet.nursed()
}

// startFollowers starts the watchers, if the scenario has any, and returns their
// nodes.
func (r *run) startFollowers() []*sim.Node {
	var nodes []*sim.Node
	for i := range r.plan.Scenario.Workload.Watchers {
		n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("w%d", i+1), Addrs: address(4, i+1)})
		n.Start(r.follow(1000+i, n.Name()))
		nodes = append(nodes, n)
	}
	return nodes
}

// seen reports whether every watcher of a key has seen the last value of its key. All
// writes are over by then, and all servers equal.
func (r *run) seen() (bool, string) {
	leader := r.agents[r.leader()]
	if leader == nil {
		return false, "no server leads"
	}
	for _, f := range r.followers {
		a, err := leader.Server().KVGet(context.Background(), kv.KVRequest{Key: f.key, QueryOptions: kv.QueryOptions{AllowStale: true}})
		if err != nil {
			return false, err.Error()
		}
		last := ""
		if len(a.Entries) > 0 {
			last = string(a.Entries[0].Value)
		}
		if f.value != last {
			return false, fmt.Sprintf("%s saw %q of %s last, and it is %q", f.name, f.value, f.key, last)
		}
	}
	return true, ""
}

// nurse watches the job of an agent with blocking queries and a filter.
type nurse struct {
	*client
	agent    string
	began    time.Duration
	index    uint64
	critical bool // the check of the job is, by the last answer
	known    bool // there was one
}

// nurseWait is how long the blocking queries of watchers of checks wait.
const nurseWait = 4 * watchWait

// startNurses starts the watchers of checks, if the scenario has any, and returns
// their nodes.
func (f *fleet) startNurses() []*sim.Node {
	r := f.run
	var nodes []*sim.Node
	for i := range r.plan.Scenario.Workload.HealthWatchers {
		n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("n%d", i+1), Addrs: address(12, i+1)})
		n.Start(func(ctx context.Context, h host.Host, _ *slog.Logger) error {
			c, err := newWaiting(r, 1700+i, n.Name(), h.Network(), nurseWait)
			if err != nil {
				return err
			}
			agents := r.plan.agents()
			k := &nurse{client: c, agent: agents[len(agents)-1-i%len(agents)], began: r.world.Now()}
			f.nurses = append(f.nurses, k)
			for ctx.Err() == nil {
				k.turn(ctx)
			}
			return nil
		})
		nodes = append(nodes, n)
	}
	return nodes
}

// turn waits for the checks to change.
func (k *nurse) turn(ctx context.Context) {
	q := &api.QueryOptions{WaitIndex: k.index, WaitTime: k.wait, Filter: fmt.Sprintf(`Status == "critical" and Node == %q`, k.agent)}
	checks, meta, err := k.servers[k.at].Health().Checks(jobService, q.WithContext(ctx))
	if err != nil {
		k.at = k.draws.IntN(len(k.servers))
		select {
		case <-ctx.Done():
		case <-time.After(tryEvery):
		}
		return
	}
	k.critical, k.known, k.index, k.answered = len(checks) > 0, true, meta.LastIndex, k.run.world.Now()
	k.run.world.Recordf(trace.Op, k.name, "", "the job of %s is critical at %d: %t", k.agent, meta.LastIndex, k.critical)
}

// wrong returns what a watcher of checks does not know: anything, or of a job that has
// been as it is for longer than a time, on an agent that runs.
func (k *nurse) wrong(now, since time.Duration) string {
	if !k.known {
		return fmt.Sprintf("%s has asked for the job of %s since %v, and has no answer", k.name, k.agent, k.began)
	}
	s := k.run.fleet.sites[k.agent]
	changed := s.changed[jobService]
	if s.stopped > 0 || changed == 0 || now-changed <= since || k.critical != s.jobUp {
		return ""
	}
	return fmt.Sprintf("%s sees that the job of %s is critical: %t, and it is up since %v: %t", k.name, k.agent, k.critical, changed, s.jobUp)
}

// nursedInTime complains about watchers of checks that have not heard of a change in
// time. The first that they ask may be silent.
func (f *fleet) nursedInTime(now time.Duration) {
	for _, k := range f.nurses {
		if !k.known && now-k.began <= f.run.plan.Scenario.patience(nurseWait)+detection {
			continue
		}
		if why := k.wrong(now, detection+watchSlack); why != "" {
			f.run.world.Violate("watch of checks", "%s", why)
		}
	}
}

// nursed reports whether the watchers of checks know how all jobs are.
func (f *fleet) nursed() (bool, string) {
	for _, k := range f.nurses {
		if why := k.wrong(f.run.world.Now(), 0); why != "" {
			return false, why
		}
	}
	return true, ""
}
