package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"hash/maphash"
	"io"
	mathrand "math/rand"
	"runtime"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"tribune/sim/detrt"
)

// canaries lists the programs by the name of what they show.
func canaries() []canary {
	return append([]canary{
		{"process-seed", processSeed},
		{"rand", random},
		{"select", selects},
		{"timer-order", timerOrder},
		{"select-timers", selectTimers},
		{"crypto", crypto},
		{"portable-hash", processSeed},
		{"identity-hash", identity},
		{"identity-free", identityReuse},
		{"order", order},
		{"yield", yield},
		{"outside", outside},
		{"crowd", crowd},
		{"no-preemption", compute},
		{"one-cpu", func(out io.Writer) { fmt.Fprintln(out, runtime.NumCPU()) }},
		{"wait", wait},
		{"mutex-idle", mutexIdle},
		{"mutex-clock", mutexClock},
		{"finalizers", finalizers},
	}, slices.Concat(nodeCanaries(), libraryCanaries(), pointCanaries())...)
}

// before is made before the run: its seed and its keys' hashes are the
// process's.
var before = func() map[string]int {
	m := map[string]int{}
	for i := range 100 {
		m[fmt.Sprint("key", i)] = i
	}
	return m
}()

func processSeed(out io.Writer) {
	for k := range before {
		fmt.Fprint(out, k, " ")
	}
}

func random(out io.Writer) {
	m := map[int]bool{}
	for i := range 40 {
		m[i] = true
	}
	for k := range m {
		fmt.Fprint(out, k, " ")
	}
	var h maphash.Hash
	fmt.Fprintln(out, mathrand.Int63(), h.Sum64())
}

func selects(out io.Writer) {
	chans := make([]chan int, 4)
	for i := range chans {
		chans[i] = make(chan int, 50)
		for range 50 {
			chans[i] <- i
		}
	}
	for range 100 {
		select {
		case v := <-chans[0]:
			fmt.Fprint(out, v)
		case v := <-chans[1]:
			fmt.Fprint(out, v)
		case v := <-chans[2]:
			fmt.Fprint(out, v)
		case v := <-chans[3]:
			fmt.Fprint(out, v)
		}
	}
}

func timerOrder(out io.Writer) {
	fired := make(chan int, 40)
	for i := range cap(fired) {
		// The send happens in the timer's function itself, before any
		// goroutine could be put in another order.
		t := time.NewTimer(time.Second)
		go func() { <-t.C; fired <- i }()
	}
	time.Sleep(time.Minute)
	for range cap(fired) {
		fmt.Fprint(out, <-fired, " ")
	}
}

// selectTimers waits for two timers at once that are due at one instant. The one
// that was waited for first draws first.
func selectTimers(out io.Writer) {
	var kept []*time.Timer
	for range 10 {
		const pairs = 400
		first := make([]byte, pairs)
		for i := range first {
			a, b := time.NewTimer(time.Second), time.NewTimer(time.Second)
			if i%3 == 0 {
				kept = append(kept, b) // so that memory is used again in pieces
			}
			go func() {
				select {
				case <-a.C:
					first[i] = 'a'
				case <-b.C:
					first[i] = 'b'
				}
			}()
		}
		time.Sleep(time.Minute)
		fmt.Fprintf(out, "%s\n", first)
		detrt.Collect()
	}
	runtime.KeepAlive(kept)
}

func crypto(out io.Writer) { fmt.Fprintln(out, rand.Text()) }

// identity ranges over maps keyed by pointers, channels and interfaces, as
// hashicorp/raft and go-memdb do.
func identity(out io.Writer) {
	pointers, channels, interfaces := map[*int]int{}, map[chan int]int{}, map[any]int{}
	for i := range 100 {
		pointers[new(int)] = i
		channels[make(chan int)] = i
		interfaces[&struct{ a, b string }{}] = i
	}
	for _, v := range pointers {
		fmt.Fprint(out, v, " ")
	}
	for _, v := range channels {
		fmt.Fprint(out, v, " ")
	}
	for _, v := range interfaces {
		fmt.Fprint(out, v, " ")
	}
}

// identityReuse collects between generations of keys, so that addresses are
// used again.
func identityReuse(out io.Writer) {
	for range 5 {
		identity(out)
		detrt.Collect()
	}
}

// order shows nothing but the order in which goroutines run.
func order(out io.Writer) {
	const workers, turns = 6, 20
	ping := make(chan int)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range turns {
				ping <- i
			}
		})
	}
	go func() {
		wg.Wait()
		close(ping)
	}()
	for i := range ping {
		fmt.Fprint(out, i)
	}
}

// yield has two goroutines that wake each other, and some that only yield.
func yield(out io.Writer) {
	a, b := make(chan bool), make(chan bool)
	turns := make([]int, 3)
	done := false
	go func() {
		for !done {
			a <- true
			<-b
		}
	}()
	go func() {
		for !done {
			<-a
			b <- true
		}
	}()
	for i := range turns {
		go func() {
			for !done {
				turns[i]++
				runtime.Gosched()
			}
		}()
	}
	for range 1000 {
		runtime.Gosched()
	}
	done = true
	for i, n := range turns {
		if n < 100 {
			fmt.Fprintln(out, "goroutine", i, "starves")
		}
	}
	fmt.Fprintln(out, turns)
}

// outside shares package-level state (pools, caches) with whatever runs
// outside the bubble, which must therefore not run.
func outside(out io.Writer) {
	results := make(chan string)
	for i := range 20 {
		go func() {
			for j := range 50 {
				results <- fmt.Sprintf("%d.%d", i, j)
			}
		}()
	}
	for range 1000 {
		fmt.Fprint(out, <-results, " ")
	}
}

// crowd has more runnable goroutines than a P's own queue holds.
func crowd(out io.Writer) {
	var mu sync.Mutex
	var ran []int
	for i := range 3000 {
		go func() {
			runtime.Gosched()
			mu.Lock()
			defer mu.Unlock()
			ran = append(ran, i)
		}()
	}
	time.Sleep(time.Second)
	fmt.Fprintln(out, ran)
}

// burn computes for about that many microseconds of real time.
func burn(us int) (sum uint64) {
	for i := range uint64(us) * 1000 {
		sum = sum*31 + i
	}
	return sum
}

// compute has goroutines that compute for longer than the 10 ms after which
// the system monitor preempts.
func compute(out io.Writer) {
	done := make(chan string)
	for i := range 3 {
		go func() {
			var b bytes.Buffer
			for range 6 {
				fmt.Fprint(&b, burn(5000)%10)
				fmt.Fprint(out, i)
			}
			done <- b.String()
		}()
	}
	for range 3 {
		fmt.Fprintln(out, <-done)
	}
}

// wait finds all others at rest, held ones included, without time passing.
func wait(out io.Writer) {
	ran := 0
	n := detrt.NewNode("n", 1)
	for range 10 {
		n.Go(func() { ran++; time.Sleep(time.Second); ran++ })
	}
	synctest.Wait()
	fmt.Fprintln(out, ran, time.Now())
	n.Pause()
	time.Sleep(2 * time.Second)
	synctest.Wait()
	fmt.Fprintln(out, ran, time.Now())
	n.Resume()
	synctest.Wait()
	fmt.Fprintln(out, ran, time.Now())
}

// mutexIdle holds a mutex across a wait.
func mutexIdle(out io.Writer) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			time.Sleep(time.Second)
			fmt.Fprint(out, i)
		})
	}
	wg.Wait()
	fmt.Fprintln(out, time.Now())
}

// mutexClock contends for a mutex whose holders compute for about the 1 ms
// after which a waiter is served first.
func mutexClock(out io.Writer) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 15 {
				mu.Lock()
				_ = burn(300)
				fmt.Fprint(out, i)
				runtime.Gosched()
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// finalizers runs finalizers and cleanups, each at the collection after its
// object's death.
func finalizers(out io.Writer) {
	type thing struct{ p *int }
	var mu sync.Mutex
	ran := 0
	for range 5 {
		for range 10 {
			t := &thing{new(int)}
			runtime.SetFinalizer(t, func(*thing) { mu.Lock(); ran++; mu.Unlock() })
			u := &thing{new(int)}
			runtime.AddCleanup(u, func(int) { mu.Lock(); ran++; mu.Unlock() }, 0)
		}
		detrt.Collect()
		mu.Lock()
		fmt.Fprint(out, ran, " ")
		mu.Unlock()
	}
}
