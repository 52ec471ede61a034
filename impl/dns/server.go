package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"tribune/impl/metrics"
)

// How long clients and the catalog may take.
const (
	firstQuery   = 5 * time.Second  // from a TCP connection to its first query
	nextQuery    = 10 * time.Second // from one query to the next (RFC 7766, 6.2.3)
	writeLimit   = 5 * time.Second  // to take an answer over TCP
	lookupLimit  = 5 * time.Second  // to find an answer; resolvers do not wait longer
	acceptPause  = 50 * time.Millisecond
	queryMaxSize = 4096 // bytes of a query over UDP, which is what our OPT records say
)

// Server answers DNS queries over UDP and TCP.
type Server struct {
	config  Config
	domains []string // with a dot at the end, in lower case
	rules   atomic.Pointer[rules]
	figures figures

	ctx  context.Context // ends when the server closes
	stop context.CancelFunc
	wait sync.WaitGroup

	sockets []socket
	servers []*dns.Server

	close    sync.Once
	closeErr error
}

// socket is an address at which the server listens.
type socket struct {
	tcp net.Listener
	udp net.PacketConn // nil: it could not be had
}

// figures are what the server tells about its work.
type figures struct {
	domain, reverse metrics.Times
	stale           metrics.Counter
}

func newFigures(c Config) figures {
	r := c.Metrics
	if r == nil {
		r = metrics.New()
	}
	return figures{
		domain:  r.Times("dns.domain_query", "how long DNS queries took, for names of the agent's domain and of others"),
		reverse: r.Times("dns.ptr_query", "how long reverse DNS queries took"),
		stale:   r.Counter("dns.stale_queries", "lookups for DNS whose answer was more than five seconds behind the leader", nil),
	}
}

// Start binds UDP and TCP and answers until Close. The context bounds the start
// alone.
func Start(ctx context.Context, c Config) (*Server, error) {
	s := &Server{config: c, figures: newFigures(c)}
	for _, domain := range []string{cmp.Or(c.Domain, "consul."), c.AltDomain} {
		if domain == "" {
			continue
		}
		domain = dns.CanonicalName(domain)
		if _, ok := dns.IsDomainName(domain); !ok || domain == "." {
			return nil, fmt.Errorf("dns: %q is no domain to answer for", domain)
		}
		s.domains = append(s.domains, domain)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.start(ctx); err != nil {
		return nil, fmt.Errorf("dns: %w", errors.Join(err, s.Close()))
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	for _, at := range s.config.Bind {
		if err := s.bind(ctx, at); err != nil {
			return err
		}
	}
	if err := s.Apply(s.config.Settings); err != nil {
		return err
	}
	for _, at := range s.sockets {
		for _, d := range []*dns.Server{
			{PacketConn: at.udp, Handler: face{s, false}, UDPSize: queryMaxSize},
			{Listener: listener{at.tcp, s.ctx}, Handler: face{s, true}},
		} {
			d.ReadTimeout = firstQuery
			d.IdleTimeout = func() time.Duration { return nextQuery }
			d.MsgAcceptFunc = accept
			if err := s.serve(d); err != nil {
				return err
			}
			s.servers = append(s.servers, d)
		}
	}
	return nil
}

func (s *Server) bind(ctx context.Context, address string) error {
	tcp, err := s.config.Network.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	s.sockets = append(s.sockets, socket{tcp: tcp})
	s.sockets[len(s.sockets)-1].udp, err = s.config.Network.ListenPacket(ctx, "udp", tcp.Addr().String())
	return err
}

// serve returns when d has begun to answer.
func (s *Server) serve(d *dns.Server) error {
	begun := make(chan error, 2)
	d.NotifyStartedFunc = func() { begun <- nil }
	s.wait.Go(func() {
		err := d.ActivateAndServe()
		begun <- err
		if err != nil && s.ctx.Err() == nil {
			s.config.Logger.Error("DNS is not answered any more", "error", err)
		}
	})
	return <-begun
}

// Apply replaces the settings. An error leaves them as they were.
func (s *Server) Apply(settings Settings) error {
	r, err := compile(settings)
	if err != nil {
		return err
	}
	for _, at := range r.recursors {
		if own, err := s.isOwn(at); err != nil {
			return err
		} else if own {
			return fmt.Errorf("recursors: %v is this server itself", at)
		}
	}
	s.rules.Store(r)
	return nil
}

// isOwn reports whether this server listens at an address.
func (s *Server) isOwn(at netip.AddrPort) (bool, error) {
	for _, b := range s.sockets {
		if own, err := s.reaches(at, addrPort(b.tcp.Addr())); own || err != nil {
			return own, err
		}
	}
	return false, nil
}

// reaches reports whether what is sent to an address comes to a socket that is bound.
func (s *Server) reaches(at, bound netip.AddrPort) (bool, error) {
	if at.Port() != bound.Port() {
		return false, nil
	}
	if at.Addr() == bound.Addr() || at.Addr().IsUnspecified() {
		return true, nil
	}
	if !bound.Addr().IsUnspecified() {
		return false, nil
	}
	if at.Addr().IsLoopback() {
		return true, nil
	}
	local, err := s.config.Network.Addrs()
	if err != nil {
		return false, fmt.Errorf("looking for own addresses: %w", err)
	}
	for _, a := range local {
		if a == at.Addr() {
			return true, nil
		}
	}
	return false, nil
}

// Addr is where the server listens; of several addresses, the first.
func (s *Server) Addr() netip.AddrPort { return addrPort(s.sockets[0].tcp.Addr()) }

func addrPort(a net.Addr) netip.AddrPort {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		panic("dns: a socket's address is not IP:PORT: " + a.String())
	}
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}

// Close ends the server and returns when nothing of it is left. Queries that are
// being answered may stay without an answer.
func (s *Server) Close() error {
	s.close.Do(func() {
		s.stop()
		var errs []error
		for _, d := range s.servers {
			errs = append(errs, d.Shutdown())
		}
		// Those that no server has come to own.
		for _, at := range s.sockets {
			errs = append(errs, closed(at.tcp.Close()))
			if at.udp != nil {
				errs = append(errs, closed(at.udp.Close()))
			}
		}
		s.wait.Wait()
		s.closeErr = errors.Join(errs...)
	})
	return s.closeErr
}

// closed forgives what was closed before.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// listener makes streams that end with the server and whose peers cannot hold up
// an answer for ever.
type listener struct {
	net.Listener
	ctx context.Context
}

// Accept pauses after an error: the library asks again at once, which would be
// all that an agent without free file descriptors does. When the server ends the error
// is one after which the library does not ask again.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		pause, cancel := context.WithTimeout(l.ctx, acceptPause)
		defer cancel()
		<-pause.Done()
		if l.ctx.Err() != nil {
			return nil, net.ErrClosed
		}
		return nil, err
	}
	return &stream{c, context.AfterFunc(l.ctx, func() { _ = c.Close() })}, nil
}

type stream struct {
	net.Conn
	release func() bool
}

// Write closes the stream if it fails: the library would go on with the next
// query, and part of an answer may be on its way.
func (s *stream) Write(b []byte) (int, error) {
	err := s.SetWriteDeadline(time.Now().Add(writeLimit))
	n := 0
	if err == nil {
		n, err = s.Conn.Write(b)
	}
	if err != nil {
		err = errors.Join(err, closed(s.Conn.Close()))
	}
	return n, err
}

func (s *stream) Close() error {
	s.release()
	return s.Conn.Close()
}
