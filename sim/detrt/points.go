package detrt

import "tribune/sim/overlay"

// points: where a goroutine may lose its turn although it could go on.
var points = []overlay.Patch{{
	Name: "point-send",
	Why:  "a send that need not wait is followed by the sender's next steps in every schedule",
	File: "runtime/chan.go",
	Old: `func chansend(c *hchan, ep unsafe.Pointer, block bool, callerpc uintptr) bool {
`,
	New: `func chansend(c *hchan, ep unsafe.Pointer, block bool, callerpc uintptr) bool {
	simPoint()
`,
}, {
	Name: "point-receive",
	Why:  "a receive that need not wait happens in no schedule after what others do meanwhile",
	File: "runtime/chan.go",
	Old: `	// raceenabled: don't need to check ep, as it is always on the stack
	// or is new memory allocated by reflect.

	if debugChan {
		print("chanrecv`,
	New: `	// raceenabled: don't need to check ep, as it is always on the stack
	// or is new memory allocated by reflect.

	simPoint()
	if debugChan {
		print("chanrecv`,
}, {
	Name: "point-close",
	Why:  "a close is followed by its goroutine's next steps in every schedule",
	File: "runtime/chan.go",
	Old: `		fatal("close of synctest channel from outside bubble")
	}
`,
	New: `		fatal("close of synctest channel from outside bubble")
	}
	simPoint()
`,
}, {
	Name: "point-select",
	Why:  "a select takes in every schedule what was ready when its goroutine came to it",
	File: "runtime/select.go",
	Old: `	gp := getg()
	if debugSelect {
		print("select: `,
	New: `	simPoint()
	gp := getg()
	if debugSelect {
		print("select: `,
}, {
	Name: "point-lock",
	Why:  "between two critical sections with a free mutex nobody else comes in any schedule",
	File: "sync/mutex.go",
	Old: `func (m *Mutex) Lock() {
	m.mu.Lock()
}
`,
	New: `func (m *Mutex) Lock() {
	if simPoints {
		simPoint()
	}
	m.mu.Lock()
}
`,
}, {
	Name: "point-rlock",
	Why:  "between two critical sections of readers nobody else comes in any schedule",
	File: "sync/rwmutex.go",
	Old: `func (rw *RWMutex) RLock() {
`,
	New: `func (rw *RWMutex) RLock() {
	if simPoints {
		simPoint()
	}
`,
}, {
	Name: "point-link",
	Why:  "gives package sync the runtime's functions",
	File: "sync/runtime.go",
	Old: `// defined in package runtime
`,
	New: `// defined in package runtime

//go:linkname simPoints runtime.simPoints
var simPoints bool

//go:linkname simPoint runtime.simPoint
func simPoint()

//go:linkname simMask runtime.simMask
func simMask(d int32)
`,
}, {
	Name: "point-once",
	Why:  "what is done once is done by whoever comes first, who may be outside the bubble: it must not count",
	File: "sync/once.go",
	Old: `	o.m.Lock()
`,
	New: `	simMask(1)
	defer simMask(-1)
	o.m.mu.Lock()
`,
}, {
	Name: "point-pool",
	Why:  "a pool is set up by whoever uses it first after a collection, who may be outside the bubble: it must not count",
	File: "sync/pool.go",
	Old: `	allPoolsMu.Lock()
`,
	New: `	allPoolsMu.mu.Lock()
`,
}}
