//go:build interop

package interop

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// sessions is the story of a session and of the key that it holds.
func sessions(t *testing.T, c cluster) {
	face, kv := c.client.Session(), c.client.KV()
	id, _, err := face.Create(&api.SessionEntry{Name: "mine", TTL: "10s", LockDelay: time.Millisecond, Behavior: api.SessionBehaviorDelete}, nil)
	ok(t, err)
	if s, _, err := face.Info(id, nil); err != nil || s.Name != "mine" || s.Node != "c1" || s.TTL != "10s" {
		t.Errorf("info: %+v, %v", s, err)
	}
	if all, _, err := face.Node("c1", nil); err != nil || len(all) != 1 || all[0].ID != id {
		t.Errorf("of the node: %+v, %v", all, err)
	}
	if all, _, err := face.List(nil); err != nil || len(all) != 1 {
		t.Errorf("all: %+v, %v", all, err)
	}
	if s, _, err := face.Renew(id, nil); err != nil || s.ID != id {
		t.Errorf("renewed: %+v, %v", s, err)
	}
	held := &api.KVPair{Key: "held", Session: id}
	if got, _, err := kv.Acquire(held, nil); !got || err != nil {
		t.Errorf("acquire: %t, %v", got, err)
	}
	other, _, err := c.server.Session().CreateNoChecks(nil, nil)
	ok(t, err)
	if got, _, err := kv.Acquire(&api.KVPair{Key: "held", Session: other}, nil); got || err != nil {
		t.Errorf("acquire what another has: %t, %v", got, err)
	}
	if got, _, err := kv.Release(held, nil); !got || err != nil {
		t.Errorf("release: %t, %v", got, err)
	}
	if got, _, err := kv.Acquire(held, nil); !got || err != nil {
		t.Errorf("acquire again: %t, %v", got, err)
	}
	_, err = face.Destroy(id, nil)
	ok(t, err)
	if p, _, err := kv.Get("held", nil); p != nil || err != nil {
		t.Errorf("the key of a session with the behaviour delete that has ended: %+v, %v", p, err)
	}
	if _, _, err := face.Renew(id, nil); err != nil { // the client takes 404 for no session
		t.Error(err)
	}
	_, err = face.Destroy(other, nil)
	ok(t, err)
}

// within waits for something that another goroutine does.
func within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing in %v", what, patience)
		panic("not reached")
	}
}

// lock is the story of two that want the same lock.
func lock(t *testing.T, c cluster) {
	options := &api.LockOptions{Key: "locks/one", SessionTTL: "10s", LockDelay: time.Millisecond, Value: []byte("first")}
	first, err := c.server.LockOpts(options)
	ok(t, err)
	second, err := c.client.LockOpts(&api.LockOptions{Key: "locks/one", LockDelay: time.Millisecond})
	ok(t, err)
	lost, err := first.Lock(nil)
	ok(t, err)
	if p, _, err := c.client.KV().Get("locks/one", nil); err != nil || p.Session == "" || p.Flags != api.LockFlagValue || string(p.Value) != "first" {
		t.Errorf("the key of a lock: %+v, %v", p, err)
	}
	type result struct {
		lost <-chan struct{}
		err  error
	}
	got := make(chan result, 1)
	go func() {
		lost, err := second.Lock(nil)
		got <- result{lost, err}
	}()
	eventually(t, "the second has a session, too", func() error {
		all, _, err := c.client.Session().List(nil)
		if err == nil && len(all) != 2 {
			err = fmt.Errorf("%d sessions", len(all))
		}
		return err
	})
	if len(got) != 0 {
		t.Error("two hold the lock")
	}
	p, _, err := c.client.KV().Get("locks/one", nil)
	ok(t, err)
	_, err = c.client.Session().Destroy(p.Session, nil) // as an operator does
	ok(t, err)
	within(t, "the first hears that it lost the lock", lost)
	now := within(t, "the second has the lock", got)
	ok(t, now.err)
	select {
	case <-now.lost:
		t.Error("the second lost the lock at once")
	default:
	}
	if err := second.Destroy(); !errors.Is(err, api.ErrLockHeld) {
		t.Errorf("destroying a lock that one holds: %v", err)
	}
	ok(t, second.Unlock())
	ok(t, second.Destroy())
	if p, _, err := c.client.KV().Get("locks/one", nil); p != nil || err != nil {
		t.Errorf("a lock that was destroyed: %+v, %v", p, err)
	}
}

// semaphore is the story of three that want one of two slots.
func semaphore(t *testing.T, c cluster) {
	var holders []*api.Semaphore
	for i, from := range []*agent{c.server, c.client, c.client} {
		s, err := from.SemaphoreOpts(&api.SemaphoreOptions{Prefix: "slots", Limit: 2, Value: []byte(fmt.Sprint(i)), SessionTTL: "10s"})
		ok(t, err)
		holders = append(holders, s)
	}
	for _, s := range holders[:2] {
		_, err := s.Acquire(nil)
		ok(t, err)
	}
	third := make(chan error, 1)
	go func() {
		_, err := holders[2].Acquire(nil)
		third <- err
	}()
	eventually(t, "the third queues up", func() error {
		waiting, _, err := c.client.KV().Keys("slots/", "", nil)
		if err == nil && len(waiting) != 4 { // three contenders and the semaphore itself
			err = fmt.Errorf("%q", waiting)
		}
		return err
	})
	if len(third) != 0 {
		t.Error("three hold a semaphore of two")
	}
	ok(t, holders[0].Release())
	ok(t, within(t, "the third has a slot", third))
	for _, s := range holders[1:] {
		ok(t, s.Release())
	}
	ok(t, holders[0].Destroy())
}
