package simdisk

import (
	"math/rand/v2"
	"slices"
)

// journal is the changes of names that are not durable yet, in order.
type journal []change

// change is a change of one or two names, which becomes durable as a whole.
type change struct{ steps []step }

type step struct {
	place
	target *inode // nil: the name is removed
}

// place is where a name is.
type place struct {
	dir  *inode
	name string
}

func (c change) settle() {
	for _, s := range c.steps {
		if s.target == nil {
			delete(s.dir.kept, s.name)
		} else {
			s.dir.kept[s.name] = s.target
		}
	}
}

// synced makes the changes in a directory durable and returns the others. A change that
// moved a name from or to another directory takes along what was done to the name there
// before.
func (j journal) synced(dir *inode) (rest journal) {
	moved := map[place]bool{}
	var settled journal // the latest first, as rest is until the end
	for _, c := range slices.Backward(j) {
		if !slices.ContainsFunc(c.steps, func(s step) bool { return s.dir == dir || moved[s.place] }) {
			rest = append(rest, c)
			continue
		}
		settled = append(settled, c)
		for _, s := range c.steps {
			moved[s.place] = true
		}
	}
	for _, c := range slices.Backward(settled) {
		c.settle()
	}
	slices.Reverse(rest)
	return rest
}

// crash makes durable what a power failure leaves: of the changes of each name the first
// so many. A change of two names is left out of both, and all that came after it there.
func (j journal) crash(draws *rand.Rand) {
	var places []place // in the order in which they were changed first
	changes := map[place]int{}
	for _, c := range j {
		for _, s := range c.steps {
			if changes[s.place] == 0 {
				places = append(places, s.place)
			}
			changes[s.place]++
		}
	}
	left := map[place]int{}
	for _, p := range places {
		left[p] = draws.IntN(changes[p] + 1)
	}
	for _, c := range j {
		kept := !slices.ContainsFunc(c.steps, func(s step) bool { return left[s.place] == 0 })
		if kept {
			c.settle()
		}
		for _, s := range c.steps {
			if left[s.place]--; !kept {
				left[s.place] = 0
			}
		}
	}
}
