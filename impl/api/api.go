// Package api is the dictionary: one Go type for each concept that the agent
// stores, sends to another agent and shows to a user, in the JSON spelling of
// Consul's HTTP API (developer.hashicorp.com/consul/api-docs). State, RPC and
// HTTP use the same types, so that a concept has one definition.
//
// The package holds no behaviour beyond trivial accessors and knows nobody.
package api

import (
	"cmp"
	"time"
)

// QueryOptions are the parameters that every read takes
// (Consul API: Consistency Modes, Blocking Queries).
type QueryOptions struct {
	Datacenter string // empty: the agent's own
	Token      string

	// AllowStale lets any server answer from its own state.
	AllowStale bool
	// RequireConsistent makes the leader confirm its leadership with a quorum
	// before it answers. Without either the leader answers under its lease.
	RequireConsistent bool
	// MaxStaleDuration, when positive, sends a stale read on to the leader if
	// the answering server has not heard from it for longer.
	MaxStaleDuration time.Duration

	// MinQueryIndex, when not zero, blocks the read until the result's index
	// is greater, or MaxQueryTime has passed.
	MinQueryIndex uint64
	MaxQueryTime  time.Duration

	// Filter, when not empty, is a boolean expression that each item of the
	// result must fulfil (Consul API: Filtering).
	Filter string

	Cache CacheOptions `codec:"-"` // they are for the agent that is asked
}

// CacheOptions say whether, and how, an agent may answer from its cache
// (Consul API: Agent Caching).
type CacheOptions struct {
	Use            bool
	MaxAge         time.Duration // 0: any age will do
	MustRevalidate bool          // none will do
	StaleIfError   time.Duration // this age will, if no server answers
}

// A blocking query waits DefaultWait unless it says how long, at most MaxWait, and
// up to a sixteenth longer, so that clients that began together do not return
// together (Consul API: Blocking Queries).
const (
	DefaultWait = 5 * time.Minute
	MaxWait     = 10 * time.Minute
)

// QueryTimes are how long blocking queries wait on an agent.
type QueryTimes struct {
	Default time.Duration // unless they say how long; 0: DefaultWait
	Max     time.Duration // at most; 0: MaxWait
}

// leastWait is what is left of a time that is over: 0 would ask for the usual time.
const leastWait = time.Millisecond

// WaitUntil has a blocking query wait until a time, and not at all if that is over: one
// that is asked once more, of another, does not begin its wait anew.
func (o *QueryOptions) WaitUntil(t time.Time) { o.MaxQueryTime = max(time.Until(t), leastWait) }

// Wait is how long a query waits that asks for a time; 0 asks for none.
func (t QueryTimes) Wait(asked time.Duration) time.Duration {
	if asked <= 0 {
		asked = cmp.Or(t.Default, DefaultWait)
	}
	return min(asked, cmp.Or(t.Max, MaxWait))
}

// QueryMeta travels with the answer to a read and becomes the X-Consul-*
// response headers.
type QueryMeta struct {
	Index       uint64        // X-Consul-Index
	LastContact time.Duration // X-Consul-LastContact, in milliseconds there
	KnownLeader bool          // X-Consul-KnownLeader
	// ConsistencyLevel is "leader", "stale" or "consistent"
	// (X-Consul-Effective-Consistency).
	ConsistencyLevel string

	Cache CacheMeta `codec:"-"`
}

// CacheMeta tells about an answer that may come from an agent's cache.
type CacheMeta struct {
	Used bool          // it was asked
	Hit  bool          // it knew the answer (X-Cache)
	Age  time.Duration // of the answer, if it knew it (Age, in seconds there)
}

// WriteOptions are the parameters that every write takes.
type WriteOptions struct {
	Datacenter string
	Token      string
}

// RaftIndex records the raft indexes of an entry's creation and last change.
type RaftIndex struct {
	CreateIndex uint64
	ModifyIndex uint64
}
