// Package rpc is how servers talk to each other: one port that raft and gRPC
// share, told apart by the first byte of a connection; gRPC with a msgpack codec
// over plain Go structs; and a client that keeps a connection per server.
//
// The first bytes are Consul's: 1 opens a raft connection, 8 a gRPC one.
//
// A Port owns every connection that came in on it and every raft connection
// that it dialled: its Close ends them all. (raft leaves them open, and their
// goroutines with them.)
package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"tribune/impl/host"
)

const (
	raftByte = 1
	grpcByte = 8
)

const (
	helloTimeout = 5 * time.Second // for the first byte of a connection (Consul: limits.rpc_handshake_timeout)
	acceptPause  = 100 * time.Millisecond
)

// Port is the server port.
type Port struct {
	listener net.Listener
	network  host.Network
	addr     net.Addr
	log      *slog.Logger
	raft     *queue
	grpc     *queue
	links    links
	ctx      context.Context // ends when the port closes
	stop     context.CancelFunc
	once     sync.Once
	closeErr error
	wait     sync.WaitGroup
}

// Listen opens the server port. Others reach it under the address advertise.
func Listen(ctx context.Context, n host.Network, bind string, advertise netip.AddrPort, log *slog.Logger) (*Port, error) {
	l, err := n.Listen(ctx, "tcp", bind)
	if err != nil {
		return nil, fmt.Errorf("the server port %s: %w", bind, err)
	}
	p := &Port{
		listener: l, network: n, addr: net.TCPAddrFromAddrPort(advertise), log: log,
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.raft, p.grpc = newQueue(p), newQueue(p)
	p.wait.Go(p.accept)
	return p, nil
}

// Close stops listening, ends all connections and waits for the port's
// goroutines.
func (p *Port) Close() error {
	p.once.Do(func() {
		p.stop()
		p.closeErr = p.listener.Close()
		p.links.close()
		p.wait.Wait()
	})
	return p.closeErr
}

func (p *Port) accept() {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.log.Error("the server port could not accept a connection", "error", err)
			select {
			case <-p.ctx.Done():
				return
			case <-time.After(acceptPause): // out of file descriptors: others must close some
			}
			continue
		}
		l, dropped, err := p.links.add(c, remote(c))
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			p.log.Warn("refused a connection to the server port", "error", err, "from", c.RemoteAddr().String(), "most", maxPerPeer)
			continue
		case dropped:
			p.log.Warn("dropped a silent connection to the server port: its peer has too many", "from", c.RemoteAddr().String(), "most", maxPerPeer)
		}
		p.wait.Go(func() { p.sort(l) })
	}
}

func remote(c net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{} // no IP network: all its connections count as one peer's
	}
	return a.Addr()
}

// sort reads the first byte of a connection and hands it to whom it is for.
func (p *Port) sort(l *link) {
	first := make([]byte, 1)
	err := l.SetReadDeadline(time.Now().Add(helloTimeout))
	if err == nil {
		_, err = io.ReadFull(l, first)
	}
	if err == nil {
		err = l.SetReadDeadline(time.Time{})
	}
	ok := false
	switch {
	case err != nil: // a peer that went away, or a port scan
	case first[0] == raftByte:
		ok = p.links.forRaft(l) && p.raft.put(l)
	case first[0] == grpcByte:
		ok = p.grpc.put(l)
	default:
		p.log.Warn("a connection to the server port speaks no protocol of it", "from", l.RemoteAddr().String(), "byte", first[0])
	}
	if !ok {
		_ = l.Close()
	}
}

// dial opens a connection to a server port and says what it is for, unless the
// context of the call or that of its owner ends first.
func dial(ctx, owner context.Context, n host.Network, address string, first byte) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(owner, cancel)
	defer stop()
	c, err := n.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write([]byte{first}); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// MuteRaft ends all raft connections and keeps raft from making and taking
// others, until it is taken back: to the other servers this one is gone.
func (p *Port) MuteRaft(muted bool) { p.links.mute(muted) }

// Raft is the port as raft uses it.
func (p *Port) Raft() raft.StreamLayer { return &raftLayer{p.raft, p} }

type raftLayer struct {
	*queue
	port *Port
}

func (r *raftLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c, err := dial(ctx, r.port.ctx, r.port.network, string(address), raftByte)
	if err != nil {
		return nil, err
	}
	if l := r.port.links.addDialled(c); l != nil {
		return l, nil
	}
	return nil, net.ErrClosed
}

// queue is a net.Listener of the connections put into it. It closes apart from
// the port, when its user does: raft takes an Accept that fails before for a
// failure.
type queue struct {
	port   *Port
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newQueue(p *Port) *queue {
	return &queue{port: p, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (q *queue) put(c net.Conn) bool {
	select {
	case q.conns <- c:
		return true
	case <-q.closed:
	case <-q.port.ctx.Done():
	}
	return false
}

// Accept implements net.Listener.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

// Addr is the address under which others reach the port.
func (q *queue) Addr() net.Addr { return q.port.addr }
