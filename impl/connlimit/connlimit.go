// Package connlimit bounds how many connections to an HTTP server a client may
// have, where a client is an IP address (Consul documentation: Agent Configuration,
// limits.http_max_conns_per_client).
//
// A connection counts from when it is accepted until it is closed, no longer and no
// shorter. One over the limit is not dropped: its request is answered with status
// 429, which says what the limit is and when to try again, and then it is closed.
// Such connections do not count, and a client may have a few of them at once; only
// what comes beyond that is closed without a word, for somebody who opens
// connections to exhaust the agent does not read what it says.
package connlimit

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"tribune/impl/metrics"
)

const (
	maxRefusing = 10  // connections of a client that are being refused
	retryAfter  = "1" // seconds
)

// Settings say what the limit is.
type Settings struct {
	Max            int  // connections of a client; 0 or less: any number
	ExemptLoopback bool // clients on this machine may have any number
}

// Limit counts the connections of clients.
type Limit struct {
	log     *slog.Logger
	refused metrics.Counter

	mu       sync.Mutex
	settings Settings
	clients  map[netip.Addr]*client
}

// client is an address that has connections.
type client struct {
	open     int
	refusing int
	told     bool // the log says that it is over the limit, and it has not been well below since
}

// New returns a limit, without any connections yet.
func New(s Settings, log *slog.Logger, r *metrics.Registry) *Limit {
	l := &Limit{
		settings: s, log: log, clients: map[netip.Addr]*client{},
		refused: r.Counter("http.connections_refused", "connections to the HTTP API that were over limits.http_max_conns_per_client (not in Consul)", nil),
	}
	r.Gauge("http.connections", "connections to the HTTP API that are open (not in Consul)", nil, func() float64 { return float64(l.Open()) })
	return l
}

// Set changes the limit. Connections that are open stay.
func (l *Limit) Set(s Settings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settings = s
}

// Open is how many connections count now, of all clients.
func (l *Limit) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, c := range l.clients {
		n += c.open
	}
	return n
}

// Listener returns what accepts the connections that ln accepts and counts them.
func (l *Limit) Listener(ln net.Listener) net.Listener { return listener{ln, l} }

type listener struct {
	net.Listener
	limit *Limit
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if counted, ok := l.limit.admit(c); ok {
			return counted, nil
		}
		_ = c.Close() // nobody waits for what it says
	}
}

// conn is a connection that is counted until it closes.
type conn struct {
	net.Conn
	over    int // the limit that it is over; 0: it is not
	release func()
	once    sync.Once
}

// Close closes the connection.
func (c *conn) Close() error {
	c.once.Do(c.release)
	return c.Conn.Close()
}

// admit counts a connection, or reports false if it must be closed.
func (l *Limit) admit(c net.Conn) (*conn, bool) {
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return &conn{Conn: c, release: func() {}}, true // not by IP: nobody can be told apart
	}
	at := from.Addr().Unmap()
	l.mu.Lock()
	defer l.mu.Unlock()
	who := l.clients[at]
	if who == nil {
		who = &client{}
		l.clients[at] = who
	}
	most := l.settings.Max
	if most <= 0 || who.open < most || l.settings.ExemptLoopback && at.IsLoopback() {
		who.open++
		return &conn{Conn: c, release: func() { l.release(at, &who.open) }}, true
	}
	l.refused.Inc()
	if !who.told {
		who.told = true
		l.log.Warn("a client has too many connections to the HTTP API; those over the limit get status 429", "client", at, "limit", most)
	}
	if who.refusing >= maxRefusing {
		return nil, false
	}
	who.refusing++
	return &conn{Conn: c, over: most, release: func() { l.release(at, &who.refusing) }}, true
}

func (l *Limit) release(at netip.Addr, n *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*n--
	who := l.clients[at]
	if 2*who.open < l.settings.Max { // not just below: whoever stays around the limit would be told of all the time
		who.told = false
	}
	if who.open == 0 && who.refusing == 0 {
		delete(l.clients, at)
	}
}

type overKey struct{}

// ConnContext is for http.Server: it tells Handler about the connection.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if outer, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = outer.NetConn()
	}
	if counted, ok := c.(*conn); ok && counted.over > 0 {
		return context.WithValue(ctx, overKey{}, counted.over)
	}
	return ctx
}

// Handler answers requests that come on a connection over the limit, and has next
// answer all others.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most, over := r.Context().Value(overKey{}).(int)
		if !over {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Connection", "close")
		h.Set("Retry-After", retryAfter)
		text := fmt.Sprintf("Too many connections from your address: the agent allows %d (limits.http_max_conns_per_client). Use fewer, or try again later.", most)
		http.Error(w, text, http.StatusTooManyRequests)
	})
}
