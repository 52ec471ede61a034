package scenarios

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	capi "github.com/hashicorp/consul/api"

	"tribune/impl/agent"
	"tribune/impl/api"
	"tribune/impl/config"
	"tribune/impl/host"
	"tribune/sim"
	"tribune/sim/trace"
)

// How the checks of the fleet's services run.
const (
	checkInterval = 2 * time.Second
	// checkTimeout leaves time for two lost packets in a row, as a wide network
	// loses them (storm, seed 27).
	checkTimeout = 4 * time.Second
	// syncTime is how long what a check found may take from its agent into the
	// state of the leader, when nothing is broken.
	syncTime = time.Second
	// outputLag is how long the catalog may lag behind in what a check prints: so short
	// that it has that, too, when all has come to rest.
	outputLag = 5 * time.Second
	// detection is the longest time until the catalog says that a service is down.
	detection = checkInterval + checkTimeout + syncTime
)

// What the services of each agent are called.
const (
	webService = "web" // whose check is a request to a web server on another machine
	jobService = "job" // whose check is a script
	dynamic    = "dyn" // the beginning of what registrars register
)

// fleet is the client agents of a run, the services that they have, and how these
// truly are.
type fleet struct {
	run   *run
	nodes []*sim.Node
	sites map[string]*site      // by agent
	calm  bool                  // no service changes any more
	dns   map[string]resolution // by agent and name
	said  []saying              // all that it said
	free  time.Duration         // since when the lock is free; 0: it is not

	nurses   []*nurse
	usurped  map[string]bool   // agents whose name somebody else got while they were taken for dead
	enrolled map[string]uint64 // agents that the catalog has, and at which index they were seen there
}

// site is what belongs to one agent.
type site struct {
	agent      string
	address    string
	machine    *sim.Node // of the web server
	webUp      bool
	jobUp      bool
	changed    map[string]time.Duration // by service: when it last went up or down
	stopped    time.Duration            // when the agent's process ended; only while it is down
	registered map[string]*word         // by ID of a service
}

// word is what a registrar knows of a service.
type word struct {
	port int // that was acknowledged last; 0: deregistered
	// maybe are ports whose request had no answer: it may have been carried out,
	// also long after and over a later one.
	maybe []int
	out   bool // of use: in maintenance mode
	// unsure is set when a request to take it out of use, or back, had no answer.
	unsure bool
}

// allows reports whether a service may have a port, 0 for that it is not there.
func (w *word) allows(port int) bool {
	return w == nil || w.port == port || slices.Contains(w.maybe, port)
}

// set notes what became of a request that a service have a port, 0 for none.
func (w *word) set(port int, err error) {
	switch {
	case err == nil:
		w.port, w.out = port, w.out && port > 0
	case !untouched(err):
		w.maybe = append(w.maybe, port)
	}
}

// use notes what became of a request that a service be out of use or not.
func (w *word) use(out bool, err error) {
	if err == nil {
		w.out = out
	}
	w.unsure = w.unsure || err != nil && !untouched(err)
}

// startFleet starts the agents, their services, and who changes those, if the
// scenario has any, and returns the nodes that must be stopped in the end.
func (r *run) startFleet() []*sim.Node {
	f := &fleet{run: r, sites: map[string]*site{}, dns: map[string]resolution{}, usurped: map[string]bool{}, enrolled: map[string]uint64{}}
	r.fleet = f
	for i, name := range r.plan.agents() {
		s := &site{agent: name, address: address(5, i+1)[0].String(), webUp: true, jobUp: true, changed: map[string]time.Duration{}, registered: map[string]*word{}}
		f.sites[name] = s
		r.world.AddNode(sim.NodeConfig{Name: name, Addrs: address(5, i+1), Disk: r.plan.Scenario.Disk.build(), Commands: s.script})
		s.machine = r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("web%d", i+1), Addrs: address(6, i+1)})
		s.machine.Start(s.serve)
		r.start(name)
		r.world.Go(func() { f.live(s) })
	}
	if len(f.sites) > 0 {
		n := r.world.AddNode(sim.NodeConfig{Name: "resolver", Addrs: address(2, 4)})
		n.Start(f.resolve)
	}
	for i := range r.plan.Scenario.Workload.Registrars {
		n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("g%d", i+1), Addrs: address(7, i+1)})
		n.Start(f.registrar(n.Name()))
		f.nodes = append(f.nodes, n)
	}
	return f.nodes
}

// serve is the program of a web server, which says by its status how it is.
func (s *site) serve(ctx context.Context, h host.Host, _ *slog.Logger) error {
	l, err := h.Network().Listen(ctx, "tcp", ":80")
	if err != nil {
		return err
	}
	page := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })}
	stop := context.AfterFunc(ctx, func() { _ = page.Close() })
	defer stop()
	_ = page.Serve(l) // ends with the context
	return nil
}

// script plays the check of the job.
func (s *site) script(ctx context.Context, c host.Command) (int, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(50 * time.Millisecond):
	}
	if s.jobUp {
		return 0, nil
	}
	_, err := io.WriteString(c.Stdout, "the job does not run\n")
	return 2, err
}

// live has the services of a site go down and come up again.
func (f *fleet) live(s *site) {
	draws := stream(f.run.plan.Seed, "site "+s.agent)
	for {
		time.Sleep(time.Duration((5 + 25*draws.Float64()) * float64(second)))
		if f.calm || f.run.over {
			return
		}
		which := webService
		if draws.IntN(2) == 0 {
			which = jobService
			s.jobUp = !s.jobUp
		} else if s.webUp = !s.webUp; s.webUp {
			s.machine.Start(s.serve)
		} else {
			s.machine.Kill()
		}
		f.note(s, which)
	}
}

// note notes that a service of a site went down or came up. One that changes while its
// agent comes back has as long as that.
func (f *fleet) note(s *site, which string) {
	s.changed[which] = max(s.changed[which], f.run.world.Now())
	f.run.world.Recordf(trace.Op, s.agent, "", "%s is up: %t", which, s.up(which))
}

func (s *site) up(service string) bool {
	if service == webService {
		return s.webUp
	}
	return s.jobUp
}

// settings are those of a client agent.
func (f *fleet) settings(name string) *config.Config {
	c := config.Default()
	c.NodeName, c.DataDir, c.ClientAddr, c.LogLevel = name, "/data", "0.0.0.0", "trace"
	c.Join.Retry, c.Join.Interval = toJoin(f.run, name), 2*time.Second
	c.Probing.LocalScripts, c.Probing.OutputInterval = true, outputLag
	c.DNS.MaxStale = cmp.Or(f.run.plan.Scenario.Workload.MaxStale.Duration, c.DNS.MaxStale)
	c.Services = []api.ServiceDefinition{
		{Name: webService, Port: 80, Tags: []string{name}, Check: &api.CheckDefinition{
			HTTP: fmt.Sprintf("http://%s:80/", f.sites[name].machine.Name()), Interval: checkInterval, Timeout: checkTimeout,
		}},
		{Name: jobService, Check: &api.CheckDefinition{ScriptArgs: []string{"check-job"}, Interval: checkInterval, Timeout: checkTimeout}},
	}
	return c
}

// registrar is a program that registers and deregisters services with agents.
func (f *fleet) registrar(name string) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		draws := stream(f.run.plan.Seed, "registrar "+name)
		clients := map[string]*capi.Client{}
		for _, a := range f.run.plan.agents() {
			transport := &http.Transport{DialContext: h.Network().Dial, MaxIdleConnsPerHost: 1}
			c := capi.DefaultNonPooledConfig()
			c.Address = net.JoinHostPort(a, fmt.Sprint(httpPort))
			c.Transport, c.HttpClient = transport, &http.Client{Transport: transport, Timeout: f.run.timeout()}
			k, err := capi.NewClient(c)
			if err != nil {
				return err
			}
			clients[a] = k
		}
		for turn := 0; ; turn++ {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(second/2 + time.Duration(draws.Int64N(int64(2*second)))):
			}
			f.change(name, turn, clients, draws)
		}
	}
}

// change registers or deregisters one service, or takes it out of use or back. Each
// registrar has services of its own, so that it knows what should be there.
func (f *fleet) change(registrar string, turn int, clients map[string]*capi.Client, draws *rand.Rand) {
	a := f.run.plan.agents()[draws.IntN(len(clients))]
	id := fmt.Sprintf("%s-%s-%d", dynamic, registrar, draws.IntN(3))
	s, own := f.sites[a], clients[a].Agent()
	known := s.registered[id]
	if known == nil {
		known = &word{}
		s.registered[id] = known
	}
	var what string
	var err error
	switch draws.IntN(6) {
	case 0, 1, 2:
		what = fmt.Sprintf("port %d", turn+1)
		err = own.ServiceRegister(&capi.AgentServiceRegistration{
			ID: id, Name: dynamic, Port: turn + 1, Weights: &capi.AgentWeights{Passing: turn + 1, Warning: turn % 3},
			Check: &capi.AgentServiceCheck{TTL: "24h", Status: capi.HealthPassing},
		})
		known.set(turn+1, err)
	case 3, 4:
		what, err = "deregistered", unlessUnknown(own.ServiceDeregister(id))
		known.set(0, err)
	default:
		out := known.port > 0 && !known.out
		what = fmt.Sprintf("out of use %t", out)
		if out {
			err = own.EnableServiceMaintenance(id, "")
		} else {
			err = unlessUnknown(own.DisableServiceMaintenance(id))
		}
		known.use(out, err)
	}
	f.run.world.Recordf(trace.Op, registrar, a, "%s %s: %v", id, what, err)
}

// unlessUnknown is nil for an error that says that there is no such service.
func unlessUnknown(err error) error {
	if err != nil && strings.Contains(err.Error(), "Unknown service ID") {
		return nil
	}
	return err
}

// bounds watches, where the scenario asks for that, that what truly happened is in
// the leader's catalog in time.
func (f *fleet) bounds() {
	a := f.run.agents[f.run.leader()]
	if a == nil || f.run.plan.Scenario.Checks.Bounds == "" {
		return
	}
	now := f.run.world.Now()
	for _, name := range f.run.plan.agents() {
		s := f.sites[name]
		found, err := a.Server().NodeChecks(context.Background(), stale(name))
		if err != nil {
			continue
		}
		for _, c := range found.Items {
			f.inTime(s, c, now)
		}
		f.sessionsInTime(s, a, now)
	}
	f.handedOn(a, now)
	f.nursedInTime(now)
}

// inTime complains about a check that is not yet what its service has been for
// longer than a check and a sync take; or, for an agent that is dead, than gossip
// takes to find out.
func (f *fleet) inTime(s *site, c api.HealthCheck, now time.Duration) {
	passing := c.Status == api.HealthPassing
	if c.CheckID == api.SerfCheckID {
		limit := suspicionBound(len(f.run.plan.names()) + len(f.sites))
		if passing && s.stopped > 0 && now-s.stopped > limit {
			f.run.world.Violate("detection of a dead node", "%s died at %v and is passing at %v: more than %v later", s.agent, s.stopped, now, limit)
		}
		return
	}
	if c.ServiceName != webService && c.ServiceName != jobService || s.stopped > 0 {
		return
	}
	limit := detection
	if since := s.changed[c.ServiceName]; since > 0 && now-since > limit && passing != s.up(c.ServiceName) {
		f.run.world.Violate("detection of a dead service", "%s of %s is up: %t since %v, and %s at %v: more than %v later", c.ServiceName, s.agent, s.up(c.ServiceName), since, c.Status, now, limit)
	}
}

// suspicionBound is the longest time from the death of one of n members until
// gossip takes it for dead (memberlist's LAN settings: a probe a second, each
// member in turn), and the leader has written it down.
func suspicionBound(n int) time.Duration {
	turn := time.Duration(2*n) * probeEvery // until its turn has come, in the worst order
	return turn + suspicionAtMost(n)
}

// probeEvery is how often a member probes another.
const probeEvery = time.Second

// suspicionAtMost is how long it may take from a suspicion in a cluster of n members until
// the suspected one counts as dead (memberlist's LAN settings: suspicion mult 4, at most 6
// times the least; Lifeguard, Dadgar et al. 2018, section IV), and the leader has written it
// down.
func suspicionAtMost(n int) time.Duration {
	const mult, most = 4, 6
	return time.Duration(most*mult*math.Max(1, math.Log10(float64(n)))*float64(probeEvery)) + 2*second
}

// watchAgent notes when an agent's process ends and is there again.
func (f *fleet) watchAgent(name string, running bool) {
	if f == nil || f.sites[name] == nil {
		return
	}
	s := f.sites[name]
	now := f.run.world.Now()
	if running {
		s.stopped = 0
		s.changed[webService], s.changed[jobService] = now+restartGrace, now+restartGrace
	} else if s.stopped == 0 {
		s.stopped = now
	}
}

// restartGrace is how long an agent that comes back may take until its services
// are as they are: it has to find the servers.
const restartGrace = 10 * time.Second

func stale(node string) api.CatalogRequest {
	return api.CatalogRequest{Node: node, QueryOptions: api.QueryOptions{AllowStale: true}}
}

// settled reports whether the catalog says of each agent what the agent says, and
// that what truly is, and nothing else, and whether DNS says so too.
func (f *fleet) settled() (bool, string) {
	leader := f.run.agents[f.run.leader()]
	if leader == nil {
		return false, "no server leads"
	}
	for _, name := range f.run.plan.agents() {
		a := f.run.agents[name]
		if a == nil {
			return false, name + " does not run"
		}
		if why := f.sites[name].differs(a, leader); why != "" {
			return false, name + ": " + why
		}
	}
	nodes, err := leader.Server().Nodes(context.Background(), stale(""))
	if err != nil {
		return false, err.Error()
	}
	var there []string
	for _, n := range nodes.Items {
		if !strings.HasPrefix(n.Node, externalNode) {
			there = append(there, n.Node)
		}
	}
	want := slices.Concat(f.run.plan.agents(), f.run.plan.names())
	if slices.Sort(want); !slices.Equal(there, want) {
		return false, fmt.Sprintf("the catalog has the nodes %v", there)
	}
	return f.resolved()
}

// restTime is longer than the interval at which agents look the catalog through.
const restTime = 70 * time.Second

// lateDeaths is how long after all is well a false death may come. A probe that began while
// faults lasted may still fail: it takes up to eight times as long where many have. And whom
// others suspect says once only that it lives, and need not be heard (storm with 20 s of
// faults, seed 615).
func (f *fleet) lateDeaths() time.Duration {
	return 8*probeEvery + suspicionAtMost(len(f.run.plan.members()))
}

// mendAtMost is how long the catalog may then be wrong about what came late: a false death,
// until the leader exchanges all it knows with somebody else (every 30 s), or what an
// agent's last process registered and stuck in the network when that ended, until the agent
// looks the catalog through (storm with 60 s of faults, seed 50422).
const mendAtMost = restTime + 10*time.Second

// rest sees that a catalog that agrees with all agents stays as it is.
func (f *fleet) rest(settled func() (bool, string)) {
	defer f.idle(f.committed())
	for end := f.run.world.Now() + restTime; f.run.world.Now() < end; time.Sleep(second / 4) {
		if ok, why := settled(); !ok {
			f.run.world.Violate("anti-entropy comes to rest", "%s", why)
			return
		}
	}
}

// differs returns what an agent, the catalog and the truth do not agree on.
func (s *site) differs(a, leader *agent.Agent) string {
	if !a.Local().InSync() {
		return "it is not in sync"
	}
	services, err := leader.Server().NodeServices(context.Background(), stale(s.agent))
	if err != nil {
		return err.Error()
	}
	checks, err := leader.Server().NodeChecks(context.Background(), stale(s.agent))
	if err != nil {
		return err.Error()
	}
	var own, theirs []string
	ports := map[string]int{}
	for _, n := range a.Local().Services() {
		own = append(own, fmt.Sprintf("%s:%d %v", n.ID, n.Port, n.Weights))
		ports[n.ID] = n.Port
	}
	held := a.Local().Checks()
	for _, id := range slices.Sorted(maps.Keys(s.registered)) {
		w := s.registered[id]
		if !w.allows(ports[id]) {
			return fmt.Sprintf("%s has port %d, and port %d was acknowledged last (0: it is not there)", id, ports[id], w.port)
		}
		out := slices.ContainsFunc(held, func(c api.HealthCheck) bool { return c.CheckID == api.ServiceMaintenance+id })
		if out != w.out && !w.unsure && len(w.maybe) == 0 {
			return fmt.Sprintf("%s is out of use: %t, and %t was acknowledged last", id, out, w.out)
		}
	}
	for _, n := range services.Services {
		theirs = append(theirs, fmt.Sprintf("%s:%d %v", n.ID, n.Port, n.Weights))
	}
	for _, c := range held {
		own = append(own, told(c))
		if up := c.Status == api.HealthPassing; (c.ServiceName == webService || c.ServiceName == jobService) && up != s.up(c.ServiceName) {
			return fmt.Sprintf("%s is %s, and is up: %t", c.CheckID, c.Status, !up)
		}
	}
	alive := false
	for _, c := range checks.Items {
		alive = alive || c.CheckID == api.SerfCheckID && c.Status == api.HealthPassing
		if c.CheckID != api.SerfCheckID {
			theirs = append(theirs, told(c))
		}
	}
	if !alive {
		return "the catalog does not say that its node is alive"
	}
	if !slices.Equal(own, theirs) {
		return fmt.Sprintf("it has %v, the catalog %v", own, theirs)
	}
	return ""
}

// told is what a check says.
func told(c api.HealthCheck) string { return fmt.Sprintf("%s=%s (%s)", c.CheckID, c.Status, c.Output) }
