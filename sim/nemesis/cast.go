package nemesis

import (
	"slices"

	"tribune/sim"
)

// Cast says who there is to be struck. It is the same for every run of a cluster.
type Cast struct {
	Servers []string // the nodes that "random", "majority" and "all" mean
	Others  []string // further nodes that talk to each other and to the servers
	Other   string   // the word for any one of the others
	Roles   []Role
	Kinds   []Kind  // of the cluster's own, beside Kinds
	Points  []Point // of the cluster's own, beside Points
}

// Role is something that a node is for a while, such as the leader.
type Role struct {
	Name    string
	Words   string // such as "the leader of that time"
	Outside bool   // who has it is neither a server nor one of the others
}

// Cluster is what runs in the world, as far as the nemesis must know it. Its
// methods are called by goroutines of the world, if they say no other.
type Cluster interface {
	// Who is the node that has a role now, or that goes by a word of its own in log
	// lines (see EventMatch); empty: nobody. It is called by nodes' goroutines too,
	// with locks of the world held: it asks neither network nor disks.
	Who(word string) string
	// Down calls end, which ends the node's process and may take its time over it,
	// and sees that none is started there until Up was called as often as Down.
	Down(node string, end func())
	// Up ends a Down.
	Up(node string)
	// Repair is told when damage to a node's disk that lasts (bit-rot) has had its
	// time, to do what an operator would. It may take its time over it, while other
	// faults strike.
	Repair(node *sim.Node)
	// Begin begins a fault of the cluster's own kind and returns how to end it.
	Begin(s Strike, hits []string) (end func())
}

// members are all nodes that talk to each other.
func (c Cast) members() []string { return slices.Concat(c.Servers, c.Others) }

func (c Cast) role(name string) (Role, bool) {
	i := slices.IndexFunc(c.Roles, func(r Role) bool { return r.Name == name })
	if i < 0 {
		return Role{}, false
	}
	return c.Roles[i], true
}

func (c Cast) kind(name string) (Kind, bool) {
	all := slices.Concat(Kinds(), c.Kinds)
	i := slices.IndexFunc(all, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return all[i], true
}

// words are all that name whom a fault strikes.
func (c Cast) words() []string {
	words := slices.Concat([]string{"random", "majority", "all", here, peer, servers}, c.members())
	for _, r := range c.Roles {
		words = append(words, r.Name)
	}
	if len(c.Others) > 0 {
		words = append(words, c.Other)
	}
	return words
}

func (c Cast) pointNames() []string {
	var names []string
	for _, p := range c.AllPoints() {
		names = append(names, p.Name)
	}
	return names
}

// NotablePoints lists the names of the points that faults are drawn for: those of which
// it need not be told which file or line is meant, and which not every packet passes.
func (c Cast) NotablePoints() []string {
	var names []string
	for _, p := range c.AllPoints() {
		if p.notable() {
			names = append(names, p.Name)
		}
	}
	return names
}

// KindNames lists the names of all kinds of faults, sorted.
func (c Cast) KindNames() []string {
	var names []string
	for _, k := range slices.Concat(Kinds(), c.Kinds) {
		names = append(names, k.Name)
	}
	slices.Sort(names)
	return names
}
