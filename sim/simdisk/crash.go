package simdisk

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// crash makes what is on the platter all there is.
func (n *inode) crash(d *Disk) {
	if n.isDir {
		n.live = maps.Clone(n.kept)
		for _, name := range sortedKeys(n.live) {
			n.live[name].crash(d)
		}
		return
	}
	// From the latest to the earliest: what a sync was writing when the power
	// failed is older than what was written meanwhile.
	n.tear(d, n.undo)
	for _, s := range slices.Backward(n.syncing) {
		n.tear(d, s.old)
	}
	for _, at := range sortedKeys(n.lost) {
		n.put(at, n.lost[at])
	}
	n.resize(n.length(d.crashes)) // what was put back may lie beyond the end
	n.durable, n.gone = n.size, false
	n.undo, n.syncing, n.lost, n.lengths = map[int64]sector{}, nil, map[int64]sector{}, nil
	d.used += int64(len(n.pages)) * pageSize
}

// length draws one of those that the platter can have: a file system writes each change
// of it when it likes.
func (n *inode) length(draws *rand.Rand) int64 {
	possible := []int64{n.durable, n.size}
	spans := n.lengths
	for _, s := range n.syncing {
		spans = slices.Concat(s.past, spans)
	}
	if len(spans) == 0 {
		return n.size
	}
	for _, s := range spans {
		possible = append(possible, s.from, s.to, s.from+draws.Int64N(s.to-s.from+1))
	}
	return possible[draws.IntN(len(possible))]
}

// add adds a span to spans that do not touch each other.
func add(spans []span, more span) []span {
	var all []span
	for _, s := range spans {
		if s.from <= more.to && more.from <= s.to {
			more = span{min(s.from, more.from), max(s.to, more.to)}
		} else {
			all = append(all, s)
		}
	}
	return append(all, more)
}

// grow sets the length, after a write that began at a place. It may reach the platter in
// parts.
func (n *inode) grow(at, size int64) {
	if size > n.size {
		n.lengths = add(n.lengths, span{max(at, n.size), size})
		n.size = size
	}
}

// tear puts back what the platter held, for an arbitrary part of the sectors.
func (n *inode) tear(d *Disk, undo map[int64]sector) {
	for _, at := range sortedKeys(undo) {
		if d.crashes.Uint64()&1 == 0 {
			n.put(at, undo[at])
		}
	}
}

// put sets a sector.
func (n *inode) put(at int64, s sector) {
	page := n.pages[at*sectorSize/pageSize]
	if page == nil {
		if s == nil {
			return
		}
		page = new([pageSize]byte)
		n.pages[at*sectorSize/pageSize] = page
	}
	in := page[at*sectorSize%pageSize:][:sectorSize]
	if s == nil {
		clear(in)
		return
	}
	copy(in, s[:])
}

// get returns a copy of a sector.
func (n *inode) get(at int64) sector {
	page := n.pages[at*sectorSize/pageSize]
	if page == nil {
		return nil
	}
	return sector((*[sectorSize]byte)(slices.Clone(page[at*sectorSize%pageSize:][:sectorSize])))
}

// touch remembers what the platter holds of a sector about to be written.
func (n *inode) touch(at int64) {
	if _, known := n.undo[at]; known {
		return
	}
	if s, lost := n.lost[at]; lost {
		n.undo[at] = s
		delete(n.lost, at)
		return
	}
	n.undo[at] = n.get(at)
}

// resize sets the length; what is cut off reads as zero if it comes back.
func (n *inode) resize(size int64) {
	for at := range n.pages {
		if at*pageSize >= size {
			delete(n.pages, at)
		}
	}
	if page := n.pages[size/pageSize]; page != nil {
		clear(page[size%pageSize:])
	}
	n.size = size
}

// Rot flips bits of files whose name is of a pattern (Matches), at places drawn from
// the seed, and returns how many: fewer than wanted where a page beyond a file's end is
// drawn, and none if there is no such file or nothing in it.
func (d *Disk) Rot(glob string, bits int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []*inode
	var walk func(dir string, n *inode)
	walk = func(dir string, n *inode) {
		for _, base := range sortedKeys(n.live) {
			child, name := n.live[base], path.Join(dir, base)
			if Matches(glob, name) && !child.isDir && len(child.pages) > 0 {
				found = append(found, child)
			}
			if child.isDir {
				walk(name, child)
			}
		}
	}
	walk("/", d.root)
	if len(found) == 0 {
		return 0
	}
	flipped := 0
	for range bits {
		n := found[d.rots.IntN(len(found))]
		numbers := sortedKeys(n.pages)
		number := numbers[d.rots.IntN(len(numbers))]
		limit := min(pageSize, n.size-number*pageSize)
		if limit <= 0 {
			continue
		}
		bit := d.rots.Int64N(limit * 8)
		n.pages[number][bit/8] ^= 1 << (bit % 8)
		flipped++
	}
	return flipped
}
