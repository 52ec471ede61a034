package simnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tribune/netmodel"
	"tribune/sim/simnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// realNet is the network of this machine with the methods of host.Network that
// the stories use.
type realNet struct{}

func (realNet) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, network, address)
}

func (realNet) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	return (&net.ListenConfig{}).ListenPacket(ctx, network, address)
}

func (realNet) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

type network interface {
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// story is told by a real network and by the simulated one; what a program sees
// must be the same.
type story struct {
	t   *testing.T
	net network
	saw []string
}

func (s *story) note(what string, err error) {
	text := what + ": " + class(err)
	var op *net.OpError
	if errors.As(err, &op) {
		text += " of " + op.Op + " on " + op.Net
	}
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		text += ", a time-out"
	}
	s.saw = append(s.saw, text)
}

// class is what a program may tell of an error.
func class(err error) string {
	for _, known := range []error{
		io.EOF, net.ErrClosed, net.ErrWriteToConnected, os.ErrDeadlineExceeded, context.Canceled, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT,
		syscall.EADDRINUSE, syscall.EADDRNOTAVAIL, syscall.EMSGSIZE, syscall.ENOTCONN, syscall.EINVAL, syscall.EDESTADDRREQ,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err != nil {
		return fmt.Sprintf("another error %T", err)
	}
	return "no error"
}

// must is for the steps that every network can do.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// pair returns both ends of a stream.
func (s *story) pair() (client, server net.Conn) {
	s.t.Helper()
	l := must(s.listen())
	client = must(s.dial(l.Addr()))
	server = must(l.Accept())
	_ = l.Close()
	return client, server
}

func (s *story) listen() (net.Listener, error) {
	return s.net.Listen(s.t.Context(), "tcp", "127.0.0.1:0")
}

func (s *story) dial(a net.Addr) (net.Conn, error) {
	return s.net.Dial(s.t.Context(), a.Network(), a.String())
}

func (s *story) read(who string, c io.Reader, size int) {
	b := make([]byte, size)
	n, err := c.Read(b)
	s.note(fmt.Sprintf("%s reads %q", who, b[:n]), err)
}

func (s *story) write(who string, c io.Writer, text string) {
	n, err := c.Write([]byte(text))
	s.note(fmt.Sprintf("%s writes %d", who, n), err)
}

func (s *story) close(who string, c io.Closer) { s.note(who+" closes", c.Close()) }

func (s *story) closeWrite(who string, c net.Conn) {
	s.note(who+" ends", c.(interface{ CloseWrite() error }).CloseWrite())
}

var stories = []struct {
	name string
	tell func(s *story)
}{
	{"nobody listens", func(s *story) {
		l := must(s.listen())
		s.close("listener", l)
		_, err := s.dial(l.Addr())
		s.note("dial", err)
		_, err = l.Accept()
		s.note("accept", err)
		s.close("listener again", l)
	}},
	{"addresses", func(s *story) {
		l := must(s.listen())
		_, err := s.net.Listen(s.t.Context(), "tcp", l.Addr().String())
		s.note("in use", err)
		_, err = s.net.Listen(s.t.Context(), "tcp", "192.0.2.1:0")
		s.note("not ours", err)
		_, err = s.net.Listen(s.t.Context(), "tcp", "127.0.0.1")
		s.note("no port", err)
		_, err = s.net.Listen(s.t.Context(), "smoke", "127.0.0.1:0")
		s.note("no network", err)
		_, err = s.net.Dial(s.t.Context(), "smoke", "127.0.0.1:1")
		s.note("no network", err)
		cancelled, cancel := context.WithCancel(s.t.Context())
		cancel()
		_, err = s.net.Dial(cancelled, "tcp", l.Addr().String())
		s.note("cancelled", err)
		c := must(s.dial(l.Addr()))
		at := must(l.Accept())
		s.saw = append(s.saw, fmt.Sprintf("%T %T %v %v", c.LocalAddr(), c.RemoteAddr(), c.LocalAddr().String() == at.RemoteAddr().String(), at.LocalAddr().String() == l.Addr().String()))
		s.close("listener", l)
		s.write("client", c, "still")
		s.read("server", at, 10)
		s.close("client", c)
		s.close("server", at)
	}},
	{"deadlines", func(s *story) {
		c, at := s.pair()
		s.note("past", c.SetReadDeadline(time.Unix(1, 0)))
		s.write("server", at, "ab")
		s.read("client", c, 1)
		s.note("none", c.SetReadDeadline(time.Time{}))
		s.read("client", c, 1)
		s.note("soon", c.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		s.read("client", c, 0)
		s.read("client", c, 1)
		s.read("client", c, 1)
		s.note("later", c.SetReadDeadline(time.Now().Add(time.Hour)))
		s.write("server", at, "c")
		s.read("client", c, 1)
		s.note("past", c.SetWriteDeadline(time.Unix(1, 0)))
		s.write("client", c, "x")
		s.close("client", c)
		s.note("deadline of a closed stream", c.SetDeadline(time.Time{}))
		s.close("server", at)
	}},
	{"closed here", func(s *story) {
		c, at := s.pair()
		s.close("client", c)
		s.read("client", c, 1)
		s.read("client", c, 0)
		s.write("client", c, "x")
		s.close("client", c)
		s.closeWrite("client", c)
		s.read("server", at, 1)
		s.read("server", at, 1)
		s.close("server", at)
	}},
	{"closed there", func(s *story) {
		c, at := s.pair()
		s.write("server", at, "bye")
		s.close("server", at)
		s.read("client", c, 2)
		s.read("client", c, 2)
		s.read("client", c, 2)
		for {
			if _, err := c.Write([]byte("x")); err != nil {
				s.note("writing on", err)
				break
			}
			time.Sleep(time.Millisecond) // the reset is on its way
		}
		s.write("client", c, "x")
		s.read("client", c, 1)
		s.close("client", c)
	}},
	{"closed with bytes nobody read", func(s *story) {
		c, at := s.pair()
		s.write("client", c, "hello")
		s.read("server", at, 2)
		s.write("server", at, "abc")
		s.close("server", at)
		s.read("client", c, 9)
		s.read("client", c, 9)
		s.read("client", c, 9)
		s.write("client", c, "x")
		s.closeWrite("client", c)
		s.close("client", c)
	}},
	{"one half ends", func(s *story) {
		c, at := s.pair()
		s.write("client", c, "question")
		s.closeWrite("client", c)
		s.write("client", c, "x")
		s.read("server", at, 20)
		s.read("server", at, 20)
		s.write("server", at, "answer")
		s.read("client", c, 20)
		s.close("server", at)
		s.read("client", c, 20)
		s.close("client", c)
	}},
	{"never accepted", func(s *story) {
		l := must(s.listen())
		c := must(s.dial(l.Addr()))
		s.write("client", c, "x")
		s.close("listener", l)
		s.read("client", c, 1)
		s.read("client", c, 1)
		s.close("client", c)
	}},
	{"datagrams", func(s *story) {
		p := must(s.packets())
		c := must(s.dial(p.LocalAddr()))
		s.write("client", c, "hello")
		s.write("client", c, "")
		s.write("client", c, "world")
		s.packet("server", p, 3)
		s.packet("server", p, 3)
		s.packet("server", p, 9)
		_, err := p.WriteTo([]byte("back"), c.LocalAddr())
		s.note("server answers", err)
		s.read("client", c, 9)
		other := must(s.packets())
		_, err = other.WriteTo([]byte("not for you"), c.LocalAddr())
		s.note("stranger writes", err)
		_, err = c.(net.PacketConn).WriteTo([]byte("x"), other.LocalAddr())
		s.note("write to another than the peer", err)
		_, err = other.(net.Conn).Write([]byte("x"))
		s.note("write to no peer", err)
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		s.read("client", c, 20)
		s.write("client", c, string(make([]byte, 65508)))
		s.saw = append(s.saw, fmt.Sprintf("%T %T", c.LocalAddr(), c.RemoteAddr()))
		s.close("stranger", other)
		s.close("server", p)
		_ = c.SetReadDeadline(time.Time{})
		s.write("client", c, "nobody there")
		s.read("client", c, 9)
		s.close("client", c)
		s.close("client", c)
		s.read("client", c, 9)
		s.write("client", c, "x")
	}},
	{"datagram addresses", func(s *story) {
		p := must(s.packets())
		_, err := s.net.ListenPacket(s.t.Context(), "udp", p.LocalAddr().String())
		s.note("in use", err)
		_, err = s.net.ListenPacket(s.t.Context(), "udp", "192.0.2.1:0")
		s.note("not ours", err)
		_, err = s.net.ListenPacket(s.t.Context(), "smoke", "127.0.0.1:0")
		s.note("no network", err)
		_, err = p.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9})
		s.note("from loopback to far away", err)
		s.note("past", p.SetReadDeadline(time.Unix(1, 0)))
		s.packet("server", p, 1)
		s.close("server", p)
		s.packet("server", p, 1)
		s.note("deadline of a closed socket", p.SetDeadline(time.Time{}))
	}},
}

func (s *story) packets() (net.PacketConn, error) {
	return s.net.ListenPacket(s.t.Context(), "udp", "127.0.0.1:0")
}

func (s *story) packet(who string, p net.PacketConn, size int) {
	b := make([]byte, size)
	n, _, err := p.ReadFrom(b)
	s.note(fmt.Sprintf("%s reads %q", who, b[:n]), err)
}

func TestAProgramCannotTellTheSimulatedNetworkFromTheRealOne(t *testing.T) {
	for _, st := range stories {
		t.Run(st.name, func(t *testing.T) {
			real := story{t: t, net: realNet{}}
			st.tell(&real)
			simulated := story{t: t}
			world(t, 1, netmodel.LAN(), func(t *testing.T, _ *simnet.Network, hosts map[string]*simnet.Stack) {
				simulated.t, simulated.net = t, hosts["a"]
				st.tell(&simulated)
			})
			if !slices.Equal(real.saw, simulated.saw) {
				for i := range max(len(real.saw), len(simulated.saw)) {
					t.Errorf("step %d: real %q, simulated %q", i, at(real.saw, i), at(simulated.saw, i))
				}
			}
		})
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

var _ network = (*simnet.Stack)(nil)
