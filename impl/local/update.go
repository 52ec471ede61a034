package local

import (
	"context"
	"math/rand/v2"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// reapEvery is how often it is looked whether a service has been critical for too
// long, and minReap is the least that counts as too long.
const (
	reapEvery = 30 * time.Second
	minReap   = time.Minute
)

// UpdateCheck takes what a check found. One that is not there is none of this
// agent's any more, and nothing happens.
func (s *State) UpdateCheck(id, status, output string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.discard {
		output = ""
	}
	c := s.checks[id]
	if c == nil || c.gone || c.Status == status && c.Output == output {
		return
	}
	c.Output = output
	if c.Status == status && s.config.OutputDelay > 0 {
		if c.due.IsZero() {
			delay := s.config.OutputDelay
			c.due = time.Now().Add(delay/2 + rand.N(delay))
			s.push() // anti-entropy must know when
		}
		s.notify()
		return
	}
	if c.Status != status {
		s.log.Info("a check changed", "check", id, "from", c.Status, "to", status)
	}
	c.Status, c.same, c.due = status, false, time.Time{}
	c.watch()
	s.notify()
	s.push()
}

// watch notes since when a check is critical.
func (c *check) watch() {
	if c.Status != api.HealthCritical {
		c.critical = time.Time{}
	} else if c.critical.IsZero() {
		c.critical = time.Now()
	}
}

// Touch sets what a TTL check finds. The error is of kind fault.NotFound if there
// is no such check.
func (s *State) Touch(id, status, output string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	c := s.checks[id]
	s.mu.Unlock()
	if c == nil || c.gone {
		return fault.New(fault.NotFound, "Unknown check ID %q. Ensure that the check ID is passed, not the check name.", id)
	}
	if c.probe == nil || c.definition.TTL == 0 {
		return fault.New(fault.Internal, "CheckID %q does not have associated TTL", id)
	}
	output, err := c.probe.Touch(status, output)
	if err != nil {
		return err
	}
	return s.files.keepFinding(finding{ID: id, Status: status, Output: output, Until: time.Now().Add(c.definition.TTL)})
}

// reap deregisters, now and then, the services that a check found to be critical
// for longer than its definition allows.
func (s *State) reap(ctx context.Context) {
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, c := range s.overdue() {
			s.log.Info("deregistering a service: a check of it has been critical for too long", "service", c.ServiceID, "check", c.CheckID)
			if err := s.RemoveService(c.ServiceID); err != nil && fault.Of(err) != fault.NotFound {
				s.log.Error("a service that is critical could not be deregistered", "service", c.ServiceID, "error", err)
			}
		}
	}
}

// overdue lists the checks that have been critical for too long.
func (s *State) overdue() []*check {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*check
	for _, c := range sorted(s.checks) {
		limit := c.definition.DeregisterCriticalServiceAfter
		if limit > 0 && c.ServiceID != "" && !c.gone && !c.critical.IsZero() && time.Since(c.critical) > max(limit, minReap) {
			list = append(list, c)
		}
	}
	return list
}
