package scenarios

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/consul/api"

	kv "tribune/impl/api"
	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/sim"
	"tribune/sim/trace"
)

const (
	watchWait  = 4 * time.Second         // of a watcher's blocking queries
	watchSlack = 1500 * time.Millisecond // within which a watcher hears of a write that was acknowledged
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
		c, err := r.newClient(number, name, h.Network(), watchWait+r.timeout())
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

// look waits for the key to change.
func (f *follower) look(ctx context.Context) error {
	w := f.run.world
	began := w.Now()
	q := &api.QueryOptions{WaitIndex: f.index, WaitTime: watchWait}
	pair, meta, err := f.servers[f.at].KV().Get(f.key, q.WithContext(ctx))
	if err != nil {
		return err
	}
	if meta.LastIndex == f.index {
		f.missed(began)
	}
	f.value = ""
	if pair != nil {
		f.value = string(pair.Value)
	}
	w.Recordf(trace.Op, f.name, "", "watch %s: %q at %d", f.key, f.value, meta.LastIndex)
	if meta.LastIndex < f.index { // begin anew, as Consul's documentation asks
		f.index = 0
		return nil
	}
	f.index = meta.LastIndex
	return nil
}

// missed looks for a write that a query which began at a time and found nothing
// new should have been woken by: it was asked for after that, surely changed the
// key, and was acknowledged long enough before the query could end. (It may seem
// to end later, when its answer was held up on the way.)
func (f *follower) missed(began time.Duration) {
	now := f.run.world.Now()
	end := min(began+watchWait, now) - watchSlack
	for i := len(f.run.history) - 1; i >= 0 && f.run.history[i].Return > began; i-- {
		o := f.run.history[i]
		changed := o.Kind == linearizability.Put || o.Kind == linearizability.CAS && o.Done
		if o.Key == f.key && changed && o.Outcome == linearizability.OK && o.Call > began && o.Return < end {
			f.run.world.Violate("wake-up", "%s waited from %v to %v for %s, and %s was written there at %v", f.name, began, now, f.key, o.Value, o.Return)
			return
		}
	}
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

// nursePatience is how long a watcher of checks waits for an answer.
func nursePatience(r *run) time.Duration { return 4*watchWait + r.timeout() }

// startNurses starts the watchers of checks, if the scenario has any, and returns
// their nodes.
func (f *fleet) startNurses() []*sim.Node {
	r := f.run
	var nodes []*sim.Node
	for i := range r.plan.Scenario.Workload.HealthWatchers {
		n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("n%d", i+1), Addrs: address(12, i+1)})
		n.Start(func(ctx context.Context, h host.Host, _ *slog.Logger) error {
			c, err := r.newClient(1700+i, n.Name(), h.Network(), nursePatience(r))
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
	q := &api.QueryOptions{WaitIndex: k.index, WaitTime: 4 * watchWait, Filter: fmt.Sprintf(`Status == "critical" and Node == %q`, k.agent)}
	checks, meta, err := k.servers[k.at].Health().Checks(jobService, q.WithContext(ctx))
	if err != nil {
		k.at = k.draws.IntN(len(k.servers))
		select {
		case <-ctx.Done():
		case <-time.After(tryEvery):
		}
		return
	}
	k.critical, k.known, k.index = len(checks) > 0, true, meta.LastIndex
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
		if !k.known && now-k.began <= nursePatience(f.run)+detection {
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
