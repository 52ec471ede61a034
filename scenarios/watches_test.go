package scenarios

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/sim/nemesis"
)

// plantsInWatches are canaries of what watchers promise.
func plantsInWatches() map[string]func(r *run) {
	return map[string]func(r *run){
		"wake-up":                          func(r *run) { followed(r, "", asleep{wrote: put("x")}) },
		"wake-up, of a CAS":                func(r *run) { followed(r, "old", asleep{wrote: written("x", linearizability.CAS, true)}) },
		"wake-up, of a delete":             func(r *run) { followed(r, "old", asleep{wrote: written("x", linearizability.Delete, false)}) },
		"wake-up, of a delete-cas":         func(r *run) { followed(r, "old", asleep{wrote: written("x", linearizability.DeleteCAS, true)}) },
		"wake-up, of a prefix":             func(r *run) { listed(r, false, asleep{wrote: put("k12")}) },
		"wake-up, of a delete in a prefix": func(r *run) { listed(r, false, asleep{wrote: written("k1", linearizability.Delete, false)}) },
		"one answer an index, of a key": func(r *run) {
			f := &follower{client: plantedClient(r), key: "x"}
			f.saw(7, "old")
			f.saw(7, "new")
		},
		"blocking queries end": func(r *run) {
			r.listers = []*lister{{client: waiting(r)}}
			r.watcher.ended()
		},
	}
}

// innocentWatches are what is all right.
func innocentWatches() map[string]func(r *run) {
	return map[string]func(r *run){
		"delete that found nothing":     func(r *run) { followed(r, "", asleep{wrote: written("x", linearizability.Delete, false)}) },
		"delete-cas that was refused":   func(r *run) { followed(r, "old", asleep{wrote: written("x", linearizability.DeleteCAS, false)}) },
		"write of another key":          func(r *run) { followed(r, "old", asleep{wrote: put("y")}) },
		"write of a key outside a list": func(r *run) { listed(r, false, asleep{wrote: put("k2")}) },
		"delete of what a list lacks":   func(r *run) { listed(r, false, asleep{wrote: written("k12", linearizability.Delete, false)}) },
		"list of a server that is behind": func(r *run) {
			r.addServer(2, r.plan.Servers[2])
			listed(r, true, asleep{wrote: put("k12")})
		},
		"query of a server that slept": func(r *run) {
			r.addServer(1, r.plan.Servers[1])
			n := r.world.Node("s2")
			n.Start(func(ctx context.Context, _ host.Host, _ *slog.Logger) error { <-ctx.Done(); return nil })
			followed(r, "", asleep{wrote: put("x"), meanwhile: func() {
				r.nemesis.Strike(nemesis.Strike{Fault: nemesis.Fault{Kind: "pause"}, For: second, Hits: []string{"s2"}})
			}})
			n.Kill()
		},
		"answer of a fast clock that was held up": func(r *run) {
			r.plan.Scenario.Clocks.Rates = []float64{1, 2}
			followed(r, "", asleep{wrote: put("x"), later: second})
		},
		"query that ends when its time is up": func(r *run) {
			c := waiting(r)
			r.followers = []*follower{{client: c}}
			go func() {
				time.Sleep(r.plan.Scenario.patience(c.wait) + c.wait) // the one before has failed
				c.answered = r.world.Now()
			}()
			r.watcher.ended()
		},
	}
}

// waiting is a client that asks blocking queries.
func waiting(r *run) *client {
	c := plantedClient(r)
	c.wait, c.answered = watchWait, r.world.Now()
	return c
}

func put(key string) linearizability.Op { return written(key, linearizability.Put, false) }

func written(key string, kind linearizability.Kind, done bool) linearizability.Op {
	return linearizability.Op{Key: key, Kind: kind, Outcome: linearizability.OK, Done: done}
}

// followed has the watcher of a key with a value ask once.
func followed(r *run, value string, server asleep) {
	f := &follower{client: waiting(r), key: "x", index: 7, value: value}
	f.servers = []*capi.Client{server.of(r, f.key, value)}
	if err := f.look(context.Background()); err != nil {
		panic(err)
	}
	if f.answered != r.world.Now() || f.index != 7 || f.value != value {
		panic(fmt.Sprintf("the answer was lost: %+v", f))
	}
}

// listed has the watcher of a prefix, under which there is one key, ask once.
func listed(r *run, stale bool, server asleep) {
	l := &lister{client: waiting(r), stale: stale, index: 7, list: "k1=old@7 "}
	l.agents, l.servers = []string{"s3"}, []*capi.Client{server.of(r, "k1", "old")}
	l.where = l.place()
	l.turn(context.Background())
	if l.answered != r.world.Now() || l.where == "" {
		panic(fmt.Sprintf("the answer was lost: %+v", l))
	}
}

// asleep is a server that lets a query wait until its time is up, and answers that all is
// as it was.
type asleep struct {
	run        *run
	key, value string
	wrote      linearizability.Op // meanwhile
	later      time.Duration      // than the beginning of the query
	meanwhile  func()             // if not nil, happens too
}

// of is a client of the server, which has a value, unless that is empty, of a key.
func (a asleep) of(r *run, key, value string) *capi.Client {
	a.run, a.key, a.value = r, key, value
	c, err := capi.NewClient(&capi.Config{HttpClient: &http.Client{Transport: a}})
	if err != nil {
		panic(err)
	}
	return c
}

func (a asleep) RoundTrip(*http.Request) (*http.Response, error) {
	if a.meanwhile != nil {
		a.meanwhile()
	}
	o := a.wrote
	o.Call = a.run.world.Now() + a.later + 1
	o.Return = o.Call + 1
	a.run.history = append(a.run.history, o)
	time.Sleep(watchWait)
	status, text := http.StatusOK, fmt.Sprintf(`[{"Key": %q, "Value": "b2xk", "ModifyIndex": 7}]`, a.key)
	if a.value == "" {
		status, text = http.StatusNotFound, ""
	}
	header := http.Header{"X-Consul-Index": {"7"}, "X-Consul-Lastcontact": {"0"}, "X-Consul-Knownleader": {"true"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text))}, nil
}
