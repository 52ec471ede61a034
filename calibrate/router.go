//go:build linux

package main

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"tribune/netmodel"
)

// router connects namespaces: it reads the IP packets that each sends to its TUN
// device, draws what becomes of them from the model of a link, and writes them to
// the device of the namespace that has their address. As in the simulated network,
// packets of one TCP stream do not overtake each other.
type router struct {
	link    netmodel.Link // between all machines
	devices []unix.PollFd
	at      map[netip.Addr]int // index of the device that leads there
	direct  netip.Addr         // from and to which nothing is delayed or lost
	wires   map[[2]netip.Addr]*wire
	streams map[stream]time.Time // when the last packet of each arrives
	waiting queue
	taken   int             // packets, ever
	late    []time.Duration // by how much packets were, as far as they were delayed
	buffer  []byte
}

// wire is one direction between two machines.
type wire struct {
	draws *rand.Rand
	loss  netmodel.Chain
}

// stream is one direction of a TCP stream.
type stream struct {
	from, to netip.AddrPort
}

// packet is one that waits for its delivery.
type packet struct {
	due    time.Time
	number int // in the order of their arrival
	device int
	data   []byte
}

// queue is a heap of packets.
type queue []packet

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].number < q[j].number
	}
	return q[i].due.Before(q[j].due)
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(packet)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func newRouter(link netmodel.Link) *router {
	return &router{
		link: link, at: map[netip.Addr]int{}, direct: netip.MustParseAddr(directAddress),
		wires: map[[2]netip.Addr]*wire{}, streams: map[stream]time.Time{},
		buffer: make([]byte, 1<<16),
	}
}

// tunName is how a namespace's device is called.
const tunName = "tun0"

// attach creates a TUN device in a namespace, of which the file is given, and
// routes addresses to it. The device vanishes with the router.
func (r *router) attach(namespace string, addresses ...netip.Addr) error {
	fd := -1
	err := inside(namespace, func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("/dev/net/tun: %w", err)
		}
		request, err := unix.NewIfreq(tunName)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	})
	if fd >= 0 {
		for _, a := range addresses {
			r.at[a] = len(r.devices)
		}
		r.devices = append(r.devices, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	return err
}

// inside runs f on a thread in a network namespace. The thread ends with it.
func inside(namespace string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: Go ends the thread with the goroutine
		done <- func() error {
			fd, err := unix.Open(namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("%s: %w", namespace, err)
			}
			defer func() { _ = unix.Close(fd) }()
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("entering %s: %w", namespace, err)
			}
			return f()
		}()
	}()
	return <-done
}

func (r *router) close() {
	for _, d := range r.devices {
		_ = unix.Close(int(d.Fd))
	}
}

// nap is how long the router waits for packets before it looks whether it is to
// end.
const nap = 50 * time.Millisecond

// run routes packets until stop is closed. It waits in system calls on a thread of its
// own: the timers of the Go runtime may be a millisecond late.
func (r *router) run(stop <-chan struct{}) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("exact timers: %w", err)
	}
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		wait := nap
		if len(r.waiting) > 0 {
			wait = min(max(time.Until(r.waiting[0].due), 0), nap)
		}
		limit := unix.NsecToTimespec(wait.Nanoseconds())
		if _, err := unix.Ppoll(r.devices, &limit, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for packets: %w", err)
		}
		for i := range r.devices {
			if r.devices[i].Revents != 0 {
				r.read(i)
			}
		}
		r.deliver()
	}
}

// read takes in all packets that a device has.
func (r *router) read(device int) {
	for {
		n, err := unix.Read(int(r.devices[device].Fd), r.buffer)
		if err != nil || n <= 0 {
			return // nothing more, or a device that is not up yet
		}
		r.take(r.buffer[:n], time.Now())
	}
}

// take decides what becomes of a packet.
func (r *router) take(data []byte, now time.Time) {
	from, to, s, ok := parse(data)
	device, known := r.at[to]
	if !ok || !known {
		return // IPv6 or multicast, which the agents do not use
	}
	due := now
	if from != r.direct && to != r.direct {
		w := r.wire(from, to)
		due = now.Add(r.link.Latency.Draw(w.draws))
		if w.loss.Lost(w.draws) {
			return
		}
	}
	if s != (stream{}) {
		if last := r.streams[s]; last.After(due) {
			due = last
		}
		r.streams[s] = due
	}
	r.taken++
	heap.Push(&r.waiting, packet{due, r.taken, device, slices.Clone(data)})
}

func (r *router) wire(from, to netip.Addr) *wire {
	key := [2]netip.Addr{from, to}
	w := r.wires[key]
	if w == nil {
		w = &wire{draws: rand.New(rand.NewPCG(binary.BigEndian.Uint64(append(from.AsSlice(), to.AsSlice()...)), 1)), loss: r.link.Loss.Start()}
		r.wires[key] = w
	}
	return w
}

// deliver writes the packets that are due.
func (r *router) deliver() {
	for len(r.waiting) > 0 {
		late := time.Since(r.waiting[0].due)
		if late < 0 {
			return
		}
		p := r.next()
		r.late = append(r.late, late)
		_, _ = unix.Write(int(r.devices[p.device].Fd), p.data) // a machine whose queue is full loses it, as any would
	}
}

// next takes out the packet that is due first.
func (r *router) next() packet { return heap.Pop(&r.waiting).(packet) }

// The parts of an IPv4 header that matter (RFC 791, section 3.1).
const (
	leastHeader    = 20
	protocolOffset = 9
	sourceOffset   = 12
	targetOffset   = 16
	protocolTCP    = 6
)

// parse returns the addresses of an IPv4 packet and the TCP stream that it is of,
// if it is of one.
func parse(data []byte) (from, to netip.Addr, s stream, ok bool) {
	if len(data) < leastHeader || data[0]>>4 != 4 {
		return from, to, s, false
	}
	from, _ = netip.AddrFromSlice(data[sourceOffset : sourceOffset+4])
	to, _ = netip.AddrFromSlice(data[targetOffset : targetOffset+4])
	header := int(data[0]&0xf) * 4
	if data[protocolOffset] == protocolTCP && len(data) >= header+4 {
		s.from = netip.AddrPortFrom(from, binary.BigEndian.Uint16(data[header:]))
		s.to = netip.AddrPortFrom(to, binary.BigEndian.Uint16(data[header+2:]))
	}
	return from, to, s, true
}
