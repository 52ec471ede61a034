package harness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/sim"
	"tribune/sim/nemesis"
	"tribune/sim/trace"
)

// run is a run of a case, in its own process.
type run struct {
	system   System
	c        Case
	world    *sim.World
	register *nemesis.Register
	down     map[string]int // how many faults want a node to be down
	calm     bool           // clients do their last operations
	broken   string         // why the run says nothing
	result   Result
}

var _ nemesis.Cluster = (*run)(nil)

// startAgain is how soon a supervisor starts a process again that has ended.
const startAgain = time.Second

// lastOperations is how many each client does when all is healed.
const lastOperations = 5

func (r *run) main(w *sim.World) {
	r.world, r.down = w, map[string]int{}
	strikes := r.system.cast().Draw(r.c.Faults, r.c.Seed, r.c.Duration.Duration)
	n := nemesis.New(w, r.system.cast(), r)
	n.Aim(strikes)
	r.register.Attach(w)
	for i, name := range r.system.Nodes {
		w.AddNode(sim.NodeConfig{Name: name, Addrs: address(0, i+1)})
	}
	for _, name := range r.system.Nodes {
		r.start(name)
	}
	var clients []*sim.Node
	for i := range r.c.Clients {
		n := w.AddNode(sim.NodeConfig{Name: clientName(i + 1), Addrs: address(1, i+1)})
		n.Start(r.client(i + 1))
		clients = append(clients, n)
	}
	n.Schedule(strikes)
	if r.system.Look != nil || len(r.system.Roles) > 0 {
		stop := make(chan struct{})
		defer close(stop)
		go r.look(stop)
	}
	time.Sleep(r.c.Duration.Duration)
	n.Heal()
	r.result.Healed = w.Now()
	time.Sleep(r.system.Settle)
	r.calm = true
	r.await(clients)
	r.result.Fingerprint, r.result.Virtual = w.Fingerprint(), w.Now()
	for i := range r.result.Roles {
		orElse(&r.result.Roles[i].Until, w.Now())
	}
	r.result.Faults, r.result.Violations = n.Log(), w.Violations()
	r.result.Reached = nemesis.Reached(r.register.Passages(), r.result.Faults)
}

// await waits for the clients' last operations. A client that ended before, or does not
// end, has seen nothing of what came then, and a run that nobody looks at finds nothing.
func (r *run) await(clients []*sim.Node) {
	const grace = 10 * time.Second
	limit := time.After(lastOperations*(2*r.system.Every+r.system.Patience) + grace)
	for _, n := range clients {
		done := make(chan struct{})
		go func() {
			n.Wait()
			close(done)
		}()
		select {
		case <-done:
			if err := n.Err(); err != nil {
				r.broken = fmt.Sprintf("%s ends in Draw or Do, and must not: %v", n.Name(), err)
				return
			}
		case <-limit:
			r.broken = n.Name() + " does not come back from Do: it must return when its context ends"
			return
		}
	}
}

// lookEvery is how often it is seen who has a role, and the system's Look is called.
const lookEvery = 50 * time.Millisecond

func (r *run) look(stop <-chan struct{}) {
	for t := time.Tick(lookEvery); ; {
		select {
		case <-stop:
			return
		case <-t:
			r.hold()
			if r.system.Look != nil {
				r.system.Look(r.world)
			}
		}
	}
}

func clientName(number int) string { return fmt.Sprintf("client%d", number) }

func address(net, n int) []netip.Addr {
	return []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(net), byte(n)})}
}

// cast says who can be struck.
func (s System) cast() nemesis.Cast {
	c := nemesis.Cast{Servers: s.Nodes}
	for _, name := range slices.Sorted(maps.Keys(s.Roles)) {
		c.Roles = append(c.Roles, nemesis.Role{Name: name, Words: "the " + name + " of that time"})
	}
	return c
}

// start starts a node's process and, as a supervisor does, again when it ends,
// unless a fault wants it to be down.
func (r *run) start(name string) {
	node := r.world.Node(name)
	if r.down[name] > 0 || node.Running() {
		return
	}
	node.Start(r.system.Program(name))
	life := node.Starts()
	go func() {
		node.Wait()
		if err := node.Err(); err != nil {
			r.result.Ends = append(r.result.Ends, End{r.world.Now(), name, err.Error()})
		}
		time.Sleep(startAgain)
		if node.Starts() == life {
			r.start(name)
		}
	}()
}

// Who implements nemesis.Cluster.
func (r *run) Who(role string) string {
	if who := r.system.Roles[role]; who != nil {
		return who()
	}
	return ""
}

// Down implements nemesis.Cluster.
func (r *run) Down(node string, end func()) {
	r.down[node]++
	end()
}

// Up implements nemesis.Cluster.
func (r *run) Up(node string) {
	if r.down[node]--; r.down[node] == 0 {
		r.start(node)
	}
}

// Repair implements nemesis.Cluster: nobody does anything about a disk.
func (r *run) Repair(*sim.Node) {}

// Begin implements nemesis.Cluster: there are no kinds of faults but the usual.
func (r *run) Begin(nemesis.Strike, []string) (end func()) { return func() {} }

// record writes an operation down, in those of the words that say something.
func (r *run) record(client, node string, words ...string) {
	said := slices.DeleteFunc(words, func(w string) bool { return w == "" })
	r.world.Recordf(trace.Op, client, node, "%s", strings.Join(said, " "))
}

// found is what an operation returned, in a word.
func found(o linearizability.Op) string {
	if o.Outcome == linearizability.OK && o.Kind == linearizability.Get && !o.Found {
		return "nothing"
	}
	return o.Seen
}

// client is the program of a client: one operation after the other.
func (r *run) client(number int) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		name, err := h.Hostname()
		if err != nil {
			return err
		}
		c := &Client{Number: number, Name: name, Host: h, Nodes: r.system.Nodes, Draws: r.world.Stream("client " + name)}
		c.At = c.Nodes[c.Draws.IntN(len(c.Nodes))]
		for last := 0; last < lastOperations; {
			// An even spread around the mean: clients do not move in step.
			time.Sleep(time.Duration((0.5 + c.Draws.Float64()) * float64(r.system.Every)))
			if r.calm {
				last++
			}
			r.operate(ctx, c)
		}
		return nil
	}
}

// operate does an operation and adds it to the history.
func (r *run) operate(ctx context.Context, c *Client) {
	c.Operations++
	o := r.system.Draw(c)
	if !utf8.ValidString(o.Key) || !utf8.ValidString(o.Value) { // others would be equal when they are told
		r.broken = fmt.Sprintf("Draw gives %s an operation on %q with value %q: both must be UTF-8; give others in hexadecimal", c.Name, o.Key, o.Value)
	}
	o.Client, o.ServedBy, o.Call = c.Number, c.At, r.world.Now()
	r.record(c.Name, c.At, string(o.Kind), o.Key, o.Value)
	ctx, cancel := context.WithTimeout(ctx, r.system.Patience)
	err := r.system.Do(ctx, c, &o)
	cancel()
	o.Return, o.Outcome = r.world.Now(), linearizability.OK
	if err != nil {
		o.Error, o.Outcome = err.Error(), linearizability.Unknown
		if errors.Is(err, ErrUntouched) {
			o.Outcome = linearizability.Failed
		}
		c.At = c.Nodes[c.Draws.IntN(len(c.Nodes))]
	}
	r.record(c.Name, o.ServedBy, string(o.Kind), o.Key, "returns", string(o.Outcome), found(o), o.Error)
	r.result.History = append(r.result.History, o)
}
