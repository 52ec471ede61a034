package client

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// A client stays with a server for a while, since the connection to it is there,
// and then goes on to another one, so that after an outage the clients spread
// over all servers again.
const stay = 2 * time.Minute

// servers is the list of those that can be asked, the one to ask first.
type servers struct {
	mu    sync.Mutex
	list  []string // addresses of server ports, in an order of this client's own
	since time.Time
}

// set takes over who is there now. Those who stay keep their places.
func (s *servers) set(usable []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(a string) bool { return !slices.Contains(usable, a) })
	for _, a := range usable {
		if !slices.Contains(s.list, a) {
			s.list = slices.Insert(s.list, rand.IntN(len(s.list)+1), a)
		}
	}
}

// pick returns whom to ask, "" if there is nobody.
func (s *servers) pick() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return ""
	}
	if now := time.Now(); now.Sub(s.since) > stay {
		rand.Shuffle(len(s.list), func(i, j int) { s.list[i], s.list[j] = s.list[j], s.list[i] })
		s.since = now.Add(rand.N(stay / 2))
	}
	return s.list[0]
}

// failed puts a server that did not answer last.
func (s *servers) failed(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.list, address); i >= 0 {
		s.list = append(slices.Delete(s.list, i, i+1), address)
	}
}

func (s *servers) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}
