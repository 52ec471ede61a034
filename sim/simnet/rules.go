package simnet

import (
	"math/rand/v2"
	"time"

	"tribune/netmodel"
)

// Protocol is that of a packet.
type Protocol uint8

// The protocols.
const (
	TCP Protocol = iota + 1
	UDP
)

func (p Protocol) String() string {
	if p == UDP {
		return "udp"
	}
	return "tcp"
}

// Packet is what rules see of a packet.
type Packet struct {
	From, To         string // hosts
	Protocol         Protocol
	FromPort, ToPort uint16
	Size             int // bytes, with headers
}

// parts is how many packets of real links it is.
func (p *Packet) parts() int { return (p.Size + mtu - 1) / mtu }

// Match says which packets a rule is asked about; nil is all.
type Match func(*Packet) bool

// Rule interferes with packets. Each link direction gets a Judge of its own.
type Rule struct {
	// Name identifies the rule in the trace, and its streams of draws.
	Name string
	// Match chooses packets.
	Match Match
	// Each says that the rule's answers differ from packet to packet of real links. Streams
	// send single ones where it matches, since of a larger segment all would share one
	// answer.
	Each bool
	// Start returns the judge of one link direction.
	Start func() Judge
}

// Judge answers for one packet: Pass, Drop, Delay or Copy. The
// generator belongs to this rule on this link direction; now is the true time.
type Judge func(p *Packet, now time.Duration, r *rand.Rand) Verdict

// Verdict is a rule's answer.
type Verdict struct {
	lost   bool
	after  time.Duration
	copies []time.Duration
	by     string
}

// Pass does nothing to the packet.
func Pass() Verdict { return Verdict{} }

// Drop loses the packet.
func Drop() Verdict { return Verdict{lost: true} }

// Delay adds d to the way.
func Delay(d time.Duration) Verdict { return Verdict{after: d} }

// Copy has the packet arrive a second time, d after the first.
func Copy(d time.Duration) Verdict { return Verdict{copies: []time.Duration{d}} }

// installed is a rule on the network; applied is what it is on one link.
type installed struct{ Rule }

func (r *installed) matches(p *Packet) bool { return r.Match == nil || r.Match(p) }

type applied struct {
	judge Judge
	draws *rand.Rand
}

// judge asks the rules in order: the first that drops decides; delays and copies add
// up. Every rule that matches draws, whichever drops, so that none depends on another.
func (l *link) judge(n *Network, p *Packet, now time.Duration) Verdict {
	var sum Verdict
	for _, r := range n.rules {
		if !r.matches(p) {
			continue
		}
		a := l.rules[r]
		if a == nil {
			a = &applied{r.Start(), generator(n.seed, "rule "+r.Name+" "+l.from.name+">"+l.to.name)}
			l.rules[r] = a
		}
		v := a.judge(p, now, a.draws)
		if v.lost && !sum.lost {
			sum.lost, sum.by = true, r.Name
		}
		sum.after += v.after
		sum.copies = append(sum.copies, v.copies...)
	}
	return sum
}

func always(j Judge) func() Judge { return func() Judge { return j } }

// Block drops what matches.
func Block(name string, m Match) Rule {
	return Rule{Name: name, Match: m, Start: always(func(*Packet, time.Duration, *rand.Rand) Verdict { return Drop() })}
}

// Flap drops what matches in the first part of every period. The first period begins at
// since, a true time.
func Flap(name string, m Match, since, down, period time.Duration) Rule {
	return Rule{Name: name, Match: m, Start: always(func(_ *Packet, now time.Duration, _ *rand.Rand) Verdict {
		if (now-since)%period < down {
			return Drop()
		}
		return Pass()
	})}
}

// Lose loses packets as a model says; a datagram in fragments is lost with any of them.
func Lose(name string, m Match, loss netmodel.Loss) Rule {
	return Rule{Name: name, Match: m, Each: true, Start: func() Judge {
		chain := loss.Start()
		return func(p *Packet, _ time.Duration, r *rand.Rand) Verdict {
			v := Pass()
			for range p.parts() {
				if chain.Lost(r) {
					v = Drop()
				}
			}
			return v
		}
	}}
}

// Slow adds latency.
func Slow(name string, m Match, extra netmodel.Dist) Rule {
	return Rule{Name: name, Match: m, Start: always(func(_ *Packet, _ time.Duration, r *rand.Rand) Verdict { return Delay(extra.Draw(r)) })}
}

// Duplicate has packets arrive twice, with probability p, the copy up to
// spread later; of a datagram in fragments when there are two of each. A stream drops the
// copies, as TCP does.
func Duplicate(name string, m Match, p float64, spread time.Duration) Rule {
	return Rule{Name: name, Match: m, Each: true, Start: always(func(k *Packet, _ time.Duration, r *rand.Rand) Verdict {
		again, after := true, time.Duration(0)
		for range k.parts() {
			again = r.Float64() < p && again
			after = max(after, time.Duration(r.Float64()*float64(spread)))
		}
		if again {
			return Copy(after)
		}
		return Pass()
	})}
}

// Reorder holds packets back, with probability p, for up to spread, so that
// later ones overtake them; a datagram in fragments as long as any of them. A stream puts
// them in order again, as TCP does.
func Reorder(name string, m Match, p float64, spread time.Duration) Rule {
	return Rule{Name: name, Match: m, Each: true, Start: always(func(k *Packet, _ time.Duration, r *rand.Rand) Verdict {
		var after time.Duration
		for range k.parts() {
			late, by := r.Float64() < p, time.Duration(r.Float64()*float64(spread))
			if late {
				after = max(after, by)
			}
		}
		return Delay(after)
	})}
}

// Gray is a failure that checks do not see: small packets pass, such as
// heartbeats and probes, and those larger than limit bytes are lost.
func Gray(name string, m Match, limit int) Rule {
	return Rule{Name: name, Match: m, Start: always(func(p *Packet, _ time.Duration, _ *rand.Rand) Verdict {
		if p.Size > limit {
			return Drop()
		}
		return Pass()
	})}
}
