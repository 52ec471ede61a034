package rpc

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxPerPeer is how many connections one address may have (Consul:
// limits.rpc_max_conns_per_client). Another one is refused, unless one has been silent
// for so long that nobody can be at its other end; that one goes: a peer that lost its
// power never closed those it had, and must find room when it is back.
const maxPerPeer = 100

// silence is for how long a connection that is alive is silent at most, raft's idle ones
// apart, which are made anew when they are missed.
const silence = keepaliveTime + keepaliveTimeout

// links are a port's connections, in the order in which they were made.
type links struct {
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
	raft    bool                      // guarded by all.mu
	heard   atomic.Pointer[time.Time] // of the last read that got something
	once    sync.Once
	err     error
}

// errTooMany says that a peer has as many connections as it may have.
var errTooMany = errors.New("its peer has as many as it may have")

// add takes a connection in, and drops a silent one if its peer has too many. Errors:
// errTooMany; net.ErrClosed if the port closes. The connection is closed then.
func (s *links) add(c net.Conn, peer netip.Addr) (l *link, dropped bool, err error) {
	now := time.Now()
	l = &link{Conn: c, all: s, peer: peer}
	l.heard.Store(&now)
	s.mu.Lock()
	oldest, n := s.silent(peer)
	switch {
	case n >= maxPerPeer && now.Sub(*oldest.heard.Load()) < silence:
		err = errTooMany
	case !s.take(l):
		err = net.ErrClosed
	}
	s.mu.Unlock()
	if err != nil {
		_ = c.Close() // nobody has used it
		return nil, false, err
	}
	if n >= maxPerPeer {
		_ = oldest.Close() // given up
		return l, true, nil
	}
	return l, false, nil
}

// silent returns which of the connections that a peer has made has been silent longest,
// and how many there are. The caller holds mu.
func (s *links) silent(peer netip.Addr) (oldest *link, n int) {
	for _, o := range s.open {
		if o.peer != peer || o.dialled {
			continue
		}
		n++
		if oldest == nil || o.heard.Load().Before(*oldest.heard.Load()) {
			oldest = o
		}
	}
	return oldest, n
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
		now := time.Now()
		l.heard.Store(&now)
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
