// Package event is user events: small messages that a person fires and that
// gossip brings to all agents of a datacenter (Consul documentation: Events).
//
// An event is sent as Consul sends it: a serf user event whose name has a prefix
// and whose payload is the event in msgpack, its filters included. Every agent
// gets it and decides for itself whether it is meant. What an agent was meant to
// get stays in a list of the last 256, in the order in which it came.
//
// # What is promised
//
// Little, as gossip does: events may be lost, come late, and come in another order
// on another agent. Two things are done about that here: an event that comes a
// second time is dropped by its ID, and each carries the Lamport time at which it
// was fired, by which a reader can tell old from new.
//
// # The index of a list
//
// A list has no raft index. Its index is made of the ID of its last event (Index),
// so that it says which event a reader has seen, and not how many. It does not
// grow: a read blocks while the index is the one that the reader has, whatever
// that is.
//
//   - event.go fires events and receives them.
//   - list.go keeps and lists what was received.
package event

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/go-uuid"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// Queue is how many events an agent may have waiting between gossip and Run.
const Queue = 1024

const (
	// wirePrefix tells Consul's events from other programs' in the same pool.
	wirePrefix = "consul:event:"
	version    = 1 // of the form in which an event is sent
)

// Config says whose events they are.
type Config struct {
	Node       string
	Datacenter string
	// Services lists the services that the agent itself has, by which an event's
	// filters choose; nil: none.
	Services func() []api.AgentService
	// Fire sends a raw event to all agents of the pool, this one included.
	Fire func(name string, payload []byte) error
	// Internal has handlers of events that the agent itself acts on and does not
	// list, by name. They are called by Run and must not wait.
	Internal map[string]func(api.UserEvent)
	Query    api.QueryTimes // of blocking reads
	Logger   *slog.Logger
}

// Events fires events and keeps those that came.
type Events struct {
	config Config
	list   list
	acted  list // those that the agent acted on itself: apart, or many of them would push others out
}

// New returns events of which none has come.
func New(c Config) *Events {
	return &Events{config: c, list: list{changed: make(chan struct{})}, acted: list{changed: make(chan struct{})}}
}

// EventFire sends an event to all agents of the datacenter and returns it with its
// ID. The error is fault.Invalid for an event without a name or with filters that
// are none, and fault.TooLarge for one that is over 512 bytes on the wire, all of it
// (serf's UserEventSizeLimit).
func (e *Events) EventFire(_ context.Context, r api.EventFireRequest) (api.UserEvent, error) {
	ev := r.Event
	ev.Version, ev.LTime = version, 0
	if r.Datacenter != "" && r.Datacenter != e.config.Datacenter {
		return ev, fault.New(fault.Internal, "%s", fault.TextNoPath)
	}
	if err := validate(ev); err != nil {
		return ev, err
	}
	var err error
	if ev.ID, err = uuid.GenerateUUIDWithReader(rand.Reader); err != nil {
		return ev, fmt.Errorf("an ID for the event: %w", err)
	}
	payload, err := encode(ev)
	if err != nil {
		return ev, err
	}
	return ev, e.config.Fire(wirePrefix+ev.Name, payload)
}

// validate reports what is wrong with an event, in Consul's words.
func validate(ev api.UserEvent) error {
	if ev.Name == "" {
		return fault.New(fault.Invalid, "User event name is missing")
	}
	if ev.TagFilter != "" && ev.ServiceFilter == "" {
		return fault.New(fault.Invalid, "Cannot provide tag filter without service filter")
	}
	for _, f := range []struct{ what, expression string }{{"node", ev.NodeFilter}, {"service", ev.ServiceFilter}, {"tag", ev.TagFilter}} {
		if _, err := regexp.Compile(f.expression); err != nil {
			return fault.New(fault.Invalid, "Invalid %s filter: %w", f.what, err)
		}
	}
	return nil
}

func encode(ev api.UserEvent) ([]byte, error) {
	var b []byte
	if err := codec.NewEncoderBytes(&b, &codec.MsgpackHandle{}).Encode(ev); err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	return b, nil
}

// decode reads an event that another agent sent. Its ID is a UUID: clients make
// an index of it, and Consul's panics at anything else.
func decode(b []byte) (ev api.UserEvent, err error) {
	h := &codec.MsgpackHandle{}
	h.MaxDepth = 4 // an event is flat
	if err := codec.NewDecoderBytes(b, h).Decode(&ev); err != nil {
		return ev, err
	}
	if _, err := uuid.ParseUUID(ev.ID); err != nil {
		return ev, fmt.Errorf("the ID: %w", err)
	}
	if ev.Version > version {
		return ev, fmt.Errorf("version %d, of which this agent knows nothing", ev.Version)
	}
	return ev, validate(ev)
}

// Run takes what gossip brings until the context ends.
func (e *Events) Run(ctx context.Context, from <-chan api.RawEvent) {
	for {
		select {
		case <-ctx.Done():
			return
		case raw := <-from:
			e.receive(raw)
		}
	}
}

func (e *Events) receive(raw api.RawEvent) {
	if !strings.HasPrefix(raw.Name, wirePrefix) {
		return
	}
	ev, err := decode(raw.Payload)
	if err != nil {
		e.config.Logger.Warn("an event cannot be understood and is dropped", "event", raw.Name, "error", err)
		return
	}
	ev.LTime = raw.LTime
	act, to := e.config.Internal[ev.Name], &e.list
	if act != nil {
		to = &e.acted
	}
	if !e.meant(ev) || !to.add(ev) {
		return
	}
	e.config.Logger.Debug("new event", "event_name", ev.Name, "event_id", ev.ID)
	if act != nil {
		act(ev)
	}
}

// meant reports whether an event's filters choose this agent.
func (e *Events) meant(ev api.UserEvent) bool {
	if !matches(ev.NodeFilter, e.config.Node) {
		return false
	}
	if ev.ServiceFilter == "" {
		return true
	}
	if e.config.Services == nil {
		return false
	}
	return slices.ContainsFunc(e.config.Services(), func(s api.AgentService) bool {
		return matches(ev.ServiceFilter, s.Service) && (ev.TagFilter == "" || slices.ContainsFunc(s.Tags, func(tag string) bool { return matches(ev.TagFilter, tag) }))
	})
}

// matches reports whether an expression, one that can be compiled, finds itself in
// a text; none finds itself in all.
func matches(expression, text string) bool {
	return expression == "" || regexp.MustCompile(expression).MatchString(text)
}
