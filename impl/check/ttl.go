package check

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// ttl is a check that has to be told again and again how things are.
type ttl struct {
	config Config
	id     string
	ttl    time.Duration
	limit  int // bytes of an output
	timer  *time.Timer

	mu      sync.Mutex
	due     time.Time // when it runs out
	last    string    // what it was told last
	stopped bool
}

func (c Config) newTTL(d api.CheckDefinition) *ttl {
	return &ttl{
		config: c, id: d.CheckID, ttl: d.TTL, limit: c.outputMaxSize(d),
		timer: time.NewTimer(d.TTL), due: time.Now().Add(d.TTL),
	}
}

func (t *ttl) run(ctx context.Context) {
	defer t.timer.Stop()
	for {
		select {
		case <-t.timer.C:
			t.expire()
		case <-ctx.Done():
			t.mu.Lock()
			t.stopped = true
			t.mu.Unlock()
			return
		}
	}
}

func (t *ttl) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().Before(t.due) {
		return // it was touched when the timer had fired already
	}
	output := "TTL expired"
	if t.last != "" {
		output = fmt.Sprintf("TTL expired (last output before timeout follows): %s", t.last)
	}
	t.config.tell(t.id, finding{api.HealthCritical, output})
}

func (t *ttl) touch(status, output string) (kept string, err error) {
	switch status {
	case api.HealthPassing, api.HealthWarning, api.HealthCritical:
	default:
		return "", fault.New(fault.Invalid, "Invalid check status: '%s'", status)
	}
	output = cut(output, t.limit)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return "", fault.New(fault.NotFound, "the check has been stopped")
	}
	t.config.tell(t.id, finding{status, output})
	t.last, t.due = output, time.Now().Add(t.ttl)
	t.timer.Reset(t.ttl)
	return output, nil
}
