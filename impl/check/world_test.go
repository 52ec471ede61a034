package check_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tribune/impl/api"
	"tribune/impl/check"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var here, there = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")

// report is what a check told.
type report struct {
	id, status, output string
	at                 time.Duration // since the world began
}

// world is an agent that checks, and another host.
type world struct {
	*testing.T
	net    *hosttest.Network
	config check.Config
	target host.Network
	began  time.Time
	heard  chan report
}

func inWorld(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := hosttest.NewNetwork()
		w := &world{T: t, net: n, began: time.Now(), heard: make(chan report, 1000)}
		w.target = n.Host("there", there, nil).Network()
		w.config = check.Config{
			Node: "here", Network: n.Host("here", here, nil).Network(), Exec: hosttest.Commands(nil),
			Sink: w, Scripts: true, Logger: slog.New(slog.DiscardHandler),
		}
		f(w)
		synctest.Wait()
		if open := n.Conns(here); open != 0 {
			t.Errorf("%d connections are left open", open)
		}
	})
}

// UpdateCheck implements check.Sink.
func (w *world) UpdateCheck(id, status, output string) {
	w.heard <- report{id, status, output, time.Since(w.began)}
}

func (w *world) start(d api.CheckDefinition) *check.Check {
	w.Helper()
	if d.CheckID == "" {
		d.CheckID = "c"
	}
	k, err := w.config.Start(d)
	if err != nil {
		w.Fatal(err)
	}
	return k
}

// first starts a check and returns what it tells first, and how long that look took.
func (w *world) first(d api.CheckDefinition) report {
	w.Helper()
	if d.TTL == 0 && d.AliasNode == "" && d.AliasService == "" {
		d.Interval = 10 * time.Second
	}
	k := w.start(d)
	defer k.Stop()
	return <-w.heard
}

func (w *world) want(got report, status, output string) {
	w.Helper()
	if got.status != status || got.output != output {
		w.Errorf("%s %q; want %s %q", got.status, got.output, status, output)
	}
}

// silent demands that nothing more has been told.
func (w *world) silent() {
	w.Helper()
	synctest.Wait()
	select {
	case r := <-w.heard:
		w.Errorf("told: %+v", r)
	default:
	}
}

// promptly demands that a check stops without time passing, and tells nothing then.
func (w *world) promptly(k *check.Check) {
	w.Helper()
	began := time.Now()
	k.Stop()
	if took := time.Since(began); took != 0 {
		w.Errorf("stopping took %v", took)
	}
	w.silent()
}

func (w *world) listen(address string) net.Listener {
	w.Helper()
	l, err := w.target.Listen(w.Context(), "tcp", address)
	if err != nil {
		w.Fatal(err)
	}
	return l
}

// serve serves HTTP on the other host; with a certificate, over TLS.
func (w *world) serve(address string, h http.HandlerFunc, certificates ...tls.Certificate) {
	w.Helper()
	l := w.listen(address)
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if len(certificates) == 0 {
			_ = s.Serve(l)
		} else {
			s.TLSConfig = &tls.Config{Certificates: certificates}
			_ = s.ServeTLS(l, "", "")
		}
	}()
	w.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.Error(err)
		}
		<-done
	})
}

// accept takes connections on the other host and says nothing on them.
func (w *world) accept(address string) {
	l := w.listen(address)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, c) // until the other end closes
			_ = c.Close()
		}
	}()
	w.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

// certificate makes a certificate for web.test and the other host's address, and a
// pool that trusts it.
func (w *world) certificate() (tls.Certificate, *x509.CertPool) {
	w.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"web.test"}, IPAddresses: []net.IP{there.AsSlice()}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		w.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		w.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, pool
}

// commands makes the agent run a function for each command.
func (w *world) commands(f hosttest.Commands) { w.config.Exec = f }

// exits is a command that ends at once.
func exits(status int, output string) hosttest.Commands {
	return func(_ context.Context, c host.Command) (int, error) {
		_, err := io.WriteString(c.Stdout, output)
		return status, err
	}
}
