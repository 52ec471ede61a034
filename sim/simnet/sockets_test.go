package simnet_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"tribune/netmodel"
	"tribune/sim/event"
	"tribune/sim/simnet"
	"tribune/sim/trace"
)

func TestSocketsAreListed(t *testing.T) {
	world(t, 1, netmodel.LAN(), func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack) {
		l := listen(t, hosts["b"], ":80")
		defer func() { _ = l.Close() }()
		p, err := hosts["b"].ListenPacket(t.Context(), "udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		c := dial(t, hosts["a"], "b:80")
		defer func() { _ = c.Close() }()
		time.Sleep(time.Second)
		remove := n.Add(simnet.Block("cut", nil))
		defer remove()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		local := c.LocalAddr().String()
		want := []simnet.Socket{
			{Protocol: "tcp", State: "listen", Local: "0.0.0.0:80", Unread: 1},
			{Protocol: "tcp", State: "established", Local: "10.0.0.2:80", Remote: local, Peer: "a"},
			{Protocol: "udp", State: "open", Local: "0.0.0.0:53"},
		}
		if got := hosts["b"].Sockets(); !slices.Equal(got, want) {
			t.Errorf("%+v", got)
		}
		want = []simnet.Socket{{Protocol: "tcp", State: "established", Local: local, Remote: "10.0.0.2:80", Peer: "b", Unsent: 5}}
		if got := hosts["a"].Sockets(); !slices.Equal(got, want) {
			t.Errorf("%+v", got)
		}
	})
}

// TestABrokenStreamIsTheProgramsUntilItClosesIt breaks streams of b and counts what b holds.
func TestABrokenStreamIsTheProgramsUntilItClosesIt(t *testing.T) {
	resets := func(n *simnet.Network, _ map[string]*simnet.Stack) { n.ResetConns("b") }
	for _, c := range []struct {
		name    string
		breaks  func(*simnet.Network, map[string]*simnet.Stack)
		release func(l net.Listener, dialled net.Conn, b *simnet.Stack)
		left    int // after that
	}{
		{"reset and closed", resets, func(_ net.Listener, dialled net.Conn, _ *simnet.Stack) { _ = dialled.Close() }, 1},
		{"reset before it was accepted", resets, func(l net.Listener, _ net.Conn, _ *simnet.Stack) { _ = l.Close() }, 1},
		{"reset and killed", resets, func(_ net.Listener, _ net.Conn, b *simnet.Stack) { b.Kill() }, 0},
		{"reset and crashed", resets, func(_ net.Listener, _ net.Conn, b *simnet.Stack) { b.Crash() }, 0},
		{"timed out and closed", func(_ *simnet.Network, hosts map[string]*simnet.Stack) {
			hosts["a"].Crash()
			time.Sleep(time.Hour)
		}, func(_ net.Listener, dialled net.Conn, _ *simnet.Stack) { _ = dialled.Close() }, 1},
	} {
		world(t, 1, netmodel.LAN(), func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack) {
			b := hosts["b"]
			listen(t, hosts["a"], ":80")
			l := listen(t, b, ":80")
			dialled := dial(t, b, "a:80")
			dial(t, hosts["a"], "b:80")
			time.Sleep(time.Second)
			c.breaks(n, hosts)
			broken := slices.DeleteFunc(b.Sockets(), func(s simnet.Socket) bool { return s.State != "broken" })
			if b.Streams() != 2 || len(broken) != 2 {
				t.Errorf("%s: b holds %d broken streams, and lists %+v", c.name, b.Streams(), broken)
			}
			c.release(l, dialled, b)
			if b.Streams() != c.left {
				t.Errorf("%s: in the end b holds %d streams, not %d", c.name, b.Streams(), c.left)
			}
		})
	}
}

func TestAFailedDialLeavesNoStream(t *testing.T) {
	world(t, 1, netmodel.LAN(), func(t *testing.T, _ *simnet.Network, hosts map[string]*simnet.Stack) {
		if c, err := hosts["b"].Dial(t.Context(), "tcp", "a:80"); err == nil {
			t.Errorf("%v was dialled, and nobody listens", c.RemoteAddr())
		}
		if got := hosts["b"].Streams(); got != 0 {
			t.Errorf("%d streams are left", got)
		}
	})
}

// resets records who has to do with a reset.
type resets []string

func (r *resets) Record(e trace.Event) {
	if e.Kind == trace.NetReset {
		*r = append(*r, fmt.Sprintf("%s: with %s %s", e.Node, e.Peer, e.Text))
	}
}

// TestAResetIsRecordedWhereAStreamIsLost has b dial a, which nobody there has read from.
func TestAResetIsRecordedWhereAStreamIsLost(t *testing.T) {
	for _, c := range []struct {
		name string
		ends func(n *simnet.Network, a *simnet.Stack, dialled net.Conn)
		want resets
	}{
		{"killed before it has read", func(_ *simnet.Network, a *simnet.Stack, _ net.Conn) { a.Kill() }, resets{"a: with b sent", "b: with a lost"}},
		{"after the other end was closed", func(_ *simnet.Network, a *simnet.Stack, dialled net.Conn) {
			_ = dialled.Close()
			time.Sleep(time.Second)
			a.Kill()
		}, resets{"a: with b sent"}},
		{"unknown to a host that is back", func(_ *simnet.Network, a *simnet.Stack, dialled net.Conn) {
			a.Crash()
			a.Reopen()
			_, _ = dialled.Write([]byte("more")) // what becomes of it is recorded
		}, resets{"b: with a lost"}},
		{"all of a host", func(n *simnet.Network, _ *simnet.Stack, _ net.Conn) { n.ResetConns("a") }, resets{"a: with b lost", "b: with a lost"}},
		{"a silence", func(_ *simnet.Network, a *simnet.Stack, _ net.Conn) {
			a.Crash()
			time.Sleep(time.Hour)
		}, nil},
	} {
		inBubble(t, func(t *testing.T, loop *event.Loop) {
			var got resets
			n := simnet.New(loop, &got, 1, netmodel.LAN())
			a, b := n.AddHost("a", netip.MustParseAddr("10.0.0.1")), n.AddHost("b", netip.MustParseAddr("10.0.0.2"))
			listen(t, a, ":80")
			dialled := dial(t, b, "a:80")
			if _, err := dialled.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			c.ends(n, a, dialled)
			time.Sleep(time.Second)
			if slices.Sort(got); !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, not %q", c.name, got, c.want)
			}
		})
	}
}
