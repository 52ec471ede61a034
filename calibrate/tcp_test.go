//go:build linux && calibrate

package main

import (
	"errors"
	"fmt"
	"io"
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

// some loses chosen packets of the first direction in which one is sent.
type some struct {
	lost    []int
	started *bool
}

func (s some) Start() netmodel.Chain {
	if *s.started {
		return netmodel.Bernoulli(0)
	}
	*s.started = true
	return &counter{lost: s.lost}
}

type counter struct {
	lost []int
	seen int
}

func (c *counter) Lost(*rand.Rand) bool {
	c.seen++
	return slices.Contains(c.lost, c.seen)
}

// TestLinuxSendsAgainWhenTheModelSays asks the kernel what the test of the same cases
// in sim/simnet expects of the simulator.
func TestLinuxSendsAgainWhenTheModelSays(t *testing.T) {
	if why := unable(); why != "" {
		t.Skip(why)
	}
	const handshake = 2 // packets before the first with data
	const full = 1448   // bytes of a packet
	for _, c := range []struct {
		name   string
		writes []int // bytes
		pause  time.Duration
		lost   []int
		want   time.Duration
	}{
		{"alone", []int{1}, 0, []int{1}, 215 * time.Millisecond},
		{"alone twice", []int{1}, 0, []int{1, 2}, 425 * time.Millisecond},
		{"alone thrice", []int{1}, 0, []int{1, 2, 3}, 845 * time.Millisecond},
		{"before another", []int{1, 1}, 20 * time.Millisecond, []int{1}, 35 * time.Millisecond},
		{"after another", []int{1, 1}, 4 * time.Millisecond, []int{2}, 225 * time.Millisecond},
		{"first of two", []int{2 * full}, 0, []int{1}, 20 * time.Millisecond},
		{"both of two", []int{2 * full}, 0, []int{1, 2}, 37 * time.Millisecond},
		{"first of ten", []int{10 * full}, 0, []int{1}, 15 * time.Millisecond},
		{"three of ten", []int{10 * full}, 0, []int{2, 5, 8}, 15 * time.Millisecond},
		{"six of ten", []int{10 * full}, 0, []int{1, 2, 3, 4, 5, 6}, 25 * time.Millisecond},
		{"last of ten", []int{10 * full}, 0, []int{10}, 225 * time.Millisecond},
		{"last two of ten", []int{10 * full}, 0, []int{9, 10}, 47 * time.Millisecond},
		{"last eight of ten", []int{10 * full}, 0, []int{3, 4, 5, 6, 7, 8, 9, 10}, 67 * time.Millisecond},
		{"all of ten", []int{10 * full}, 0, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 67 * time.Millisecond},
		{"one of ten twice", []int{10 * full}, 0, []int{1, 11}, 225 * time.Millisecond},
		{"three of thirty", []int{30 * full}, 0, []int{12, 15, 21}, 25 * time.Millisecond},
		{"two of two flights", []int{30 * full}, 0, []int{2, 12}, 45 * time.Millisecond},
		{"last three of thirty", []int{30 * full}, 0, []int{28, 29, 30}, 67 * time.Millisecond},
		{"five of thirty", []int{30 * full}, 0, []int{1, 3, 5, 7, 9}, 55 * time.Millisecond},
		{"five of the second flight", []int{30 * full}, 0, []int{12, 14, 16, 18, 20}, 25 * time.Millisecond},
		{"five of a hundred", []int{100 * full}, 0, []int{1, 3, 5, 7, 9}, 125 * time.Millisecond},
		{"five of the second flight of a hundred", []int{100 * full}, 0, []int{12, 14, 16, 18, 20}, 85 * time.Millisecond},
		{"five of the third flight of a hundred", []int{100 * full}, 0, []int{35, 45, 46, 47, 60}, 45 * time.Millisecond},
		{"a whole flight of a hundred", []int{100 * full}, 0, []int{11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30}, 147 * time.Millisecond},
		{"half a flight of a hundred", []int{100 * full}, 0, []int{12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25}, 95 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			lost := slices.Clone(c.lost)
			for i := range lost {
				lost[i] += handshake
			}
			var took []time.Duration
			for range 9 {
				d, err := sendAgain(some{lost, new(bool)}, c.writes, c.pause)
				if err != nil {
					t.Fatal(err)
				}
				took = append(took, d)
			}
			t.Log(took)
			slices.Sort(took)
			// The machine adds something; the kernel's timers alone up to 4 ms, and 32 ms
			// where they run longer than 256 ms. What it adds in a busy moment says nothing.
			if d := took[len(took)/4]; d < c.want-time.Millisecond || d > c.want+15*time.Millisecond+c.want/16 {
				t.Errorf("the last byte arrived after %v; the model says %v", d, c.want)
			}
		})
	}
}

// sendAgain writes with pauses between over a link of 5 ms that loses some packets, and
// returns when the last byte could be read.
func sendAgain(loss netmodel.Loss, writes []int, pause time.Duration) (took time.Duration, err error) {
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
	return written(from, to, writes, pause)
}

func written(from, to net.Conn, writes []int, pause time.Duration) (time.Duration, error) {
	begun, failed := time.Now(), make(chan error, 1)
	expected := 0
	for _, size := range writes {
		expected += size
	}
	go func() {
		var err error
		for i, size := range writes {
			if i > 0 {
				time.Sleep(pause)
			}
			_, err = from.Write(make([]byte, size))
		}
		failed <- err
	}()
	if _, err := io.ReadFull(to, make([]byte, expected)); err != nil {
		return 0, err
	}
	return time.Since(begun), <-failed
}
