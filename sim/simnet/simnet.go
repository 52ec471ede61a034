// Package simnet is the network of a simulated world: hosts with UDP and TCP
// sockets that behave as those of package net, links that delay, lose and
// garble the order of packets, and rules with which faults interfere.
//
// Everything that happens to a packet on its way is an event on the world's
// agenda; no goroutine and no timer belongs to the network, except for the
// deadlines that a program sets on its own sockets, which run on that program's
// clock. Sockets are the host kernel's: they answer, buffer and retransmit while
// their process is paused, and outlive it for as long as a kernel would.
//
//   - network.go: hosts, links, and the one way that every packet takes.
//   - rules.go, partition.go: what faults are made of.
//   - stack.go: a host's sockets; it is the host.Network of its programs.
//   - udp.go: datagrams.
//   - stream.go: what a program holds of a stream; tcp.go, handshake.go,
//     segment.go, ack.go: what the kernel does for it (RFC 9293 in the small:
//     sequence numbers, acknowledgements, windows, keepalive, resets; no
//     TIME-WAIT).
//   - scoreboard.go: what is lost (SACK, RFC 2018; RACK, RFC 8985); timer.go: what
//     is done when nothing is heard (RFC 6298, and the probe of RFC 8985);
//     congestion.go: how much a stream has on its way (RFC 5681, RFC 6937).
//
// docs/calibration.md compares all that with Linux.
//
// All random choices are drawn from streams of their own, one for each link
// direction and one for each rule on each link direction, so taking a rule away
// leaves what is drawn elsewhere as it was.
package simnet

import (
	"hash/crc32"
	"hash/fnv"
	"math/rand/v2"
	"sync"
)

// signal wakes those who wait for a change of something a mutex guards.
type signal struct{ c chan struct{} }

// wait returns a channel that the next broadcast closes.
func (s *signal) wait() <-chan struct{} {
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) broadcast() {
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}

// generator returns the random numbers of a purpose.
func generator(seed uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(purpose)) // never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// checksums makes the sums of payloads in the trace.
type checksums struct {
	once  sync.Once
	table *crc32.Table
}

func (c *checksums) of(b []byte) uint64 {
	c.once.Do(func() { c.table = crc32.MakeTable(crc32.Castagnoli) })
	return uint64(crc32.Checksum(b, c.table))
}
