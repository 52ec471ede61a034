package nemesis

import (
	"maps"
	"slices"
	"time"

	"tribune/sim"
	"tribune/sim/trace"
)

// Struck is a strike that happened.
type Struck struct {
	At, Until time.Duration // Until is 0 while it lasts
	Kind      string        // of the fault
	Shape     string        `json:",omitempty"` // of a partition
	Nodes     []string      // whom it struck; of a bridge, who still reaches all
	Text      string
}

// Nemesis strikes a world. Its methods are called by goroutines of the world.
type Nemesis struct {
	world   *sim.World
	cast    Cast
	cluster Cluster
	aims    *aims          // nil before Aim
	active  map[int]func() // strikes that last, and how to end them
	next    int
	repairs []chan struct{} // closed when done
	log     []Struck
	over    bool
}

const (
	over   = "over: " // begins the text of the event that says that a strike is
	healed = "healed" // is the event that says that nothing strikes any more
)

// New returns one that has not struck yet.
func New(w *sim.World, c Cast, cluster Cluster) *Nemesis {
	return &Nemesis{world: w, cast: c, cluster: cluster, active: map[int]func(){}}
}

// Schedule has those of the strikes that are not aimed happen at their time. It is
// called when all nodes of the cast are there.
func (n *Nemesis) Schedule(strikes []Strike) {
	for _, s := range strikes {
		if s.On != "" {
			continue
		}
		n.world.Go(func() {
			time.Sleep(s.Begin)
			n.Strike(s)
		})
	}
}

// Strike makes a fault happen now, and end when its time is up. It does nothing
// after Heal, or if nobody is in the role that it is to strike.
func (n *Nemesis) Strike(s Strike) {
	if n.over {
		return
	}
	hits := n.targets(s)
	if len(hits) == 0 {
		return
	}
	text := n.cast.Describe(s, hits)
	if s.On != "" {
		text += ", on " + s.On
	}
	n.say(s, text)
	entry := len(n.log)
	n.log = append(n.log, Struck{At: n.world.Now(), Kind: s.Kind, Shape: s.Shape, Nodes: hits, Text: text})
	id := n.next
	n.next++
	end := n.begin(s, hits)
	n.active[id] = func() {
		delete(n.active, id)
		end()
		n.log[entry].Until = n.world.Now()
		n.say(s, over+text)
	}
	n.world.Go(func() {
		time.Sleep(max(s.For, time.Millisecond))
		if stop := n.active[id]; stop != nil {
			stop()
		}
	})
}

// say records that a strike begins or is over, and tells the faults that wait for such
// things, but not the fault whose strike it is: it would set off itself.
func (n *Nemesis) say(s Strike, text string) {
	e := trace.Event{At: n.world.Now(), Kind: trace.Fault, Text: text}
	n.world.Record(e)
	if n.aims != nil {
		n.world.Aside(func() { n.aims.told(e, s.ID) })
	}
}

// targets finds out whom a strike hits.
func (n *Nemesis) targets(s Strike) []string {
	if _, role := n.cast.role(s.Hits[0]); !role {
		return s.Hits
	}
	who := n.cluster.Who(s.Hits[0])
	if who == "" {
		return nil
	}
	return []string{who}
}

// repair has damage repaired. It does not wait: who ends faults ends all at one time.
func (n *Nemesis) repair(node *sim.Node) {
	done := make(chan struct{})
	n.repairs = append(n.repairs, done)
	n.world.Go(func() {
		n.cluster.Repair(node)
		close(done)
	})
}

// Heal ends all that lasts, and returns when what was damaged is repaired; nothing
// strikes any more.
func (n *Nemesis) Heal() {
	n.over = true
	for _, id := range slices.Sorted(maps.Keys(n.active)) {
		if stop := n.active[id]; stop != nil { // its time may be up just now
			stop()
		}
	}
	for _, done := range n.repairs {
		<-done
	}
	n.world.Recordf(trace.Fault, "", "", healed)
}

// Active is how many strikes last.
func (n *Nemesis) Active() int { return len(n.active) }

// Log lists the strikes that happened, in order.
func (n *Nemesis) Log() []Struck { return slices.Clone(n.log) }
