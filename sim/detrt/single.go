package detrt

import "tribune/sim/overlay"

// single: what a program need not do that runs on one thread at a time. With one P
// nobody waits for the lock of a channel or of a timer, which only goroutines take: who
// holds it counts as holding one, so that it is not stopped, and that is all.
var single = []overlay.Patch{{
	Name:  "lock-channel",
	Why:   "nobody else runs, and atomic operations take time",
	File:  "runtime/chan.go",
	Old:   "lock(&c.lock)",
	New:   "lockOne(&c.lock)",
	Times: 15,
}, {
	Name: "lock-channel-park",
	Why:  "nobody else runs, and atomic operations take time",
	File: "runtime/chan.go",
	Old:  "	unlock((*mutex)(chanLock))\n",
	New:  "	unlockOne((*mutex)(chanLock))\n",
}, {
	Name: "lock-select",
	Why:  "nobody else runs: one lock stands for those of all channels",
	File: "runtime/select.go",
	Old: `func sellock(scases []scase, lockorder []uint16) {
`,
	New: `func sellock(scases []scase, lockorder []uint16) {
	if simOn {
		lockOne(nil)
		return
	}
`,
}, {
	Name: "unlock-select",
	Why:  "nobody else runs: one lock stands for those of all channels",
	File: "runtime/select.go",
	Old: `func selunlock(scases []scase, lockorder []uint16) {
`,
	New: `func selunlock(scases []scase, lockorder []uint16) {
	if simOn {
		unlockOne(nil)
		return
	}
`,
}, {
	Name: "unlock-select-park",
	Why:  "nobody else runs: one lock stands for those of all channels",
	File: "runtime/select.go",
	Old: `	var lastc *hchan
	for sg := gp.waiting; sg != nil; sg = sg.waitlink {
`,
	New: `	if simOn {
		unlockOne(nil)
		return true
	}
	var lastc *hchan
	for sg := gp.waiting; sg != nil; sg = sg.waitlink {
`,
}, {
	Name: "select-order",
	Why:  "channels are sorted by their addresses so that several threads lock them in one order; it takes time, and timers draw their own order when the select waits for them",
	File: "runtime/select.go",
	Old: `	// simple heap sort, to guarantee n log n time and constant stack footprint.
	for i := range lockorder {
`,
	New: `	// simple heap sort, to guarantee n log n time and constant stack footprint.
	if simOn {
		copy(lockorder, pollorder)
		goto sorted
	}
	for i := range lockorder {
`,
}, {
	Name: "select-ordered",
	Why:  "the end of what select-order leaves out",
	File: "runtime/select.go",
	Old: `	if debugSelect {
		for i := 0; i+1 < len(lockorder); i++ {
`,
	New: `sorted:
	if debugSelect {
		for i := 0; i+1 < len(lockorder); i++ {
`,
}, {
	Name:  "lock-bubble",
	Why:   "nobody else runs, and atomic operations take time",
	File:  "runtime/synctest.go",
	Old:   "lock(&bubble.mu)",
	New:   "lockOne(&bubble.mu)",
	Times: 10,
}, {
	Name:  "lock-timers", // of a timer, of its channel, of all timers
	Why:   "nobody else runs, and atomic operations take time",
	File:  "runtime/time.go",
	Old:   "lock(&t",
	New:   "lockOne(&t",
	Times: 11,
}, {
	Name: "no-wakeup",
	Why:  "whoever makes a goroutine runnable looks for another thread to run it, and there is no P for one",
	File: "runtime/proc.go",
	Old: `func wakep() {
`,
	New: `func wakep() {
	if simOn {
		return
	}
`,
}, {
	Name: "timer-index",
	Why:  "a timer that is set anew is to be found in the heap, see timer-move",
	File: "runtime/time.go",
	Old: `	rand    uint32 // randomizes order of timers at same instant; only set when isFake
`,
	New: `	rand    uint32 // randomizes order of timers at same instant; only set when isFake
	simIndex uint32
`,
}, {
	Name: "timer-index-up",
	Why:  "where a timer is in the heap",
	File: "runtime/time.go",
	Old:  "		heap[i] = heap[p]\n",
	New:  "		heap[i] = heap[p]\n		heap[i].timer.simIndex = uint32(i)\n",
}, {
	Name: "timer-index-down",
	Why:  "where a timer is in the heap",
	File: "runtime/time.go",
	Old:  "		heap[i] = heap[c]\n",
	New:  "		heap[i] = heap[c]\n		heap[i].timer.simIndex = uint32(i)\n",
}, {
	Name: "timer-index-end",
	Why:  "where a timer is in the heap",
	File: "runtime/time.go",
	Old: `	if heap[i].timer != tw.timer {
		heap[i] = tw
	}
`,
	New: `	heap[i] = tw
	tw.timer.simIndex = uint32(i)
`,
	Times: 2,
}, {
	Name: "timer-move",
	Why:  "a timer that is to fire earlier was only marked, and when it did all timers were looked through and sorted anew",
	File: "runtime/time.go",
	Old: `	if t.state&timerHeaped != 0 {
		t.state |= timerModified
		if t.state&timerZombie != 0 {
			// In`,
	New: `	if t.state&timerHeaped != 0 && simOn && t.isFake {
		simMove(t)
	} else if t.state&timerHeaped != 0 {
		t.state |= timerModified
		if t.state&timerZombie != 0 {
			// In`,
}, {
	Name:  "timer-zombies",
	Why:   "timers that were stopped are taken out of a P's heap when they are many, and out of the bubble's only when their time comes",
	File:  "runtime/time.go",
	Old:   "= ts == &getg().m.p.ptr().timers && ",
	New:   "= (simOn || ts == &getg().m.p.ptr().timers) && ",
	Times: 2,
}}
