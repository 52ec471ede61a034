//go:build linux && calibrate

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tribune/netmodel"
)

// nth loses one packet of the first direction in which one is sent.
type nth struct {
	lost    int
	started *bool
}

func (n nth) Start() netmodel.Chain {
	if *n.started {
		return netmodel.Bernoulli(0)
	}
	*n.started = true
	return &countdown{n.lost}
}

type countdown struct{ left int }

func (c *countdown) Lost(*rand.Rand) bool {
	c.left--
	return c.left == 0
}

// TestLinuxSendsAgainWhenTheModelSays asks the kernel what the test of the same cases
// in sim/simnet expects of the simulator.
func TestLinuxSendsAgainWhenTheModelSays(t *testing.T) {
	if why := unable(); why != "" {
		t.Skip(why)
	}
	const handshake = 2 // packets before the first with data
	for _, c := range []struct {
		name  string
		pause time.Duration
		lost  int
		want  time.Duration
	}{
		{"alone", 0, 1, 215 * time.Millisecond},
		{"before another", 20 * time.Millisecond, 1, 35 * time.Millisecond},
		{"after another", 4 * time.Millisecond, 2, 225 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			var took []time.Duration
			for range 9 {
				d, err := sendAgain(nth{handshake + c.lost, new(bool)}, c.pause)
				if err != nil {
					t.Fatal(err)
				}
				took = append(took, d)
			}
			t.Log(took)
			slices.Sort(took)
			// The machine adds something; the kernel's timers alone up to 4 ms.
			if d := took[len(took)/2]; d < c.want-time.Millisecond || d > c.want+15*time.Millisecond {
				t.Errorf("the last byte arrived after %v; the model says %v", d, c.want)
			}
		})
	}
}

// sendAgain writes one byte, or two with a pause between, over a link of 5 ms that
// loses one packet, and returns when the last could be read.
func sendAgain(loss netmodel.Loss, pause time.Duration) (took time.Duration, err error) {
	link := newRouter(netmodel.Link{Latency: netmodel.Constant(5 * time.Millisecond), Loss: loss})
	defer link.close()
	r := &reality{Prefix: fmt.Sprintf("%s%d-", prefix, os.Getpid())}
	defer func() { err = errors.Join(err, r.removeNamespaces()) }()
	for _, n := range nodes()[:2] {
		if err := r.connect(n, link); err != nil {
			return 0, err
		}
	}
	stop, routed := make(chan struct{}), make(chan error, 1)
	go func() { routed <- link.run(stop) }()
	defer func() {
		close(stop)
		err = errors.Join(err, <-routed)
	}()
	address := netip.AddrPortFrom(netip.MustParseAddr(nodes()[0].address), 80).String()
	var l net.Listener
	err = inside(filepath.Join(namespaces, r.Prefix+nodes()[0].name), func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	var from net.Conn
	err = inside(filepath.Join(namespaces, r.Prefix+nodes()[1].name), func() (err error) {
		from, err = net.Dial("tcp", address)
		return err
	})
	if err != nil {
		return 0, err
	}
	defer func() { _ = from.Close() }()
	to, err := l.Accept()
	if err != nil {
		return 0, err
	}
	defer func() { _ = to.Close() }()
	return written(from, to, pause)
}

func written(from, to net.Conn, pause time.Duration) (time.Duration, error) {
	begun, expected := time.Now(), 1
	if pause > 0 {
		expected = 2
	}
	failed := make(chan error, 1)
	go func() {
		_, err := from.Write([]byte{1})
		if pause > 0 {
			time.Sleep(pause)
			_, err = from.Write([]byte{2})
		}
		failed <- err
	}()
	for b := make([]byte, 1); expected > 0; expected-- {
		if _, err := to.Read(b); err != nil {
			return 0, err
		}
	}
	return time.Since(begun), <-failed
}
