//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what the simulator is told of the machine on which the real agents
// run: times that were measured there, from which it draws.
type Machine struct {
	// Sync is how long the fsync of a small write took.
	Sync []time.Duration
	// Message is what a message cost, one way, beyond the link's delay: two kernels,
	// the router, and the programs at either end waking up and handling it.
	Message []time.Duration
}

// urgency is how nice the real agents, the probe and the router are to whatever else
// runs on the machine, since that is not to be measured. They need little.
const urgency = -15

// urgently runs f on a thread that is as urgent, and ends with it.
func urgently(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()                                 // never unlocked: Go ends the thread with the goroutine
		err := unix.Setpriority(unix.PRIO_PROCESS, 0, urgency) // which is the thread's alone
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

const syncs = 500

// measureSyncs measures the fsync of a write as the log makes them: some hundred
// bytes into a file whose length does not change.
func measureSyncs(dir string) (all []time.Duration, err error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	const size, entry = 4 << 20, 512
	if _, err := f.Write(make([]byte, size)); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	draws, text := rand.New(rand.NewPCG(1, 2)), make([]byte, entry)
	for i := range int64(syncs) {
		if _, err := f.WriteAt(text, i*entry); err != nil {
			return nil, err
		}
		begun := time.Now()
		if err := f.Sync(); err != nil {
			return nil, fmt.Errorf("measuring fsync: %w", err)
		}
		all = append(all, time.Since(begun))
		time.Sleep(time.Duration(draws.Int64N(int64(20 * time.Millisecond))))
	}
	return all, nil
}

// messageCosts makes costs of one message out of the times of requests over links
// without a delay, each of which took two.
func messageCosts(asks []time.Duration) []time.Duration {
	costs := make([]time.Duration, len(asks))
	for i, d := range asks {
		costs[i] = d / 2
	}
	return costs
}
