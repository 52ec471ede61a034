package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"tribune/impl/agent"
	"tribune/impl/config"
	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/scenarios/look"
	"tribune/sim"
	"tribune/sim/nemesis"
	"tribune/sim/trace"
)

// run is one run, in its own process.
type run struct {
	plan    Plan
	out     *output
	world   *sim.World
	watcher *watcher
	nemesis *nemesis.Nemesis
	clients []*sim.Node

	resource *resource   // that the lock guards
	expel    chan string // sessions that the operator is to destroy

	followers []*follower
	listers   []*lister
	fleet     *fleet
	crowd     *crowd

	agents  map[string]*agent.Agent // that run and have started
	leave   map[string]func()       // has one of them leave the cluster
	down    map[string]int          // how many faults want a server to be down
	history []linearizability.Op
	failed  int // operations of the history that did not succeed
	// transactions are those of the tellers; nil if there are none.
	transactions []linearizability.Txn
	over         bool // no server is started any more
	result       Result
}

// execute carries out a plan and writes messages and the result to to.
func execute(o Order, to io.Writer) error {
	plan := NewPlan(o.Scenario, o.Seed)
	model, err := plan.Scenario.Network.build()
	if err != nil {
		return err
	}
	r := &run{
		plan: plan, out: &output{to: to},
		agents: map[string]*agent.Agent{}, leave: map[string]func(){}, down: map[string]int{},
	}
	register := nemesis.NewRegister(plan.cast(), o.Passages)
	var stored io.Writer
	if o.Trace {
		stored = r.out.part(partTrace)
	}
	recording := trace.NewRecording(stored, 0)
	options := sim.Options{Seed: o.Seed, Model: model, Schedule: plan.Scenario.Schedule, Trace: recording, LogLevel: slog.LevelInfo}
	if o.Verbose {
		options.LogLevel = slog.LevelDebug
		options.Log = func(at time.Duration, node, line string) {
			r.out.line(fmt.Sprintf("%12.6f %-8s %s", at.Seconds(), node, line))
		}
	}
	if o.Look != nil {
		options.Stop = &sim.Stop{Event: o.Look.Event, After: o.Look.After, Do: func() { r.look(recording.Count()) }}
	}
	err = sim.Run(options, func(w *sim.World) {
		r.world = w
		if o.Passages > 0 {
			register.Attach(w)
		}
		r.main()
		r.result.Passages = register.Passages()
		if o.Look != nil {
			w.Settle()
			r.look(recording.Count())
		}
		r.result.Fingerprint = w.Fingerprint()
		r.result.Virtual, r.result.Events, r.result.Figures.Turns = w.Now(), w.Events(), w.Turns()
		if !o.Unjudged {
			r.result.Figures.Memory = r.watcher.weigh()
		}
	})
	if err != nil {
		return err
	}
	if err := recording.Flush(); err != nil {
		return err
	}
	r.result.Scenario, r.result.Seed, r.result.History = plan.Scenario.Name, o.Seed, r.history
	r.result.Transactions = r.transactions
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err == nil {
		r.result.PeakMemory = uint64(usage.Maxrss) << 10
	}
	return r.out.result(r.result)
}

// look tells what is seen now, after so many events, and ends the process.
func (r *run) look(events uint64) {
	fingerprint := r.world.Fingerprint()
	seen := look.Take(r.world, r.agents)
	seen.Events, seen.Fingerprint = events, fingerprint
	if err := r.out.json(partLook, seen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// main is the whole of a run.
func (r *run) main() {
	r.watcher = newWatcher(r)
	r.nemesis = nemesis.New(r.world, r.plan.cast(), r)
	r.nemesis.Aim(r.plan.Strikes)
	for i, s := range r.plan.Servers {
		r.addServer(i, s)
	}
	for i := range r.plan.Scenario.Topology.Clients {
		n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("c%d", i+1), Addrs: address(1, i+1)})
		r.clients = append(r.clients, n)
	}
	probe := r.world.AddNode(sim.NodeConfig{Name: "probe", Addrs: address(2, 1)})
	reader := r.world.AddNode(sim.NodeConfig{Name: "reader", Addrs: address(2, 2)})
	stop := make(chan struct{})
	every(stop, watchEvery, r.watcher.look)
	every(stop, time.Second, r.progress)
	for _, name := range r.plan.names() {
		r.start(name)
	}
	for i, n := range r.clients {
		n.Start(r.work(i+1, n.Name()))
	}
	others := slices.Concat(r.startFleet(), r.startTellers(), r.startRenamers())
	r.watcher.watchLevels(stop)
	contenders, followers, heralds := r.startContenders(), slices.Concat(r.startFollowers(), r.startListers(), r.fleet.startNurses()), r.startEvents()
	every(stop, second/5, func() {
		r.fleet.checked()
		r.fleet.bounds()
		r.watcher.places()
	})
	r.nemesis.Schedule(r.plan.Strikes)
	time.Sleep(r.plan.Scenario.Duration.Duration)
	r.fleet.comeToRest()
	r.recover(probe, reader, contenders, followers, others)
	r.inform(heralds)
	for _, name := range []string{"resolver", "listener"} {
		r.watcher.works(name)
	}
	if len(contenders) > 0 {
		r.result.Lock = &Locking{r.resource.writes, len(r.resource.acquired), r.resource.late, r.resource.history}
	}
	r.result.Figures.Levels = r.watcher.back()
	r.over = true
	close(stop)
	r.watcher.report(&r.result)
	r.result.Faults = r.nemesis.Log()
	r.result.Violations = r.world.Violations()
}

// startContenders starts those who want the lock, and the operator, if the
// scenario has any, and returns their nodes.
func (r *run) startContenders() []*sim.Node {
	r.resource, r.expel = newResource(r), make(chan string, 1)
	wanted := r.plan.Scenario.Workload.Contenders
	if wanted == 0 {
		return nil
	}
	operator := r.world.AddNode(sim.NodeConfig{Name: "operator", Addrs: address(2, 3)})
	operator.Start(r.operate(len(r.clients)+2+wanted+1, operator.Name()))
	nodes := []*sim.Node{operator}
	for i := range wanted {
		n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("h%d", i+1), Addrs: address(3, i+1)})
		n.Start(r.compete(i, n.Name()))
		nodes = append(nodes, n)
	}
	return nodes
}

func address(net, n int) []netip.Addr {
	return []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(net), byte(n)})}
}

// every calls f again and again until stop closes.
func every(stop <-chan struct{}, interval time.Duration, f func()) {
	go func() {
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			select {
			case <-stop:
				return
			case <-t.C:
				f()
			}
		}
	}()
}

func (r *run) addServer(i int, s ServerPlan) {
	r.world.AddNode(sim.NodeConfig{Name: s.Name, Addrs: address(0, i+1), Disk: r.plan.Scenario.Disk.build(), Clock: s.Clock()})
}

func (r *run) settings(name string) *config.Config {
	if r.fleet != nil && r.fleet.sites[name] != nil {
		return r.fleet.settings(name)
	}
	s := r.plan.Scenario
	c := config.Default()
	c.Server, c.NodeName, c.DataDir = true, name, "/data"
	c.BootstrapExpect = s.Topology.Servers
	c.ClientAddr, c.LogLevel = "0.0.0.0", "trace" // the world keeps from the log what it wants
	c.Join.Retry, c.Join.Interval = toJoin(r, name), 2*time.Second
	c.Raft.Multiplier = s.Agent.RaftMultiplier
	if s.Agent.SnapshotThreshold > 0 {
		c.Raft.SnapshotThreshold, c.Raft.SnapshotInterval = s.Agent.SnapshotThreshold, 5*time.Second
	}
	c.Raft.TrailingLogs = cmp.Or(s.Agent.TrailingLogs, c.Raft.TrailingLogs)
	return c
}

// program is a server's process: the agent, as cmd/tribune runs it.
func (r *run) program(name string) sim.Program {
	return func(ctx context.Context, h host.Host, log *slog.Logger) error {
		a, err := agent.New(ctx, r.settings(name), h, log)
		if err != nil {
			return err
		}
		leaving := make(chan struct{})
		r.agents[name], r.leave[name] = a, sync.OnceFunc(func() { close(leaving) })
		go func() {
			select {
			case <-ctx.Done():
			case <-leaving:
				_ = a.Leave(ctx) // what does not work out it logs; the process ends all the same
			}
		}()
		return a.Run(ctx)
	}
}

const startAgain = 2 * time.Second

// start starts a server's process and, as a supervisor does, again when it ends
// by itself, unless a fault wants it to be down.
func (r *run) start(name string) {
	node := r.world.Node(name)
	if r.over || r.down[name] > 0 || node.Running() {
		return
	}
	r.forget(name)
	r.fleet.watchAgent(name, true)
	node.Start(r.program(name))
	life := node.Starts()
	go func() {
		node.Wait()
		r.watcher.panicked(name, node.Err())
		r.forget(name)
		time.Sleep(startAgain)
		if node.Starts() == life {
			r.start(name)
		}
	}()
}

func (r *run) forget(name string) {
	if !r.world.Node(name).Running() {
		delete(r.agents, name)
		r.fleet.watchAgent(name, false)
	}
}

// leader is the server that leads in the highest term, empty if none does.
func (r *run) leader() string {
	leader, term := "", uint64(0)
	for _, name := range r.plan.names() {
		if a := r.agents[name]; a != nil && !r.world.Node(name).Paused() {
			if s := a.Server().Raft().Status(); s.Leader && s.Term > term {
				leader, term = name, s.Term
			}
		}
	}
	return leader
}

// recover is the second phase: all is healed, and the cluster must do its work
// within the times that the scenario states.
func (r *run) recover(probe, reader *sim.Node, contenders, followers, others []*sim.Node) {
	limits := r.plan.Scenario.Recovery
	r.nemesis.Heal()
	healed := r.world.Now()
	r.result.Healed = healed
	wrote := make(chan time.Duration, 1)
	probe.Start(r.probe(wrote))
	r.result.Recovery.Leader = r.until(limits.Leader.Duration, func() (bool, string) {
		return r.leader() != "", "no server leads"
	})
	select {
	case at := <-wrote:
		r.result.Recovery.Write = Reached{Asked: true, After: at - healed, OK: at-healed <= limits.Write.Duration}
	case <-time.After(max(healed+limits.Write.Duration-r.world.Now(), 0)):
		r.result.Recovery.Write = Reached{Asked: true, Text: "no write succeeded"}
	}
	if len(contenders) > 0 {
		r.result.Recovery.Lock = r.until(limits.Lock.Duration, func() (bool, string) {
			return r.resource.acquiredSince(healed), "nobody gets it"
		})
	}
	r.stopClients(slices.Concat(r.clients, contenders, others))
	r.stopClient(probe)
	read := make(chan error, 1)
	reader.Start(r.readAll(read))
	r.result.Recovery.Converge = r.until(limits.Converge.Duration, r.watcher.equal)
	if r.result.Recovery.Converge.OK {
		r.watcher.replayed(r.watcher.applied)
	}
	r.result.Recovery.Members = r.until(max(healed+limits.Members.Duration-r.world.Now(), 0), r.watcher.members.agree)
	select {
	case err := <-read:
		if err != nil {
			r.result.Unread = err.Error()
		}
	case <-time.After(readAtMost):
		r.result.Unread = fmt.Sprintf("not all keys could be read in %v", readAtMost)
	}
	r.watcher.panicked(reader.Name(), reader.Err())
	if len(r.fleet.sites) > 0 {
		r.result.Recovery.Services = r.until(max(healed+limits.Services.Duration-r.world.Now(), 0), r.fleet.settled)
		if r.result.Recovery.Services.OK {
			time.Sleep(max(healed+r.fleet.lateDeaths()-r.world.Now(), 0))
			r.until(mendAtMost, r.fleet.settled)
			r.fleet.rest(r.fleet.settled)
		}
	}
	if len(followers) > 0 {
		r.result.Recovery.Watches = r.until(limits.Converge.Duration, r.followed)
		r.watcher.ended()
	}
	r.stopClients(followers)
	r.watcher.look()
}

// inform sees that events reach everybody, and stops those who fire them.
func (r *run) inform(heralds []*sim.Node) {
	if len(heralds) == 0 {
		return
	}
	r.crowd.calm = true
	r.result.Recovery.Events = r.until(r.plan.Scenario.Recovery.Events.Duration, r.crowd.told)
	r.stopClients(heralds)
}

// stopClients stops clients that do not end by themselves.
func (r *run) stopClients(all []*sim.Node) {
	for _, n := range all {
		if r.watcher.works(n.Name()) {
			r.stopClient(n)
		}
	}
}

// stopClient has a client break its operation off and end, if it has not ended.
func (r *run) stopClient(n *sim.Node) {
	if err := n.Stop(2 * r.timeout()); errors.Is(err, sim.ErrStopTimeout) {
		n.Kill()
	}
	r.watcher.panicked(n.Name(), n.Err())
}

// until waits for a condition.
func (r *run) until(limit time.Duration, reached func() (bool, string)) Reached {
	begin := r.world.Now()
	for {
		ok, why := reached()
		after := r.world.Now() - begin
		if ok {
			return Reached{Asked: true, After: after, OK: true}
		}
		if after >= limit {
			return Reached{Asked: true, Text: why}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (r *run) progress() {
	p := Progress{At: r.world.Now(), Ops: len(r.history), Failed: r.failed, Faults: r.nemesis.Active(), Leader: r.leader()}
	for _, v := range r.world.Violations() {
		if !slices.Contains(p.Violated, v.Invariant) {
			p.Violated = append(p.Violated, v.Invariant)
		}
	}
	p.Missing = r.result.Recovery.Missing()
	r.out.progress(p)
}
