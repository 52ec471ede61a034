// Package rpc is how servers talk to each other: one port that raft and gRPC
// share, told apart by the first byte of a connection; gRPC with a msgpack codec
// over plain Go structs; and a client that keeps a connection per server.
//
// The first bytes are Consul's: 1 opens a raft connection, 8 a gRPC one.
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

const helloTimeout = 10 * time.Second

// Port is the server port.
type Port struct {
	listener net.Listener
	network  host.Network
	addr     net.Addr
	log      *slog.Logger
	raft     *queue
	grpc     *queue
	wait     sync.WaitGroup

	mu     sync.Mutex
	hello  map[net.Conn]struct{} // connections that have not sent their first byte
	closed bool
}

// Listen opens the server port. Others reach it under the address advertise.
func Listen(ctx context.Context, n host.Network, bind string, advertise netip.AddrPort, log *slog.Logger) (*Port, error) {
	l, err := n.Listen(ctx, "tcp", bind)
	if err != nil {
		return nil, fmt.Errorf("the server port %s: %w", bind, err)
	}
	p := &Port{
		listener: l, network: n, addr: net.TCPAddrFromAddrPort(advertise), log: log,
		hello: map[net.Conn]struct{}{},
	}
	p.raft, p.grpc = newQueue(p.addr), newQueue(p.addr)
	p.wait.Go(p.accept)
	return p, nil
}

// Close stops listening and waits for the port's goroutines. Connections that
// were handed out belong to their users.
func (p *Port) Close() error {
	p.mu.Lock()
	p.closed = true
	for c := range p.hello {
		_ = c.Close() // it has told us nothing yet
	}
	p.mu.Unlock()
	err := p.listener.Close()
	_, _ = p.raft.Close(), p.grpc.Close()
	p.wait.Wait()
	return err
}

func (p *Port) accept() {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.log.Error("the server port could not accept a connection", "error", err)
			time.Sleep(100 * time.Millisecond) // out of file descriptors: others must close some
			continue
		}
		if !p.greet(c) {
			_ = c.Close()
			return
		}
		p.wait.Go(func() { p.sort(c) })
	}
}

func (p *Port) greet(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.hello[c] = struct{}{}
	}
	return !p.closed
}

// sort reads the first byte of a connection and hands it to whom it is for.
func (p *Port) sort(c net.Conn) {
	first := make([]byte, 1)
	err := c.SetReadDeadline(time.Now().Add(helloTimeout))
	if err == nil {
		_, err = io.ReadFull(c, first)
	}
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}
	p.mu.Lock()
	delete(p.hello, c)
	p.mu.Unlock()
	ok := false
	switch {
	case err != nil: // a peer that went away, or a port scan
	case first[0] == raftByte:
		ok = p.raft.put(c)
	case first[0] == grpcByte:
		ok = p.grpc.put(c)
	default:
		p.log.Warn("a connection to the server port speaks no protocol of it", "from", c.RemoteAddr().String(), "byte", first[0])
	}
	if !ok {
		_ = c.Close()
	}
}

func (p *Port) dial(ctx context.Context, address string, first byte) (net.Conn, error) {
	c, err := p.network.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write([]byte{first}); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Raft is the port as raft uses it.
func (p *Port) Raft() raft.StreamLayer { return &raftLayer{p.raft, p} }

type raftLayer struct {
	*queue
	port *Port
}

func (r *raftLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return r.port.dial(ctx, string(address), raftByte)
}

// queue is a net.Listener of the connections put into it.
type queue struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newQueue(addr net.Addr) *queue {
	return &queue{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (q *queue) put(c net.Conn) bool {
	select {
	case q.conns <- c:
		return true
	case <-q.closed:
		return false
	}
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
func (q *queue) Addr() net.Addr { return q.addr }
