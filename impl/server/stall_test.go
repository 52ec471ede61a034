package server_test

import (
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/host"
	"tribune/impl/server"
)

// stallDisk is a disk whose syncs wait while it is stalled.
type stallDisk struct {
	host.FS
	suffix  string // of the files that it stalls for
	mu      sync.Mutex
	stalled chan struct{} // closed when it goes on; nil: it is not stalled
}

func (d *stallDisk) OpenFile(name string, flag int, perm fs.FileMode) (host.File, error) {
	f, err := d.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(name, d.suffix) {
		return f, nil
	}
	return stallFile{f, d}, nil
}

type stallFile struct {
	host.File
	disk *stallDisk
}

func (f stallFile) Sync() error {
	f.disk.mu.Lock()
	wait := f.disk.stalled
	f.disk.mu.Unlock()
	if wait != nil {
		<-wait
	}
	return f.File.Sync()
}

func (d *stallDisk) stall() (goOn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := make(chan struct{})
	d.stalled = c
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.stalled = nil
		close(c)
	}
}

// machine is a host with another disk.
type machine struct {
	host.Host
	disk host.FS
}

func (m machine) FS() host.FS { return m.disk }

func TestALeaderWhoseDiskStallsMakesRoomForAnother(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		disks := map[int]*stallDisk{}
		for i := 1; i <= 3; i++ {
			disks[i] = &stallDisk{FS: host.Real().FS()}
			w.start(i, func(c *server.Config) { c.Host = machine{c.Host, disks[i]} })
		}
		w.join(2, 1)
		w.join(3, 1)
		old := w.leader()
		at := w.follower()
		w.mustPut(at, "key", "before")
		goOn := disks[old].stall()
		stuck := make(chan error, 1)
		go func() {
			_, err := w.put(w.Context(), old, "key", "stuck")
			stuck <- err
		}()
		time.Sleep(20 * time.Second)
		next := w.leader(old)
		w.mustPut(next, "key", "after")
		w.mustPut(at, "another", "after")
		if _, _, err := w.get(old, "key", api.QueryOptions{}); fault.Of(err) != fault.NoLeader {
			w.Errorf("the silent leader answers: %v", err)
		}
		if len(stuck) > 0 {
			w.Errorf("a write ended that cannot know how: %v", <-stuck)
		}
		goOn()
		if err := <-stuck; fault.Of(err) != fault.Unknown {
			w.Errorf("%v: %v", fault.Of(err), err)
		}
		time.Sleep(10 * time.Second)
		w.wantGet(old, "key", consistent(), "after")
		w.mustPut(old, "key", "later")
		w.equal(1, 2, 3)
	})
}

func TestALeaderWhoseDiskStallsBeforeItCanServeMakesRoomForAnother(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		disks := map[int]*stallDisk{}
		for i := 1; i <= 3; i++ {
			disks[i] = &stallDisk{FS: host.Real().FS(), suffix: ".wal"} // a vote can be written
			w.start(i, func(c *server.Config) { c.Host = machine{c.Host, disks[i]} })
		}
		w.join(2, 1)
		w.join(3, 1)
		old := w.leader()
		w.mustPut(old, "key", "before")
		w.close(old)
		time.Sleep(200 * time.Millisecond) // what it sent is written
		goOn, leader := map[int]func(){}, 0
		for i := range w.servers {
			goOn[i] = disks[i].stall()
		}
		w.within(20*time.Second, "another takes itself for the leader", func() bool {
			for i, s := range w.servers {
				if s.Raft().IsLeader() {
					leader = i
				}
			}
			return leader != 0
		})
		for i := range w.servers {
			if i != leader {
				goOn[i]()
			}
		}
		w.start(old)
		w.join(old, 6-old-leader)
		w.mustPut(w.leader(leader), "key", "after")
		goOn[leader]()
		time.Sleep(10 * time.Second)
		w.wantGet(leader, "key", consistent(), "after")
		w.equal(1, 2, 3)
	})
}

func TestASlowDiskIsNoStalledOne(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		d := &stallDisk{FS: host.Real().FS()}
		w.start(1, func(c *server.Config) { c.Host = machine{c.Host, d} })
		w.leader()
		goOn := d.stall()
		go func() {
			time.Sleep(time.Minute)
			goOn()
		}()
		start := time.Now()
		w.mustPut(1, "key", "v")
		if took := time.Since(start); took < time.Minute {
			w.Errorf("it took %v", took)
		}
		w.wantGet(1, "key", consistent(), "v") // alone, it has nobody to make room for
	})
}
