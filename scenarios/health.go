package scenarios

import (
	"context"
	"time"

	"tribune/impl/agent"
	"tribune/impl/api"
)

// What the sessions of contenders live by.
const (
	onTTL    = "ttl"
	onHealth = "health" // of the agent on whose machine the contender is, and of its job
)

// The checks on which a session on health stands.
const (
	serfCheck = api.SerfCheckID
	jobCheck  = "service:" + jobService
)

// healthTrust is how long a contender believes in a session on health without
// being told that it is alive: less than the lock-delay, since nothing tells it
// when the session ends.
const healthTrust = 4 * time.Second

// endedInHealth complains about a session that ended although the agent and the job
// on which it stands were well ever since it was last seen.
func (k *contender) endedInHealth() {
	s, age := k.site, time.Since(k.renewed)
	bounds := k.run.plan.Scenario.Checks.Bounds != ""
	if bounds && s.well(k.run.world.Now(), age+detection) && !k.resource.destroyed[k.session] {
		k.run.world.Violate("session on health", "the session of %s, last seen %v ago, has ended, and %s and its job are well: %s", k.name, age, s.agent, k.session)
	}
}

// well reports whether an agent and its job have been up for at least a time.
func (s *site) well(now, since time.Duration) bool {
	return s.stopped == 0 && s.jobUp && now-s.changed[jobService] > since
}

// sessionsInTime complains about sessions that stand on a job that is down, or on
// an agent that is dead, for longer than it takes to find that out.
func (f *fleet) sessionsInTime(s *site, leader *agent.Agent, now time.Duration) {
	if f.run.plan.Scenario.Workload.Sessions != onHealth {
		return
	}
	a, err := leader.Server().SessionRead(context.Background(), api.SessionRequest{Node: s.agent, QueryOptions: api.QueryOptions{AllowStale: true}})
	if err != nil || len(a.Items) == 0 {
		return
	}
	f.sessionInTime(s, a.Items[0].ID, now)
}

// sessionInTime is sessionsInTime for one session on an agent and its job.
func (f *fleet) sessionInTime(s *site, id string, now time.Duration) {
	down := s.changed[jobService]
	dead := suspicionBound(len(f.run.plan.names()) + len(f.sites))
	switch {
	case s.stopped > 0 && now-s.stopped > dead:
		f.run.world.Violate("end of a session", "%s died at %v, and more than %v later it has the session %s", s.agent, s.stopped, dead, id)
	case s.stopped == 0 && !s.jobUp && down > 0 && now-down > detection:
		f.run.world.Violate("end of a session", "the job of %s is down since %v, and more than %v later there is the session %s", s.agent, down, detection, id)
	}
}

// handOn is how long, apart from the lock-delay, it takes at most until one who
// can have a free lock has it: it makes a session, and tries.
const handOn = 5 * time.Second

// handedOn complains about a lock that stays free although somebody could have it.
func (f *fleet) handedOn(leader *agent.Agent, now time.Duration) {
	w := f.run.plan.Scenario.Workload
	if w.Sessions != onHealth || f.calm {
		return
	}
	a, err := leader.Server().KVGet(context.Background(), api.KVRequest{Key: lockKey, QueryOptions: api.QueryOptions{AllowStale: true}})
	if err != nil {
		return
	}
	f.handed(len(a.Entries) > 0 && a.Entries[0].Session != "", now)
}

// handed is handedOn for a lock that is held or not.
func (f *fleet) handed(held bool, now time.Duration) {
	w := f.run.plan.Scenario.Workload
	switch {
	case held:
		f.free = 0
	case f.free == 0:
		f.free = now
	case now-f.free > w.LockDelay.Duration+handOn:
		for i, name := range f.run.plan.agents() {
			if i < w.Contenders && f.sites[name].well(now, detection+handOn) {
				f.run.world.Violate("lock handed on", "it is free since %v, and %s could have it", f.free, name)
				f.free = now
			}
		}
	}
}

// comeToRest ends the changes of services. Where sessions stand on jobs, these are all up in the
// end: somebody must be able to get the lock.
func (f *fleet) comeToRest() {
	f.calm = true
	if f.run.plan.Scenario.Workload.Sessions != onHealth {
		return
	}
	for _, name := range f.run.plan.agents() {
		if s := f.sites[name]; !s.jobUp {
			s.jobUp = true
			f.note(s, jobService)
		}
	}
}
