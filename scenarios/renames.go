package scenarios

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"tribune/impl/host"
	"tribune/sim"
	"tribune/sim/trace"
)

const (
	externalNode   = "ext" // the beginning of the names of nodes without an agent
	renameEvery    = second
	renamedAddress = "10.1.0.1"
)

// renamer keeps a node without an agent in the catalog, with a service, and has it
// change its name: it stays the same node, as its ID says. Nobody else touches that node.
// A name is free when who has it is dead, so faults have to spare the client agents.
type renamer struct {
	*client
	life    int    // how many nodes there were before: it has another one when it is in doubt
	renames int    // of the present one
	called  string // its name; empty: it has none yet
}

// startRenamers starts those who rename nodes, if the scenario has any, and returns
// their nodes.
func (r *run) startRenamers() []*sim.Node {
	var nodes []*sim.Node
	for i := range r.plan.Scenario.Workload.Renamers {
		n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("r%d", i+1), Addrs: address(13, i+1)})
		n.Start(func(ctx context.Context, h host.Host, _ *slog.Logger) error {
			c, err := r.newClient(1800+i, n.Name(), h.Network(), r.timeout())
			if err != nil {
				return err
			}
			k := &renamer{client: c}
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(renameEvery/2 + time.Duration(k.draws.Int64N(int64(renameEvery)))):
				}
				k.turn(ctx)
			}
		})
		nodes = append(nodes, n)
	}
	return nodes
}

func (k *renamer) id() string {
	return fmt.Sprintf("%08x-%04x-4000-8000-000000000000", k.number, k.life)
}
func (k *renamer) service() string { return fmt.Sprintf("%s-%s-%d", externalNode, k.name, k.life) }

// turn gives the node another name. One time in four it tries that of a client agent.
func (k *renamer) turn(ctx context.Context) {
	if agents := k.run.plan.agents(); k.called != "" && k.draws.IntN(4) == 0 {
		agent := agents[k.draws.IntN(len(agents))]
		k.kept(agent, k.register(ctx, agent))
		return
	}
	k.renames++
	name := fmt.Sprintf("%s-%d", k.service(), k.renames/2%3)
	if k.renames%2 == 1 {
		name = externalNode + strings.ToUpper(name[len(externalNode):]) // it is the same node
	}
	if err := k.register(ctx, name); err != nil {
		k.doubt()
		return
	}
	k.called = name
	k.look(ctx)
}

// kept complains when the node got the name of an agent that lives. Whom gossip takes for
// dead may lose its name, and gets it back with the node's next one.
func (k *renamer) kept(agent string, err error) {
	switch {
	case err == nil && k.run.watcher.members.doubted(agent):
		k.called, k.run.fleet.usurped[agent] = agent, true
	case err == nil:
		k.run.world.Violate("names are kept", "%s calls its node %s, and that is an agent that lives", k.name, agent)
	case !strings.Contains(err.Error(), "is reserved by node"):
		k.doubt()
	}
}

// doubt begins with another node: whatever was asked for may be carried out at any
// later time.
func (k *renamer) doubt() {
	k.life, k.renames, k.called = k.life+1, 0, ""
	k.at = k.draws.IntN(len(k.servers))
}

// register gives the node a name, with its service and its check; one time in three by a
// transaction.
func (k *renamer) register(ctx context.Context, name string) error {
	by, how := k.atOnce, "at once"
	if k.renames%3 == 0 {
		by, how = k.inSteps, "in a transaction"
	}
	err := by(ctx, name)
	k.run.world.Recordf(trace.Op, k.name, k.agents[k.at], "the node %s is %s, %s: %v", k.id(), name, how, err)
	return err
}

func (k *renamer) atOnce(ctx context.Context, name string) error {
	_, err := k.servers[k.at].Catalog().Register(&api.CatalogRegistration{
		ID: k.id(), Node: name, Address: renamedAddress,
		Service: &api.AgentService{Service: k.service(), Port: 1},
		Check:   &api.AgentCheck{CheckID: "up", Status: api.HealthPassing, ServiceID: k.service()},
	}, (&api.WriteOptions{}).WithContext(ctx))
	return err
}

// inSteps also deletes what has no ID, which is nothing.
func (k *renamer) inSteps(ctx context.Context, name string) error {
	done, answer, _, err := k.servers[k.at].Txn().Txn(api.TxnOps{
		{Node: &api.NodeTxnOp{Verb: api.NodeSet, Node: api.Node{ID: k.id(), Node: name, Address: renamedAddress}}},
		{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: name, Service: api.AgentService{Service: k.service(), Port: 1}}},
		{Check: &api.CheckTxnOp{Verb: api.CheckSet, Check: api.HealthCheck{Node: name, Name: "up", Status: api.HealthPassing, ServiceID: k.service()}}},
		{Service: &api.ServiceTxnOp{Verb: api.ServiceDelete, Node: name}},
		{Check: &api.CheckTxnOp{Verb: api.CheckDelete, Check: api.HealthCheck{Node: name}}},
	}, (&api.QueryOptions{}).WithContext(ctx))
	if err == nil && !done {
		err = errors.New(answer.Errors[0].What)
	}
	return err
}

// look sees where the service of the node is.
func (k *renamer) look(ctx context.Context) {
	q := (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
	found, _, err := k.servers[k.at].Health().Service(k.service(), "", true, q)
	if err != nil {
		k.at = k.draws.IntN(len(k.servers))
		return
	}
	var on []string
	for _, i := range found {
		on = append(on, i.Node.Node)
	}
	k.found(on)
}

// found complains about a service that is not on the node alone, under its last name.
func (k *renamer) found(on []string) {
	if !slices.Equal(on, []string{k.called}) {
		k.run.world.Violate("renamed nodes", "the service of the node that is called %s now is on %v", k.called, on)
	}
}
