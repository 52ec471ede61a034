package scenarios

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/agent"
	"tribune/impl/api"
	"tribune/impl/host"
	"tribune/netmodel"
	"tribune/sim"
)

// Recoveries is the program of a process that has a cluster of three servers and a client
// agent, in which all is well. It plants what each part of the recovery must reject, one
// after the other, and answers by the name of each with why that part is not reached, and
// empty texts if it is; and, as "nothing", with what is missing before and after.
func Recoveries(_ []byte, out io.Writer) {
	model, err := netmodel.Named("lan")
	found := map[string]string{}
	if err == nil {
		err = sim.Run(sim.Options{Seed: 1, Model: model}, func(w *sim.World) {
			r := healed(w)
			found["nothing"] = r.missing()
			for name, plant := range plantsInRecovery() {
				found[name] = plant(r)
				if why := r.missing(); why != "" {
					found["nothing"] += name + " leaves something behind: " + why
				}
			}
			r.over = true
		})
	}
	tell(out, found, err)
}

// healed is a run in which nothing strikes, with a watcher of each kind and three events.
func healed(w *sim.World) *run {
	s := defaults()
	s.Topology = Topology{Servers: 3, Agents: 1, Clients: 1}
	r := &run{plan: NewPlan(*s, 1), world: w, agents: map[string]*agent.Agent{}, leave: map[string]func(){}, down: map[string]int{}}
	r.resource, r.watcher = newResource(r), newWatcher(r)
	for i, p := range r.plan.Servers {
		r.addServer(i, p)
		r.start(p.Name)
	}
	r.startFleet()
	r.fleet.calm = true
	r.followers = []*follower{{client: plantedClient(r), key: "x"}}
	r.listers = []*lister{{client: plantedClient(r)}}
	r.crowd = &crowd{run: r, final: []string{"e1", "e2", "e3"}, heard: map[string]map[string]bool{}}
	for _, member := range r.plan.members() {
		r.crowd.heard[member] = map[string]bool{"e1": true, "e2": true, "e3": true}
	}
	r.resource.acquired = []tenure{{1, w.Now() + time.Hour}}
	return r
}

// missing waits for all that a healed cluster must reach, and returns what is not reached.
func (r *run) missing() string {
	for _, reached := range []func() (bool, string){r.leads, r.watcher.equal, r.handedOut, r.watcher.members.agree, r.fleet.settled, r.followed, r.crowd.told} {
		if got := r.until(2*minute, reached); !got.OK {
			return got.Text
		}
	}
	return ""
}

func (r *run) leads() (bool, string) { return r.leader() != "", "no server leads" }

func (r *run) handedOut() (bool, string) {
	return r.resource.acquiredSince(r.world.Now()), "nobody gets it"
}

// why is what is not reached, now.
func why(reached func() (bool, string)) string {
	ok, text := reached()
	if ok {
		return ""
	}
	return text
}

// asks has a client do something at a server, and waits until it is done.
func (r *run) asks(do func(c *capi.Client) error) {
	number := len(r.world.Nodes())
	n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprint("asks", number), Addrs: address(14, number)})
	n.Start(func(_ context.Context, h host.Host, _ *slog.Logger) error {
		c, err := r.newClient(2000+number, n.Name(), h.Network(), r.timeout())
		if err != nil {
			return err
		}
		return do(c.servers[0])
	})
	n.Wait()
	if err := n.Err(); err != nil {
		panic(err)
	}
}

// with has something be another way while it is asked what is not reached.
func with[T any](what *T, other T, reached func() (bool, string)) string {
	was := *what
	*what = other
	defer func() { *what = was }()
	return why(reached)
}

// plantsInRecovery are named after the part of the recovery that each belongs to.
func plantsInRecovery() map[string]func(r *run) string {
	return map[string]func(r *run) string{
		"Leader": func(r *run) string { return with(&r.agents, nil, r.leads) },
		"Converge, a server that lags": func(r *run) string {
			r.asks(func(c *capi.Client) error {
				_, err := c.KV().Put(&capi.KVPair{Key: "y"}, nil)
				return err
			})
			return why(r.watcher.equal)
		},
		"Converge, a server that is down": func(r *run) string { return with(&r.agents, nil, r.watcher.equal) },
		"Lock, of long ago":               func(r *run) string { return with(&r.resource.acquired[0].returned, 1, r.handedOut) },
		"Lock, that nobody had":           func(r *run) string { return with(&r.resource.acquired, nil, r.handedOut) },
		"Members": func(r *run) string {
			return with(&r.plan.memberNames, append([]string{"s1"}, "stranger"), r.watcher.members.agree)
		},
		"Watches, of a key":    func(r *run) string { return with(&r.followers[0].value, "a", r.followed) },
		"Watches, of a prefix": func(r *run) string { return with(&r.listers[0].list, "p/a=1@5 ", r.followed) },
		"Watches, of checks": func(r *run) string {
			return with(&r.fleet.nurses, []*nurse{{client: plantedClient(r), agent: "a1"}}, r.followed)
		},
		"Events, that one did not get": func(r *run) string {
			return with(&r.crowd.heard, map[string]map[string]bool{"s1": r.crowd.heard["s1"]}, r.crowd.told)
		},
		"Events, of which one is lost":  func(r *run) string { return with(&r.crowd.final[2], "e4", r.crowd.told) },
		"Events, which are not fired":   func(r *run) string { return with(&r.crowd.final, []string{"e1", "e2"}, r.crowd.told) },
		"Services, without a leader":    func(r *run) string { return with(&r.agents, nil, r.fleet.settled) },
		"Services, of one that is down": func(r *run) string { return with(&r.fleet.sites["a1"].jobUp, false, r.fleet.settled) },
		"Services, never registered": func(r *run) string {
			return with(&r.fleet.sites["a1"].registered, map[string]*word{"d": {port: 7}}, r.fleet.settled)
		},
		"Services, out of use": func(r *run) string {
			return with(&r.fleet.sites["a1"].registered, map[string]*word{webService: {port: 80, out: true}}, r.fleet.settled)
		},
		"Services, another node": func(r *run) string {
			defer r.asks(func(c *capi.Client) error {
				_, err := c.Catalog().Deregister(&capi.CatalogDeregistration{Node: "stranger"}, nil)
				return err
			})
			return r.registered(&capi.CatalogRegistration{Node: "stranger", Address: "10.0.14.1"})
		},
		"Services, another service": func(r *run) string {
			return r.registered(&capi.CatalogRegistration{Node: "a1", SkipNodeUpdate: true, Service: &capi.AgentService{ID: "d", Service: "d"}})
		},
		"Services, another check": func(r *run) string {
			return r.registered(&capi.CatalogRegistration{Node: "a1", SkipNodeUpdate: true, Check: &capi.AgentCheck{CheckID: "d", Name: "d"}})
		},
		"Services, of one that counts as dead": func(r *run) string {
			return r.registered(&capi.CatalogRegistration{Node: "a1", SkipNodeUpdate: true, Check: &capi.AgentCheck{CheckID: api.SerfCheckID, Name: "d", Status: capi.HealthCritical}})
		},
		"Services, DNS without an answer": func(r *run) string { return with(&r.fleet.dns, nil, r.fleet.settled) },
		"Services, DNS that errs": func(r *run) string {
			return r.said(func(s *resolution) { s.found = []string{"10.0.5.2"} })
		},
		"Services, DNS of long ago": func(r *run) string {
			return r.said(func(s *resolution) { s.asked -= dnsSilence + second })
		},
	}
}

// registered has somebody write to the catalog.
func (r *run) registered(c *capi.CatalogRegistration) string {
	r.asks(func(k *capi.Client) error {
		_, err := k.Catalog().Register(c, nil)
		return err
	})
	return why(r.fleet.settled)
}

// said has the DNS of the client agent have given another answer.
func (r *run) said(change func(*resolution)) string {
	const question = "a1 " + webService + ".service"
	was := r.fleet.dns[question]
	other := was
	change(&other)
	r.fleet.dns[question] = other
	defer func() { r.fleet.dns[question] = was }()
	return why(r.fleet.settled)
}
