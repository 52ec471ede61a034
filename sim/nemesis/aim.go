package nemesis

import (
	"fmt"
	"log/slog"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"tribune/sim"
	"tribune/sim/casefile"
	"tribune/sim/detrt"
	"tribune/sim/simdisk"
	"tribune/sim/trace"
)

// Aim anchors a fault to something that happens instead of a bare time. At is
// then the time before which nothing counts.
type Aim struct {
	On    string   `yaml:"on"`    // the point (Points)
	Of    string   `yaml:"of"`    // the node that must pass it, "servers" or another word of the Cast; empty: any of the cast
	Nth   int      `yaml:"nth"`   // it strikes when the point is passed for the nth time; 0 counts as 1
	Times int      `yaml:"times"` // so many strikes, each at the next time; 0 counts as 1
	After Duration `yaml:"after"` // it strikes so much later; 0: at that instant
	Line  string   `yaml:"line"`  // a regular expression, of points that take a line
}

// The words for whom an aimed fault strikes.
const (
	here = "here" // the node that passed the point
	peer = "peer" // the node on the other side
	// servers, of Aim.Of, are all of them.
	servers = "servers"
)

// aim is a fault that waits for its point.
type aim struct {
	fault   string // its ID
	watch   *Watch
	nodes   []string // that count, or who has the role then
	role    string
	waiting []Strike // in the order in which they strike
	passed  int
}

// aims are all faults that wait for a point. They are told by whoever passes one.
type aims struct {
	nemesis *Nemesis
	mu      detrt.Mutex
	all     []*aim
}

// Aim has those of the strikes that are aimed wait for their points, and the world
// tell of what they wait for, and of nothing else. It is called once, before the
// first node starts.
func (n *Nemesis) Aim(strikes []Strike) {
	a := &aims{nemesis: n}
	byFault := map[string]*aim{}
	level, events, disks := slog.LevelInfo, false, false
	for _, s := range strikes {
		if s.On == "" {
			continue
		}
		m := byFault[s.ID]
		if m == nil {
			m = n.cast.aim(s)
			byFault[s.ID] = m
			a.all = append(a.all, m)
			p := m.watch.point
			disks = disks || p.Disk.Op != ""
			events = events || p.Event.Kind != trace.KindNone && !p.World
			if p.Event.Debug {
				level = slog.LevelDebug
			}
		}
		m.waiting = append(m.waiting, s)
	}
	n.aims = a
	if events {
		n.world.Observe(level, a.event)
	}
	if disks {
		n.world.ObserveDisks(a.operation)
	}
}

func (c Cast) aim(s Strike) *aim {
	p, ok := c.point(s.On)
	if !ok {
		panic(fmt.Sprintf("nemesis: there is no point %q: the fault was not checked", s.On))
	}
	m := &aim{fault: s.ID, watch: NewWatch(p, s.File, s.Line)}
	m.nodes, m.role = c.who(s.Of)
	return m
}

// who are the nodes that Of names; a role is whoever has it then.
func (c Cast) who(of string) (nodes []string, role string) {
	if _, ok := c.role(of); ok {
		return nil, of
	}
	switch {
	case of == "":
		return c.members(), ""
	case of == servers:
		return c.Servers, ""
	case of == c.Other:
		return c.Others, ""
	}
	return []string{of}, ""
}

// event takes an event of the trace. Who it happened to goes on meanwhile: it may
// hold locks.
func (a *aims) event(e trace.Event) {
	if e.Node != "" {
		a.told(e, "")
	}
}

// told takes an event that comes from a fault, or from none.
func (a *aims) told(e trace.Event, fault string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.all {
		if len(m.waiting) == 0 || m.fault == fault {
			continue
		}
		if word, ok := m.watch.Event(e); ok {
			if s, ok := a.passed(m, e.Node, word); ok {
				a.strike(s.Later, []Strike{s}, nil)
			}
		}
	}
}

// operation takes an operation of a disk, and returns what it has to wait for.
func (a *aims) operation(node *sim.Node, o simdisk.Operation) <-chan struct{} {
	if !node.Running() {
		return nil // it is the world that tidies up
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var now []Strike
	for _, m := range a.all {
		if len(m.waiting) == 0 || !m.watch.Operation(o, node.Disk()) {
			continue
		}
		switch s, ok := a.passed(m, o.Disk, ""); {
		case ok && s.Later > 0:
			a.strike(s.Later, []Strike{s}, nil)
		case ok:
			now = append(now, s)
		}
	}
	if len(now) == 0 {
		return nil
	}
	done := make(chan struct{})
	a.strike(0, now, done)
	return done
}

// strike strikes on a goroutine of the world: whoever passed the point may be
// what is struck.
func (a *aims) strike(later time.Duration, strikes []Strike, done chan<- struct{}) {
	w := a.nemesis.world
	w.After(later, func() {
		w.Go(func() {
			for _, s := range strikes {
				a.nemesis.Strike(s)
			}
			if done != nil {
				close(done)
			}
		})
	})
}

// passed counts a point that a node has passed, and returns the strike that has
// waited for it.
func (a *aims) passed(m *aim, node, word string) (s Strike, strikes bool) {
	n := a.nemesis
	s = m.waiting[0]
	if n.world.Now() < s.Begin || !m.counts(n, node) {
		return s, false
	}
	switch s.Target {
	case here:
		s.Hits = []string{node}
	case peer:
		other := word
		if !slices.Contains(n.cast.members(), other) {
			other = n.cluster.Who(word)
		}
		if !slices.Contains(n.cast.members(), other) {
			return s, false
		}
		s.Hits = []string{other}
	}
	if m.passed++; m.passed < s.Nth {
		return s, false
	}
	m.waiting = m.waiting[1:]
	return s, true
}

func (m *aim) counts(n *Nemesis, node string) bool {
	switch {
	case m.watch.point.World:
		return true
	case m.role != "":
		return n.cluster.Who(m.role) == node
	}
	return slices.Contains(m.nodes, node)
}

// aim checks what a fault waits for.
func (c *checker) aim() {
	f := c.fault
	if f.On == "" {
		given := map[string]bool{"of": f.Of != "", "nth": f.Nth != 0, "times": f.Times != 0, "after": f.After.Duration != 0, "line": f.Line != ""}
		for _, name := range slices.Sorted(maps.Keys(given)) {
			if given[name] {
				c.fail(name, "%s: only a fault with on, which waits for a point, takes it", name)
			}
		}
		if f.Target == here || f.Target == peer {
			c.fail("target", "target: %q is where a point is passed, and this fault waits for none: it has no on", f.Target)
		}
		return
	}
	p, known := c.cast.point(f.On)
	if !known {
		c.fail("on", "on: there is no point %q; simctl points lists them%s", f.On, casefile.DidYouMean(f.On, c.cast.pointNames()))
		return
	}
	switch {
	case f.Every.Duration != 0:
		c.fail("every", "every: a fault that waits for a point strikes again by times, not by every")
	case f.Nth < 0 || f.Times < 0:
		c.fail("", "nth and times count from 1")
	case f.After.Duration < 0:
		c.fail("after", "after: %v is before the point is passed, which nobody can foresee", f.After)
	case p.World && (f.Target == here || f.Of != ""):
		c.fail("on", "on: %s happens to no node, so it takes no of, and no target \"here\"", f.On)
	case f.Target == peer && !p.HasPeer():
		c.fail("target", "target: the point %q has no other side", f.On)
	}
	if nodes, role := c.cast.who(f.Of); role == "" && (len(nodes) == 0 || !slices.Contains(c.cast.members(), nodes[0])) {
		c.fail("of", "of: there is no server %q; there are %s%s", f.Of, strings.Join(c.cast.Servers, ", "), casefile.DidYouMean(f.Of, c.cast.words()))
	}
	c.takes("line", f.Line, p)
	if _, err := regexp.Compile(f.Line); err != nil {
		c.fail("line", "line: %q is no regular expression", f.Line)
	}
	if kind, _ := c.cast.kind(f.Kind); !slices.Contains(kind.Takes, "file") {
		c.takes("file", f.File, p)
	}
	if _, err := path.Match(f.File, ""); err != nil {
		c.fail("file", "file: %q is no pattern of file names", f.File)
	}
}

// takes checks a field by which a point says which.
func (c *checker) takes(field, value string, p Point) {
	switch {
	case value == "" && p.Takes == field+"!":
		c.fail("", "a fault on %s needs %s", p.Name, field)
	case value != "" && strings.TrimSuffix(p.Takes, "!") != field:
		c.fail(field, "%s: the point %q takes none", field, p.Name)
	}
}

// When says in words when an aimed strike strikes.
func (c Cast) When(s Strike) string {
	p, _ := c.point(s.On)
	subject := s.Of
	switch r, role := c.role(s.Of); {
	case role:
		subject = r.Words
	case s.Of == "" || s.Of == servers:
		subject = "a node"
	case s.Of == c.Other:
		subject = "an " + s.Of
	}
	what := subject + " " + p.About
	if p.World {
		what = p.About
	}
	if strings.TrimSuffix(p.Takes, "!") == "file" {
		what += " " + s.File
	}
	if s.Line != "" {
		what += fmt.Sprintf(" (%s)", s.Line)
	}
	if nth := s.Nth + s.Turn; nth > 1 {
		what = fmt.Sprintf("%s, for the %s time", what, ordinal(nth))
	}
	if s.Begin > 0 {
		what += fmt.Sprintf(", from %v on", s.Begin)
	}
	if s.Later > 0 {
		return fmt.Sprintf("%v after %s", s.Later.Round(time.Microsecond), what)
	}
	return "when " + what
}

func ordinal(n int) string {
	switch {
	case n%10 == 1 && n%100 != 11:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2 && n%100 != 12:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3 && n%100 != 13:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}
