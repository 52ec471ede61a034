package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"tribune/netmodel"
	"tribune/sim"
	"tribune/sim/simdisk"
	"tribune/sim/simnet"
	"tribune/sim/trace"
)

// nemesis carries out the strikes of a plan.
type nemesis struct {
	run    *run
	active map[int]func() // strikes that last, and how to end them
	next   int
	log    []FaultLog
	leaves map[string]bool // who leaves the cluster when it is stopped
	over   bool
}

// strike makes a fault happen, and end when its time is up.
func (n *nemesis) strike(s Strike) {
	if n.over {
		return
	}
	hits := n.targets(s)
	if len(hits) == 0 {
		return
	}
	text := s.describe(hits)
	w := n.run.world
	w.Recordf(trace.Fault, "", "", "%s", text)
	entry := len(n.log)
	n.log = append(n.log, FaultLog{At: w.Now(), Text: text})
	id := n.next
	n.next++
	end := n.begin(s, hits)
	n.active[id] = func() {
		delete(n.active, id)
		end()
		n.log[entry].Until = w.Now()
		w.Recordf(trace.Fault, "", "", "over: %s", text)
	}
	w.Go(func() {
		time.Sleep(max(s.For, time.Millisecond))
		if stop := n.active[id]; stop != nil {
			stop()
		}
	})
}

// targets finds out whom a strike hits.
func (n *nemesis) targets(s Strike) []string {
	who := ""
	switch s.Hits[0] {
	case "leader":
		who = n.run.leader()
	case "holder":
		who = n.run.resource.holder
	default:
		return s.Hits
	}
	if who == "" {
		return nil
	}
	return []string{who}
}

// heal ends all that lasts; nothing strikes any more.
func (n *nemesis) heal() {
	n.over = true
	ids := make([]int, 0, len(n.active))
	for id := range n.active {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		n.active[id]()
	}
}

func (n *nemesis) begin(s Strike, hits []string) (end func()) {
	switch s.Kind {
	case "partition", "flap", "loss", "slow-link", "gray":
		return n.network(s, hits)
	case "reset":
		for _, h := range hits {
			for _, other := range n.run.plan.members() {
				n.run.world.Net().ResetConns(h, other)
			}
		}
		return func() {}
	case "expel":
		select {
		case n.run.expel <- n.run.resource.session:
		default: // the operator has not done with the last one
		}
		return func() {}
	case "disk-full", "disk-slow", "disk-stall", "disk-error":
		return all(n.nodes(hits), func(node *sim.Node) func() { return n.disk(s, node) })
	default:
		return all(n.nodes(hits), func(node *sim.Node) func() { return n.process(s, node) })
	}
}

func (n *nemesis) nodes(hits []string) []*sim.Node {
	var nodes []*sim.Node
	for _, h := range hits {
		nodes = append(nodes, n.run.world.Node(h))
	}
	return nodes
}

// all begins something on each node and returns how to end it on all.
func all(nodes []*sim.Node, begin func(*sim.Node) func()) func() {
	var ends []func()
	for _, node := range nodes {
		ends = append(ends, begin(node))
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// name of a rule, for its streams of draws.
func (s Strike) name() string { return fmt.Sprintf("%s/%d", s.ID, s.Turn) }

func (n *nemesis) network(s Strike, hits []string) func() {
	names := n.run.plan.members()
	toOthers := simnet.Between(hits, names)
	if s.Target == "" || s.Target == "all" {
		toOthers = nil
	}
	m := func(m simnet.Match) simnet.Match {
		switch s.Protocol {
		case "tcp":
			return simnet.Of(simnet.TCP, m)
		case "udp":
			return simnet.Of(simnet.UDP, m)
		}
		return m
	}
	var rules []simnet.Rule
	switch s.Kind {
	case "partition":
		rules = append(rules, simnet.Block(s.name(), m(s.cut(hits, names))))
	case "flap":
		rules = append(rules, simnet.Flap(s.name(), m(simnet.Between(hits, names)), s.By.Duration, s.Period.Duration))
	case "slow-link":
		rules = append(rules, simnet.Slow(s.name(), m(simnet.Between(hits, names)), netmodel.LogNormal(s.By.Duration, 0.3)))
	case "gray":
		rules = append(rules, simnet.Gray(s.name(), m(simnet.Between(hits, names)), s.Size))
	case "loss":
		spread := max(s.By.Duration, 10*time.Millisecond)
		rules = append(rules,
			simnet.Lose(s.name()+" loss", m(toOthers), netmodel.Bernoulli(s.Rate)),
			simnet.Duplicate(s.name()+" duplicate", m(toOthers), s.Duplicate, spread),
			simnet.Reorder(s.name()+" reorder", m(toOthers), s.Reorder, spread))
	}
	var removes []func()
	for _, r := range rules {
		removes = append(removes, n.run.world.Net().Add(r))
	}
	return func() {
		for _, remove := range removes {
			remove()
		}
	}
}

// cut is what a partition of the strike's shape severs. Clients still reach
// every server.
func (s Strike) cut(hits, names []string) simnet.Match {
	switch s.Shape {
	case "halves":
		half := len(hits) / 2
		return simnet.Groups(hits[:half], hits[half:])
	case "ring":
		return simnet.Ring(hits)
	case "bridge":
		return simnet.Bridge(hits[0], names)
	case "one-way":
		// What the others send does not arrive; what it sends does. Or, every
		// other time, the reverse.
		rest := slices.DeleteFunc(slices.Clone(names), func(h string) bool { return slices.Contains(hits, h) })
		if s.Turn%2 == 0 {
			return simnet.OneWay(rest, hits)
		}
		return simnet.OneWay(hits, rest)
	}
	rest := slices.DeleteFunc(slices.Clone(names), func(h string) bool { return slices.Contains(hits, h) })
	return simnet.Between(hits, rest)
}

func (n *nemesis) disk(s Strike, node *sim.Node) func() {
	d := node.Disk()
	switch s.Kind {
	case "disk-full":
		d.SetCapacity(d.Used() + 1)
		return func() { d.SetCapacity(0) }
	case "disk-slow":
		d.SetLatency(netmodel.LogNormal(s.By.Duration, 0.5), nil, nil)
		return func() { n.run.setLatency(node) }
	case "disk-stall":
		return d.Stall()
	}
	return d.Fail(simdisk.FailRule{Op: "sync", Glob: s.File, Probability: s.Rate})
}

// process strikes a server's process. While it is to be down it is not started
// again by the one that looks after it.
func (n *nemesis) process(s Strike, node *sim.Node) func() {
	name := node.Name()
	up := func() { n.run.allow(name) }
	switch s.Kind {
	case "kill":
		n.run.forbid(name)
		node.Kill()
		n.run.forget(name)
		return up
	case "power":
		n.run.forbid(name)
		node.Crash()
		n.run.forget(name)
		return up
	case "restart", "leave":
		n.run.forbid(name)
		n.leaves[name] = s.Kind == "leave"
		n.run.world.Go(func() {
			if err := node.Stop(stopLimit); errors.Is(err, sim.ErrStopTimeout) {
				node.Kill()
			}
			n.run.forget(name)
		})
		return up
	case "bit-rot":
		// What has rotted shows when it is read again.
		n.run.forbid(name)
		node.Kill()
		n.run.forget(name)
		node.Disk().Rot(cmp.Or(s.File, "*"), s.Size)
		up()
		return func() { n.replaceDisk(node) }
	case "pause":
		if n.run.paused[name] {
			return func() {}
		}
		n.run.paused[name] = true
		node.Pause()
		return func() {
			n.run.paused[name] = false
			node.Resume()
		}
	case "clock-jump":
		node.Jump(s.By.Duration)
	case "clock-drift":
		const unit = 1000
		node.SetRate(int64(math.Round(s.Rate*unit)), unit)
		return func() { n.run.setRate(node) }
	}
	return func() {}
}

// replaceDisk does what an operator does with a server that refuses its disk: it
// gets an empty one, and joins under another identity.
func (n *nemesis) replaceDisk(node *sim.Node) {
	name := node.Name()
	if n.run.agents[name] != nil || n.run.down[name] > 0 {
		return
	}
	n.run.forbid(name)
	node.Kill()
	n.run.forget(name)
	if err := errors.Join(node.Disk().RemoveAll("/data"), node.Disk().SyncDir("/")); err != nil {
		panic(fmt.Sprintf("an idle disk cannot be emptied: %v", err))
	}
	n.run.world.Recordf(trace.Fault, "", "", "%s gets an empty disk", name)
	n.run.allow(name)
}

const stopLimit = 30 * time.Second
