package nemesis

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tribune/netmodel"
	"tribune/sim"
	"tribune/sim/simdisk"
	"tribune/sim/simnet"
	"tribune/sim/trace"
)

// stopLimit is how long a process may take to stop in order before it is killed.
const stopLimit = 30 * time.Second

func (n *Nemesis) begin(s Strike, hits []string) (end func()) {
	if slices.ContainsFunc(n.cast.Kinds, func(k Kind) bool { return k.Name == s.Kind }) {
		return n.cluster.Begin(s, hits)
	}
	switch s.Kind {
	case "partition", "flap", "loss", "slow-link", "gray":
		return n.network(s, hits)
	case "reset":
		for _, h := range hits {
			n.world.Net().ResetConns(h)
		}
		return func() {}
	case "disk-full", "disk-slow", "disk-stall", "disk-error":
		return n.each(hits, func(node *sim.Node) func() { return disk(s, node.Disk()) })
	default:
		return n.each(hits, func(node *sim.Node) func() { return n.process(s, node) })
	}
}

// each begins something on each node and returns how to end it on all.
func (n *Nemesis) each(hits []string, begin func(*sim.Node) func()) func() {
	var ends []func()
	for _, h := range hits {
		ends = append(ends, begin(n.world.Node(h)))
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// name of a rule, for its streams of draws.
func (s Strike) name() string { return fmt.Sprintf("%s/%d", s.ID, s.Turn) }

func (n *Nemesis) network(s Strike, hits []string) func() {
	names := n.cast.members()
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
		rules = append(rules, simnet.Flap(s.name(), m(simnet.Between(hits, names)), n.world.Now(), s.By.Duration, s.Period.Duration))
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
		removes = append(removes, n.world.Net().Add(r))
	}
	return func() {
		for _, remove := range removes {
			remove()
		}
	}
}

// cut is what a partition of the strike's shape severs. Who is not in the cast,
// such as clients, still reaches everybody.
func (s Strike) cut(hits, names []string) simnet.Match {
	rest := slices.DeleteFunc(slices.Clone(names), func(h string) bool { return slices.Contains(hits, h) })
	switch s.Shape {
	case "halves":
		half := len(hits) / 2
		return simnet.Groups(hits[:half], hits[half:])
	case "ring":
		return simnet.Ring(hits)
	case "bridge":
		return simnet.Bridge(hits[0], s.Order[:]...)
	case "one-way":
		// What the others send does not arrive; what it sends does. Or the reverse.
		if s.cuts() == inward {
			return simnet.OneWay(rest, hits)
		}
		return simnet.OneWay(hits, rest)
	}
	return simnet.Between(hits, rest)
}

func disk(s Strike, d *simdisk.Disk) func() {
	switch s.Kind {
	case "disk-full":
		return d.Limit(d.Used() + 1)
	case "disk-slow":
		return d.Slow(netmodel.LogNormal(s.By.Duration, 0.5))
	case "disk-stall":
		return d.Stall()
	}
	files := d.Fail(simdisk.FailRule{Name: s.name(), Op: "sync", Glob: s.File, Probability: s.Rate})
	names := d.Fail(simdisk.FailRule{Name: s.name() + " names", Op: "syncdir", Glob: s.File, Probability: s.Rate})
	return func() {
		files()
		names()
	}
}

func (n *Nemesis) process(s Strike, node *sim.Node) func() {
	name := node.Name()
	up := func() { n.cluster.Up(name) }
	switch s.Kind {
	case "kill":
		n.cluster.Down(name, node.Kill)
		return up
	case "power":
		n.cluster.Down(name, node.Crash)
		return up
	case "restart":
		n.world.Go(func() {
			n.cluster.Down(name, func() {
				if err := node.Stop(stopLimit); errors.Is(err, sim.ErrStopTimeout) {
					node.Kill()
				}
			})
		})
		return up
	case "bit-rot":
		// What has rotted shows when it is read again.
		n.cluster.Down(name, node.Kill)
		flipped := node.Disk().Rot(s.File, s.Size)
		n.world.Recordf(trace.Fault, "", "", "%d bits of the files of %s have flipped", flipped, name)
		up()
		return func() { n.repair(node) }
	case "pause":
		return node.Pause()
	case "clock-jump":
		node.Jump(s.By.Duration)
	case "clock-drift":
		c := sim.ClockAt(s.Rate)
		return node.Drift(c.Num, c.Den)
	}
	return func() {}
}
