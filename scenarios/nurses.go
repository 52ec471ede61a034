package scenarios

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/consul/api"

	"tribune/impl/host"
	"tribune/sim"
	"tribune/sim/trace"
)

// nurse watches the job of an agent with blocking queries and a filter.
type nurse struct {
	*client
	agent    string
	index    uint64
	critical bool // the check of the job is, by the last answer
	known    bool // there was one
}

// startNurses starts the watchers of checks, if the scenario has any, and returns
// their nodes.
func (f *fleet) startNurses() []*sim.Node {
	r := f.run
	var nodes []*sim.Node
	for i := range r.plan.Scenario.Workload.HealthWatchers {
		n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("n%d", i+1), Addrs: address(12, i+1)})
		n.Start(func(ctx context.Context, h host.Host, _ *slog.Logger) error {
			c, err := r.newClient(1700+i, n.Name(), h.Network(), 4*watchWait+r.timeout())
			if err != nil {
				return err
			}
			agents := r.plan.agents()
			k := &nurse{client: c, agent: agents[len(agents)-1-i%len(agents)]}
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

// wrong returns what a watcher of checks does not know: of a job that has been as it
// is for longer than a time, on an agent that runs.
func (k *nurse) wrong(now, since time.Duration) string {
	s := k.run.fleet.sites[k.agent]
	changed := s.changed[jobService]
	if s.stopped > 0 || changed == 0 || now-changed <= since || !k.known || k.critical != s.jobUp {
		return ""
	}
	return fmt.Sprintf("%s sees that the job of %s is critical: %t, and it is up since %v: %t", k.name, k.agent, k.critical, changed, s.jobUp)
}

// nursedInTime complains about watchers of checks that have not heard of a change in
// time.
func (f *fleet) nursedInTime(now time.Duration) {
	for _, k := range f.nurses {
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
