package scenarios

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	capi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-msgpack/v2/codec"

	"tribune/impl/api"
	"tribune/impl/fsm"
	"tribune/impl/gossip"
	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/linearizability/raftsafety"
	"tribune/netmodel"
	"tribune/sim"
	"tribune/sim/nemesis"
)

// Every check has a canary: something that it must reject. Those of invariants are
// planted into what watches a run, in a world in which nothing else happens; those of
// verdicts are results of runs.

// plantedAt is the time in the world when they are planted: some has passed.
const plantedAt = 10 * time.Minute

// Canaries is the program of a process that plants all canaries of invariants, and
// answers by the name of each with the invariants that were violated and the complaints;
// and, as "deaths", with what is measured of some.
func Canaries(_ []byte, out io.Writer) {
	model, err := netmodel.Named("lan")
	found := map[string][]string{}
	if err == nil {
		err = sim.Run(sim.Options{Seed: 1, Model: model}, func(w *sim.World) {
			time.Sleep(plantedAt)
			for name, plant := range plants() {
				before := len(w.Violations())
				found[name] = []string{}
				plant(emptyRun(w))
				for _, v := range w.Violations()[before:] {
					found[name] = append(found[name], v.Invariant+": "+v.Text)
				}
			}
			d := deaths(emptyRun(w))
			found["deaths"] = []string{fmt.Sprint(d.Time.Count), d.Time.Max.String()}
		})
	}
	tell(out, found, err)
}

// tell is the end of a test's child: it tells its parent what was found, or fails.
func tell(out io.Writer, found any, err error) {
	if err == nil {
		err = json.NewEncoder(out).Encode(found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// emptyRun is a run with one client agent, a1, which has services, and nobody else.
func emptyRun(w *sim.World) *run {
	s := defaults()
	s.Topology = Topology{Servers: 3, Agents: 1, Clients: 1}
	s.Workload.Contenders, s.Workload.Sessions, s.Checks.Bounds = 1, onHealth, holds
	r := &run{plan: NewPlan(*s, 1), world: w}
	r.resource, r.watcher, r.nemesis = newResource(r), newWatcher(r), nemesis.New(w, r.plan.cast(), r)
	r.fleet = &fleet{run: r, sites: map[string]*site{}, dns: map[string]resolution{}}
	r.fleet.sites["a1"] = &site{agent: "a1", address: "10.0.5.1", webUp: true, jobUp: true, changed: map[string]time.Duration{}}
	return r
}

func plantedClient(r *run) *client {
	return &client{run: r, name: "c1", indexes: map[string]uint64{}}
}

// plants are the canaries of invariants, by name; one that can be violated in several
// ways has further ones, after a comma.
func plants() map[string]func(r *run) {
	all := map[string]func(r *run){
		"monotonic index": func(r *run) {
			c, read := plantedClient(r), linearizability.Op{Key: "x", Mode: "stale", ServedBy: "s1", Life: 1}
			c.forward(read, 7)
			c.forward(read, 6)
		},
		"monotonic index, of another server": func(r *run) {
			c, read := plantedClient(r), linearizability.Op{Key: "x", Mode: "consistent", ServedBy: "s1", Life: 1}
			c.forward(read, 7)
			read.ServedBy = "s2"
			c.forward(read, 6)
		},
		"one answer an index": func(r *run) {
			l := &lister{client: plantedClient(r), where: "consistent"}
			l.saw(7, "a=1@7")
			l.saw(7, "a=1@7 b=1@7")
		},
		"monotonic index, of a prefix": func(r *run) {
			l := &lister{client: plantedClient(r), where: "consistent"}
			l.saw(7, "a=1@7")
			l.saw(6, "a=1@7")
		},
		"each event once": func(r *run) {
			w := &crowd{run: r, heard: map[string]map[string]bool{}, lives: map[string]int{}}
			w.hear("s1", 1, []*capi.UserEvent{{Payload: []byte("e")}, {Payload: []byte("e")}})
		},
		"each event once, forgotten": func(r *run) {
			w := &crowd{run: r, heard: map[string]map[string]bool{}, lives: map[string]int{}}
			w.hear("s1", 1, []*capi.UserEvent{{Payload: []byte("e")}})
			w.hear("s1", 1, nil)
		},
		"sum of accounts": func(r *run) {
			t := &teller{plantedClient(r), map[string]account{}}
			t.count([]linearizability.Step{{Key: "a", Found: true, Seen: "3 c1-1", SeenAt: 5}, {Key: "b", Found: true, Seen: "-2 c1-1", SeenAt: 5}})
		},
		"answers to transactions":                   func(r *run) { transact(r, http.StatusConflict, `{}`) },
		"answers to transactions, without a result": func(r *run) { transact(r, http.StatusOK, `{"Results": []}`) },
		"answers to transactions, of another key": func(r *run) {
			transact(r, http.StatusOK, `{"Results": [{"KV": {"Key": "a", "ModifyIndex": 5}}, {"KV": {"Key": "c", "ModifyIndex": 5}}]}`)
		},
		"exactly-once application": func(r *run) {
			w := newWatcher(r)
			w.replayed(func() (uint64, string, error) { return 0, "another digest", nil })
		},
	}
	maps.Copy(all, plantsInTheGroup())
	maps.Copy(all, plantsInLocks())
	maps.Copy(all, plantsInWatches())
	maps.Copy(all, plantsInTheFleet())
	maps.Copy(all, plantsInTheCatalog())
	maps.Copy(all, innocents())
	maps.Copy(all, innocentWatches())
	for name, looks := range plantsInRaft() {
		all[name] = func(r *run) {
			w := raftsafety.New(r.world)
			for _, o := range looks {
				w.See([]raftsafety.Observation{o})
			}
		}
	}
	return all
}

// transact has a teller read two accounts with a transaction that gets an answer.
func transact(r *run, status int, text string) {
	t := &teller{plantedClient(r), map[string]account{}}
	t.draws, t.agents, t.servers = stream(1, "teller"), []string{"s1"}, []*capi.Client{answering(status, text)}
	t.audit(context.Background(), []string{"a", "b"})
}

// innocents are what is all right, and nothing must complain of.
func innocents() map[string]func(r *run) {
	return map[string]func(r *run){
		"release on its way":             releaseOnItsWay,
		"session of a node that left":    sessionOfWhoLeft,
		"another server behind an agent": anotherServer,
		"fast clock of a server":         fastClock,
		"renewal that was refused":       refusedRenewal,
		"session that was destroyed":     destroyedHolder,
		"lock-delay after a TTL":         func(r *run) { handOverAfterTTL(r, lockTTL+16*second) },
		"name of one who is taken for dead": func(r *run) {
			r.watcher.members.doubts["a1"] = r.world.Now() - doubtLasts
			r.fleet.usurped = map[string]bool{}
			(&renamer{client: plantedClient(r)}).kept("a1", nil)
		},
		"watcher of checks that has just begun": func(r *run) {
			r.fleet.nurses = []*nurse{{client: plantedClient(r), agent: "a1", began: r.world.Now() - 20*second}}
			r.fleet.nursedInTime(r.world.Now())
		},
	}
}

func plantsInTheGroup() map[string]func(r *run) {
	return map[string]func(r *run){
		"undisturbed leader": func(r *run) {
			r.plan.Scenario.Checks.Reigns = holds
			w := newWatcher(r)
			w.reigns = []Reign{{Term: 1, Server: "s1"}}
			w.deposed(Reign{Term: 2, Server: "s2"})
		},
		"no panic": func(r *run) {
			client := func(context.Context, host.Host, *slog.Logger) error { panic("no way out") }
			r.stopClients([]*sim.Node{ended(r, 1, client)})
		},
		"no panic, of an agent": func(r *run) {
			r.addServer(0, r.plan.Servers[0])
			r.start("s1") // there is no map in which it could note its agent
			r.world.Node("s1").Wait()
			r.over = true
			time.Sleep(second)
		},
		"no panic, when all is over": func(r *run) {
			n := r.world.AddNode(sim.NodeConfig{Name: "last", Addrs: address(14, 9)})
			n.Start(func(context.Context, host.Host, *slog.Logger) error { panic("no way out") })
			for range 100 {
				runtime.Gosched() // it panics, and nothing happens that it could be noticed at
			}
			r.watcher.report(&Result{})
		},
		"clients go on": func(r *run) {
			client := func(context.Context, host.Host, *slog.Logger) error { return nil }
			r.stopClients([]*sim.Node{ended(r, 2, client)})
		},
		"size of the raft group": func(r *run) {
			newWatcher(r).quorum(raftsafety.Observation{Server: "s1", Leader: true, Voters: []string{"id1"}})
		},
	}
}

// ended is a node whose program has ended.
func ended(r *run, i int, program sim.Program) *sim.Node {
	n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprint("ended", i), Addrs: address(14, i)})
	n.Start(program)
	n.Wait()
	return n
}

func plantsInLocks() map[string]func(r *run) {
	return map[string]func(r *run){
		"fencing tokens": func(r *run) {
			r.resource.acquire("h1", 2, r.world.Now())
			time.Sleep(time.Second)
			r.resource.acquire("h2", 2, r.world.Now())
		},
		"fencing tokens, two at once": func(r *run) {
			r.resource.write("h1", "s", 2)
			r.resource.write("h2", "t", 2)
		},
		"lock-delay": func(r *run) { handOver(r, 14*second) },
		"lock-delay, of a session that was renewed": func(r *run) {
			renewed := linearizability.LockOp{Kind: linearizability.LockRenew, Session: "s", Done: true, Outcome: linearizability.OK, Call: minute + 3*second}
			handOver(r, 17*second, renewed)
		},
		"lock-delay, of a session whose TTL ran out": func(r *run) { handOverAfterTTL(r, lockTTL+14*second) },
		"session TTL": func(r *run) {
			k := &contender{client: plantedClient(r), resource: r.resource, session: "s", renewed: time.Now().Add(-lockTTL / 2)}
			k.ended()
		},
		"session TTL, of who asks for the lock": func(r *run) {
			k := &contender{client: plantedClient(r), resource: r.resource, session: "s", renewed: time.Now(), trust: lockTTL}
			k.servers = []*capi.Client{answering(http.StatusInternalServerError, "invalid session")}
			if _, err := k.wait(context.Background()); err == nil {
				panic("the session is there")
			}
		},
		"session on health": func(r *run) {
			k := &contender{client: plantedClient(r), resource: r.resource, session: "s", renewed: time.Now(), site: r.fleet.sites["a1"]}
			k.ended()
		},
	}
}

// handOver has a lock go on, a time after it was taken and some operations later, with a
// lock-delay of 15 s.
func handOver(r *run, after time.Duration, between ...linearizability.LockOp) {
	r.plan.Scenario.Workload.LockDelay.Duration = 15 * second
	took := linearizability.LockOp{Kind: linearizability.LockAcquire, Session: "s", Done: true, Outcome: linearizability.OK, Call: minute, Return: minute}
	next := took
	next.Session, next.Return = "t", took.Return+after
	r.resource.history = slices.Concat([]linearizability.LockOp{took}, between, []linearizability.LockOp{next})
	r.resource.tooEarly("h2")
}

// handOverAfterTTL has a lock go on, a time after its holder renewed its session and took it.
func handOverAfterTTL(r *run, after time.Duration) {
	r.resource.begun["s"] = minute
	handOver(r, after)
}

// destroyedHolder has a lock go on a lock-delay after it was taken, and its holder's session
// was destroyed, which is all right.
func destroyedHolder(r *run) {
	r.resource.destroyed["s"] = true
	handOverAfterTTL(r, 16*second)
}

// refusedRenewal has a lock go on more than its lock-delay after it was taken, and soon after
// its last holder heard that its session had ended, which is all right.
func refusedRenewal(r *run) {
	gone := linearizability.LockOp{Kind: linearizability.LockRenew, Session: "s", Outcome: linearizability.OK, Call: minute + 14*second}
	handOver(r, 16*second, gone)
}

// fastClock has a lock-delay and a session end by the clock of a server that goes twice as
// fast as true time, which is all right.
func fastClock(r *run) {
	r.plan.Scenario.Clocks.Rates = []float64{1, 1.5}
	r.plan.Scenario.Faults = []Fault{{Kind: "clock-drift", Target: "s1", Rate: 2}}
	handOver(r, 8*second)
	k := &contender{client: plantedClient(r), resource: r.resource, session: "s", renewed: time.Now().Add(-6 * second)}
	k.ended()
}

// answering is a client of a server that gives one answer to all that is asked.
func answering(status int, text string) *capi.Client {
	c, err := capi.NewClient(&capi.Config{HttpClient: &http.Client{Transport: answer{status, text}}})
	if err != nil {
		panic(err)
	}
	return c
}

type answer struct {
	status int
	text   string
}

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.text))}, nil
}

// releaseOnItsWay has a lock go on before its holder knows that it was released, which
// is all right: nothing must reject it.
func releaseOnItsWay(r *run) {
	r.plan.Scenario.Workload.LockDelay.Duration = 15 * second
	c := plantedClient(r)
	take := func(session string) {
		_ = r.resource.did(c, linearizability.LockAcquire, session, func(o *linearizability.LockOp) error { o.Done = true; return nil })
	}
	take("s")
	_ = r.resource.did(c, linearizability.LockRelease, "s", func(o *linearizability.LockOp) error {
		time.Sleep(time.Second)
		take("t")
		r.resource.tooEarly("h2")
		o.Done = true
		return nil
	})
}

// sessionOfWhoLeft has a session end with the node that it was made on, which is all
// right too.
func sessionOfWhoLeft(r *run) {
	k := &contender{client: plantedClient(r), resource: r.resource, session: "s", renewed: time.Now().Add(-lockTTL / 2), maker: "s1", made: r.world.Now()}
	r.resource.away([]string{"s1"}, math.MaxInt64)
	k.ended()
	r.resource.away([]string{"s1"}, r.world.Now()+second)
	k.ended()
}

// anotherServer has a client agent ask a server that is behind the one before, which is
// all right for stale reads.
func anotherServer(r *run) {
	r.plan.Scenario.Workload.Via = "agents"
	l := &lister{client: plantedClient(r), stale: true}
	l.where = l.place()
	l.saw(7, "a=1@7")
	l.saw(6, "")
}

func plantsInTheCatalog() map[string]func(r *run) {
	return map[string]func(r *run){
		"renamed nodes": func(r *run) {
			(&renamer{client: plantedClient(r), called: "ext-2"}).found([]string{"ext-1", "ext-2"})
		},
		"names are kept": func(r *run) {
			(&renamer{client: plantedClient(r)}).kept("a1", nil)
		},
		"coordinates": func(r *run) {
			newWatcher(r).placed("s1", &api.Coordinate{Vec: make([]float64, 8), Error: math.Inf(1)})
		},
		"watch of checks": func(r *run) {
			s := r.fleet.sites["a1"]
			s.jobUp, s.changed[jobService] = false, r.world.Now()-plantedAt/2
			r.fleet.nurses = []*nurse{{client: plantedClient(r), agent: "a1", known: true}}
			r.fleet.nursedInTime(r.world.Now())
		},
		"watch of checks, without an answer": func(r *run) {
			r.fleet.nurses = []*nurse{{client: plantedClient(r), agent: "a1"}}
			r.fleet.nursedInTime(r.world.Now())
			if ok, _ := r.fleet.nursed(); ok {
				panic("who has no answer knows how the job is")
			}
		},
	}
}

func plantsInTheFleet() map[string]func(r *run) {
	const long = plantedAt / 2
	return map[string]func(r *run){
		"services with their checks": func(r *run) {
			r.fleet.unchecked([]api.CheckServiceNode{{Node: &api.Node{Node: "a1"}, Service: &api.NodeService{ID: "web"}, Checks: []api.HealthCheck{{CheckID: api.SerfCheckID}}}})
		},
		"nodes stay in the catalog": func(r *run) {
			r.fleet.enrolled = map[string]uint64{"a1": 1}
			r.fleet.lost([]api.Node{{Node: "s1"}}, math.MaxUint64)
		},
		"detection of a dead node": func(r *run) {
			s := r.fleet.sites["a1"]
			s.stopped = r.world.Now() - long
			r.fleet.inTime(s, api.HealthCheck{CheckID: api.SerfCheckID, Status: api.HealthPassing}, r.world.Now())
		},
		"detection of a dead service": func(r *run) {
			s := r.fleet.sites["a1"]
			s.webUp, s.changed[webService] = false, r.world.Now()-long
			r.fleet.inTime(s, api.HealthCheck{ServiceName: webService, Status: api.HealthPassing}, r.world.Now())
		},
		"anti-entropy comes to rest": func(r *run) {
			r.fleet.rest(func() (bool, string) { return false, "it changes" })
		},
		"anti-entropy comes to rest, with nothing written": func(r *run) {
			r.fleet.unchanged(4, 5, func(uint64) ([]byte, error) {
				var b bytes.Buffer
				err := codec.NewEncoder(&b, &codec.MsgpackHandle{}).Encode(struct{ Node string }{"a1"})
				return append([]byte{byte(fsm.RegisterType)}, b.Bytes()...), err
			})
		},
		"end of a session": func(r *run) {
			s := r.fleet.sites["a1"]
			s.jobUp, s.changed[jobService] = false, r.world.Now()-long
			r.fleet.sessionInTime(s, "s", r.world.Now())
		},
		"end of a session, on a dead agent": func(r *run) {
			s := r.fleet.sites["a1"]
			s.stopped = r.world.Now() - long
			r.fleet.sessionInTime(s, "s", r.world.Now())
		},
		"lock handed on": func(r *run) {
			r.fleet.free = r.world.Now() - long
			r.fleet.handed(false, r.world.Now())
		},
		"age of DNS answers": func(r *run) {
			r.plan.Scenario.Workload.MaxStale.Duration = second
			r.fleet.said = []saying{{"a1", question{"web.service", webService}, resolution{r.world.Now(), r.world.Now(), []string{"10.0.5.1"}}}}
			if err := r.fleet.aged(nil, nil); err != nil {
				panic(err)
			}
		},
		"DNS": func(r *run) {
			r.fleet.sites["a1"].stopped = r.world.Now() - long
			r.fleet.resolvedInTime("a1", question{"web.service", webService}, resolution{r.world.Now(), r.world.Now(), []string{"10.0.5.1"}})
		},
		"DNS, of a service that is down": func(r *run) {
			s := r.fleet.sites["a1"]
			s.webUp, s.changed[webService] = false, r.world.Now()-long
			r.fleet.resolvedInTime("a1", question{"web.service", webService}, resolution{r.world.Now(), r.world.Now(), []string{"10.0.5.1"}})
		},
	}
}

// plantsInRaft are what is seen of servers of a group of three, one after the other.
func plantsInRaft() map[string][]raftsafety.Observation {
	seen := func(n int, change func(o *raftsafety.Observation)) raftsafety.Observation {
		o := raftsafety.Observation{
			Server: fmt.Sprint("s", n), ID: fmt.Sprint("id", n), Address: fmt.Sprint("10.0.0.", n), Life: 1, Term: 5,
			First: 1, Last: 3, End: 3, Committed: 3, Applied: 3,
			Entry: func(i uint64) (raftsafety.Entry, bool) { return raftsafety.Entry{Term: 2}, true },
		}
		change(&o)
		return o
	}
	plain := func(o *raftsafety.Observation) {}
	short := func(o *raftsafety.Observation) { o.End = 2 }
	other := func(i uint64) (raftsafety.Entry, bool) { return raftsafety.Entry{Term: 3}, true }
	return map[string][]raftsafety.Observation{
		"log as long as the state": {seen(1, short), seen(1, short)},
		"monotonic term":           {seen(1, plain), seen(1, func(o *raftsafety.Observation) { o.Term = 4 })},
		"monotonic commit index":   {seen(1, plain), seen(1, func(o *raftsafety.Observation) { o.Committed = 2 })},
		"monotonic applied index":  {seen(1, plain), seen(1, func(o *raftsafety.Observation) { o.Applied = 2 })},
		"monotonic vote":           {seen(1, func(o *raftsafety.Observation) { o.VoteTerm = 5 }), seen(1, func(o *raftsafety.Observation) { o.VoteTerm = 4 })},
		"one vote a term": {
			seen(1, func(o *raftsafety.Observation) { o.VoteTerm, o.VotedFor = 5, "10.0.0.2" }),
			seen(1, func(o *raftsafety.Observation) { o.VoteTerm, o.VotedFor = 5, "10.0.0.3" }),
		},
		"votes of a majority":                {seen(1, func(o *raftsafety.Observation) { o.Leader, o.Voters = true, []string{"id1"} })},
		"election safety":                    {seen(1, func(o *raftsafety.Observation) { o.Leader = true }), seen(2, func(o *raftsafety.Observation) { o.Leader = true })},
		"state machine safety":               {seen(1, plain), seen(2, func(o *raftsafety.Observation) { o.Entry = other })},
		"leader completeness, a shorter log": {seen(1, plain), seen(2, func(o *raftsafety.Observation) { o.Leader, o.Committed, o.Last, o.End = true, 0, 2, 2 })},
		"leader completeness":                {seen(1, plain), seen(2, func(o *raftsafety.Observation) { o.Leader, o.Committed, o.Entry = true, 0, other })},
	}
}

// deaths has a member die, be found out, come back, die again and come back before
// anybody notices, and returns what is measured.
func deaths(r *run) Detection {
	m := newMembership(r)
	m.gone["s1"] = r.world.Now()
	m.sees("s1", gossip.StatusAlive)
	time.Sleep(4 * time.Second)
	m.sees("s1", gossip.StatusFailed)
	m.sees("s1", gossip.StatusFailed)
	m.gone["s1"] = r.world.Now()
	m.sees("s1", gossip.StatusFailed)
	return m.result()
}
