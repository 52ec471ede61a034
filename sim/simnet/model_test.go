package simnet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/netmodel"
	"tribune/sim/event"
	"tribune/sim/simnet"
)

// A tale is a stream from b to a with all that happens to it, drawn before it
// begins. The model of a stream is the string of bytes that Write took: what is
// read is a prefix of it, and all of it when the reader sees the end.
type tale struct {
	seed   uint64
	link   netmodel.Link
	faults []fault
	early  bool // the faults begin before the stream does
	writes []write
	reads  []write // size of the buffer, pause before
	stop   int     // the reader closes after so many reads; 0: at the end
	half   bool    // the writer closes its half only, and awaits the other's
	end    fault   // what breaks the stream, if anything does
}

type write struct {
	size  int
	pause time.Duration
}

type fault struct {
	kind string
	at   time.Duration
	last time.Duration
}

func drawTale(t *rapid.T) tale {
	ms := func(low, high int, what string) time.Duration {
		return time.Duration(rapid.IntRange(low, high).Draw(t, what)) * time.Millisecond
	}
	s := tale{seed: rapid.Uint64().Draw(t, "seed")}
	s.link = rapid.SampledFrom([]netmodel.Link{
		netmodel.LAN().Link("", ""), netmodel.WAN().Link("", ""),
		{Latency: netmodel.Pareto(time.Millisecond, 1.2), Loss: netmodel.GilbertElliott{ToBad: 0.02, ToGood: 0.2, LossBad: 0.5}},
		{Latency: netmodel.Between(0, 300*time.Millisecond), Bandwidth: 2_000_000},
	}).Draw(t, "link")
	kinds := rapid.SampledFrom([]string{"cut", "to", "from", "loss", "twice", "late", "slow", "flap"})
	for range rapid.IntRange(0, 4).Draw(t, "faults") {
		s.faults = append(s.faults, fault{kinds.Draw(t, "kind"), ms(0, 2_000, "at"), ms(1, 40_000, "last")})
	}
	for range rapid.IntRange(1, 12).Draw(t, "writes") {
		size := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(1, 400_000)).Draw(t, "size")
		s.writes = append(s.writes, write{size, ms(0, 3000, "pause") * time.Duration(rapid.IntRange(0, 1).Draw(t, "pauses"))})
	}
	for range 4 {
		s.reads = append(s.reads, write{rapid.IntRange(1, 100_000).Draw(t, "buffer"), ms(0, 100, "pause") * time.Duration(rapid.IntRange(0, 1).Draw(t, "pauses"))})
	}
	s.early = rapid.Bool().Draw(t, "early")
	s.half = rapid.Bool().Draw(t, "half")
	if rapid.IntRange(0, 3).Draw(t, "stops") == 0 {
		s.stop = rapid.IntRange(1, 20).Draw(t, "stop")
	}
	ends := []string{"", "", "reset", "crash a", "crash b", "kill a", "kill b"}
	s.end = fault{rapid.SampledFrom(ends).Draw(t, "end"), ms(0, 2_000, "at"), ms(1, 40_000, "last")}
	return s
}

func (f fault) rule(i int) simnet.Rule {
	name := fmt.Sprint(f.kind, " ", i)
	switch f.kind {
	case "cut":
		return simnet.Block(name, simnet.Between([]string{"a"}, []string{"b"}))
	case "to":
		return simnet.Block(name, simnet.OneWay([]string{"b"}, []string{"a"}))
	case "from":
		return simnet.Block(name, simnet.OneWay([]string{"a"}, []string{"b"}))
	case "loss":
		return simnet.Lose(name, nil, netmodel.Bernoulli(0.3))
	case "twice":
		return simnet.Duplicate(name, nil, 0.3, 3*time.Second)
	case "late":
		return simnet.Reorder(name, nil, 0.3, 2*time.Second)
	case "slow":
		return simnet.Slow(name, nil, netmodel.LogNormal(500*time.Millisecond, 0.5))
	}
	return simnet.Flap(name, nil, 0, time.Second, 3*time.Second)
}

// outcome is what the two ends of a tale saw.

type outcome struct {
	sent, got         []byte
	writeErr, readErr error
	wroteAll          bool
}

func pattern(size, from int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(uint32(from+i) * 2654435761 >> 21)
	}
	return b
}

func (s tale) tell(t *testing.T) (o outcome) {
	inBubble(t, func(t *testing.T, loop *event.Loop) {
		n := simnet.New(loop, ignore{}, s.seed, netmodel.Uniform{Called: "drawn", Each: s.link})
		a, b := n.AddHost("a", netip.MustParseAddr("10.0.0.1")), n.AddHost("b", netip.MustParseAddr("10.0.0.2"))
		strikes := func() {
			for i, f := range s.faults {
				loop.After(f.at, func() { loop.After(f.last, n.Add(f.rule(i))) })
			}
		}
		if s.early {
			strikes()
			strikes = func() {}
		}
		loop.After(s.end.at, func() { s.strike(n, loop, a, b) })
		l, err := a.Listen(t.Context(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		read := make(chan struct{})
		go func() {
			defer close(read)
			s.read(l, strikes, &o)
		}()
		s.write(t.Context(), b, &o)
		select {
		case <-read:
		case <-time.After(time.Hour): // nobody came
		}
		_ = l.Close()
		<-read
	})
	return o
}

func (s tale) strike(n *simnet.Network, loop *event.Loop, a, b *simnet.Stack) {
	switch s.end.kind {
	case "reset":
		n.ResetConns("a")
	case "crash a":
		a.Crash()
		loop.After(s.end.last, a.Reopen)
	case "crash b":
		b.Crash()
		loop.After(s.end.last, b.Reopen)
	case "kill a":
		a.Kill()
	case "kill b":
		b.Kill()
	}
}

func (s tale) write(ctx context.Context, b *simnet.Stack, o *outcome) {
	c, err := b.Dial(ctx, "tcp", "a:80")
	if err != nil {
		o.writeErr = err
		return
	}
	for _, w := range s.writes {
		time.Sleep(w.pause)
		data := pattern(w.size, len(o.sent))
		n, err := c.Write(data)
		o.sent = append(o.sent, data[:n]...)
		clear(data) // it is the caller's again
		if err != nil {
			o.writeErr = err
			_ = c.Close()
			return
		}
	}
	if s.half {
		o.writeErr = c.(interface{ CloseWrite() error }).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}
	if err := c.Close(); o.writeErr == nil {
		o.writeErr = err
	}
	o.wroteAll = o.writeErr == nil
}

func (s tale) read(l net.Listener, accepted func(), o *outcome) {
	c, err := l.Accept()
	if err != nil {
		o.readErr = err
		return
	}
	accepted()
	defer c.Close()
	for i := 0; s.stop == 0 || i < s.stop; i++ {
		r := s.reads[i%len(s.reads)]
		time.Sleep(r.pause)
		buffer := make([]byte, r.size)
		n, err := c.Read(buffer)
		o.got = append(o.got, buffer[:n]...)
		if err != nil {
			o.readErr = err
			return
		}
	}
}

func TestAStreamIsThePrefixOfWhatWasWrittenWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawTale(rt)
		o := s.tell(t)
		if !bytes.HasPrefix(o.sent, o.got) {
			rt.Fatalf("%d bytes were written, and the %d read are not the first of them", len(o.sent), len(o.got))
		}
		if errors.Is(o.readErr, io.EOF) && len(o.got) != len(o.sent) {
			rt.Fatalf("the reader saw the end after %d of %d bytes", len(o.got), len(o.sent))
		}
		if s.end.kind != "" || s.early || s.stop > 0 {
			return
		}
		if !o.wroteAll || !errors.Is(o.readErr, io.EOF) {
			rt.Fatalf("nothing broke the stream: writing ended with %v, reading after %d of %d bytes with %v", o.writeErr, len(o.got), len(o.sent), o.readErr)
		}
	})
}
