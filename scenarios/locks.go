package scenarios

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"tribune/impl/host"
	"tribune/linearizability"
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

	history   []linearizability.LockOp
	begun     map[string]time.Duration // the last request, by session, that began its TTL anew
	destroyed map[string]bool          // sessions that somebody wanted to be destroyed
	released  map[string]bool          // sessions that gave the lock up, or asked for it and know of no refusal
	left      map[string]time.Duration // nodes that left the cluster, and their sessions with them: when they came back
}

func newResource(r *run) *resource {
	return &resource{run: r, begun: map[string]time.Duration{}, destroyed: map[string]bool{}, released: map[string]bool{}, left: map[string]time.Duration{}}
}

// did carries out an operation on the lock or a session and adds it to the history.
func (r *resource) did(c *client, kind linearizability.LockKind, session string, f func(*linearizability.LockOp) error) error {
	o := linearizability.LockOp{Client: c.number, Kind: kind, Session: session, Call: r.run.world.Now(), Outcome: linearizability.OK}
	switch kind { // each may take effect long before its answer is there
	case linearizability.LockDestroy:
		r.destroyed[session] = true
	case linearizability.LockRelease:
		r.released[session] = true
	}
	err := f(&o)
	if o.Return = r.run.world.Now(); err != nil {
		o.Error, o.Outcome = err.Error(), linearizability.Unknown
		switch {
		case untouched(err):
			o.Outcome = linearizability.Failed
		case kind == linearizability.LockAcquire && strings.Contains(err.Error(), "invalid session"):
			o.Outcome, o.Gone = linearizability.OK, true
		}
	}
	if kind == linearizability.LockRelease {
		r.released[session] = o.Done || o.Outcome == linearizability.Unknown
	}
	r.run.world.Recordf(trace.Op, c.name, "", "lock: %s %s: %s done=%t gone=%t %s %d", kind, session, o.Outcome, o.Done, o.Gone, o.Holder, o.Token)
	r.history = append(r.history, o)
	return err
}

// away takes note of nodes that are not in the cluster until a time. Nothing is lost if
// there is no resource, and so nobody who has sessions.
func (r *resource) away(nodes []string, until time.Duration) {
	if r == nil {
		return
	}
	for _, name := range nodes {
		r.left[name] = until
	}
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
	r.tooEarly(who)
	r.acquired = append(r.acquired, tenure{token, r.run.world.Now()})
	r.holder = who
}

// tooEarly complains when a lock was acquired that its last holder cannot have lost
// for as long as its lock-delay: since its session can have ended, less time has passed,
// and it did not give it up.
func (r *resource) tooEarly(who string) {
	wanted := r.run.plan.Scenario.Workload.LockDelay.Duration
	var now *linearizability.LockOp
	for i := len(r.history) - 1; i >= 0; i-- {
		o := &r.history[i]
		took := o.Kind == linearizability.LockAcquire && o.Done
		switch {
		case took && now == nil:
			now = o
		case took && o.Session != now.Session:
			since := now.Return - r.earliestEnd(o.Session)
			if !r.released[o.Session] && since < r.run.plan.Scenario.byServers(wanted) {
				r.run.world.Violate("lock-delay", "%s acquired at %v, at most %v after the end of the session of another holder, which did not release and wants a delay of %v",
					who, now.Return, since, wanted)
			}
			return
		}
	}
}

// earliestEnd is a time before which a session cannot have ended: the last request was made
// then whose answer proves it to be alive, or its TTL was over, if nothing else can end it.
func (r *resource) earliestEnd(session string) (at time.Duration) {
	for _, o := range r.history {
		if o.Alive() == session {
			at = max(at, o.Call)
		}
	}
	if begun, known := r.begun[session]; known && !r.destroyed[session] && len(r.left) == 0 {
		at = max(at, begun+r.run.plan.Scenario.byServers(lockTTL))
	}
	return at
}

// byServers is the true time that must pass until a time has passed by the clock of each
// server, of which some may go faster.
func (s Scenario) byServers(d time.Duration) time.Duration {
	fastest := 1.0
	if rates := s.Clocks.Rates; len(rates) == 2 {
		fastest = max(fastest, rates[1])
	}
	for _, f := range s.Faults {
		if f.Kind == "clock-drift" {
			fastest = max(fastest, f.Rate)
		}
	}
	c := sim.ClockAt(fastest)
	return time.Duration(float64(d) * float64(c.Den) / float64(c.Num))
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
func (r *run) compete(i int, name string) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		k, err := r.newContender(i, name, h.Network())
		if err != nil {
			return err
		}
		for ctx.Err() == nil {
			if err := k.turn(ctx); err != nil && ctx.Err() == nil {
				r.world.Recordf(trace.Op, name, "", "lock: %v", err)
				k.at = k.draws.IntN(len(k.servers))
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
	maker    string        // through whom it made the session, which is one of that node
	made     time.Duration // when it asked for that
	renewed  time.Time     // by its own clock, when it last asked and was told that the session is alive
	trust    time.Duration // for which it then believes in it
	site     *site         // on whose health its sessions stand; nil: they have a TTL
}

// newContender returns the i-th contender. If sessions are to stand on health, it is one
// on the machine of a client agent, through which it does everything.
func (r *run) newContender(i int, name string, n host.Network) (*contender, error) {
	k := &contender{resource: r.resource, trust: lockTTL}
	agents := r.plan.names()
	if all := r.plan.agents(); r.plan.Scenario.Workload.Sessions == onHealth {
		agents = all[i%len(all) : i%len(all)+1]
		k.site, k.trust = r.fleet.sites[agents[0]], healthTrust
	}
	var err error
	k.client, err = r.newClientOf(agents, len(r.clients)+3+i, name, n, r.timeout())
	return k, err
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
	if k.site != nil && k.session != "" {
		// It has no TTL: given up, it would keep the lock for as long as all is well.
		if err := k.end(ctx); err != nil {
			return err
		}
	}
	asked := time.Now()
	k.maker, k.made = k.agents[k.at], k.run.world.Now()
	id, err := k.create(ctx)
	if err != nil {
		return err
	}
	k.session = id
	k.alive(asked, k.made)
	k.run.world.Recordf(trace.Op, k.name, "", "lock: session %s", id)
	token, err := k.wait(ctx)
	if err != nil || token == 0 {
		return err
	}
	k.hold(ctx, token)
	if k.resource.holder == k.name {
		k.resource.holder = ""
	}
	options := (&api.WriteOptions{}).WithContext(ctx)
	err = k.resource.did(k.client, linearizability.LockRelease, id, func(o *linearizability.LockOp) (err error) {
		o.Done, _, err = k.servers[k.at].KV().Release(&api.KVPair{Key: lockKey, Value: []byte("free"), Session: id}, options)
		return err
	})
	if err != nil {
		return err
	}
	return k.end(ctx)
}

// end ends the contender's session, and forgets it if that is known to be done.
func (k *contender) end(ctx context.Context) error {
	err := k.destroy(ctx, k.session)
	if err == nil {
		k.session = ""
	}
	return err
}

// create makes a session.
func (k *contender) create(ctx context.Context) (string, error) {
	options := (&api.WriteOptions{}).WithContext(ctx)
	wanted := &api.SessionEntry{LockDelay: k.run.plan.Scenario.Workload.LockDelay.Duration}
	var id string
	var err error
	if k.site == nil {
		wanted.TTL = lockTTL.String()
		id, _, err = k.servers[k.at].Session().CreateNoChecks(wanted, options)
	} else {
		wanted.NodeChecks, wanted.ServiceChecks = []string{serfCheck}, []api.ServiceCheck{{ID: jobCheck}}
		id, _, err = k.servers[k.at].Session().Create(wanted, options)
	}
	return id, err
}

// destroy ends a session.
func (c *client) destroy(ctx context.Context, session string) error {
	return c.run.resource.did(c, linearizability.LockDestroy, session, func(o *linearizability.LockOp) (err error) {
		o.Done = true
		_, err = c.servers[c.at].Session().Destroy(session, (&api.WriteOptions{}).WithContext(ctx))
		return err
	})
}

// wait tries to lock until it can, and returns the token; 0 if the session ended.
func (k *contender) wait(ctx context.Context) (uint64, error) {
	kv := k.servers[k.at].KV()
	for k.renew(ctx) {
		begun := k.run.world.Now()
		var asked *linearizability.LockOp
		err := k.resource.did(k.client, linearizability.LockAcquire, k.session, func(o *linearizability.LockOp) (err error) {
			o.Done, _, err = kv.Acquire(&api.KVPair{Key: lockKey, Value: []byte(k.name), Session: k.session}, (&api.WriteOptions{}).WithContext(ctx))
			asked = o
			return err
		})
		if asked.Gone {
			k.ended()
		}
		if err != nil {
			return 0, err
		}
		if !asked.Done {
			k.rest(ctx, tryEvery)
			continue
		}
		holder, token, err := k.look(ctx)
		if err != nil || holder != k.session {
			return 0, err
		}
		k.resource.acquire(k.name, token, begun)
		return token, nil
	}
	return 0, nil
}

// look asks who holds the lock, and with which token.
func (k *contender) look(ctx context.Context) (holder string, token uint64, err error) {
	err = k.resource.did(k.client, linearizability.LockRead, "", func(o *linearizability.LockOp) error {
		pair, _, err := k.servers[k.at].KV().Get(lockKey, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
		if err == nil && pair != nil {
			o.Holder, o.Token = pair.Session, pair.LockIndex
		}
		holder, token = o.Holder, o.Token
		return err
	})
	return holder, token, err
}

// renew renews the session if it is time, and reports whether the contender may
// still believe in it: by its own clock not too long a time has passed since the
// last renewal. One that stands on health is only looked at.
func (k *contender) renew(ctx context.Context) bool {
	if time.Since(k.renewed) > k.trust/3 {
		asked, at := time.Now(), k.run.world.Now()
		alive := false
		err := k.resource.did(k.client, linearizability.LockRenew, k.session, func(o *linearizability.LockOp) error {
			var s *api.SessionEntry
			var err error
			if k.site == nil {
				s, _, err = k.servers[k.at].Session().Renew(k.session, (&api.WriteOptions{}).WithContext(ctx))
			} else {
				s, _, err = k.servers[k.at].Session().Info(k.session, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
			}
			o.Done = s != nil
			alive = o.Done
			return err
		})
		switch {
		case err != nil:
			k.at = k.draws.IntN(len(k.servers))
		case !alive:
			k.ended()
			return false
		default:
			k.alive(asked, at)
		}
	}
	return ctx.Err() == nil && time.Since(k.renewed) < k.trust
}

// alive notes that the session was alive when that was asked, by the contender's clock and
// by the world's, and that its TTL began anew.
func (k *contender) alive(asked time.Time, at time.Duration) {
	k.renewed = asked
	if k.site == nil {
		k.resource.begun[k.session] = at
	}
}

// ended complains about a session that ended by itself before its time: before its
// TTL was over by any server's clock, or while what it stands on was well. The sessions of a node end when
// it leaves the cluster.
func (k *contender) ended() {
	if k.resource.left[k.maker] > k.made {
		return
	}
	if k.site != nil {
		k.endedInHealth()
	} else if age := time.Since(k.renewed); age < k.run.plan.Scenario.byServers(lockTTL) && !k.resource.destroyed[k.session] {
		k.run.world.Violate("session TTL", "the session of %s has a TTL of %v, was renewed %v ago and has ended: %s", k.name, lockTTL, age, k.session)
	}
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
func (r *run) operate(number int, name string) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		c, err := r.newClient(number, name, h.Network(), r.timeout())
		if err != nil {
			return err
		}
		for {
			select {
			case <-ctx.Done():
				return nil
			case session := <-r.expel:
				err := c.destroy(ctx, session)
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

// locks judges the lock and the sessions that wanted it.
func (r *Result) locks(expected string) {
	result := linearizability.CheckLock(r.Lock.History, linearizability.DefaultBudget)
	r.object("locks", expected, fmt.Sprintf("%d operations", result.Ops), result, linearizability.ExplainLock(r.Lock.History, result, explainLimit))
}
