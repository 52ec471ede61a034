package simnet

import "slices"

// Between matches packets between two sets of hosts, both ways.
func Between(a, b []string) Match {
	return func(p *Packet) bool {
		return slices.Contains(a, p.From) && slices.Contains(b, p.To) || slices.Contains(b, p.From) && slices.Contains(a, p.To)
	}
}

// OneWay matches packets from one set of hosts to another.
func OneWay(from, to []string) Match {
	return func(p *Packet) bool { return slices.Contains(from, p.From) && slices.Contains(to, p.To) }
}

// Groups matches packets between hosts of different groups: what a partition
// cuts. Hosts in no group are not concerned.
func Groups(groups ...[]string) Match {
	of := map[string]int{}
	for i, g := range groups {
		for _, host := range g {
			of[host] = i + 1
		}
	}
	return func(p *Packet) bool { a, b := of[p.From], of[p.To]; return a != 0 && b != 0 && a != b }
}

// Bridge matches packets between two groups, which have one half of each set of
// hosts, except those to and from the host bridge, which both groups still reach.
func Bridge(bridge string, sets ...[]string) Match {
	var one, two []string
	for _, hosts := range sets {
		rest := slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return h == bridge })
		one, two = append(one, rest[:len(rest)/2]...), append(two, rest[len(rest)/2:]...)
	}
	return Groups(one, two)
}

// Ring matches packets between hosts that are not neighbours when hosts stand
// in a ring: each sees a majority, and no two see the same one. Of fewer than
// four, all are neighbours.
func Ring(hosts []string) Match {
	at := map[string]int{}
	for i, h := range hosts {
		at[h] = i + 1
	}
	reach := (len(hosts)/2 + 1) / 2 // on either side: with itself, more than half
	return func(p *Packet) bool {
		a, b := at[p.From], at[p.To]
		if a == 0 || b == 0 {
			return false
		}
		d := (a - b + len(hosts)) % len(hosts)
		return min(d, len(hosts)-d) > reach
	}
}

// Of restricts a match to a protocol.
func Of(protocol Protocol, m Match) Match {
	return func(p *Packet) bool { return p.Protocol == protocol && (m == nil || m(p)) }
}
