package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// Events are the user events that the agent fires and receives.
type Events interface {
	EventFire(context.Context, api.EventFireRequest) (api.UserEvent, error)
	EventList(context.Context, api.EventListRequest) (api.List[api.UserEvent], error)
}

// eventFace answers for events.
type eventFace struct{ Events Events }

// endpoints is its part of the table.
func (s eventFace) endpoints() []endpoint {
	return []endpoint{
		{"/v1/event/fire/", []string{"PUT"}, s.eventFire},
		{"/v1/event/list", []string{"GET"}, s.eventList},
	}
}

// maxEvent is the most bytes of a payload that are read. What fits into gossip is
// a little less, and is found out there.
const maxEvent = 512

func (s eventFace) eventFire(_ http.ResponseWriter, r *http.Request) (any, error) {
	name := strings.TrimPrefix(r.URL.Path, "/v1/event/fire/")
	if name == "" {
		return nil, fault.New(fault.Invalid, "Missing name")
	}
	payload, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxEvent))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, fault.New(fault.TooLarge, "Request body too large, max size: %d bytes", maxEvent)
	}
	if err != nil {
		return nil, err
	}
	if len(payload) == 0 {
		payload = nil // null in JSON
	}
	q := r.URL.Query()
	return s.Events.EventFire(r.Context(), api.EventFireRequest{
		Event:        api.UserEvent{Name: name, Payload: payload, NodeFilter: q.Get("node"), ServiceFilter: q.Get("service"), TagFilter: q.Get("tag")},
		WriteOptions: api.WriteOptions{Datacenter: q.Get("dc"), Token: token(r, q)},
	})
}

// eventList has a parameter of our own, since-ltime, for the events after a Lamport
// time.
func (s eventFace) eventList(w http.ResponseWriter, r *http.Request) (any, error) {
	o, err := options(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	request := api.EventListRequest{Name: q.Get("name"), Node: q.Get("node"), Service: q.Get("service"), Tag: q.Get("tag"), QueryOptions: o}
	if text := q.Get("since-ltime"); text != "" {
		if request.Since, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, fault.New(fault.Invalid, "Invalid since-ltime")
		}
	}
	a, err := s.Events.EventList(r.Context(), request)
	if err != nil {
		return nil, err
	}
	w.Header().Set("X-Consul-Index", strconv.FormatUint(a.Index, 10)) // nothing else is true of this list
	return a.Items, nil
}
