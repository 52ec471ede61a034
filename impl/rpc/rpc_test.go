package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tribune/impl/fault"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
	"tribune/impl/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Question and Answer are a request and its answer.
type Question struct {
	Text string
	Body []byte
	Wait time.Duration
	Fail fault.Kind
}

type Answer struct {
	Text string
	Body []byte
	List []string
}

// pair is a server and a client on two hosts.
type pair struct {
	net    *hosttest.Network
	port   *rpc.Port
	server *rpc.Server
	far    *rpc.Port
	client *rpc.Client
	mu     sync.Mutex
	asked  int
}

func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

func at(i int) netip.AddrPort { return netip.AddrPortFrom(addr(i), 8300) }

func listen(t *testing.T, n host.Network, at netip.AddrPort) *rpc.Port {
	t.Helper()
	p, err := rpc.Listen(t.Context(), n, at.String(), at, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func open(t *testing.T) *pair {
	t.Helper()
	p := &pair{net: hosttest.NewNetwork()}
	p.serve(t)
	there := p.net.Host("b", addr(2), nil).Network()
	p.far = listen(t, there, at(2))
	p.client = rpc.NewClient(there)
	return p
}

func (p *pair) serve(t *testing.T) {
	t.Helper()
	p.port = listen(t, p.net.Host("a", addr(1), nil).Network(), at(1))
	p.server = rpc.Serve(p.port, rpc.Handle("Echo", p.echo))
}

func (p *pair) echo(ctx context.Context, q Question) (Answer, error) {
	p.mu.Lock()
	p.asked++
	p.mu.Unlock()
	if q.Fail != fault.Internal {
		return Answer{}, fmt.Errorf("echo: %w", fault.New(q.Fail, "refused: %s", q.Text))
	}
	select {
	case <-time.After(q.Wait):
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
	return Answer{q.Text, q.Body, strings.Fields(q.Text)}, nil
}

func (p *pair) call(ctx context.Context, q Question) (Answer, error) {
	return rpc.Call[Answer](ctx, p.client, at(1).String(), "Echo", q)
}

func (p *pair) stopServer(t *testing.T) {
	t.Helper()
	p.server.Close()
	if err := p.port.Close(); err != nil {
		t.Error(err)
	}
}

func (p *pair) close(t *testing.T) {
	t.Helper()
	if err := errors.Join(p.client.Close(), p.far.Close()); err != nil {
		t.Error(err)
	}
	p.stopServer(t)
}

func TestACallBringsRequestAndAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		defer p.close(t)
		for _, q := range []Question{
			{Text: "two words", Body: []byte{0, 1, 255}},
			{},
			{Text: "large", Body: bytes.Repeat([]byte("0123456789"), 500_000)},
		} {
			a, err := p.call(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if a.Text != q.Text || !bytes.Equal(a.Body, q.Body) || (a.Body == nil) != (q.Body == nil) || len(a.List) != len(strings.Fields(q.Text)) {
				t.Errorf("%q with %d bytes came back as %q with %d bytes, %q", q.Text, len(q.Body), a.Text, len(a.Body), a.List)
			}
		}
	})
}

func TestEveryKindAndTextSurvivesTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		defer p.close(t)
		for k := fault.Internal + 1; k.Valid(); k++ {
			_, err := p.call(t.Context(), Question{Text: "ä\n%", Fail: k})
			if fault.Of(err) != k || err.Error() != "echo: refused: ä\n%" {
				t.Errorf("%v arrived as %v: %v", k, fault.Of(err), err)
			}
		}
	})
}

func TestARequestThatSurelyWasNotSentIsToldFromOneThatMayHaveBeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		defer p.close(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.call(ctx, Question{Wait: time.Minute}); fault.Of(err) != fault.Unknown {
			t.Errorf("the deadline passed while the server worked: %v: %v", fault.Of(err), err)
		}
		if _, err := rpc.Call[Answer](t.Context(), p.client, at(3).String(), "Echo", Question{}); fault.Of(err) != fault.Unavailable {
			t.Errorf("nobody listens: %v: %v", fault.Of(err), err)
		}
		if _, err := rpc.Call[Answer](t.Context(), p.client, at(1).String(), "Sing", Question{}); fault.Of(err) != fault.Invalid {
			t.Errorf("no such method: %v: %v", fault.Of(err), err)
		}
		if err := p.client.Keep(nil); err != nil {
			t.Fatal(err)
		}
		p.net.Cut(addr(1))
		if _, err := p.call(t.Context(), Question{}); fault.Of(err) != fault.Unavailable {
			t.Errorf("no way to the server: %v: %v", fault.Of(err), err)
		}
		p.net.Mend(addr(1))
	})
}

func TestAServerThatGoesAwayLeavesTheOutcomeOpenAndIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		defer p.close(t)
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := p.call(t.Context(), Question{Wait: time.Minute}); fault.Of(err) == fault.Unavailable || err == nil {
				t.Errorf("the server went away while it worked: %v: %v", fault.Of(err), err)
			}
		})
		time.Sleep(time.Second)
		p.stopServer(t)
		wait.Wait()
		time.Sleep(time.Second)
		if _, err := p.call(t.Context(), Question{}); fault.Of(err) != fault.Unavailable {
			t.Errorf("the server is gone: %v: %v", fault.Of(err), err)
		}
		p.serve(t)
		time.Sleep(2 * time.Second)
		if _, err := p.call(t.Context(), Question{}); err != nil {
			t.Errorf("two seconds after the server came back: %v", err)
		}
	})
}

func TestAHalfOpenConnectionIsNoticedWithinKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		defer p.close(t)
		if _, err := p.call(t.Context(), Question{}); err != nil {
			t.Fatal(err)
		}
		p.net.Cut(addr(1))
		defer p.net.Mend(addr(1))
		start := time.Now()
		_, err := p.call(t.Context(), Question{})
		if fault.Of(err) != fault.Unknown {
			t.Errorf("%v: %v", fault.Of(err), err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("it took %v to notice", took)
		}
	})
}

func TestClosingTheServerCancelsAndAwaitsItsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		var wait sync.WaitGroup
		for range 10 {
			wait.Go(func() {
				if _, err := p.call(t.Context(), Question{Wait: time.Hour}); err == nil {
					t.Error("answered")
				}
			})
		}
		time.Sleep(time.Second)
		start := time.Now()
		p.stopServer(t)
		wait.Wait()
		if took := time.Since(start); took > time.Second {
			t.Errorf("closing took %v", took)
		}
		if p.asked != 10 {
			t.Errorf("%d requests were asked, not 10: some were sent twice", p.asked)
		}
		if err := errors.Join(p.client.Close(), p.far.Close()); err != nil {
			t.Error(err)
		}
		if _, err := p.call(t.Context(), Question{}); fault.Of(err) != fault.Unavailable {
			t.Errorf("a closed client: %v: %v", fault.Of(err), err)
		}
	})
}

func TestKeepEndsTheConnectionsToAllOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		defer p.close(t)
		if _, err := p.call(t.Context(), Question{}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			keep []string
			want int
		}{{[]string{at(1).String()}, 1}, {[]string{at(3).String()}, 0}} {
			if err := p.client.Keep(c.keep); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if n := p.net.Conns(addr(1)); n != c.want {
				t.Errorf("kept %q: %d connections, want %d", c.keep, n, c.want)
			}
		}
		if _, err := p.call(t.Context(), Question{}); err != nil {
			t.Errorf("a server asked again: %v", err)
		}
	})
}

func TestThePortToldApartByTheFirstByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		defer p.close(t)
		out, err := p.far.Raft().Dial("10.0.0.1:8300", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		in, err := p.port.Raft().Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte("vote")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4)
		if _, err := io.ReadFull(in, b); err != nil || string(b) != "vote" {
			t.Errorf("raft got %q, %v", b, err)
		}
		if got := p.port.Raft().Addr().String(); got != "10.0.0.1:8300" {
			t.Errorf("raft is told its address is %s", got)
		}
		for _, first := range []string{"\x02", "G", "\x00", ""} {
			c, err := p.net.Host("c", addr(3), nil).Network().Dial(t.Context(), "tcp", at(1).String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte(first)); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if _, err := c.Read(b); err != io.EOF {
				t.Errorf("first byte %q: %v, want the connection closed", first, err)
			}
			if took := time.Since(start); (took == 0) != (first != "") || took > 5*time.Second {
				t.Errorf("first byte %q: closed after %v", first, took)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestClosingThePortEndsRaftsConnectionsBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		out, err := p.far.Raft().Dial("10.0.0.1:8300", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		in, err := p.port.Raft().Accept()
		if err != nil {
			t.Fatal(err)
		}
		p.close(t)
		for _, c := range []io.Reader{out, in} {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("a connection outlived its port")
			}
		}
		if n := p.net.Conns(addr(1)) + p.net.Conns(addr(2)); n != 0 {
			t.Errorf("%d connections are still open", n)
		}
		if _, err := p.far.Raft().Dial("10.0.0.1:8300", time.Second); err == nil {
			t.Error("a closed port dials")
		}
		l := p.port.Raft()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := l.Accept(); err == nil {
			t.Error("a closed layer accepts")
		}
	})
}

func TestAMutedPortHasNoRaftConnectionsAndAnswersAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		defer p.close(t)
		out, err := p.far.Raft().Dial("10.0.0.1:8300", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.port.Raft().Accept(); err != nil {
			t.Fatal(err)
		}
		p.port.MuteRaft(true)
		if _, err := out.Read(make([]byte, 1)); err == nil {
			t.Error("a raft connection goes on")
		}
		if _, err := p.port.Raft().Dial("10.0.0.2:8300", time.Second); err == nil {
			t.Error("it dials")
		}
		again, err := p.far.Raft().Dial("10.0.0.1:8300", time.Second)
		if err == nil {
			_, err = again.Read(make([]byte, 1))
		}
		if err == nil {
			t.Error("it takes a raft connection")
		}
		if _, err := p.call(t.Context(), Question{}); err != nil {
			t.Errorf("a request: %v", err)
		}
		p.port.MuteRaft(false)
		if _, err := p.far.Raft().Dial("10.0.0.1:8300", time.Second); err != nil {
			t.Error(err)
		}
		if _, err := p.port.Raft().Accept(); err != nil {
			t.Error(err)
		}
	})
}

func TestAPeerWithTooManyConnectionsGetsNoMoreUnlessOneIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		defer p.close(t)
		dial := func(from int) io.ReadWriter {
			c, err := p.net.Host("c", addr(from), nil).Network().Dial(t.Context(), "tcp", at(1).String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte{1}); err != nil {
				t.Fatal(err)
			}
			if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return c
		}
		layer := p.port.Raft()
		other := dial(4)
		var conns []io.ReadWriter
		for range 100 {
			conns = append(conns, dial(3))
		}
		var ends []io.Reader
		for range 101 {
			in, err := layer.Accept()
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, in)
		}
		synctest.Wait()
		late := dial(3)
		if _, err := late.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("one more while all have just spoken: %v", err)
		}
		time.Sleep(30 * time.Second)
		// The first speaks again; the second is now silent longest.
		if _, err := conns[0].Write([]byte{7}); err != nil {
			t.Fatal(err)
		}
		for _, in := range ends {
			go func() { _, _ = in.Read(make([]byte, 1)) }()
		}
		synctest.Wait()
		dial(3)
		synctest.Wait()
		if n := p.net.Conns(addr(1)); n != 101 {
			t.Errorf("the port has %d connections, want 101", n)
		}
		if _, err := conns[1].Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the silent connection: %v", err)
		}
		for _, c := range []io.ReadWriter{conns[0], conns[2], other} {
			if _, err := c.Write([]byte{7}); err != nil {
				t.Errorf("another connection was dropped: %v", err)
			}
		}
	})
}

func TestAPortInUseIsAnErrorThatNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		defer p.close(t)
		_, err := rpc.Listen(t.Context(), p.net.Host("a", addr(1), nil).Network(), at(1).String(), at(1), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "the server port 10.0.0.1:8300") {
			t.Errorf("%v", err)
		}
	})
}
