package simdisk

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// Clone returns a disk with the same content, durable and not, and the same
// options, but without handles, locks, rules and stalls, whose draws come from
// seed. Crashes of many clones show what one crash can leave.
func (d *Disk) Clone(seed uint64) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := New(d.name, d.sched, d.rec, seed, d.options)
	c.used = d.used
	copies := map[*inode]*inode{}
	c.root = d.root.clone(copies)
	for _, old := range d.journal {
		steps := slices.Clone(old.steps)
		for i := range steps {
			steps[i].dir, steps[i].target = steps[i].dir.clone(copies), steps[i].target.clone(copies)
		}
		c.journal = append(c.journal, change{steps})
	}
	return c
}

// clone returns the copy of an inode, which is one however often it is named.
// Sectors of the platter are never written, so copies share them.
func (n *inode) clone(copies map[*inode]*inode) *inode {
	if n == nil || copies[n] != nil {
		return copies[n]
	}
	c := &inode{
		isDir: n.isDir, gone: n.gone, size: n.size, durable: n.durable,
		undo: maps.Clone(n.undo), lost: maps.Clone(n.lost), pages: maps.Clone(n.pages),
		live: maps.Clone(n.live), kept: maps.Clone(n.kept), lengths: slices.Clone(n.lengths),
	}
	copies[n] = c
	for at, page := range c.pages {
		content := *page
		c.pages[at] = &content
	}
	for _, f := range n.syncing {
		c.syncing = append(c.syncing, &flush{old: maps.Clone(f.old), size: f.size, past: slices.Clone(f.past)})
	}
	for _, names := range []map[string]*inode{c.live, c.kept} {
		for name, child := range names {
			names[name] = child.clone(copies)
		}
	}
	return c
}

// FileInfo is what there is to a file.
type FileInfo struct {
	Path     string // without a slash in front
	Size     int64  // bytes, as programs see it
	Durable  int64  // bytes that it has on the platter
	Unsynced int64  // bytes of the sectors that were written and are not durable yet
	// Unnamed says that the name is not durable: a power failure may undo its
	// creation, or the renaming.
	Unnamed bool
}

// Inventory lists all files, sorted by path.
func (d *Disk) Inventory() []FileInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []FileInfo
	var walk func(dir string, n *inode, unnamed bool)
	walk = func(dir string, n *inode, unnamed bool) {
		for name, child := range n.live {
			unnamed := unnamed || n.kept[name] != child
			if child.isDir {
				walk(path.Join(dir, name), child, unnamed)
				continue
			}
			sectors := len(child.undo) + len(child.lost)
			for _, f := range child.syncing {
				sectors += len(f.old)
			}
			all = append(all, FileInfo{Path: path.Join(dir, name), Size: child.size, Durable: child.durable, Unsynced: sectorSize * int64(sectors), Unnamed: unnamed})
		}
	}
	walk("", d.root, false)
	slices.SortFunc(all, func(a, b FileInfo) int { return strings.Compare(a.Path, b.Path) })
	return all
}
