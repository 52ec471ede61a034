package detrt

import "sync"

// Mutex is a lock of the world, for what goroutines of several nodes use: the network,
// a disk, the trace. It is to a node what a system call is to a process: who holds it
// passes no scheduling points, so a node that is killed or paused never leaves it
// locked, and nobody ever waits for it. Who holds it must not wait.
type Mutex struct{ mu sync.Mutex }

// Lock implements sync.Locker. It is a scheduling point.
func (m *Mutex) Lock() {
	simHold()
	m.mu.Lock()
}

// Unlock implements sync.Locker.
func (m *Mutex) Unlock() {
	m.mu.Unlock()
	simMask(-1)
}
