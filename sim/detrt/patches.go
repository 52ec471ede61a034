package detrt

import (
	_ "embed"

	"tribune/sim/overlay"
)

// Tag is the build tag that goes with the patches.
const Tag = "tribune_sim"

// GoVersions are the Go releases (as in runtime.Version) for which the patches
// were written and tried. Others are refused only if an anchor does not fit.
const GoVersions = "go1.26"

//go:embed runtime_sim.go.txt
var runtimeSim string

//go:embed runtime_order.go.txt
var runtimeOrder string

// Patches returns the patches that make the runtime deterministic, in the order
// of the runtime's files. They assume GOMAXPROCS=1, see package launch.
func Patches() []overlay.Patch {
	all := []overlay.Patch{{
		Name: "runtime",
		Why:  "the state and the functions that the other patches call",
		File: "runtime/tribune_sim.go",
		New:  runtimeSim,
	}, {
		Name: "runtime-order",
		Why:  "the schedules, and what is remembered of them",
		File: "runtime/tribune_order.go",
		New:  runtimeOrder,
	}}
	all = append(all, randomness...)
	all = append(all, scheduling...)
	all = append(all, points...)
	all = append(all, single...)
	all = append(all, clocks...)
	return append(all, nodes...)
}

// randomness: what is drawn, and what the addresses of objects decide.
var randomness = []overlay.Patch{{
	Name: "process-seed",
	Why:  "the kernel seeds the process: hash keys, heap base and the seeds of maps made before the run differ",
	File: "runtime/rand.go",
	Old: `	globalRand.state.Init(*seed)
	clear(seed[:])
`,
	New: `	clear(seed[:])
	seed[0] = 42
	globalRand.state.Init(*seed)
	clear(seed[:])
`,
}, {
	Name: "rand",
	Why:  "map iteration, map seeds, math/rand and maphash draw from a generator of the thread",
	File: "runtime/rand.go",
	Old: `	mp := getg().m
	c := &mp.chacha8
	for {
`,
	New: `	if s := simStream(); s != nil {
		return simDraw(s)
	}
	mp := getg().m
	c := &mp.chacha8
	for {
`,
}, {
	Name: "select",
	Why:  "which ready case a select takes is drawn from a generator of the thread",
	File: "runtime/select.go",
	Old:  "j := cheaprandn(uint32(norder + 1))",
	New:  "j := simRandn(uint32(norder + 1))",
}, {
	Name: "timer-order",
	Why:  "the order of timers due at one instant is drawn from a generator of the thread",
	File: "runtime/time.go",
	Old:  "t.rand = cheaprand()",
	New:  "t.rand = simRandn(1<<32 - 1)",
}, {
	Name: "crypto",
	Why:  "keys, UUIDs and nonces come from the kernel",
	File: "crypto/internal/sysrand/rand.go",
	Old: `func Read(b []byte) {
`,
	New: `func Read(b []byte) {
	if simFill(b) {
		return
	}
`,
}, {
	Name: "crypto-link",
	Why:  "gives crypto/internal/sysrand the runtime's function",
	File: "crypto/internal/sysrand/rand.go",
	Old:  "var testingOnlyFailRead bool\n",
	New: `var testingOnlyFailRead bool

//go:linkname simFill runtime.simFill
func simFill(b []byte) bool
`,
}, {
	Name: "portable-hash",
	Why:  "the hash function depends on the CPU's features, and map order on the hash function",
	File: "runtime/alg.go",
	Old:  "	// Install AES hash algorithms if the instructions needed are present.\n",
	New: `	for i := range hashkey {
		hashkey[i] = uintptr(bootstrapRand())
	}
	if true {
		return
	}
`,
}, {
	Name: "identity-hash",
	Why:  "maps keyed by pointers, channels and interfaces hash by address, which depends on everything ever allocated and freed",
	File: "runtime/hash64.go",
	Old: `	a := r8(p)
	return mix(m5^8`,
	New: `	a := simIdentity(r8(p))
	return mix(m5^8`,
}, {
	Name: "identity-free",
	Why:  "a new object at the address of a dead one must get an identity of its own",
	File: "runtime/mheap.go",
	Old: `	default:
		throw("bad special kind")
`,
	New: `	case _KindSpecialSim:
		simForget(s)
	default:
		throw("bad special kind")
`,
}}

// scheduling: which goroutine runs when.
var scheduling = []overlay.Patch{{
	Name: "put",
	Why:  "the bubble has a run queue of its own, so that nothing outside changes its order and every order is drawn from the seed",
	File: "runtime/proc.go",
	Old: `	if !haveSysmon && next {
`,
	New: `	if simOn && simPut(gp) {
		return
	}
	if !haveSysmon && next {
`,
}, {
	Name: "get",
	Why:  "takes the next goroutine of the bubble's queue, before anything whose turn depends on what ran before the bubble",
	File: "runtime/proc.go",
	Old:  "	// Check the global runnable queue once in a while to ensure fairness.\n",
	New: `	if simOn {
		if gp := simGet(); gp != nil {
			return gp, false, false
		}
	}

`,
}, {
	Name: "yield",
	Why:  "a goroutine that yields would leave the bubble's queue for the global one and starve there",
	File: "runtime/proc.go",
	Old: `	} else {
		lock(&sched.lock)
		globrunqput(gp)
		unlock(&sched.lock)
	}

	if mainStarted {
`,
	New: `	} else if simOn && gp.bubble != nil && !sim.open {
		simYield(gp)
	} else {
		lock(&sched.lock)
		globrunqput(gp)
		unlock(&sched.lock)
	}

	if mainStarted {
`,
}, {
	Name: "no-preemption",
	Why:  "the system monitor preempts after 10 ms of real time and takes the P from a goroutine in a system call; it keeps watch over virtual time instead",
	File: "runtime/proc.go",
	Old: `	n := 0
	// Prevent allp slice changes. This lock will be completely
`,
	New: `	if simOn {
		simWatch(now)
		return 0
	}
	n := 0
	// Prevent allp slice changes. This lock will be completely
`,
}, {
	Name: "one-cpu",
	Why:  "programs size pools and shards by the machine's number of CPUs",
	File: "runtime/debug.go",
	Old:  "	return int(numCPUStartup)\n",
	New:  "	if simOn {\n		return 1\n	}\n	return int(numCPUStartup)\n",
}, {
	Name: "mutex-idle",
	Why:  "virtual time does not advance while a goroutine waits for a mutex, so one that is held across a sleep hangs the bubble",
	File: "runtime/runtime2.go",
	Old: `	waitReasonSynctestSelect:        true,
}
`,
	New: `	waitReasonSynctestSelect:        true,
	waitReasonSyncMutexLock:         true,
	waitReasonSyncRWMutexLock:       true,
	waitReasonSyncRWMutexRLock:      true,
}
`,
}, {
	Name: "mutex-clock",
	Why:  "a mutex hands over in order once someone waited for 1 ms of real time",
	File: "runtime/sema.go",
	Old: `func internal_sync_nanotime() int64 {
`,
	New: `func internal_sync_nanotime() int64 {
	if b := getg().bubble; simOn && b != nil {
		return b.now
	}
`,
}}

// clocks: what time it is.
var clocks = []overlay.Patch{{
	Name: "now",
	Why:  "each node has a wall clock of its own, and a monotonic one that its jumps do not bend; reading it again and again costs time",
	File: "runtime/time.go",
	Old: `	if bubble := getg().bubble; bubble != nil {
		sec = bubble.now / (1000 * 1000 * 1000)
`,
	New: `	if bubble := getg().bubble; bubble != nil {
		if simOn {
			simSpin(getg(), sys.GetCallerPC(), sys.GetCallerSP())
			if n := getg().simNode; n != nil {
				mono = n.mono(bubble.now)
				now := mono + n.wall
				return now / (1000 * 1000 * 1000), int32(now % (1000 * 1000 * 1000)), mono
			}
		}
		sec = bubble.now / (1000 * 1000 * 1000)
`,
}, {
	Name: "nano",
	Why:  "time.Since and the starting of timers read the monotonic clock",
	File: "runtime/time.go",
	Old: `	if gp.bubble != nil {
		return gp.bubble.now
	}
	return nanotime()
`,
	New: `	if gp.bubble != nil {
		if simOn {
			simSpin(gp, sys.GetCallerPC(), sys.GetCallerSP())
			if n := gp.simNode; n != nil {
				return n.mono(gp.bubble.now)
			}
		}
		return gp.bubble.now
	}
	return nanotime()
`,
}, {
	Name: "start-nano",
	Why:  "monotonic readings are stored and printed relative to the process's real start",
	File: "time/time.go",
	Old:  "var startNano int64 = runtimeNano() - 1\n",
	New:  "var startNano int64 = 0\n",
}, {
	Name: "advance",
	Why:  "a charge for a busy loop may have moved time past a timer; and time that advances ends the count of clock reads",
	File: "runtime/synctest.go",
	Old: `		if next < bubble.now {
			throw("time went backwards")
		}
		if bubble.done {
			// Time stops once the bubble's main goroutine has exited.
			break
		}
		bubble.now = next
`,
	New: `		if bubble.done {
			// Time stops once the bubble's main goroutine has exited.
			break
		}
		bubble.now = max(bubble.now, next)
		sim.spins = 0
`,
}, {
	Name: "sleep",
	Why:  "a sleeping goroutine sleeps on its node's clock",
	File: "runtime/time.go",
	Old: `		now = bubble.now
	} else {
		now = nanotime()
	}
	when := now + ns
`,
	New: `		now = bubble.now
		if n := gp.simNode; n != nil {
			ns = n.span(ns)
		}
		t.simNode = gp.simNode
	} else {
		now = nanotime()
	}
	when := now + ns
`,
}, {
	Name: "new-timer",
	Why:  "a timer runs on its node's clock",
	File: "runtime/time.go",
	Old: `		t.isFake = true
	}
	t.modify(when, period, f, arg, 0)
`,
	New: `		t.isFake = true
		when, period = simWhen(&t.timer, when, period)
	}
	t.modify(when, period, f, arg, 0)
`,
}, {
	Name: "reset-timer",
	Why:  "a timer belongs to the node that set it last",
	File: "runtime/time.go",
	Old: `		fatal("reset of synctest timer from outside bubble")
	}
`,
	New: `		fatal("reset of synctest timer from outside bubble")
	}
	if t.isFake {
		when, period = simWhen(&t.timer, when, period)
	}
`,
}}

// nodes: who runs, and whether it lives.
var nodes = []overlay.Patch{{
	Name: "node-field",
	Why:  "each goroutine carries the tag of its node",
	File: "runtime/runtime2.go",
	Old:  "	bubble  *synctestBubble\n",
	New: `	bubble  *synctestBubble
	simNode *simNode

	simWindow       uint64
	simSeq, simPrio uint32
	simMasked       int32

	simSince int64 // when it was last given its turn
`,
}, {
	Name: "node-inherit",
	Why:  "a goroutine belongs to the node of the goroutine that starts it",
	File: "runtime/proc.go",
	Old:  "		newg.bubble = callergp.bubble\n",
	New:  "		newg.bubble = callergp.bubble\n		simInherit(newg, callergp)\n",
}, {
	Name: "node-header",
	Why:  "a dump of goroutines names the node of each, and says since when it waits",
	File: "runtime/traceback.go",
	Old: `		print(", synctest bubble ", bubble.id)
`,
	New: `		print(", synctest bubble ", bubble.id)
		if n := gp.simNode; n != nil {
			print(", node ", n.name)
			if n.dead {
				print(" (dead)")
			}
		}
		if simOn {
			print(", since ", gp.simSince-sim.start)
		}
`,
}, {
	Name: "node-semaphore",
	Why:  "an unlock that wakes a goroutine of a dead node wakes nobody, and no later one does",
	File: "runtime/sema.go",
	Old: `	s, t0, tailtime := root.dequeue(addr)
	if s != nil {
`,
	New: `	s, t0, tailtime := root.dequeue(addr)
	for s != nil && !simAlive(s.g) {
		root.nwait.Add(-1)
		s, t0, tailtime = root.dequeue(addr)
	}
	if s != nil {
`,
}, {
	Name: "panic",
	Why:  "a panic that nobody recovers ends the simulated process it happens in, not the whole world",
	File: "runtime/panic.go",
	Old: `	preprintpanics(&p)

	fatalpanic(&p)   // should not return
`,
	New: `	preprintpanics(&p)
	if simOn {
		simPanic(&p)
	}

	fatalpanic(&p)   // should not return
`,
}, {
	Name: "timer-field",
	Why:  "each timer carries the tag of its node",
	File: "runtime/time.go",
	Old: `	isSending atomic.Int32
}
`,
	New: `	isSending atomic.Int32

	simNode *simNode
}
`,
}, {
	Name: "timer-enter",
	Why:  "a timer's function runs on the clock and in the name of its node",
	File: "runtime/time.go",
	Old: `		gp.bubble = bubble
		bubble.changegstatus(gp, _Gdead, _Grunning)
`,
	New: `		gp.bubble = bubble
		gp.simNode = t.simNode
		bubble.changegstatus(gp, _Gdead, _Grunning)
`,
}, {
	Name: "dead-stacks",
	Why:  "the stacks of killed processes would keep all their memory for the rest of the run",
	File: "runtime/mgcmark.go",
	Old: `	if gp == getg() {
		throw("can't scan our own stack")
	}
`,
	New: `	if gp == getg() {
		throw("can't scan our own stack")
	}
	if n := gp.simNode; n != nil && n.dead {
		return 0
	}
`,
}}
