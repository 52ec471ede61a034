package simnet_test

import (
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"tribune/netmodel"
	"tribune/sim/simnet"
)

// TestWhatIsLostIsSentAgainWhenLinuxWould writes two bytes one after the other, of
// which one is lost, over a link of 5 ms, and looks at when the last of them can be
// read. A test in package calibrate asks Linux's TCP the same.
func TestWhatIsLostIsSentAgainWhenLinuxWould(t *testing.T) {
	const oneWay = 5 * time.Millisecond
	for _, c := range []struct {
		name  string
		pause time.Duration // between the writes; 0: there is one
		lost  int           // which of the packets with data
		want  time.Duration // after the first write
	}{
		// The round trip and 200 ms after it was sent.
		{"alone", 0, 1, 210*time.Millisecond + oneWay},
		// The second arrives at 25 ms, which is known at 30 ms.
		{"before another", 20 * time.Millisecond, 1, 30*time.Millisecond + oneWay},
		// The first is acknowledged at 10 ms, and the timer starts anew.
		{"after another", 4 * time.Millisecond, 2, 220*time.Millisecond + oneWay},
	} {
		t.Run(c.name, func(t *testing.T) {
			model := netmodel.Uniform{Each: netmodel.Link{Latency: netmodel.Constant(oneWay)}}
			world(t, 1, model, func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack) {
				l := listen(t, hosts["a"], ":80")
				from := dial(t, hosts["b"], "10.0.0.1:80")
				to, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				seen := 0
				const header = 40
				data := func(p *simnet.Packet) bool { return p.From == "b" && p.Size > header }
				n.Add(simnet.Rule{Name: "one", Match: data, Start: func() simnet.Judge {
					return func(*simnet.Packet, time.Duration, *rand.Rand) simnet.Verdict {
						if seen++; seen == c.lost {
							return simnet.Drop()
						}
						return simnet.Pass()
					}
				}})
				begun, expected := time.Now(), 1
				go func() {
					_, _ = from.Write([]byte{1}) // that it fails, the reader finds out
					if c.pause > 0 {
						time.Sleep(c.pause)
						_, _ = from.Write([]byte{2})
					}
				}()
				if c.pause > 0 {
					expected = 2
				}
				for b := make([]byte, 1); expected > 0; expected-- {
					if _, err := to.Read(b); err != nil {
						t.Fatal(err)
					}
				}
				if took := time.Since(begun); took != c.want {
					t.Errorf("the last byte arrived after %v, not %v", took, c.want)
				}
			})
		})
	}
}

// TestALargeValueTakesAsManyRoundTripsAsTheWindowSays writes 100 KiB over a link of 5
// ms: at first 10 segments, then twice as many in each round trip, and after a silence
// of two time-outs beginning with a quarter of what was reached.
func TestALargeValueTakesAsManyRoundTripsAsTheWindowSays(t *testing.T) {
	const size, oneWay = 100 << 10, 5 * time.Millisecond
	model := netmodel.Uniform{Each: netmodel.Link{Latency: netmodel.Constant(oneWay)}}
	world(t, 1, model, func(t *testing.T, _ *simnet.Network, hosts map[string]*simnet.Stack) {
		l := listen(t, hosts["a"], ":80")
		from := dial(t, hosts["b"], "10.0.0.1:80")
		to, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ silence, want time.Duration }{
			{0, 7 * oneWay}, {300 * time.Millisecond, 3 * oneWay}, {500 * time.Millisecond, 5 * oneWay},
		} {
			time.Sleep(c.silence)
			begun := time.Now()
			go func() { _, _ = from.Write(make([]byte, size)) }() // that it fails, the reader finds out
			if _, err := io.ReadFull(to, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took != c.want {
				t.Errorf("after a silence of %v it took %v, not %v", c.silence, took, c.want)
			}
		}
	})
}
