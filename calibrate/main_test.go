//go:build linux

package main

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"tribune/netmodel"
	"tribune/sim/launch"
)

func TestMain(m *testing.M) {
	launch.ChildMain(children())
	launch.Ensure("tribune/calibrate", true)
	os.Exit(m.Run())
}

func TestTheSimulatedHalfMeasuresAllAndIsDeterministic(t *testing.T) {
	plan := Plan{"test", Link{Delay: 5 * time.Millisecond, Jitter: time.Millisecond}, map[Measurement]int{Ask: 5, Put: 5, Get: 5, Election: 2, Detection: 2}}
	// What lies under each of them: the ways there and back, the timeouts of raft
	// and those of gossip.
	least := map[Measurement]time.Duration{
		Ask: 5 * time.Millisecond, Put: 10 * time.Millisecond, Get: 10 * time.Millisecond,
		Election: 500 * time.Millisecond, Detection: 4 * time.Second,
	}
	o := order{plan, 1, Machine{Sync: []time.Duration{time.Millisecond}}}
	first, err := simulate(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for what, count := range plan.Counts {
		if len(first.Samples[what]) != count {
			t.Errorf("%s: %d samples, want %d", what, len(first.Samples[what]), count)
		}
		for _, d := range first.Samples[what] {
			if d < least[what] || d > 20*least[what] {
				t.Errorf("%s took %v", what, d)
			}
		}
	}
	again, err := simulate(t.Context(), o)
	if err != nil || !reflect.DeepEqual(first, again) {
		t.Errorf("the same simulation gave %v and %v, %v", first, again, err)
	}
}

// header is an IPv4 packet of 24 bytes from one machine's port to another's.
func header(protocol byte, from, to string, fromPort, toPort byte) []byte {
	p := make([]byte, 24)
	p[0], p[protocolOffset] = 0x45, protocol
	copy(p[sourceOffset:], netip.MustParseAddr(from).AsSlice())
	copy(p[targetOffset:], netip.MustParseAddr(to).AsSlice())
	p[21], p[23] = fromPort, toPort
	return p
}

func TestTheRouterDelaysLosesAndKeepsStreamsInOrder(t *testing.T) {
	const a, b = "10.77.0.1", "10.77.0.2"
	r := newRouter(netmodel.Link{Latency: netmodel.Between(0, time.Second), Loss: netmodel.Bernoulli(0.25)})
	r.at[netip.MustParseAddr(b)] = 0
	now := time.Now()
	const count = 4000
	for i := range count {
		r.take(header(protocolTCP, a, b, 1, 2), now.Add(time.Duration(i)*time.Microsecond))
	}
	if n := len(r.waiting); math.Abs(float64(n)/count-0.75) > 0.03 {
		t.Errorf("%d of %d packets arrive", n, count)
	}
	var last packet
	for r.waiting.Len() > 0 {
		p := r.next()
		if p.number < last.number || p.due.Before(last.due) {
			t.Fatalf("packet %d arrives after %d", p.number, last.number)
		}
		last = p
	}
	const udp = 17
	for range count {
		r.take(header(udp, a, b, 1, 2), now)
	}
	overtaken := false
	for last = (packet{}); r.waiting.Len() > 0; {
		p := r.next()
		overtaken = overtaken || p.number < last.number
		last = p
	}
	if !overtaken {
		t.Error("no datagram overtakes another")
	}
	for _, data := range [][]byte{nil, {0x60}, header(udp, a, "224.0.0.1", 1, 2)} {
		r.take(data, now)
	}
	if len(r.waiting) > 0 {
		t.Error("a packet is on its way to nobody")
	}
}

func sample(n int, d netmodel.Dist) []time.Duration {
	r, all := rand.New(rand.NewPCG(7, uint64(n))), make([]time.Duration, n)
	for i := range all {
		all[i] = d.Draw(r)
	}
	return all
}

func TestVerdicts(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		real, simulated netmodel.Dist
		n, m            int
		want            verdict
	}{
		{netmodel.Normal(10*s, s), netmodel.Normal(10*s, s), 30, 150, same},
		{netmodel.Normal(10*s, s), netmodel.Normal(10*s, s), 2000, 10000, same},
		{netmodel.Normal(10*s, s), netmodel.Normal(10*s+s/2, s), 2000, 10000, near},
		{netmodel.Normal(10*s, s), netmodel.Normal(14*s, s), 30, 150, differs},
		{netmodel.Normal(10*s, s), netmodel.Normal(10*s, 3*s), 2000, 10000, differs},
	} {
		got := compare(Plan{}, Put, sample(c.n, c.real), sample(c.m, c.simulated))
		if got.verdict != c.want {
			t.Errorf("distance %.3f: %s, want %s", got.distance, got.verdict, c.want)
		}
		if explained := explanations([]comparison{got}) != ""; explained == (c.want == same) {
			t.Errorf("%s: explained: %t", got.verdict, explained)
		}
	}
}

func TestTheTableIsAMarkdownTable(t *testing.T) {
	var out strings.Builder
	link := Link{Delay: 5 * time.Millisecond, Jitter: time.Millisecond, Loss: 0.02}
	all := []time.Duration{1500 * time.Microsecond, 2 * time.Second}
	if err := write(&out, []comparison{compare(Plan{Link: link}, Get, all, all)}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for _, word := range []string{"5ms ± 1ms, 2 % loss", "get", "1.5 ms", "2.00 s", "0.00", "same"} {
		if !strings.Contains(lines[2], word) {
			t.Errorf("%q is missing in %s", word, lines[2])
		}
	}
	for _, line := range lines {
		if strings.Count(line, "|") != strings.Count(lines[0], "|") {
			t.Errorf("columns of %s", line)
		}
	}
}
