package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"tribune/sim/detrt"
)

// pointCanaries show what schedules with scheduling points draw; under shuffle
// nobody loses a turn in them.
func pointCanaries() []canary {
	return []canary{
		{"point-send", points(func() func() {
			c := make(chan int, pointTurns)
			return func() { c <- 1 }
		})},
		{"point-receive", points(func() func() {
			c := make(chan int, pointTurns)
			for range pointTurns {
				c <- 1
			}
			return func() { <-c }
		})},
		{"point-close", points(func() func() {
			return func() { close(make(chan int)) }
		})},
		{"point-select", points(func() func() {
			a, b := make(chan int), make(chan int)
			return func() {
				select {
				case <-a:
				case <-b:
				default:
				}
			}
		})},
		{"point-lock", points(func() func() {
			var mu sync.Mutex
			return func() {
				mu.Lock()
				defer mu.Unlock()
			}
		})},
		{"point-rlock", points(func() func() {
			var mu sync.RWMutex
			return func() {
				mu.RLock()
				defer mu.RUnlock()
			}
		})},
		// The ticker outside the bubble prints the time as well, so that what
		// is set up at its first use may be there already.
		{"point-once", points(func() func() {
			var mu sync.Mutex
			return func() {
				mu.Lock()
				defer mu.Unlock()
				_ = time.Now().String()
			}
		})},
		{"point-pool", func(out io.Writer) {
			run := points(func() func() {
				var mu sync.Mutex
				return func() {
					mu.Lock()
					defer mu.Unlock()
					_ = fmt.Sprint(1)
				}
			})
			for range 10 {
				detrt.Collect()
				run(out)
			}
		}},
	}
}

const pointTurns = 20

// points has three goroutines of a node that each do the same again and again, on
// something of their own, and prints who did it when.
func points(prepare func() (do func())) func(io.Writer) {
	return func(out io.Writer) {
		var log []byte
		n := detrt.NewNode("n", 1)
		n.Go(func() {
			work := []func(){prepare(), prepare(), prepare()}
			for i, do := range work {
				go func() {
					for range pointTurns {
						do()
						log = append(log, 'a'+byte(i))
					}
				}()
			}
		})
		time.Sleep(time.Second)
		fmt.Fprintf(out, "%s\n", log)
	}
}
