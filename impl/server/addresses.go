package server

import (
	"sync"

	"tribune/impl/gossip"
)

// addressBook says where servers are, as gossip knows it. Raft asks it whenever
// it connects, also before gossip has begun.
type addressBook struct {
	mu   sync.Mutex
	byID map[string]string
}

// write takes down where servers are now.
func (b *addressBook) write(peers []peer) {
	byID := map[string]string{}
	for _, p := range peers {
		// A server that changed its name is there twice for a while.
		if byID[p.id] == "" || p.status == gossip.StatusAlive {
			byID[p.id] = p.address
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byID = byID
}

// find returns the address of a server's port, and "" if it is not known.
func (b *addressBook) find(id string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.byID[id]
}
