package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"tribune/impl/host"
)

// transport is memberlist's way to the network: datagrams and streams of one
// port of a host.Network.
type transport struct {
	network   host.Network
	advertise netip.AddrPort
	packets   net.PacketConn
	streams   net.Listener
	packetCh  chan *memberlist.Packet
	streamCh  chan net.Conn
	ctx       context.Context // ends when the transport shuts down
	stop      context.CancelFunc
	once      sync.Once
	wait      sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool // that were dialed; nil: the transport shuts down
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

const (
	maxPacket  = 65536
	retryPause = 100 * time.Millisecond
)

func listen(ctx context.Context, n host.Network, bind string, advertise netip.AddrPort) (*transport, error) {
	streams, err := n.Listen(ctx, "tcp", bind)
	if err != nil {
		return nil, fmt.Errorf("the gossip port %s: %w", bind, err)
	}
	packets, err := n.ListenPacket(ctx, "udp", bind)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the gossip port %s: %w", bind, err), streams.Close())
	}
	t := &transport{
		network: n, advertise: advertise, packets: packets, streams: streams,
		packetCh: make(chan *memberlist.Packet), streamCh: make(chan net.Conn), open: map[net.Conn]bool{},
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	t.wait.Go(t.receive)
	t.wait.Go(t.accept)
	return t, nil
}

func (t *transport) receive() {
	buffer := make([]byte, maxPacket)
	for {
		n, from, err := t.packets.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			t.pause() // an ICMP error of some earlier packet, or worse; gossip lives with loss
			continue
		}
		if n == 0 {
			continue
		}
		p := &memberlist.Packet{Buf: append([]byte(nil), buffer[:n]...), From: from, Timestamp: time.Now()}
		select {
		case t.packetCh <- p:
		case <-t.ctx.Done():
			return
		}
	}
}

func (t *transport) accept() {
	for {
		c, err := t.streams.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			t.pause() // out of file descriptors: others must close some
			continue
		}
		select {
		case t.streamCh <- c:
		case <-t.ctx.Done():
			_ = c.Close()
			return
		}
	}
}

// pause keeps a socket in trouble from taking the whole processor.
func (t *transport) pause() {
	select {
	case <-t.ctx.Done():
	case <-time.After(retryPause):
	}
}

func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.advertise.Addr().AsSlice(), int(t.advertise.Port()), nil
}

func (t *transport) WriteTo(b []byte, address string) (time.Time, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return time.Time{}, fmt.Errorf("gossip: the address %q: %w", address, err)
	}
	_, err = t.packets.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return time.Now(), err
}

func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, a.Addr)
}

func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packetCh }

func (t *transport) StreamCh() <-chan net.Conn { return t.streamCh }

func (t *transport) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	conn, err := t.network.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	t.open[conn] = true
	return dialed{conn, t}, nil
}

// dialed is a connection that ends with the transport: who waits for a member that is
// silent, as serf.Join does, would go on for ten seconds, and Close would wait for that.
type dialed struct {
	net.Conn
	transport *transport
}

// Close implements net.Conn.
func (d dialed) Close() error {
	d.transport.mu.Lock()
	delete(d.transport.open, d.Conn)
	d.transport.mu.Unlock()
	return d.Conn.Close()
}

func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(a.Addr, timeout)
}

func (t *transport) Shutdown() error {
	var err error
	t.once.Do(func() {
		t.stop()
		err = errors.Join(t.streams.Close(), t.packets.Close())
		t.mu.Lock()
		for conn := range t.open {
			_ = conn.Close() // whoever uses it finds out
		}
		t.open = nil
		t.mu.Unlock()
		t.wait.Wait()
	})
	return err
}
