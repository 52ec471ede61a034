package sim_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"tribune/impl/host"
	"tribune/netmodel"
	"tribune/sim"
	"tribune/sim/simdisk"
	"tribune/sim/trace"
)

// clocks: each machine has its own, which no process begins anew.
func clocks(s *scene) {
	n := s.nodeWith("n", sim.Clock{Skew: -time.Hour, Num: 5, Den: 4}, simdisk.Options{})
	begin := time.Now()
	off := func() time.Duration {
		var wall time.Time
		n.Start(func(context.Context, host.Host, *slog.Logger) error {
			wall = time.Now().Round(0)
			return nil
		})
		n.Wait()
		return wall.Sub(begin) - s.Now()
	}
	expect := func(what string, want time.Duration) {
		if got := off(); (got - want).Abs() > time.Microsecond {
			s.errorf("%s the clock is off by %v, not by %v", what, got, want)
		}
	}
	expect("at first", -time.Hour)
	time.Sleep(8*time.Hour - s.Now())
	expect("after 8 hours", time.Hour)
	undo := n.Drift(1, 2)
	time.Sleep(2 * time.Hour)
	expect("after 2 slow hours", 0)
	n.Jump(time.Minute)
	expect("after a jump", time.Minute)

	// A process notices its clock's rate in durations, a jump in the date alone.
	var took, wall, slept time.Duration
	n.Start(func(context.Context, host.Host, *slog.Logger) error {
		start, at := time.Now(), s.Now()
		time.Sleep(time.Hour)
		end := time.Now()
		took, wall, slept = end.Sub(start), end.Round(0).Sub(start.Round(0)), s.Now()-at
		return nil
	})
	time.Sleep(time.Minute)
	n.Jump(-30 * time.Minute)
	time.Sleep(29 * time.Minute)
	straight := n.Drift(1, 1) // a quarter of an hour has gone by
	n.Wait()
	undo()
	expectRates(s, n, 1, 1)
	straight()
	expectRates(s, n, 5, 4)
	if (took-time.Hour).Abs() > time.Microsecond || (wall-30*time.Minute).Abs() > time.Microsecond || (slept-75*time.Minute).Abs() > time.Microsecond {
		s.errorf("an hour took %v, %v by the wall clock, and %v in truth", took, wall, slept)
	}
}

// expectRates: drifts that overlap end in any order, and then all is as usual.
func expectRates(s *scene, n *sim.Node, usual, per int64) {
	expect := func(num, den int64) {
		if c := n.Clock(); c.Num != num || c.Den != den {
			s.errorf("the clock goes %d/%d, and not %d/%d", c.Num, c.Den, num, den)
		}
	}
	first, second := n.Drift(1, 3), n.Drift(2, 3)
	expect(2, 3)
	first()
	expect(2, 3)
	second()
	expect(usual, per)
}

// log: the lines of nodes are in the record, with the true time.
func logs(s *scene) {
	var observed []string
	s.Observe(slog.LevelDebug, func(e trace.Event) { observed = append(observed, e.Text) })
	n := s.nodeWith("n", sim.Clock{Skew: time.Hour}, simdisk.Options{})
	time.Sleep(time.Second)
	n.Start(func(_ context.Context, _ host.Host, log *slog.Logger) error {
		log.Debug("not this one")
		log.With("a", 1).WithGroup("g").With("b", "x y").Warn("hello", "c", errBroken, slog.Group("h", "d", true))
		log.Info("two\nlines", "e", "three\nfour")
		return nil
	})
	n.Wait()
	want := "1s n WARN hello a=1 g.b=x y g.c=broken g.h=[d=true]\n1s n INFO two\nlines e=three\\nfour\n"
	if got := s.lines(trace.Log); got != want {
		s.errorf("the record has\n%s, not\n%s", got, want)
	}
	all := []string{"start 1", "DEBUG not this one", "WARN hello a=1 g.b=x y g.c=broken g.h=[d=true]", "INFO two\nlines e=three\\nfour", "exit"}
	if !slices.Equal(observed, all) {
		s.errorf("an observer was told\n%q, not\n%q", observed, all)
	}
}

// violations: each is told once, in the order of its discovery.
func violations(s *scene) {
	s.Violate("one leader", "in term %d", 7)
	time.Sleep(time.Second)
	s.Violate("one leader", "in term %d", 7)
	s.Violate("one leader", "in term %d", 8)
	want := []sim.Violation{{0, "one leader", "in term 7"}, {time.Second, "one leader", "in term 8"}}
	if got := s.Violations(); !slices.Equal(got, want) {
		s.errorf("%v", got)
	}
	if got := s.lines(trace.Check); got != "0s  one leader: in term 7\n1s  one leader: in term 8\n" {
		s.errorf("%s", got)
	}
}

// streams: the numbers of a purpose do not depend on other purposes.
func streams(s *scene) {
	draw := func(purpose string) [4]uint64 {
		r := s.Stream(purpose)
		return [4]uint64{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()}
	}
	one := draw("one")
	if draw("two") == one || draw("one") != one {
		s.errorf("%v", one)
	}
}

// agenda: what the world does happens at its time.
func agenda(s *scene) {
	var order []string
	note := func(what string) { order = append(order, fmt.Sprint(s.Now(), " ", what)) }
	s.After(2*time.Second, func() { note("b") })
	s.After(time.Second, func() {
		note("a")
		s.After(time.Second, func() { note("c") })
	})
	s.Go(func() {
		time.Sleep(3 * time.Second)
		note("d")
	})
	time.Sleep(4 * time.Second)
	if got := strings.Join(order, ", "); got != "1s a, 2s b, 2s c, 3s d" {
		s.errorf("%s", got)
	}
	if before := s.Events(); before < 3 {
		s.errorf("%d events", before)
	}
	for _, name := range []string{"z", "a", "m"} {
		s.node(name)
	}
	var names []string
	for _, n := range s.Nodes() {
		names = append(names, n.Name())
	}
	if !slices.Equal(names, []string{"a", "m", "z"}) {
		s.errorf("%v", names)
	}
}

// many lives: what a killed process held is garbage, and is collected.
func manyLives(s *scene) {
	n := s.node("n")
	const lives, size = 100, 8 << 20
	for range lives {
		n.Start(func(ctx context.Context, _ host.Host, _ *slog.Logger) error {
			held := make([]byte, size)
			go func() {
				<-ctx.Done()
				runtime.KeepAlive(held)
			}()
			time.Sleep(time.Hour)
			return nil
		})
		time.Sleep(time.Millisecond)
		n.Kill()
		for range 5_000 {
			s.After(0, func() {})
		}
		time.Sleep(time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 20*size {
		s.errorf("after %d lives with %d MB each %d MB are held", lives, size>>20, m.HeapAlloc>>20)
	}
}

// weighed: what a process holds is free as soon as it has ended, be it held by its
// goroutines or by what its timers would have done.
func weighed(s *scene) {
	const size, many = 1 << 10, 2000
	hold := func() (held [][]byte) {
		for range many {
			held = append(held, make([]byte, size))
		}
		return held
	}
	n := s.node("n")
	n.Start(func(ctx context.Context, _ host.Host, _ *slog.Logger) error {
		onStack, onTimer := hold(), hold()
		time.AfterFunc(time.Hour, func() { runtime.KeepAlive(onTimer) })
		<-ctx.Done()
		runtime.KeepAlive(onStack)
		return nil
	})
	time.Sleep(time.Second)
	before, at := s.Live(), s.Now()
	n.Kill()
	if free := before - s.Live(); free < 2*many*size || free > 3*many*size {
		s.errorf("of %d bytes in %d objects %d become free", 2*many*size, 2*many, free)
	}
	if s.Now() != at {
		s.errorf("it took %v", s.Now()-at)
	}
}

// talk: nodes send, draw, write, fail and log as they like.
func talk(more bool) story {
	return func(s *scene) {
		names := []string{"a", "b", "c", "d"}
		var nodes []*sim.Node
		for _, name := range names {
			nodes = append(nodes, s.nodeWith(name, sim.Clock{}, simdisk.Options{Sync: netmodel.LogNormal(5*time.Millisecond, 0.5)}))
		}
		quiet := s.node("quiet")
		quiet.Start(func(context.Context, host.Host, *slog.Logger) error {
			for range time.Tick(10 * time.Millisecond) {
				if more {
					_ = mathrand.Uint64()
				}
			}
			return nil
		})
		for _, n := range nodes {
			n.Start(talker(names))
		}
		time.Sleep(2 * time.Second)
		nodes[0].Kill()
		resume := nodes[1].Pause()
		nodes[2].Crash()
		time.Sleep(time.Second)
		nodes[0].Start(talker(names))
		resume()
		nodes[2].Start(talker(names))
		time.Sleep(2 * time.Second)
		if count := strings.Count(s.lines(trace.Log), "INFO heard"); count < 100 {
			s.errorf("%d lines: nothing goes on", count)
		}
	}
}

// talker is a program whose every step is left to chance.
func talker(names []string) sim.Program {
	return func(ctx context.Context, h host.Host, log *slog.Logger) error {
		conn, err := h.Network().ListenPacket(ctx, "udp", ":7")
		if err != nil {
			return err
		}
		f, err := h.FS().OpenFile("log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		go func() {
			for b := make([]byte, 100); ; {
				n, from, err := conn.ReadFrom(b)
				if err != nil {
					return
				}
				log.Info("heard", "from", from, "text", fmt.Sprintf("%x", b[:n]))
				_, werr := f.Write(b[:n])
				if err := errors.Join(werr, f.Sync()); err != nil {
					log.Error("not written", "error", err)
				}
			}
		}()
		one, two := make(chan string, 1), make(chan string, 1)
		peers := map[string]bool{}
		for _, name := range names {
			peers[name] = true
		}
		for {
			for name := range peers { // in any order
				one <- name
				two <- name
				text := rand.Text()[:4]
				select {
				case to := <-one:
					text += "1" + to
					<-two
				case to := <-two:
					text += "2" + to
					<-one
				}
				addrs, err := h.Network().LookupHost(ctx, name)
				if err != nil {
					return err
				}
				to, err := h.Network().Dial(ctx, "udp", addrs[0]+":7")
				if err != nil {
					return err
				}
				_, err = to.Write([]byte(text))
				if err := errors.Join(err, to.Close()); err != nil {
					log.Error("not sent", "error", err)
				}
				time.Sleep(mathrand.N(40 * time.Millisecond))
			}
		}
	}
}
