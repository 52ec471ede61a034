package event

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"regexp"
	"slices"
	"sync"

	"github.com/hashicorp/go-uuid"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// kept is how many events are listed, as in Consul.
const kept = 256

// list is the last events, in the order in which they came.
type list struct {
	mu      sync.Mutex
	events  []api.UserEvent
	changed chan struct{} // closed when an event comes, and made anew
}

// add appends an event, unless one with its ID is there.
func (l *list) add(ev api.UserEvent) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(l.events, func(old api.UserEvent) bool { return old.ID == ev.ID }) {
		return false
	}
	if len(l.events) == kept {
		l.events = slices.Delete(l.events, 0, 1)
	}
	l.events = append(l.events, ev)
	close(l.changed)
	l.changed = make(chan struct{})
	return true
}

// look returns the events for which keep is true, and what closes at the next.
func (l *list) look(keep func(api.UserEvent) bool) ([]api.UserEvent, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := []api.UserEvent{}
	for _, ev := range l.events {
		if keep(ev) {
			found = append(found, ev)
		}
	}
	return found, l.changed
}

// Index is the index of a list whose last event has an ID: its halves, XORed, as
// Consul's client computes it; 1 for what is no UUID, and for an empty list.
func Index(id string) uint64 {
	b, err := uuid.ParseUUID(id)
	if err != nil {
		return 1
	}
	return binary.BigEndian.Uint64(b[:8]) ^ binary.BigEndian.Uint64(b[8:])
}

// EventList lists events, oldest first. If the request has an index, it waits
// while that is the index of the list. The error is fault.Invalid for an
// expression that is none.
func (e *Events) EventList(ctx context.Context, r api.EventListRequest) (a api.List[api.UserEvent], err error) {
	keep, err := e.chosen(r)
	if err != nil {
		return a, err
	}
	if r.MinQueryIndex > 0 {
		wait := e.config.Query.Wait(r.MaxQueryTime)
		limited, cancel := context.WithTimeout(ctx, wait+rand.N(wait/16+1))
		defer cancel()
		ctx = limited
	}
	for {
		found, changed := e.list.look(keep)
		a.Items, a.Index = found, 1
		if len(found) > 0 {
			a.Index = Index(found[len(found)-1].ID)
		}
		if r.MinQueryIndex != a.Index {
			return a, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return a, nil
		}
	}
}

// chosen returns which events a request asks for.
func (e *Events) chosen(r api.EventListRequest) (func(api.UserEvent) bool, error) {
	var expressions []*regexp.Regexp
	for _, text := range []string{r.Node, r.Service, r.Tag} {
		compiled, err := regexp.Compile(text)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err)
		}
		expressions = append(expressions, compiled)
	}
	return func(ev api.UserEvent) bool {
		return (r.Name == "" || r.Name == ev.Name) && (r.Since == 0 || ev.LTime > r.Since) &&
			expressions[0].MatchString(ev.NodeFilter) && expressions[1].MatchString(ev.ServiceFilter) && expressions[2].MatchString(ev.TagFilter)
	}, nil
}
