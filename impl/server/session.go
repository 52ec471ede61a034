package server

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-uuid"

	"tribune/impl/api"
	"tribune/impl/fault"
	"tribune/impl/fsm"
	"tribune/impl/session"
	"tribune/impl/store"
)

// Consul's bounds.
const (
	maxTTL       = 24 * time.Hour
	maxLockDelay = time.Minute
)

// SessionApply creates a session or destroys one. What makes no sense is
// fault.Internal, for which Consul's status is 500.
func (s *Server) SessionApply(ctx context.Context, r api.SessionApplyRequest) (api.SessionApplyResponse, error) {
	if r.Op == api.SessionCreate {
		if err := checkSession(&r.Session, s.config.Times.SessionTTLMin); err != nil {
			return api.SessionApplyResponse{}, err
		}
	}
	_, err := write(ctx, s, api.MethodSessionApply, r.Datacenter, fsm.SessionType, r)
	return api.SessionApplyResponse{ID: r.Session.ID}, err
}

// checkSession completes a session that is to be created.
func checkSession(n *api.Session, minTTL time.Duration) error {
	if n.Node == "" {
		return fault.New(fault.Internal, "Must provide Node")
	}
	switch n.Behavior = cmp.Or(n.Behavior, api.SessionRelease); n.Behavior {
	case api.SessionRelease, api.SessionDelete:
	default:
		return fault.New(fault.Internal, "Invalid Behavior setting '%s'", n.Behavior)
	}
	if n.TTL != "" {
		ttl, err := time.ParseDuration(n.TTL)
		if err != nil {
			return fault.New(fault.Internal, "Session TTL '%s' invalid: %w", n.TTL, err)
		}
		if ttl != 0 && (ttl < minTTL || ttl > maxTTL) {
			return fault.New(fault.Internal, "Invalid Session TTL '%d', must be between [%v=%v]", ttl, minTTL, maxTTL)
		}
	}
	n.LockDelay = min(max(n.LockDelay, 0), maxLockDelay)
	if n.ID != "" {
		return nil // another server chose it and sent the request on
	}
	var err error
	n.ID, err = uuid.GenerateUUID()
	return err
}

// SessionRead lists the sessions that a request asks for.
func (s *Server) SessionRead(ctx context.Context, r api.SessionRequest) (api.List[api.Session], error) {
	return read(ctx, s, api.MethodSessionRead, &r.QueryOptions, &r, func(opts api.QueryOptions, ended <-chan struct{}) (api.List[api.Session], error) {
		var a api.List[api.Session]
		err := s.run(ctx, opts, ended, &a.QueryMeta, func(tx *store.Txn, ws store.WatchSet) (index uint64, found bool, err error) {
			index, a.Items, err = session.Read(tx, ws, r)
			return index, len(a.Items) > 0, err
		})
		return a, err
	})
}

// SessionRenew begins the TTL of a session anew and returns the session, none if
// it has ended. While its end is on its way, that is awaited. A leader that slept
// must not tell a holder that its session is alive which another leader has ended,
// so it asks a majority first; Consul's does not.
func (s *Server) SessionRenew(ctx context.Context, r api.SessionRequest) (api.List[api.Session], error) {
	if err := s.checkDatacenter(r.Datacenter); err != nil {
		return api.List[api.Session]{}, err
	}
	e := errand{method: api.MethodSessionRenew, request: r, patience: readPatience, again: unanswered}
	return forward(ctx, s, e, func(ended <-chan struct{}) (api.List[api.Session], error) {
		if err := s.confirm(ctx, ended); err != nil {
			return api.List[api.Session]{}, err
		}
		found, err := session.Find(s.fsm.Store().Read(), r.ID)
		if err != nil || found == nil {
			return api.List[api.Session]{}, err
		}
		if !s.leases.renew(*found, time.Now()) {
			return api.List[api.Session]{}, fault.New(fault.Unknown, "session '%s' was not renewed in time, and whether it has ended is not known yet", r.ID)
		}
		return api.List[api.Session]{Items: []api.Session{*found}}, nil
	})
}

// leases are the times at which sessions end that are not renewed. Only the
// leader keeps them; a new one gives every session its whole time again. A
// session gets twice its TTL, so that one that is renewed in time is not lost to
// a slow network or a new leader (Consul documentation: Sessions).
type leases struct {
	mu  sync.Mutex
	due map[string]time.Time // by session ID; zero: its end is on its way
}

func lease(s api.Session) time.Duration {
	ttl, _ := time.ParseDuration(s.TTL) // checked when it was created
	return 2 * ttl
}

// renew begins the time of a session anew. It reports whether that could be: not when
// its end is on its way.
func (l *leases) renew(s api.Session, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if due, there := l.due[s.ID]; there && due.IsZero() {
		return false
	}
	if d := lease(s); d > 0 && l.due != nil {
		l.due[s.ID] = now.Add(d)
	}
	return true
}

// end reports whether the time of a session is over, also after others were ended
// before it. From then on it cannot be renewed.
func (l *leases) end(id string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.due[id].After(now) {
		return false
	}
	l.due[id] = time.Time{}
	return true
}

// spare takes the end of a session back.
func (l *leases) spare(id string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due[id] = now
}

func (l *leases) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.due)
}

// begin forgets what an earlier term knew.
func (l *leases) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due = map[string]time.Time{}
}

// expired returns the IDs of those of all sessions whose time is over.
func (l *leases) expired(all []api.Session, now time.Time) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var over []string
	known := map[string]time.Time{}
	for _, s := range all {
		d := lease(s)
		if d == 0 {
			continue
		}
		due, there := l.due[s.ID]
		if !there {
			due = now.Add(d)
		}
		known[s.ID] = due
		if !due.After(now) {
			over = append(over, s.ID)
		}
	}
	l.due = known
	return over
}

// expire ends the sessions whose time is over.
func (s *Server) expire(ctx context.Context) {
	all, err := session.All(s.fsm.Store().Read())
	if err != nil {
		s.log.Error("the sessions could not be read", "error", err)
		return
	}
	for _, id := range s.leases.expired(all, time.Now()) {
		if !s.leases.end(id, time.Now()) {
			continue
		}
		s.log.Info("a session expires", "session", id)
		if _, _, err := s.commit(ctx, fsm.SessionType, api.SessionApplyRequest{Op: api.SessionDestroy, Session: api.Session{ID: id}}); err != nil {
			if ctx.Err() == nil {
				s.log.Warn("a session could not be ended", "session", id, "error", err)
			}
			if fault.Of(err) != fault.Unknown {
				s.leases.spare(id, time.Now())
			}
			return // the next look tries again
		}
	}
}

// delays are the keys that cannot be locked for a while, since the session that
// had locked them ended and its holder may not know yet.
type delays struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// add begins the delay of a key anew; zero ends it.
func (d *delays) add(key string, delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if delay <= 0 {
		delete(d.until, key)
		return
	}
	if d.until == nil {
		d.until = map[string]time.Time{}
	}
	now := time.Now()
	for k, t := range d.until {
		if !t.After(now) {
			delete(d.until, k)
		}
	}
	d.until[key] = now.Add(delay)
}

// active reports whether a key cannot be locked yet.
func (d *delays) active(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.until[key].After(time.Now())
}
