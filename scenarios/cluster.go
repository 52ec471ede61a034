package scenarios

import (
	"errors"
	"math"
	"net"
	"time"

	"tribune/sim"
	"tribune/sim/nemesis"
	"tribune/sim/trace"
)

var _ nemesis.Cluster = (*run)(nil)

// Who implements nemesis.Cluster. In their log lines servers go by their raft
// identity or their address.
func (r *run) Who(word string) string {
	switch {
	case word == leaderRole:
		return r.leader()
	case word == holderRole && r.resource != nil:
		return r.resource.holder
	}
	for i, name := range r.plan.names() {
		if host, _, err := net.SplitHostPort(word); err == nil && host == address(0, i+1)[0].String() {
			return name
		}
		if a := r.agents[name]; a != nil && a.Server().Raft().Status().ID == word {
			return name
		}
	}
	return ""
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

// Begin implements nemesis.Cluster.
func (r *run) Begin(s nemesis.Strike, hits []string) (end func()) {
	if s.Kind == expelKind {
		// The operator is told to destroy the session of who has the lock.
		select {
		case r.expel <- r.resource.session:
		default: // the operator has not done with the last one
		}
		return func() {}
	}
	r.resource.away(hits, math.MaxInt64)
	for _, name := range hits {
		r.Down(name, func() {
			if leave := r.leave[name]; leave != nil && r.agents[name] != nil {
				leave()
			}
		})
	}
	return func() {
		r.resource.away(hits, r.world.Now())
		for _, name := range hits {
			r.Up(name)
		}
	}
}

// Repair implements nemesis.Cluster. It does what an operator does with a server
// that refuses its disk: it gets an empty one, and joins under another identity.
func (r *run) Repair(node *sim.Node) {
	name := node.Name()
	for r.down[name] > 0 { // whether it refuses its disk shows when it is started
		for r.down[name] > 0 {
			time.Sleep(startAgain)
		}
		time.Sleep(startAgain)
	}
	if r.agents[name] != nil {
		return
	}
	r.Down(name, node.Kill)
	for errors.Join(node.Disk().RemoveAll("/data"), node.Disk().SyncDir("/")) != nil {
		time.Sleep(startAgain) // another fault strikes that disk
	}
	r.world.Recordf(trace.Fault, "", "", "%s gets an empty disk", name)
	r.Up(name)
}
