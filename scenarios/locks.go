package scenarios

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/consul/api"

	"tribune/impl/host"
	"tribune/sim"
	"tribune/sim/trace"
)

const (
	lockKey     = "lock"
	lockTTL     = 10 * time.Second
	holdAtMost  = 8 * time.Second
	writeEvery  = 100 * time.Millisecond // of a holder, to the resource that the lock guards
	writeTravel = 100 * time.Millisecond // at most, from the holder to the resource
	tryEvery    = 500 * time.Millisecond
)

// resource is what the lock guards. It lies outside the cluster and sees what
// holders write, each with its fencing token, the LockIndex of its acquisition
// (Kleppmann, How to do distributed locking, 2016). It accepts no token that is
// lower than one it has seen.
type resource struct {
	run     *run
	token   uint64 // the highest that was seen
	session string // whose it is
	writes  int
	late    []string // writes that came after those of a later holder

	holder   string   // of the lock, by its own belief
	acquired []tenure // in the order of their return
}

// tenure is one acquisition of the lock.
type tenure struct {
	token    uint64
	returned time.Duration
}

// acquire takes note of an acquisition that was begun at a time: its token must be
// higher than all that had been handed out before.
func (r *resource) acquire(who string, token uint64, begun time.Duration) {
	for _, t := range r.acquired {
		if t.returned < begun && t.token >= token {
			r.run.world.Violate("fencing tokens", "%s got %d, and %d was handed out before", who, token, t.token)
		}
	}
	r.acquired = append(r.acquired, tenure{token, r.run.world.Now()})
	r.holder = who
}

// acquiredSince reports whether the lock was handed out after a time.
func (r *resource) acquiredSince(t time.Duration) bool {
	n := len(r.acquired)
	return n > 0 && r.acquired[n-1].returned > t
}

// write is a holder's write that arrives.
func (r *resource) write(who, session string, token uint64) {
	r.writes++
	switch {
	case token < r.token:
		r.late = append(r.late, fmt.Sprintf("at %v %s with token %d, after token %d", r.run.world.Now(), who, token, r.token))
		return
	case token == r.token && session != r.session && r.session != "":
		r.run.world.Violate("fencing tokens", "%s has %d, and so has another", who, token)
	}
	r.token, r.session = token, session
}

// compete is the program of a node that wants the lock again and again.
func (r *run) compete(number int, name string) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		c, err := r.newClient(number, name, h.Network(), r.timeout())
		if err != nil {
			return err
		}
		k := &contender{client: c, resource: r.resource}
		for ctx.Err() == nil {
			if err := k.turn(ctx); err != nil && ctx.Err() == nil {
				r.world.Recordf(trace.Op, name, "", "lock: %v", err)
				c.at = c.draws.IntN(len(c.servers))
			}
			k.rest(ctx, tryEvery)
		}
		return nil
	}
}

// contender is a client that wants the lock.
type contender struct {
	*client
	resource *resource
	session  string
	renewed  time.Time // by its own clock, when the last renewal was asked for that was granted
}

// rest waits for half to one and a half of a time.
func (k *contender) rest(ctx context.Context, about time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(about/2 + time.Duration(k.draws.Int64N(int64(about)))):
	}
}

// turn makes a session, waits for the lock, holds it for a while and gives it up.
func (k *contender) turn(ctx context.Context) error {
	asked := time.Now()
	id, _, err := k.servers[k.at].Session().CreateNoChecks(&api.SessionEntry{
		TTL: lockTTL.String(), LockDelay: k.run.plan.Scenario.Workload.LockDelay.Duration,
	}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	k.session, k.renewed = id, asked
	token, err := k.wait(ctx)
	if err != nil || token == 0 {
		return err
	}
	k.hold(ctx, token)
	if k.resource.holder == k.name {
		k.resource.holder = ""
	}
	options := (&api.WriteOptions{}).WithContext(ctx)
	if _, _, err := k.servers[k.at].KV().Release(&api.KVPair{Key: lockKey, Value: []byte("free"), Session: id}, options); err != nil {
		return err
	}
	_, err = k.servers[k.at].Session().Destroy(id, options)
	return err
}

// wait tries to lock until it can, and returns the token; 0 if the session ended.
func (k *contender) wait(ctx context.Context) (uint64, error) {
	kv := k.servers[k.at].KV()
	for k.renew(ctx) {
		begun := k.run.world.Now()
		took, _, err := kv.Acquire(&api.KVPair{Key: lockKey, Value: []byte(k.name), Session: k.session}, (&api.WriteOptions{}).WithContext(ctx))
		if err != nil {
			return 0, err
		}
		if !took {
			k.rest(ctx, tryEvery)
			continue
		}
		pair, _, err := kv.Get(lockKey, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
		if err != nil || pair == nil || pair.Session != k.session {
			return 0, err
		}
		k.run.world.Recordf(trace.Op, k.name, "", "lock: held with token %d", pair.LockIndex)
		k.resource.acquire(k.name, pair.LockIndex, begun)
		return pair.LockIndex, nil
	}
	return 0, nil
}

// renew renews the session if it is time, and reports whether the contender may
// still believe in it: by its own clock a TTL has not passed since the last
// renewal.
func (k *contender) renew(ctx context.Context) bool {
	if time.Since(k.renewed) > lockTTL/3 {
		asked := time.Now()
		s, _, err := k.servers[k.at].Session().Renew(k.session, (&api.WriteOptions{}).WithContext(ctx))
		switch {
		case err != nil:
			k.at = k.draws.IntN(len(k.servers))
		case s == nil:
			return false
		default:
			k.renewed = asked
		}
	}
	return ctx.Err() == nil && time.Since(k.renewed) < lockTTL
}

// hold writes to the resource while the lock is held. A write that is on its way
// cannot be called back.
func (k *contender) hold(ctx context.Context, token uint64) {
	until := time.Now().Add(time.Duration(k.draws.Int64N(int64(holdAtMost))))
	for time.Now().Before(until) && k.renew(ctx) {
		k.rest(ctx, writeTravel/2)
		k.resource.write(k.name, k.session, token)
		k.rest(ctx, writeEvery)
	}
}

// operate is the program of the operator's node, who destroys sessions of holders
// that he believes dead.
func (r *run) operate(name string) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		c, err := r.newClient(0, name, h.Network(), r.timeout())
		if err != nil {
			return err
		}
		for {
			select {
			case <-ctx.Done():
				return nil
			case session := <-r.expel:
				_, err := c.servers[c.at].Session().Destroy(session, (&api.WriteOptions{}).WithContext(ctx))
				r.world.Recordf(trace.Op, name, "", "session %s is destroyed: %v", session, err)
				c.at = c.draws.IntN(len(c.servers))
			}
		}
	}
}

// exclusive judges whether writes of holders overlapped, that is, whether one came
// late.
func (r *Result) exclusive(expected string) {
	got, text := holds, fmt.Sprintf("%d writes under %d tokens", r.Lock.Writes, r.Lock.Tokens)
	if late := r.Lock.Late; len(late) > 0 {
		got = violated
		text += fmt.Sprintf(", %d of them late: %s", len(late), late[0])
	}
	r.verdict("exclusive", expected, got, text)
}
