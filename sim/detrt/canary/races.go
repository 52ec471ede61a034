package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"testing/synctest"
	"time"

	"tribune/sim/detrt"
)

// A race is a small program with a bug that only some schedules show. It has no
// data race: all that is shared is behind mutexes and channels. It returns true
// if it noticed the bug, and does not return if the bug makes it wait for ever.
type race struct {
	name  string
	about string
	run   func(n *noise) (bug bool)
}

func races() []race {
	return []race{
		{"starved-start", "a helper is used before it has set itself up, 60 steps after its start (depth 1)", starvedStart},
		{"early-answer", "an answer comes before the question is registered, beside waits (depth 1)", earlyAnswer},
		{"lost-update", "a counter is read and written in two critical sections (depth 2)", lostUpdate},
		{"check-then-act", "two withdraw what only one may, with a wait between look and deed (depth 2)", checkThenAct},
		{"lock-order", "two mutexes are taken in either order (depth 2)", lockOrder},
		{"missed-wakeup", "a signal is given between the look and the wait (depth 2)", missedWakeup},
		{"closing", "a connection is used while it closes, after it began to and before it ended (depth 3)", closing},
		{"aba", "a list's head is swapped that was popped and pushed again meanwhile (depth 2)", aba},
		{"lease", "who was the holder writes between another's read and write (depth 3)", lease},
	}
}

// noise is what programs do beside what matters: steps that others cannot be
// hurt by.
type noise struct {
	mu   sync.Mutex
	n    int
	disk chan chan bool
}

// steps locks and unlocks a mutex again and again.
func (n *noise) steps(count int) {
	for range count {
		n.mu.Lock()
		n.n++
		n.mu.Unlock()
	}
}

// wait has another goroutine do something and waits for it.
func (n *noise) wait() {
	done := make(chan bool)
	n.disk <- done
	<-done
}

func (n *noise) serve() {
	for done := range n.disk {
		done <- true
	}
}

// cell is a value behind a mutex.
type cell[T any] struct {
	mu sync.Mutex
	v  T
}

func (c *cell[T]) get() T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.v
}

func (c *cell[T]) set(v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.v = v
}

func starvedStart(n *noise) bool {
	var ready cell[bool]
	go ready.set(true)
	n.steps(60)
	return !ready.get()
}

func earlyAnswer(n *noise) bool {
	var pending cell[bool]
	questions, answers := make(chan int, 1), make(chan int, 1)
	go func() {
		n.wait()
		<-questions
		answers <- 1
	}()
	lost := make(chan bool)
	go func() {
		<-answers
		lost <- !pending.get()
	}()
	n.wait()
	questions <- 1
	n.steps(3)
	pending.set(true)
	return <-lost
}

func lostUpdate(n *noise) bool {
	var x cell[int]
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			n.steps(20)
			v := x.get()
			x.set(v + 1)
			n.steps(20)
		})
	}
	wg.Wait()
	return x.get() != 2
}

func checkThenAct(n *noise) bool {
	var balance cell[int]
	balance.set(1)
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			for range 1 + 8*i {
				n.wait()
			}
			if balance.get() > 0 {
				n.wait()
				balance.set(balance.get() - 1)
			}
			n.steps(10)
		})
	}
	wg.Wait()
	return balance.get() < 0
}

func lockOrder(n *noise) bool {
	var a, b sync.Mutex
	var wg sync.WaitGroup
	both := func(first, second *sync.Mutex) {
		n.steps(15)
		first.Lock()
		second.Lock()
		n.n++
		second.Unlock()
		first.Unlock()
		n.steps(15)
	}
	wg.Go(func() { both(&a, &b) })
	wg.Go(func() { both(&b, &a) })
	wg.Wait()
	return false
}

func missedWakeup(n *noise) bool {
	var ready cell[bool]
	signal := make(chan bool)
	go func() {
		n.steps(15)
		ready.set(true)
		select {
		case signal <- true:
		default: // nobody waits
		}
	}()
	n.steps(10)
	if !ready.get() {
		<-signal
	}
	return false
}

func closing(n *noise) bool {
	type state struct{ closing, closed bool }
	var conn cell[state]
	var wg sync.WaitGroup
	bug := false
	wg.Go(func() {
		n.steps(10)
		conn.set(state{closing: true})
		n.steps(2)
		conn.set(state{closing: true, closed: true})
		n.steps(10)
	})
	wg.Go(func() {
		n.steps(8)
		if s := conn.get(); s.closing && !s.closed {
			n.steps(1)
			bug = conn.get().closed // what is left is written to it
		}
		n.steps(10)
	})
	wg.Wait()
	return bug
}

// aba pops from a list: who pops reads the head and what follows it, and swaps if
// the head is what it was. Another pops two and pushes the first again.
func aba(n *noise) bool {
	const none, a, b, c = 0, 1, 2, 3
	var mu sync.Mutex
	head, next, free := a, map[int]int{a: b, b: c, c: none}, map[int]bool{}
	read := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return head, next[head]
	}
	swap := func(old, now int) bool {
		mu.Lock()
		defer mu.Unlock()
		if head != old {
			return false
		}
		head = now
		return true
	}
	pop := func() int {
		for {
			h, after := read()
			if swap(h, after) {
				mu.Lock()
				free[h] = true
				mu.Unlock()
				return h
			}
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		n.steps(10)
		pop()
		n.steps(5)
	})
	wg.Go(func() {
		n.steps(10)
		first := pop()
		pop()
		mu.Lock()
		next[first], head = head, first
		delete(free, first)
		mu.Unlock()
		n.steps(5)
	})
	wg.Wait()
	return free[head]
}

// lease has one write because it was the holder, and another, who is the holder
// now, read before and write after that. Only the loss counts.
func lease(n *noise) bool {
	var holder, x cell[int]
	var wg sync.WaitGroup
	wrote := false
	wg.Go(func() {
		n.steps(8)
		if holder.get() == 0 {
			n.steps(2)
			x.set(100)
			wrote = true
		}
		n.steps(10)
	})
	wg.Go(func() {
		n.steps(8)
		holder.set(1)
		v := x.get()
		n.steps(2)
		x.set(v + 1)
		n.steps(10)
	})
	wg.Wait()
	return wrote && x.get() == 1
}

// tried is what came of the trials of a race.
type tried struct {
	Bugs   []int // the trials that showed it
	Orders int   // different interleavings
	Turns  detrt.Turns
}

// raceMain makes 200 trials of a race, each in a node of its own with draws of its
// own. In a trial it runs ten times: servers do the same again and again.
func raceMain(r race) func(io.Writer) {
	return func(out io.Writer) {
		const trials, rounds = 200, 10
		var t tried
		orders := map[uint64]bool{}
		for i := range trials {
			bug, ended := false, false
			n := &noise{disk: make(chan chan bool)}
			node := detrt.NewNode(fmt.Sprint("trial ", i), uint64(i)*1_000_003)
			node.Go(func() {
				go n.serve()
				for range rounds {
					bug = r.run(n) || bug
				}
				ended = true
			})
			time.Sleep(time.Second)
			synctest.Wait()
			node.Freeze()
			if bug || !ended {
				t.Bugs = append(t.Bugs, i)
			}
			orders[node.Order()] = true
		}
		t.Orders, t.Turns = len(orders), detrt.Taken()
		if err := json.NewEncoder(out).Encode(t); err != nil {
			fail(err)
		}
	}
}
