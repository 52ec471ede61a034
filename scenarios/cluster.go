package scenarios

import (
	"errors"
	"fmt"

	"tribune/sim"
	"tribune/sim/nemesis"
	"tribune/sim/trace"
)

var _ nemesis.Cluster = (*run)(nil)

// Who implements nemesis.Cluster.
func (r *run) Who(role string) string {
	if role == holderRole {
		return r.resource.holder
	}
	return r.leader()
}

// Down implements nemesis.Cluster. While a process is to be down it is not
// started again by the one that looks after it.
func (r *run) Down(name string, end func()) {
	r.down[name]++
	end()
	r.forget(name)
}

// Up implements nemesis.Cluster.
func (r *run) Up(name string) {
	if r.down[name]--; r.down[name] == 0 {
		r.start(name)
	}
}

// Begin implements nemesis.Cluster: the operator is told to destroy the session
// of who has the lock, or agents leave the cluster.
func (r *run) Begin(s nemesis.Strike, hits []string) (end func()) {
	if s.Kind == leaveKind {
		return r.fleet.leave(hits)
	}
	select {
	case r.expel <- r.resource.session:
	default: // the operator has not done with the last one
	}
	return func() {}
}

// Repair implements nemesis.Cluster. It does what an operator does with a server
// that refuses its disk: it gets an empty one, and joins under another identity.
func (r *run) Repair(node *sim.Node) {
	name := node.Name()
	if r.agents[name] != nil || r.down[name] > 0 {
		return
	}
	r.Down(name, node.Kill)
	if err := errors.Join(node.Disk().RemoveAll("/data"), node.Disk().SyncDir("/")); err != nil {
		panic(fmt.Sprintf("an idle disk cannot be emptied: %v", err))
	}
	r.world.Recordf(trace.Fault, "", "", "%s gets an empty disk", name)
	r.Up(name)
}
