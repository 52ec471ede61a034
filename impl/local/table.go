package local

import (
	"maps"
	"slices"
	"sync"
	"time"

	"tribune/impl/api"
)

// table is what this agent has.
type table struct {
	mu       sync.Mutex
	node     api.Node // its metadata may change, and nothing else of it
	discard  bool     // keep nothing of what checks print
	services map[string]*service
	checks   map[string]*check
	nodeSame bool          // the catalog has this node as it is
	changed  chan struct{} // closed at the next change
}

// service is an instance that this agent has.
type service struct {
	api.NodeService
	token string
	// filed is set when the configuration defines it, and not somebody by the API.
	filed bool
	mark
}

// check is a check that this agent has.
type check struct {
	api.HealthCheck
	definition api.CheckDefinition
	filed      bool
	probe      Probe     // nil if it is set by hand
	critical   time.Time // since when; zero: it is not
	due        time.Time // when the catalog is to hear of a new output; zero: it has
	mark
}

// mark is how something stands with the catalog.
type mark struct {
	same bool // the catalog has it as it is
	gone bool // it is to go from the catalog, and then from here
}

// all lists the checks, sorted by ID.
func (t *table) all() []*check {
	t.mu.Lock()
	defer t.mu.Unlock()
	return sorted(t.checks)
}

// notify wakes those who wait for a change. The caller holds mu.
func (t *table) notify() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Changed returns a channel that closes at the next change of a service or a
// check.
func (t *table) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// sorted lists the entries of a table in the order of their IDs.
func sorted[Entry any](table map[string]*Entry) []*Entry {
	var list []*Entry
	for _, id := range slices.Sorted(maps.Keys(table)) {
		list = append(list, table[id])
	}
	return list
}

// has reports whether a service is registered.
func (t *table) has(serviceID string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.services[serviceID]
	return n != nil && !n.gone
}

// enter takes a service in, if n is not nil, and checks, all at once: nobody sees
// the service without its checks. A service that is as the catalog has it needs no
// push; a check that had found something keeps its status.
func (t *table) enter(n *service, checks ...*check) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n != nil {
		old := t.services[n.ID]
		n.same = old != nil && !old.gone && old.same && old.token == n.token && sameService(n.NodeService, old.NodeService)
		t.services[n.ID] = n
	}
	for _, c := range checks {
		if old := t.checks[c.CheckID]; old != nil && !old.gone {
			c.Status, c.Output, c.critical = old.Status, old.Output, old.critical
		}
		c.watch()
		t.checks[c.CheckID] = c
	}
	t.notify()
}

// leave marks a check as one that is to go. The caller holds mu.
func (c *check) leave() { c.probe, c.due, c.mark = nil, time.Time{}, mark{gone: true} }
