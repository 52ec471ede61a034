package main

import (
	"bytes"
	"fmt"
	"io"
	mathrand "math/rand"
	"os"
	"runtime"
	"sync"
	"time"

	"tribune/sim/detrt"
)

func nodeCanaries() []canary {
	return []canary{
		{"clocks", clocks},
		{"rate-change", rateChange},
		{"monotonic", monotonic},
		{"busy-loop", busyLoop},
		{"busy-others", busyOthers},
		{"busy-yield", busyYield},
		{"streams", streams},
		{"pause", pause},
		{"freeze", freeze},
		{"dead-waiter", deadWaiter},
		{"halfway", halfway},
		{"memory", memory},
		{"stuck", stuck},
		{"idle", idle},
		{"panic", panics},
	}
}

// clocks has three nodes with skew and drift sleep, tick and use every kind of
// timer; all times are printed as the node and as the world sees them.
func clocks(out io.Writer) {
	for i := range 3 {
		n := detrt.NewNode(fmt.Sprint("n", i), uint64(i))
		n.Jump(time.Duration(i) * time.Hour)
		n.SetRate(int64(4+i), 5)
		n.Go(func() {
			t0 := time.Now()
			say := func(what string) {
				fmt.Fprintln(out, i, what, time.Now().Format(time.RFC3339Nano), time.Since(t0), detrt.Now().Format(time.RFC3339Nano))
			}
			time.Sleep(time.Second)
			say("slept")
			timer := time.NewTimer(time.Second)
			<-timer.C
			say("timer")
			timer.Reset(2 * time.Second)
			<-timer.C
			say("reset")
			time.AfterFunc(time.Second, func() { say("func"); go say("child of func") })
			tick := time.NewTicker(time.Second)
			for range 3 {
				say((<-tick.C).Format(time.RFC3339Nano))
			}
		})
	}
	time.Sleep(time.Minute)
}

// rateChange changes the rate while timers are set: they must fire at the same
// time of the node.
func rateChange(out io.Writer) {
	n := detrt.NewNode("n", 1)
	n.Go(func() {
		go func() {
			t0 := time.Now()
			tick := time.NewTicker(4 * time.Second)
			for range 5 {
				<-tick.C
				fmt.Fprintln(out, "tick", time.Since(t0).Round(time.Microsecond), detrt.Now())
			}
		}()
		t0 := time.Now()
		time.Sleep(20 * time.Second)
		fmt.Fprintln(out, "slept", time.Since(t0).Round(time.Microsecond), detrt.Now())
	})
	time.Sleep(10 * time.Second)
	n.SetRate(5, 4)
	time.Sleep(4 * time.Second)
	n.SetRate(1, 2)
	time.Sleep(time.Minute)
}

// monotonic shows that a jump of the wall clock does not bend durations, and
// prints monotonic readings.
func monotonic(out io.Writer) {
	n := detrt.NewNode("n", 1)
	n.Go(func() {
		t0 := time.Now()
		time.Sleep(10 * time.Second)
		fmt.Fprintln(out, time.Since(t0), time.Now(), time.Now().Round(0).Sub(t0.Round(0)))
	})
	time.Sleep(time.Second)
	n.Jump(-time.Hour)
	time.Sleep(time.Minute)
}

// busyLoop waits for the clock without waiting.
func busyLoop(out io.Writer) {
	fired := false
	time.AfterFunc(20*time.Millisecond, func() { fired = true })
	for start := time.Now(); time.Since(start) < 50*time.Millisecond; {
	}
	fmt.Fprintln(out, time.Now().Format(time.RFC3339Nano))
	time.Sleep(time.Millisecond)
	fmt.Fprintln(out, fired, time.Now().Format(time.RFC3339Nano))
}

// idle waits for something outside the world, which nobody does.
func idle(io.Writer) {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	defer w.Close()
	_, _ = r.Read(make([]byte, 1)) // for ever
}

// busyOthers tries again and again, with a look at the clock, until others on its node
// have done what they can do at once.
func busyOthers(out io.Writer) {
	detrt.NewNode("busy", 1).Go(func() {
		done := 0
		for range 3 {
			go func() { done++ }()
		}
		for tries := 0; done < 3; tries++ {
			if _ = time.Now(); tries == 100_000 {
				panic("nobody else has had a turn")
			}
		}
		fmt.Fprintln(out, time.Now().Format(time.RFC3339Nano))
	})
}

// busyYield waits for another goroutine's timer by yielding.
func busyYield(out io.Writer) {
	fired := false
	time.AfterFunc(20*time.Millisecond, func() { fired = true })
	for !fired {
		runtime.Gosched()
	}
	fmt.Fprintln(out, time.Now().Format(time.RFC3339Nano))
}

// streams draws on two nodes, whose draws must not depend on each other: the
// second node's are printed with and without a first one.
func streams(out io.Writer) {
	var runs [2]bytes.Buffer
	for i := range runs {
		if i > 0 {
			detrt.NewNode("other", 7).Go(func() {
				for range mathrand.Intn(100) {
					time.Sleep(time.Duration(mathrand.Intn(1000)))
				}
			})
		}
		detrt.NewNode("one", 1).Go(func() {
			m := map[int]int{}
			for range 20 {
				m[mathrand.Intn(1000)] = 1
				for k := range m {
					fmt.Fprint(&runs[i], k, " ")
				}
			}
		})
		time.Sleep(time.Second)
	}
	fmt.Fprintln(out, runs[0].Len(), bytes.Equal(runs[0].Bytes(), runs[1].Bytes()))
}

// worker is a node that is busy in every way a node can be.
func worker(name string, out io.Writer) *detrt.Node {
	n := detrt.NewNode(name, 1)
	say := func(what string) { fmt.Fprintln(out, detrt.Now().Format("05.000"), name, what) }
	n.Go(func() {
		go func() {
			for range time.Tick(900 * time.Millisecond) {
				say("tick")
			}
		}()
		var again func()
		again = func() { say("func"); time.AfterFunc(800*time.Millisecond, again) }
		again()
		for {
			time.Sleep(700 * time.Millisecond)
			say("slept")
		}
	})
	return n
}

// pause stops a node for three seconds; what fell due then acts on resume.
func pause(out io.Writer) {
	n := worker("n", out)
	time.Sleep(2 * time.Second)
	fmt.Fprintln(out, "pause")
	n.Pause()
	time.Sleep(3 * time.Second)
	fmt.Fprintln(out, "resume")
	n.Resume()
	time.Sleep(2 * time.Second)
}

// freeze stops a node for good, beside one that goes on.
func freeze(out io.Writer) {
	n := worker("dead", out)
	worker("alive", out)
	time.Sleep(2 * time.Second)
	fmt.Fprintln(out, "freeze")
	n.Freeze()
	time.Sleep(2 * time.Second)
}

// deadWaiter has a node die that waits for a lock which others want too: they must
// get it.
func deadWaiter(out io.Writer) {
	var shared sync.Mutex
	take := func(who string, hold time.Duration) func() {
		return func() {
			shared.Lock()
			defer shared.Unlock()
			fmt.Fprintln(out, detrt.Now().Format("05.000"), who, "has the lock")
			time.Sleep(hold)
		}
	}
	first, dead, last := detrt.NewNode("first", 1), detrt.NewNode("dead", 2), detrt.NewNode("last", 3)
	first.Go(take("first", time.Second))
	time.Sleep(200 * time.Millisecond)
	dead.Go(take("dead", time.Second))
	time.Sleep(200 * time.Millisecond)
	last.Go(take("last", time.Second))
	dead.Freeze()
	time.Sleep(10 * time.Second)
	fmt.Fprintln(out, "over")
}

// halfway pauses, kills and has panic nodes whose goroutines take locks of the whole
// process again and again: none may stop with one, or it would be lost for all.
func halfway(out io.Writer) {
	var outer, inner sync.Mutex
	taken := 0
	stops := []struct {
		how  string
		stop func(*detrt.Node)
	}{
		{"pause", (*detrt.Node).Pause},
		{"freeze", (*detrt.Node).Freeze},
		{"panic", func(n *detrt.Node) {
			n.Go(func() { panic("of its own accord") })
			time.Sleep(time.Nanosecond)
		}},
	}
	for _, s := range stops {
		lost := 0
		for i := range 20 {
			n := detrt.NewNode(fmt.Sprint(s.how, i), uint64(i))
			for range 3 {
				n.Go(func() {
					for {
						for range 50 {
							outer.Lock()
							inner.Lock()
							taken++
							inner.Unlock()
							outer.Unlock()
						}
						time.Sleep(time.Millisecond)
					}
				})
			}
			time.Sleep(10 * time.Millisecond)
			for range i {
				runtime.Gosched() // so that some of them have begun
			}
			s.stop(n)
			if !outer.TryLock() {
				lost++
				outer = sync.Mutex{}
				continue
			}
			outer.Unlock()
			n.Freeze()
		}
		fmt.Fprintln(out, s.how, "loses the lock", lost, "times")
	}
}

// memory shows that a frozen node's goroutines and timers keep nothing alive, from
// that moment on, and do nothing.
func memory(out io.Writer) {
	type thing struct{ p *int }
	freed := 0
	track := func() *thing {
		t := &thing{new(int)}
		runtime.SetFinalizer(t, func(*thing) { freed++ })
		return t
	}
	n := detrt.NewNode("dead", 1)
	n.Go(func() {
		t := track()
		time.Sleep(time.Hour)
		fmt.Fprintln(out, t)
	})
	n.Go(func() {
		t := track()
		time.AfterFunc(time.Minute, func() { fmt.Fprintln(out, t) })
	})
	n.Go(func() {
		for range time.Tick(time.Minute) {
			fmt.Fprintln(out, "a tick")
		}
	})
	time.Sleep(time.Second)
	detrt.Collect()
	fmt.Fprintln(out, freed, "freed while alive")
	n.Freeze()
	for range 2 {
		detrt.Collect()
	}
	fmt.Fprintln(out, freed, "freed")
	time.Sleep(2 * time.Hour)
}

// stuck never ends: the watchdog must name the goroutine and its node.
func stuck(out io.Writer) {
	detrt.NewNode("culprit", 1).Go(spinForEver)
	time.Sleep(time.Second)
	fmt.Fprintln(out, "not reached")
}

func spinForEver() {
	for n := 0; n >= 0; n = n*5 + 1&7 {
		if n > 1000 {
			n = 0
		}
	}
}

// panics has one node panic: the world and the other node go on, and learn of it.
func panics(out io.Writer) {
	bad, good := detrt.NewNode("bad", 1), detrt.NewNode("good", 2)
	bad.Go(func() {
		go func() {
			for {
				time.Sleep(time.Second)
				fmt.Fprintln(out, "bad still runs")
			}
		}()
		time.Sleep(2500 * time.Millisecond)
		panic(fmt.Errorf("no disk"))
	})
	good.Go(func() {
		for range 5 {
			time.Sleep(time.Second)
			fmt.Fprintln(out, "good runs")
		}
	})
	time.Sleep(6 * time.Second)
	text, ok := bad.Panicked()
	fmt.Fprintln(out, detrt.Panics(), text, ok)
	_, ok = good.Panicked()
	fmt.Fprintln(out, ok)
}
