package server

import (
	"slices"
	"sync"
	"time"

	"tribune/impl/api"
)

// census is what this server knows of who was a member. Gossip names those who are
// there, and for 72 hours those who failed. That it does not name a node of the
// catalog means that it has forgotten it, if it ever named it; a server that has
// just started knows nobody yet, and may lead already.
type census struct {
	mu       sync.Mutex
	patience time.Duration        // with a node that does not turn up
	met      map[string]bool      // named since this server started; by folded name
	sought   map[string]time.Time // never named: since when it is looked for; by folded name
	out      map[string]bool      // members that stayed out of the catalog at the last look, as gossip spells them
}

// fate is what becomes of a node that gossip does not name.
type fate int

const (
	unsettled fate = iota // it may still turn up
	silent                // nobody heard of it: it is dead, as far as this server can tell
	forgotten             // it goes from the catalog
)

// A node that does not turn up counts as dead after silentAfter, which is more than
// gossip takes to tell a server that starts who is there; and as gone when
// gossip forgets one that failed before the eyes of all.
const silentAfter = time.Minute

// meet notes who is named.
func (c *census) meet(members []api.Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.met == nil {
		c.met, c.sought = map[string]bool{}, map[string]time.Time{}
	}
	for _, m := range members {
		c.met[fold(m.Name)] = true
		delete(c.sought, fold(m.Name))
	}
}

// fate says what became of a node that is not named now.
func (c *census) fate(name string, now time.Time) fate {
	c.mu.Lock()
	defer c.mu.Unlock()
	name = fold(name)
	if c.met[name] {
		return forgotten
	}
	since, known := c.sought[name]
	if !known {
		c.sought[name] = now
		return unsettled
	}
	switch away := now.Sub(since); {
	case away >= c.patience:
		return forgotten
	case away >= silentAfter:
		return silent
	}
	return unsettled
}

// strike forgets a node that is not in the catalog any more.
func (c *census) strike(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.met, fold(name))
	delete(c.sought, fold(name))
}

// strangers takes note of the members that stay out of the catalog and returns those
// that did not at the last look.
func (c *census) strangers(out []api.Member) []api.Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.out
	c.out = map[string]bool{}
	for _, m := range out {
		c.out[m.Name] = true
	}
	return slices.DeleteFunc(out, func(m api.Member) bool { return before[m.Name] })
}
