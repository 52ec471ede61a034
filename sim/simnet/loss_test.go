package simnet_test

import (
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"tribune/netmodel"
	"tribune/sim/event"
	"tribune/sim/simnet"
)

// TestWhatIsLostIsSentAgainWhenLinuxWould writes over a link of 5 ms, of which some
// packets are lost, and looks at when the last byte can be read. A test in package
// calibrate asks Linux's TCP the same.
func TestWhatIsLostIsSentAgainWhenLinuxWould(t *testing.T) {
	const (
		oneWay = 5 * time.Millisecond
		full   = 1448                   // bytes of a packet
		probe  = 22 * time.Millisecond  // two round trips and 2 ms
		rto    = 210 * time.Millisecond // a round trip and 200 ms
	)
	for _, c := range []struct {
		name   string
		writes []int // bytes
		pause  time.Duration
		lost   []int         // which of the packets with data
		want   time.Duration // after the first write
	}{
		{"alone", []int{1}, 0, []int{1}, rto + oneWay},
		// The first time it is sent again is a probe, which does not double the time-out.
		{"alone twice", []int{1}, 0, []int{1, 2}, 2*rto + oneWay},
		{"alone thrice", []int{1}, 0, []int{1, 2, 3}, 4*rto + oneWay},
		// The second arrives at 25 ms, which is known at 30 ms.
		{"before another", []int{1, 1}, 20 * time.Millisecond, []int{1}, 30*time.Millisecond + oneWay},
		// The first is acknowledged at 10 ms, and the timer starts anew.
		{"after another", []int{1, 1}, 4 * time.Millisecond, []int{2}, 2*oneWay + rto + oneWay},
		// It may have been overtaken, and is given a quarter of a round trip and 2 ms.
		{"first of two", []int{2 * full}, 0, []int{1}, 2*oneWay + 4500*time.Microsecond + oneWay},
		// The probe is the second packet.
		{"both of two", []int{2 * full}, 0, []int{1, 2}, probe + 3*oneWay},
		{"first of ten", []int{10 * full}, 0, []int{1}, 3 * oneWay},
		{"three of ten", []int{10 * full}, 0, []int{2, 5, 8}, 3 * oneWay},
		{"six of ten", []int{10 * full}, 0, []int{1, 2, 3, 4, 5, 6}, 5 * oneWay},
		// One packet alone might have an answer that is late.
		{"last of ten", []int{10 * full}, 0, []int{10}, 2*oneWay + rto + oneWay},
		{"last two of ten", []int{10 * full}, 0, []int{9, 10}, 2*oneWay + probe + 3*oneWay},
		// After the probe one packet, then two, then four.
		{"last eight of ten", []int{10 * full}, 0, []int{3, 4, 5, 6, 7, 8, 9, 10}, 2*oneWay + probe + 7*oneWay},
		{"all of ten", []int{10 * full}, 0, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, probe + 9*oneWay},
		{"one of ten twice", []int{10 * full}, 0, []int{1, 11}, 2*oneWay + rto + oneWay},
		{"three of thirty", []int{30 * full}, 0, []int{12, 15, 21}, 5 * oneWay},
		{"two of two flights", []int{30 * full}, 0, []int{2, 12}, 9 * oneWay},
		{"last three of thirty", []int{30 * full}, 0, []int{28, 29, 30}, probe + 9*oneWay},
		{"five of thirty", []int{30 * full}, 0, []int{1, 3, 5, 7, 9}, 11 * oneWay},
		{"five of the second flight", []int{30 * full}, 0, []int{12, 14, 16, 18, 20}, 5 * oneWay},
		{"five of a hundred", []int{100 * full}, 0, []int{1, 3, 5, 7, 9}, 25 * oneWay},
		{"five of the second flight of a hundred", []int{100 * full}, 0, []int{12, 14, 16, 18, 20}, 17 * oneWay},
		{"five of the third flight of a hundred", []int{100 * full}, 0, []int{35, 45, 46, 47, 60}, 9 * oneWay},
		{"a whole flight of a hundred", []int{100 * full}, 0, []int{11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30}, probe + 25*oneWay},
		{"half a flight of a hundred", []int{100 * full}, 0, []int{12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25}, 19 * oneWay},
	} {
		t.Run(c.name, func(t *testing.T) {
			if took := arrival(t, oneWay, c.writes, c.pause, c.lost); took != c.want {
				t.Errorf("the last byte arrived after %v, not %v", took, c.want)
			}
		})
	}
}

// arrival writes with pauses between over a link that takes so long and loses some
// packets, and returns how long it takes until the last byte can be read.
func arrival(t *testing.T, oneWay time.Duration, writes []int, pause time.Duration, lost []int) (took time.Duration) {
	link := netmodel.Link{Latency: netmodel.Constant(oneWay)}
	world(t, 1, netmodel.Uniform{Each: link}, func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack) {
		l := listen(t, hosts["a"], ":80")
		from := dial(t, hosts["b"], "10.0.0.1:80")
		to, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		n.Add(lose(lost))
		begun, expected := time.Now(), 0
		for _, size := range writes {
			expected += size
		}
		go func() {
			for i, size := range writes {
				if i > 0 {
					time.Sleep(pause)
				}
				_, _ = from.Write(make([]byte, size)) // that it fails, the reader finds out
			}
		}()
		if _, err := io.ReadFull(to, make([]byte, expected)); err != nil {
			t.Fatal(err)
		}
		took = time.Since(begun)
	})
	return took
}

// lose loses chosen packets with data of those that b sends.
func lose(which []int) simnet.Rule {
	const header = 40
	seen := 0
	return simnet.Rule{
		Name:  "some",
		Match: func(p *simnet.Packet) bool { return p.From == "b" && p.Size > header },
		Each:  true,
		Start: func() simnet.Judge {
			return func(*simnet.Packet, time.Duration, *rand.Rand) simnet.Verdict {
				if seen++; slices.Contains(which, seen) {
					return simnet.Drop()
				}
				return simnet.Pass()
			}
		},
	}
}

// TestAStreamSendsSinglePacketsWhereRulesFallOnEach looks at the packets of b before, while
// and after a rule loses, doubles or holds back some of one protocol. A cut before it leaves
// a large segment to be sent again.
func TestAStreamSendsSinglePacketsWhereRulesFallOnEach(t *testing.T) {
	const size, packet, second = 400 << 10, 1448 + 40, time.Second
	for _, c := range []struct {
		rule  simnet.Rule
		large bool
	}{
		{simnet.Lose("loss", nil, netmodel.Bernoulli(0.1)), false},
		{simnet.Duplicate("double", nil, 0.1, second), false},
		{simnet.Reorder("late", nil, 0.1, second), false},
		{simnet.Lose("loss of others", simnet.Of(simnet.UDP, nil), netmodel.Bernoulli(0.1)), true},
		{simnet.Slow("slow", nil, netmodel.Constant(second)), true},
	} {
		world(t, 1, netmodel.LAN(), func(t *testing.T, n *simnet.Network, hosts map[string]*simnet.Stack) {
			l := listen(t, hosts["a"], ":80")
			from := dial(t, hosts["b"], "a:80")
			to, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			largest := 0
			n.Add(simnet.Rule{Name: "look", Start: func() simnet.Judge {
				return func(p *simnet.Packet, _ time.Duration, _ *rand.Rand) simnet.Verdict {
					largest = max(largest, p.Size)
					return simnet.Pass()
				}
			}})
			pass := func() int {
				if _, err := io.ReadFull(to, make([]byte, size)); err != nil {
					t.Fatal(err)
				}
				return largest
			}
			write := func() { _, _ = from.Write(make([]byte, size)) } // that it fails, the reader finds out
			go write()
			before := pass()
			mend := n.Add(simnet.Block("cut", nil))
			go write()
			time.Sleep(second)
			largest = 0
			remove := n.Add(c.rule)
			mend()
			with := pass()
			remove()
			time.Sleep(second)
			largest = 0
			go write()
			if after := pass(); before <= packet || with > packet != c.large || after <= packet {
				t.Errorf("%s: the largest packets were of %d bytes before, %d with it and %d after", c.rule.Name, before, with, after)
			}
		})
	}
}

// TestALargeDatagramMeetsARuleWithEachOfItsFragments counts what becomes of datagrams in ten
// fragments.
func TestALargeDatagramMeetsARuleWithEachOfItsFragments(t *testing.T) {
	const of, p, fragments = 20_000, 0.2, 10
	for _, c := range []struct {
		rule simnet.Rule
		want float64
	}{
		{simnet.Lose("loss", nil, netmodel.Bernoulli(p)), 1 - math.Pow(1-p, fragments)},
		{simnet.Duplicate("double", nil, 1-p, time.Second), math.Pow(1-p, fragments)},
		{simnet.Reorder("late", nil, p, time.Second), 1 - math.Pow(1-p, fragments)},
	} {
		judge, r, hit := c.rule.Start(), rand.New(rand.NewPCG(1, 1)), 0
		for range of {
			if !reflect.DeepEqual(judge(&simnet.Packet{Size: 1500 * fragments}, 0, r), simnet.Pass()) {
				hit++
			}
		}
		if got := float64(hit) / of; math.Abs(got-c.want) > 0.02 {
			t.Errorf("%s: %.3f of all, not %.3f", c.rule.Name, got, c.want)
		}
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

// TestAStreamWithoutLossNeedsNoEventsButItsPackets counts events: of requests and their
// answers, one for each packet with data, and of a large value one more for each
// acknowledgement that lets more be sent. Neither acknowledgements nor probes cost more.
func TestAStreamWithoutLossNeedsNoEventsButItsPackets(t *testing.T) {
	const rounds, oneWay, some = 500, 5 * time.Millisecond, 10
	inBubble(t, func(t *testing.T, loop *event.Loop) {
		n := simnet.New(loop, ignore{}, 1, netmodel.Uniform{Each: netmodel.Link{Latency: netmodel.Normal(oneWay, oneWay/5)}})
		a, b := n.AddHost("a", netip.MustParseAddr("10.0.0.1")), n.AddHost("b", netip.MustParseAddr("10.0.0.2"))
		l := listen(t, a, ":80")
		from := dial(t, b, "10.0.0.1:80")
		to, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		before := loop.Ran()
		for range rounds {
			for _, ends := range [][2]net.Conn{{from, to}, {to, from}} {
				if _, err := ends[0].Write(make([]byte, 3000)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(ends[1], make([]byte, 3000)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if events := loop.Ran() - before; events > 2*rounds+some {
			t.Errorf("%d requests and their answers took %d events", rounds, events)
		}
		seen := 0
		n.Add(simnet.Rule{Name: "count", Start: func() simnet.Judge {
			return func(*simnet.Packet, time.Duration, *rand.Rand) simnet.Verdict {
				seen++
				return simnet.Pass()
			}
		}})
		before = loop.Ran()
		go func() { _, _ = from.Write(make([]byte, 10<<20)) }() // that it fails, the reader finds out
		if _, err := io.ReadFull(to, make([]byte, 10<<20)); err != nil {
			t.Fatal(err)
		}
		if events := loop.Ran() - before; events > uint64(seen)+some {
			t.Errorf("%d packets of a large value took %d events", seen, events)
		}
	})
}
