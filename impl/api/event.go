package api

// RawEvent is an event as a gossip pool carries it.
type RawEvent struct {
	Name    string
	Payload []byte
	LTime   uint64 // Lamport time of the pool at which it was fired
}

// UserEvent is an event that a person fired (Consul API: Events). The codec names
// are those under which Consul's agents send it to each other.
type UserEvent struct {
	ID            string
	Name          string `codec:"n"`
	Payload       []byte `codec:"p,omitempty"`  // base64 in JSON, null when empty
	NodeFilter    string `codec:"nf,omitempty"` // regular expression: which nodes it is for
	ServiceFilter string `codec:"sf,omitempty"` // regular expression: agents with such a service
	TagFilter     string `codec:"tf,omitempty"` // regular expression: a tag of that service
	Version       int    `codec:"v"`
	LTime         uint64 `codec:"-"` // as in RawEvent; 0 in the answer to who fired it
}

// EventFireRequest fires an event. ID, Version and LTime are not the caller's.
type EventFireRequest struct {
	Event UserEvent
	WriteOptions
}

// EventListRequest asks an agent for the events that it received. What narrows
// the list is empty or given: a name, and expressions that an event's own filter
// must match.
type EventListRequest struct {
	Name    string
	Node    string
	Service string
	Tag     string
	Since   uint64 // Lamport time: only events after it
	QueryOptions
}
