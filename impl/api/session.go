package api

import "time"

// The behaviours of a session: what becomes of the locks that it holds when it
// ends.
const (
	SessionRelease = "release"
	SessionDelete  = "delete"
)

// Session is a session (Consul API: Sessions). It ends when one of its checks
// turns critical or goes, when its node goes, when it is not renewed within its
// TTL, and when it is destroyed.
type Session struct {
	ID            string
	Name          string
	Node          string
	LockDelay     time.Duration // nanoseconds in JSON
	Behavior      string
	TTL           string // a duration such as "30s"; empty: it lives until it is ended
	NodeChecks    []string
	ServiceChecks []ServiceCheck
	RaftIndex
}

// ServiceCheck names a check of a service.
type ServiceCheck struct {
	ID        string
	Namespace string
}

// SessionOp names what a session command does.
type SessionOp string

// The session commands.
const (
	SessionCreate  SessionOp = "create"
	SessionDestroy SessionOp = "destroy"
)

// SessionApplyRequest creates a session, or destroys the one with its ID.
type SessionApplyRequest struct {
	Op      SessionOp
	Session Session
	WriteOptions
}

// SessionApplyResponse has the ID of the session.
type SessionApplyResponse struct {
	ID string
}

// SessionRequest reads sessions: the one with an ID, those of a node, or all.
type SessionRequest struct {
	ID   string
	Node string
	QueryOptions
}

// MinSessionTTL is the least TTL that a session may have, if it has one.
const MinSessionTTL = 10 * time.Second
