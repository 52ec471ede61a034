package connlimit_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tribune/impl/connlimit"
	"tribune/impl/host"
	"tribune/impl/host/hosttest"
	"tribune/impl/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server behind a limit, in a bubble.
type world struct {
	*testing.T
	net     *hosttest.Network
	limit   *connlimit.Limit
	metrics *metrics.Registry
	log     strings.Builder
}

func inWorld(t *testing.T, s connlimit.Settings, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, net: hosttest.NewNetwork(), metrics: metrics.New()}
		w.limit = connlimit.New(s, slog.New(slog.NewTextHandler(&w.log, nil)), w.metrics)
		ln, err := w.host(server).Network().Listen(t.Context(), "tcp", "0.0.0.0:80")
		if err != nil {
			t.Fatal(err)
		}
		web := &http.Server{
			ConnContext: connlimit.ConnContext,
			Handler:     connlimit.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })),
		}
		done := make(chan error)
		go func() { done <- web.Serve(w.limit.Listener(ln)) }()
		f(w)
		if err := web.Close(); err != nil {
			t.Error(err)
		}
		<-done
		synctest.Wait()
		if n := w.limit.Open(); n != 0 {
			t.Errorf("%d connections count after all are closed", n)
		}
	})
}

func (w *world) host(at string) host.Host {
	return w.net.Host("h", netip.MustParseAddr(at), hosttest.NewDisk())
}

const server, one, other, near = "10.0.0.1", "10.0.0.2", "10.0.0.3", "127.0.0.1"

// dial connects to the server from an address.
func (w *world) dial(from string) net.Conn {
	w.Helper()
	c, err := w.host(from).Network().Dial(w.Context(), "tcp", server+":80")
	if err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
	return c
}

// ask sends a request and returns the status and the text of the answer, 0 if there
// is none.
func (w *world) ask(c net.Conn) (*http.Response, string) {
	w.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return &http.Response{}, ""
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return &http.Response{}, ""
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.Fatal(err)
	}
	return r, string(b)
}

func (w *world) close(c net.Conn) {
	w.Helper()
	if err := c.Close(); err != nil {
		w.Error(err)
	}
	synctest.Wait()
}

func TestAConnectionOverTheLimitIsToldSo(t *testing.T) {
	inWorld(t, connlimit.Settings{Max: 2}, func(w *world) {
		first, second, third, elsewhere := w.dial(one), w.dial(one), w.dial(one), w.dial(other)
		r, text := w.ask(third)
		if r.StatusCode != 429 || r.Header.Get("Retry-After") != "1" || !r.Close || !strings.Contains(text, "the agent allows 2 (limits.http_max_conns_per_client)") {
			w.Errorf("%+v %s", r, text)
		}
		for _, c := range []net.Conn{first, second, elsewhere, first} {
			if r, text := w.ask(c); r.StatusCode != 200 || text != "fine" {
				w.Errorf("%d %s", r.StatusCode, text)
			}
		}
		w.close(second)
		again := w.dial(one)
		if r, _ := w.ask(again); r.StatusCode != 200 {
			w.Errorf("in the place of one that closed: %d", r.StatusCode)
		}
		over := w.dial(one)
		if r, _ := w.ask(over); r.StatusCode != 429 {
			w.Errorf("over the limit again: %d", r.StatusCode)
		}
		var shown strings.Builder
		if err := w.metrics.WriteText(&shown); err != nil || !strings.Contains(shown.String(), "consul_http_connections 3\n") || !strings.Contains(shown.String(), "consul_http_connections_refused 2\n") {
			w.Error(shown.String(), err)
		}
		if got := w.log.String(); strings.Count(got, "client=10.0.0.2 limit=2") != 1 || strings.Count(got, "\n") != 1 {
			w.Errorf("the log says\n%s", got)
		}
		for _, c := range []net.Conn{first, third, again, over, elsewhere} {
			w.close(c)
		}
	})
}

func TestTheLogSaysOnceThatAClientIsOverTheLimitUntilItHasBeenWellBelow(t *testing.T) {
	inWorld(t, connlimit.Settings{Max: 4}, func(w *world) {
		var open []net.Conn
		says := func(what string, want int) {
			w.Helper()
			if got := w.log.String(); strings.Count(got, "\n") != want {
				w.Errorf("%s: the log says\n%s", what, got)
			}
		}
		over := func() {
			for len(open) < 4 {
				open = append(open, w.dial(one))
			}
			c := w.dial(one)
			if r, _ := w.ask(c); r.StatusCode != 429 {
				w.Errorf("over the limit: %d", r.StatusCode)
			}
			w.close(c)
		}
		down := func(to int) {
			for ; len(open) > to; open = open[1:] {
				w.close(open[0])
			}
		}
		for range 20 {
			over()
			down(2)
		}
		says("it stays around the limit", 1)
		down(1)
		over()
		says("it was well below", 2)
		down(0)
		over()
		says("it was gone", 3)
		down(0)
	})
}

func TestWhoeverOpensMoreAndMoreIsHungUpOn(t *testing.T) {
	inWorld(t, connlimit.Settings{Max: 1}, func(w *world) {
		var all []net.Conn
		for range 12 {
			all = append(all, w.dial(one))
		}
		if r, _ := w.ask(all[11]); r.StatusCode != 0 {
			w.Errorf("the last one is answered: %d", r.StatusCode)
		}
		if r, _ := w.ask(all[10]); r.StatusCode != 429 {
			w.Errorf("the one before: %d", r.StatusCode)
		}
		for _, c := range all {
			w.close(c)
		}
	})
}

func TestClientsOnTheSameMachineMayBeExempt(t *testing.T) {
	for _, exempt := range []bool{false, true} {
		inWorld(t, connlimit.Settings{Max: 1, ExemptLoopback: exempt}, func(w *world) {
			far, farther := w.dial(one), w.dial(one)
			if r, _ := w.ask(farther); r.StatusCode != 429 {
				w.Errorf("from elsewhere: %d", r.StatusCode)
			}
			first, second := w.dial(near), w.dial(near)
			if r, _ := w.ask(second); (r.StatusCode == 200) != exempt {
				w.Errorf("from the same machine: %d", r.StatusCode)
			}
			for _, c := range []net.Conn{far, farther, first, second} {
				w.close(c)
			}
		})
	}
}

func TestTheLimitChangesWhileItRunsAndZeroIsNone(t *testing.T) {
	inWorld(t, connlimit.Settings{Max: 0}, func(w *world) {
		first, second := w.dial(one), w.dial(one)
		w.limit.Set(connlimit.Settings{Max: 1})
		third := w.dial(one)
		for c, want := range map[net.Conn]int{first: 200, second: 200, third: 429} {
			if r, _ := w.ask(c); r.StatusCode != want {
				w.Errorf("%d, want %d", r.StatusCode, want)
			}
			w.close(c)
		}
	})
}

// TestConnectionsAreCountedExactly opens and closes connections of three clients in
// whatever order and compares with a count of its own.
func TestConnectionsAreCountedExactly(t *testing.T) {
	const most = 3
	rapid.Check(t, func(rt *rapid.T) {
		open := [3][]*pipe{}
		l := connlimit.New(connlimit.Settings{Max: most}, slog.New(slog.DiscardHandler), metrics.New())
		source := &pipes{}
		ln := l.Listener(source)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			i := rapid.IntRange(0, 2).Draw(rt, "client")
			if mine := open[i]; len(mine) > 0 && rapid.Bool().Draw(rt, "close") {
				n := rapid.IntRange(0, len(mine)-1).Draw(rt, "which")
				_ = mine[n].counted.Close()
				_ = mine[n].counted.Close() // twice is once
				open[i] = append(append([]*pipe{}, mine[:n]...), mine[n+1:]...)
				continue
			}
			p := &pipe{from: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 1)}
			source.next = p
			var err error
			if p.counted, err = ln.Accept(); err != nil {
				rt.Fatal(err)
			}
			ctx := context.Background()
			refused := connlimit.ConnContext(ctx, p.counted) != ctx
			if refused != (len(open[i]) >= most) {
				rt.Fatalf("client %d has %d; refused: %v", i, len(open[i]), refused)
			}
			if refused {
				_ = p.counted.Close()
			} else {
				open[i] = append(open[i], p)
			}
		}
		if got, want := l.Open(), len(open[0])+len(open[1])+len(open[2]); got != want {
			rt.Fatalf("%d are counted, %d are open", got, want)
		}
	})
}

// pipes is a listener that accepts what it is given.
type pipes struct {
	net.Listener
	next *pipe
}

func (p *pipes) Accept() (net.Conn, error) { return p.next, nil }

// pipe is a connection that does nothing.
type pipe struct {
	net.Conn
	from    netip.AddrPort
	counted net.Conn
}

func (p *pipe) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.from) }
func (p *pipe) Close() error         { return nil }
