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
	Why:  "channels are sorted by their addresses so that several threads lock them in one order, which takes time",
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
	Name:  "lock-timers",
	Why:   "nobody else runs, and atomic operations take time",
	File:  "runtime/time.go",
	Old:   "lock(&ts.mu)",
	New:   "lockOne(&ts.mu)",
	Times: 2,
}, {
	Name:  "lock-timer",
	Why:   "nobody else runs, and atomic operations take time",
	File:  "runtime/time.go",
	Old:   "lock(&t.mu)",
	New:   "lockOne(&t.mu)",
	Times: 2,
}, {
	Name:  "lock-timer-channel",
	Why:   "nobody else runs, and atomic operations take time",
	File:  "runtime/time.go",
	Old:   "lock(&t.sendLock)",
	New:   "lockOne(&t.sendLock)",
	Times: 7,
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
}}
