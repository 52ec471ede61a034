package scenarios

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"

	"tribune/impl/host"
	"tribune/sim"
	"tribune/sim/trace"
)

const (
	eventName  = "deploy"
	fireEvery  = 2 * time.Second
	listEvery  = 3 * time.Second
	eventsKept = 256 // by an agent
	finalFires = 3   // events that are fired when all is healed, and must reach everybody
)

// crowd is what is known of user events: who fired them is heralds, and whom they
// reached is found out by a listener.
type crowd struct {
	run   *run
	calm  bool                       // nothing is broken any more
	final []string                   // payloads of the events that must reach everybody
	heard map[string]map[string]bool // payloads by agent, of the process that runs
	lives map[string]int             // by agent: which process that is
}

// startEvents starts heralds and the listener, if the scenario has any, and returns
// their nodes.
func (r *run) startEvents() []*sim.Node {
	r.crowd = &crowd{run: r, heard: map[string]map[string]bool{}, lives: map[string]int{}}
	wanted := r.plan.Scenario.Workload.Heralds
	if wanted == 0 {
		return nil
	}
	listener := r.world.AddNode(sim.NodeConfig{Name: "listener", Addrs: address(2, 5)})
	listener.Start(r.crowd.listen)
	var nodes []*sim.Node
	for i := range wanted {
		n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("e%d", i+1), Addrs: address(9, i+1)})
		n.Start(r.crowd.herald(3000+i, n.Name()))
		nodes = append(nodes, n)
	}
	return nodes
}

// herald is a program that fires events, each with any agent.
func (w *crowd) herald(number int, name string) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		members := w.run.plan.members()
		c, err := w.run.newClientOf(members, number, name, h.Network(), w.run.timeout())
		if err != nil {
			return err
		}
		for n := 1; ; n++ {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(fireEvery/2 + time.Duration(c.draws.Int64N(int64(fireEvery)))):
			}
			at := c.draws.IntN(len(members))
			payload := fmt.Sprintf("%s-%d", name, n)
			calm := w.calm
			_, _, err := c.servers[at].Event().Fire(&api.UserEvent{Name: eventName, Payload: []byte(payload)}, (&api.WriteOptions{}).WithContext(ctx))
			w.run.world.Recordf(trace.Op, name, members[at], "event %s: %v", payload, err)
			if calm && err == nil && len(w.final) < finalFires {
				w.final = append(w.final, payload)
			}
		}
	}
}

// listen is the program of a node that asks all agents which events they know.
func (w *crowd) listen(ctx context.Context, h host.Host, _ *slog.Logger) error {
	members := w.run.plan.members()
	c, err := w.run.newClientOf(members, 3999, "listener", h.Network(), w.run.timeout())
	if err != nil {
		return err
	}
	for {
		for at, member := range members {
			life := w.run.world.Node(member).Starts()
			events, _, err := c.servers[at].Event().List("", (&api.QueryOptions{}).WithContext(ctx))
			if err != nil || life != w.run.world.Node(member).Starts() {
				continue
			}
			w.hear(member, life, events)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(listEvery):
		}
	}
}

// hear takes note of an agent's list of events, in which none may be twice.
func (w *crowd) hear(member string, life int, events []*api.UserEvent) {
	listed := map[string]bool{}
	for _, e := range events {
		payload := string(e.Payload)
		if listed[payload] {
			w.run.world.Violate("each event once", "%s, process %d, lists the event %s twice", member, life, payload)
		}
		listed[payload] = true
	}
	if w.lives[member] == life && len(events) < eventsKept {
		for _, payload := range slices.Sorted(maps.Keys(w.heard[member])) {
			if !listed[payload] {
				w.run.world.Violate("each event once", "%s, process %d, does not list the event %s any more", member, life, payload)
			}
		}
	}
	w.heard[member], w.lives[member] = listed, life
	w.run.world.Recordf(trace.Op, "listener", member, "%d events", len(listed))
}

// told reports whether every agent has the events that were fired when nothing was
// broken any more.
func (w *crowd) told() (bool, string) {
	if len(w.final) < finalFires {
		return false, fmt.Sprintf("only %d could be fired", len(w.final))
	}
	for _, member := range w.run.plan.members() {
		for _, payload := range w.final {
			if !w.heard[member][payload] {
				return false, fmt.Sprintf("%s did not get the event %s", member, payload)
			}
		}
	}
	return true, ""
}
