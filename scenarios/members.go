package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tribune/impl/agent"
	"tribune/impl/api"
	"tribune/impl/gossip"
	"tribune/sim"
)

// acquainted reports whether all agents, servers too, see each other alive.
func acquainted(r *run) (bool, string) {
	all := r.plan.members()
	for _, name := range all {
		a := r.agents[name]
		if a == nil {
			return false, name + " does not run"
		}
		members := a.Members()
		for _, other := range all {
			i := slices.IndexFunc(members, func(m api.Member) bool { return m.Name == other })
			if i < 0 {
				return false, fmt.Sprintf("%s does not know %s", name, other)
			}
			if members[i].Status != gossip.StatusAlive {
				return false, fmt.Sprintf("%s sees %s with the status %d, which is alive", name, other, members[i].Status)
			}
		}
	}
	return true, ""
}

// toJoin are the servers that an agent is told to join.
func toJoin(r *run, name string) []string {
	if r.plan.Scenario.Agent.JoinOnce && r.world.Node(name).Starts() > 1 {
		return nil
	}
	return r.plan.names()
}

// attend runs an agent until it ends, or is to. Who is to leave then tells the others.
func (r *run) attend(ctx context.Context, name string, a *agent.Agent) error {
	err := a.Wait(ctx)
	if r.fleet.leaves[name] {
		err = errors.Join(err, a.Leave(context.WithoutCancel(ctx)))
	}
	return errors.Join(err, a.Close())
}

// leaveLimit is how long an agent may take to leave and stop before it is killed.
const leaveLimit = 30 * time.Second

// leave has agents leave the cluster and stop, and returns how to start them again.
func (f *fleet) leave(names []string) (end func()) {
	for _, name := range names {
		node := f.run.world.Node(name)
		f.leaves[name] = true
		f.run.world.Go(func() {
			f.run.Down(name, func() {
				if err := node.Stop(leaveLimit); errors.Is(err, sim.ErrStopTimeout) {
					node.Kill()
				}
				delete(f.leaves, name)
			})
		})
	}
	return func() {
		for _, name := range names {
			f.run.Up(name)
		}
	}
}
