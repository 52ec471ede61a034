package simnet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tribune/netmodel"
	"tribune/sim/detrt"
	"tribune/sim/event"
	"tribune/sim/simnet"
	"tribune/sim/trace"
)

type ignore struct{}

func (ignore) Record(trace.Event) {}

// inBubble runs f in a bubble in which an agenda runs.
func inBubble(t *testing.T, f func(t *testing.T, loop *event.Loop)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		loop := event.New(detrt.Nanos)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { loop.Run(ctx, nil); close(ended) }()
		f(t, loop)
		cancel()
		<-ended
	})
}

// world runs f with a network of the hosts a, b and c.
func world(t *testing.T, seed uint64, model netmodel.Model, f func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack)) {
	t.Helper()
	inBubble(t, func(t *testing.T, loop *event.Loop) {
		n := simnet.New(loop, ignore{}, seed, model)
		hosts := map[string]*simnet.Stack{}
		for i, name := range []string{"a", "b", "c"} {
			hosts[name] = n.AddHost(name, netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}))
		}
		f(t, n, hosts)
	})
}

func dial(t *testing.T, s *simnet.Stack, address string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := s.Dial(ctx, "tcp", address)
	if err != nil {
		t.Fatalf("dial %s: %v", address, err)
	}
	return c
}

func listen(t *testing.T, s *simnet.Stack, address string) net.Listener {
	t.Helper()
	l, err := s.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("listen on %s: %v", address, err)
	}
	return l
}

// transfer sends what from b to a and returns what arrived.
func transfer(t *testing.T, hosts map[string]*simnet.Stack, what []byte) ([]byte, error) {
	t.Helper()
	l := listen(t, hosts["a"], ":80")
	type result struct {
		got []byte
		err error
	}
	received := make(chan result)
	go func() {
		c, err := l.Accept()
		if err != nil {
			received <- result{nil, err}
			return
		}
		got, err := io.ReadAll(c)
		_ = c.Close()
		received <- result{got, err}
	}()
	c := dial(t, hosts["b"], "a:80")
	for part := range slices.Chunk(what, 7001) {
		if _, err := c.Write(part); err != nil {
			t.Errorf("write: %v", err)
		}
	}
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	r := <-received
	_ = l.Close()
	return r.got, r.err
}

func bytes16(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 31 >> 3)
	}
	return b
}

func TestAStreamArrivesWholeThroughLossReorderingAndDuplication(t *testing.T) {
	for seed := range uint64(5) {
		world(t, seed, netmodel.WAN(), func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack) {
			n.Add(simnet.Lose("loss", nil, netmodel.Bernoulli(0.2)))
			n.Add(simnet.Duplicate("twice", nil, 0.2, 50*time.Millisecond))
			n.Add(simnet.Reorder("late", nil, 0.3, 200*time.Millisecond))
			sent := bytes16(1 << 20)
			got, err := transfer(t, hosts, sent)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("seed %d: %d of %d bytes arrived, error %v", seed, len(got), len(sent), err)
			}
		})
	}
}

func TestAStreamStallsInAPartitionAndGoesOnAfterIt(t *testing.T) {
	world(t, 1, netmodel.LAN(), func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack) {
		remove := n.Add(simnet.Block("cut", simnet.Between([]string{"a"}, []string{"b"})))
		time.AfterFunc(4*time.Second, remove)
		start := time.Now()
		got, err := transfer(t, hosts, []byte("hello"))
		if err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
		if took := time.Since(start); took < 4*time.Second {
			t.Errorf("it took %v, less than the partition", took)
		}
	})
}

func TestErrorsAreThoseOfPackageNet(t *testing.T) {
	world(t, 1, netmodel.LAN(), func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack) {
		ctx := t.Context()
		if _, err := hosts["b"].Dial(ctx, "tcp", "a:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
		l := listen(t, hosts["a"], "10.0.0.1:80")
		if _, err := hosts["a"].Listen(ctx, "tcp", ":80"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("address in use: %v", err)
		}
		if _, err := hosts["a"].Listen(ctx, "tcp", "10.0.0.9:80"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("another's address: %v", err)
		}
		c := dial(t, hosts["b"], "10.0.0.1:80")
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		_, err := c.Read(make([]byte, 1))
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("read past the deadline: %v", err)
		}
		_ = c.Close()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
		_ = l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after close: %v", err)
		}
		n.Add(simnet.Block("cut", simnet.Between([]string{"a"}, []string{"b"})))
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := hosts["b"].Dial(short, "tcp", "a:80"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("dial into a partition: %v", err)
		}
	})
}

func TestACrashedHostAnswersWithAResetWhenItIsBack(t *testing.T) {
	world(t, 1, netmodel.LAN(), func(t *testing.T, _ *simnet.Network, hosts map[string]*simnet.Stack) {
		listen(t, hosts["a"], ":80")
		c := dial(t, hosts["b"], "a:80")
		hosts["a"].Crash()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Errorf("a write to a host that is down is buffered: %v", err)
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a host that is down says nothing: %v", err)
		}
		hosts["a"].Reopen()
		_ = c.SetReadDeadline(time.Time{})
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a host that is back does not know the stream: %v", err)
		}
	})
}

func TestAKilledProcessEndsItsStreams(t *testing.T) {
	world(t, 1, netmodel.LAN(), func(t *testing.T, _ *simnet.Network, hosts map[string]*simnet.Stack) {
		l := listen(t, hosts["a"], ":80")
		c := dial(t, hosts["b"], "a:80")
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		hosts["a"].Kill()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read from a killed process: %v", err)
		}
		if _, err := hosts["b"].Dial(t.Context(), "tcp", "a:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial to a killed process: %v", err)
		}
	})
}

func TestAResetEndsAllStreamsOfAHost(t *testing.T) {
	world(t, 1, netmodel.LAN(), func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack) {
		listen(t, hosts["a"], ":80")
		listen(t, hosts["c"], ":80")
		conns := []net.Conn{dial(t, hosts["b"], "a:80"), dial(t, hosts["c"], "a:80"), dial(t, hosts["a"], "a:80"), dial(t, hosts["b"], "c:80")}
		if reset := n.ResetConns("a"); reset != 3 {
			t.Errorf("%d streams were reset", reset)
		}
		for i, c := range conns {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.Read(make([]byte, 1)); errors.Is(err, syscall.ECONNRESET) == (i == 3) {
				t.Errorf("stream %d, from %s to %s: %v", i, c.LocalAddr(), c.RemoteAddr(), err)
			}
		}
	})
}

func TestAHalfOpenStreamEndsByKeepalive(t *testing.T) {
	world(t, 1, netmodel.LAN(), func(t *testing.T, _ *simnet.Network, hosts map[string]*simnet.Stack) {
		listen(t, hosts["a"], ":80")
		c := dial(t, hosts["b"], "a:80")
		hosts["a"].Crash()
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("read: %v", err)
		}
		if took := time.Since(start); took < 2*time.Minute || took > 4*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func TestASlowReaderHoldsTheWriterBack(t *testing.T) {
	world(t, 1, netmodel.LAN(), func(t *testing.T, _ *simnet.Network, hosts map[string]*simnet.Stack) {
		l := listen(t, hosts["a"], ":80")
		c := dial(t, hosts["b"], "a:80")
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
		n, err := c.Write(make([]byte, 8<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) || n > 1<<20 {
			t.Errorf("nobody reads, and %d bytes were written: %v", n, err)
		}
		got := make(chan int64)
		go func() {
			m, _ := io.Copy(io.Discard, s)
			got <- m
		}()
		_ = c.SetWriteDeadline(time.Time{})
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			t.Errorf("the reader reads again: %v", err)
		}
		_ = c.Close()
		if m := <-got; m != int64(n+1<<20) {
			t.Errorf("%d bytes arrived of %d", m, n+1<<20)
		}
	})
}

func TestHTTPWorksWithKeepalive(t *testing.T) {
	world(t, 1, netmodel.LAN(), func(t *testing.T, _ *simnet.Network, hosts map[string]*simnet.Stack) {
		l := listen(t, hosts["a"], ":80")
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello %s", r.URL.Path) })}
		served := make(chan error)
		go func() { served <- srv.Serve(l) }()
		tr := &http.Transport{DialContext: hosts["b"].Dial}
		client := http.Client{Transport: tr}
		for i := range 50 {
			r, err := client.Get(fmt.Sprintf("http://a/%d", i))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(r.Body)
			_ = r.Body.Close()
			if want := fmt.Sprintf("hello /%d", i); string(b) != want {
				t.Errorf("got %q", b)
			}
		}
		tr.CloseIdleConnections()
		_ = srv.Close()
		<-served
	})
}

func TestDatagramsArriveOrAreLostWhole(t *testing.T) {
	world(t, 3, netmodel.LAN(), func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack) {
		pa, err := hosts["a"].ListenPacket(t.Context(), "udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		pb, err := hosts["b"].ListenPacket(t.Context(), "udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.1:53"))
		remove := n.Add(simnet.Lose("half", simnet.Of(simnet.UDP, nil), netmodel.Bernoulli(0.5)))
		for i := range 1000 {
			if _, err := pb.WriteTo([]byte{byte(i), byte(i >> 8), 'x'}, to); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		remove()
		got := 0
		for buffer := make([]byte, 10); ; got++ {
			_ = pa.SetReadDeadline(time.Now().Add(time.Second))
			m, _, err := pa.ReadFrom(buffer)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil || m != 3 || buffer[2] != 'x' {
				t.Fatalf("%q, %v", buffer[:m], err)
			}
		}
		if got < 420 || got > 580 {
			t.Errorf("%d of 1000 arrived through a loss of one half", got)
		}
		if _, err := pb.WriteTo(make([]byte, 70000), to); !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("a datagram that no packet can hold: %v", err)
		}
	})
}

// arrivals returns when the datagrams that a and c send to b, one each every
// millisecond, arrive there.
func arrivals(t *testing.T, seed uint64, rules []simnet.Rule) map[string][]string {
	got := map[string][]string{}
	world(t, seed, netmodel.WAN(), func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack) {
		for _, r := range rules {
			n.Add(r)
		}
		at, err := hosts["b"].ListenPacket(t.Context(), "udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []string{"a", "c"} {
			c, err := hosts[from].Dial(t.Context(), "udp", "b:53")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for i := range 50 {
					_, _ = c.Write([]byte{from[0], byte(i)}) // what is lost is the point
					time.Sleep(time.Millisecond)
				}
				_ = c.Close()
			}()
		}
		start := time.Now()
		_ = at.SetReadDeadline(start.Add(time.Minute))
		for b := make([]byte, 10); ; {
			if _, _, err := at.ReadFrom(b); err != nil {
				break
			}
			got[string(b[:1])] = append(got[string(b[:1])], fmt.Sprint(b[1], time.Since(start)))
		}
		_ = at.Close()
	})
	return got
}

// TestWhatARuleDoesToOneLinkIsNothingToTheOthers adds rules that concern one link,
// and rules that are taken away again before any packet.
func TestWhatARuleDoesToOneLinkIsNothingToTheOthers(t *testing.T) {
	onlyA := simnet.Between([]string{"a"}, []string{"b"})
	everywhere := []simnet.Rule{
		simnet.Lose("loss", nil, netmodel.Bernoulli(0.1)),
		simnet.Reorder("reorder", nil, 0.3, 20*time.Millisecond),
	}
	for seed := range uint64(20) {
		want := arrivals(t, seed, everywhere)
		for _, r := range []simnet.Rule{
			simnet.Block("cut", onlyA),
			simnet.Lose("more loss", onlyA, netmodel.Bernoulli(0.5)),
			simnet.Slow("slow", onlyA, netmodel.LogNormal(time.Second, 0.5)),
			simnet.Duplicate("double", onlyA, 0.5, time.Second),
		} {
			got := arrivals(t, seed, slices.Concat([]simnet.Rule{r}, everywhere))
			if !slices.Equal(got["c"], want["c"]) {
				t.Errorf("seed %d: with %q from a to b, from c to b\n%v\nwant\n%v", seed, r.Name, got["c"], want["c"])
			}
			if slices.Equal(got["a"], want["a"]) {
				t.Errorf("seed %d: %q does nothing", seed, r.Name)
			}
		}
	}
}

// TestWhatOneRuleDropsIsNothingToTheDrawsOfTheNext has a rule before another, which drops
// packets in turn with letting them pass.
func TestWhatOneRuleDropsIsNothingToTheDrawsOfTheNext(t *testing.T) {
	for seed := range uint64(20) {
		loss := simnet.Lose("loss", nil, netmodel.Bernoulli(0.3))
		alone := arrivals(t, seed, []simnet.Rule{loss})
		both := arrivals(t, seed, []simnet.Rule{simnet.Flap("flap", nil, 0, 10*time.Millisecond, 20*time.Millisecond), loss})
		for from, got := range both {
			if len(got) == 0 || len(got) >= len(alone[from]) {
				t.Errorf("seed %d: of %d packets the flap lets %d pass", seed, len(alone[from]), len(got))
			}
			for _, one := range got {
				if !slices.Contains(alone[from], one) {
					t.Errorf("seed %d: from %s arrives %s, which is lost without the flap", seed, from, one)
				}
			}
		}
	}
}

func TestAFlapBeginsWithItsDownPart(t *testing.T) {
	for _, since := range []time.Duration{0, 3 * time.Millisecond, 17 * time.Millisecond} {
		flap := simnet.Flap("flap", nil, since, 10*time.Millisecond, 30*time.Millisecond)
		judge := flap.Start()
		for at := since; at < since+time.Second; at += time.Millisecond {
			down := (at-since)%(30*time.Millisecond) < 10*time.Millisecond
			if got := !reflect.DeepEqual(judge(nil, at, nil), simnet.Pass()); got != down {
				t.Fatalf("a flap since %v is down at %v: %t", since, at, got)
			}
		}
	}
}
