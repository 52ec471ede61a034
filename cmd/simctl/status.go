package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/term"
)

// status is the line that says how far long work is: written over in place on a
// terminal, a line now and then elsewhere.
type status struct {
	terminal bool
	interval time.Duration
	last     time.Time
	there    bool // a line is shown in place
}

// newStatus makes a status that changes at most once in an interval: the first on a
// terminal, the second elsewhere.
func newStatus(onTerminal, elsewhere time.Duration) *status {
	s := &status{terminal: term.IsTerminal(int(os.Stdout.Fd())), interval: elsewhere, last: time.Now()}
	if s.terminal {
		s.interval = onTerminal
	}
	return s
}

// show shows a text, which it asks for only if it is time for another.
func (s *status) show(text func() string) {
	if time.Since(s.last) < s.interval {
		return
	}
	s.last = time.Now()
	if !s.terminal {
		fmt.Println(text())
		return
	}
	fmt.Printf("\r\x1b[K%s", text())
	s.there = true
}

// clear takes the line away that is shown in place.
func (s *status) clear() {
	if s.there {
		fmt.Print("\r\x1b[K")
		s.there = false
	}
}
