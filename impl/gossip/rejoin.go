package gossip

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"
)

// An agent that was away looks for the members it knew, at once and then ever
// more seldom, until it has met each of them or they would have been forgotten. That it
// has met one of them is not enough: after an outage of all, two halves that
// were started apart would each be content.
const (
	firstPause = time.Second
	longPause  = 30 * time.Second // serf's own interval for members it saw fail
)

// An agent that left and came back says a few times more that it is here, ever more
// seldom. serf remembers for five minutes that an unknown member left, and may then
// show it as leaving for ever, though it lives (hashicorp/serf#662): that it came back
// was said with too low a Lamport time, before it had heard of its own leaving.
const (
	firstWord = 15 * time.Second
	lastWord  = 5 * time.Minute
)

// tend keeps the file of members up to date, looks for those that are lost, and says
// that this agent is here.
func (p *Pool) tend(ctx context.Context, lost []string) {
	start := time.Now()
	pause := firstPause
	next := time.NewTimer(0)
	defer next.Stop()
	word := time.NewTimer(firstWord)
	defer word.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.look:
		case <-next.C:
			p.seek(ctx, lost)
			next.Reset(pause + rand.N(pause/4))
			pause = min(2*pause, longPause)
		case <-word.C:
			p.announce()
			if age := time.Since(start); age < lastWord {
				word.Reset(age)
			}
		}
		if time.Since(start) > p.reconnect {
			lost = nil
		}
		known := p.known()
		lost = without(lost, known)
		if len(lost) == 0 {
			next.Stop()
		}
		if err := p.peers.save(append(p.others(), lost...)); err != nil {
			p.log.Warn("the addresses of the members could not be kept for the next start", "error", err)
		}
	}
}

// seek tries to join each of the lost. Members come to know of each other: who
// has turned up meanwhile needs no call.
func (p *Pool) seek(ctx context.Context, lost []string) {
	for _, a := range lost {
		if ctx.Err() != nil {
			return
		}
		if slices.Contains(p.known(), a) {
			continue
		}
		if _, err := p.serf.Join([]string{a}, true); err != nil {
			p.log.Info("a member known from before does not answer", "address", a, "error", err)
		}
	}
}

// announce joins a member that is there already: what each knows of the time goes
// both ways, and then serf says to all that this agent is here, with a time that is
// later than what either knew.
func (p *Pool) announce() {
	var there []string
	for _, m := range p.Members() {
		if a := net.JoinHostPort(m.Addr, strconv.Itoa(int(m.Port))); a != p.self && m.Status == StatusAlive {
			there = append(there, a)
		}
	}
	if len(there) == 0 {
		return
	}
	// What was fired meanwhile is not old: to ignore it would be to lose the next events.
	if _, err := p.serf.Join(there[rand.IntN(len(there)):][:1], false); err != nil {
		p.log.Info("a member does not answer", "error", err)
	}
}

// known lists the addresses of all members, whatever became of them.
func (p *Pool) known() []string {
	known := []string{p.self}
	for _, m := range p.Members() {
		known = append(known, net.JoinHostPort(m.Addr, strconv.Itoa(int(m.Port))))
	}
	return known
}

// others lists the addresses of the other members that are expected to be there
// or to come back: a failed one is, one that left is not.
func (p *Pool) others() []string {
	found := []string{}
	for _, m := range p.Members() {
		a := net.JoinHostPort(m.Addr, strconv.Itoa(int(m.Port)))
		if a != p.self && (m.Status == StatusAlive || m.Status == StatusFailed) {
			found = append(found, a)
		}
	}
	return found
}

func without(list, drop []string) []string {
	var rest []string
	for _, a := range list {
		if !slices.Contains(drop, a) {
			rest = append(rest, a)
		}
	}
	return rest
}
