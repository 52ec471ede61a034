// Package watch runs a handler whenever something in the cluster changes: a key, the
// keys under a prefix, the nodes, the services, the instances of one, checks, or
// events (Consul documentation: Watches). A handler is a command, which gets what is
// there now as JSON on its standard input, or an HTTP request with the same body.
//
// What is watched is read with blocking queries by the plans of Consul's official
// client (package consul/api/watch), through an agent's HTTP API: the agent's own for
// the watches in its configuration, any for the command line. Both use Query.Follow.
//
// # When a handler runs
//
// The first time at once, and then whenever what it saw last has changed. Plans run
// anew after an error, a reload or a restart, and then know of nothing; Follow
// compares with what was seen before, by a hash, and an Engine keeps that in a file.
// A handler that failed has seen the change, one that was stopped half-way has not.
//
// Beyond Consul, a handler learns the index of what it saw last
// (CONSUL_PREVIOUS_INDEX, X-Consul-Previous-Index), and so whether it may have missed
// a change between the two.
//
//   - watch.go is what is watched, and following it.
//   - handler.go is what is done about a change.
//   - engine.go keeps the watches of an agent; memory.go what their handlers saw.
package watch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"

	capi "github.com/hashicorp/consul/api"
	plans "github.com/hashicorp/consul/api/watch"

	"tribune/impl/logging"
)

// Query is what is watched.
type Query struct {
	params            map[string]any // for plans.Parse, which consumes a copy
	kind              string
	datacenter, token string
}

// ParseQuery reads what is to be watched: "type", what that type takes, and
// "datacenter" and "token", in the spelling of Consul's configuration.
func ParseQuery(params map[string]any) (*Query, error) {
	plan, err := plans.Parse(maps.Clone(params))
	if err != nil {
		return nil, err
	}
	return &Query{params: maps.Clone(params), kind: plan.Type, datacenter: plan.Datacenter, token: plan.Token}, nil
}

// Seen is what tells whether something has changed.
type Seen struct {
	Index uint64 // X-Consul-Index; 0 for a type that has none
	Hash  string // of all of it, SHA-256 in hex; "": nothing was seen yet
}

// Change is what a handler gets.
type Change struct {
	Seen
	Previous uint64 // index of what was seen last; 0: nothing was
	Data     []byte // JSON, with a newline at the end
}

// Follow calls handle with what is there, unless that is what was seen last, and then
// whenever it changes, until the context ends or handle returns an error, which it
// returns. Errors of the agent at the address in c are logged, and it is asked again
// after 5 s and then more and more seldom.
func (q *Query) Follow(ctx context.Context, c capi.Config, last Seen, log *slog.Logger, handle func(Change) error) error {
	plan, err := plans.Parse(maps.Clone(q.params))
	if err != nil {
		return err
	}
	if q.datacenter != "" {
		c.Datacenter = q.datacenter
	}
	if q.token != "" {
		c.Token = q.token
	}
	client, err := capi.NewClient(&c)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, plan.Stop)
	defer stop()
	var failure error
	plan.HybridHandler = func(at plans.BlockingParamVal, found any) {
		change, news, err := q.change(client, last, at, found)
		if err == nil && news && ctx.Err() == nil {
			err = handle(change)
		}
		if err != nil {
			failure = err
			plan.Stop()
		}
		if news {
			last = change.Seen
		}
	}
	return errors.Join(plan.RunWithClientAndHclog(client, logging.HCLog(log)), failure)
}

// change makes a change of what a plan found, if there is news in it.
func (q *Query) change(client *capi.Client, last Seen, at plans.BlockingParamVal, found any) (change Change, news bool, err error) {
	if events, ok := found.([]*capi.UserEvent); ok {
		events = fresh(client, last, events)
		if len(events) == 0 && last.Hash != "" {
			return change, false, nil // the list of an agent that was restarted is empty: no event came
		}
		found = events
	}
	data, err := json.Marshal(found)
	if err != nil {
		return change, false, fmt.Errorf("what is watched: %w", err)
	}
	hash := sha256.Sum256(data)
	change = Change{Seen: Seen{Hash: hex.EncodeToString(hash[:])}, Previous: last.Index, Data: append(data, '\n')}
	if index, ok := at.(plans.WaitIndexVal); ok {
		change.Index = uint64(index)
	}
	return change, change.Hash != last.Hash, nil
}

// fresh leaves out the events up to the last one that was seen, by which the index
// of the list is known. A plan does that too, unless it has just begun.
func fresh(client *capi.Client, last Seen, events []*capi.UserEvent) []*capi.UserEvent {
	for i, e := range events {
		if client.Event().IDToIndex(e.ID) == last.Index {
			return events[i+1:]
		}
	}
	return events
}
