package rpc

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// maxPerPeer is how many connections one address may have (Consul:
// limits.rpc_max_conns_per_client). One more, and the one that has been silent
// longest goes: a peer that lost its power never closed those it had, and must
// find room when it is back.
const maxPerPeer = 100

// links are a port's connections, in the order in which they were made.
type links struct {
	reads  atomic.Uint64 // counts reads, to tell who was silent longest
	mu     sync.Mutex
	open   []*link
	muted  bool // raft's are not to be
	closed bool
}

// link is a connection that its port closes at the latest.
type link struct {
	net.Conn
	all     *links
	peer    netip.Addr
	dialled bool
	raft    bool          // guarded by all.mu
	heard   atomic.Uint64 // the number of the last read that got something
	once    sync.Once
	err     error
}

// add takes a connection in, and drops another if its peer has too many. It
// returns nil, and closes the connection, if the port closes.
func (s *links) add(c net.Conn, peer netip.Addr) (l *link, dropped bool) {
	l = &link{Conn: c, all: s, peer: peer}
	l.heard.Store(s.reads.Add(1))
	s.mu.Lock()
	var oldest *link
	n := 0
	for _, o := range s.open {
		if o.peer != peer || o.dialled {
			continue
		}
		n++
		if oldest == nil || o.heard.Load() < oldest.heard.Load() {
			oldest = o
		}
	}
	ok := s.take(l)
	s.mu.Unlock()
	if !ok {
		_ = c.Close() // nobody has used it
		return nil, false
	}
	if n >= maxPerPeer {
		_ = oldest.Close() // given up
		return l, true
	}
	return l, false
}

// addDialled takes in a raft connection to a peer.
func (s *links) addDialled(c net.Conn) *link {
	l := &link{Conn: c, all: s, dialled: true, raft: true}
	s.mu.Lock()
	ok := !s.muted && s.take(l)
	s.mu.Unlock()
	if !ok {
		_ = c.Close() // nobody has used it
		return nil
	}
	return l
}

// take keeps a link unless the port closes. The caller holds mu.
func (s *links) take(l *link) bool {
	if !s.closed {
		s.open = append(s.open, l)
	}
	return !s.closed
}

// forRaft marks a link as raft's, if it may have one.
func (s *links) forRaft(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.raft = !s.muted
	return l.raft
}

// mute ends raft's links and refuses others, until it is taken back.
func (s *links) mute(muted bool) {
	s.mu.Lock()
	s.muted = muted
	open := slices.Clone(s.open)
	open = slices.DeleteFunc(open, func(l *link) bool { return !muted || !l.raft })
	s.mu.Unlock()
	for _, l := range open {
		_ = l.Close() // raft sees it
	}
}

func (s *links) close() {
	s.mu.Lock()
	s.closed = true
	open := slices.Clone(s.open)
	s.mu.Unlock()
	for _, l := range open {
		_ = l.Close() // its user sees it
	}
}

func (l *link) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if n > 0 {
		l.heard.Store(l.all.reads.Add(1))
	}
	return n, err
}

func (l *link) Close() error {
	l.once.Do(func() {
		l.err = l.Conn.Close()
		l.all.mu.Lock()
		defer l.all.mu.Unlock()
		if i := slices.Index(l.all.open, l); i >= 0 {
			l.all.open = slices.Delete(l.all.open, i, i+1)
		}
	})
	return l.err
}
