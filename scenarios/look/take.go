package look

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"tribune/impl/agent"
	"tribune/impl/api"
	"tribune/impl/fsm"
	"tribune/impl/server"
	"tribune/sim"
)

// logTail is how many entries of a raft log are looked at.
const logTail = 1000

// question is one thing that an agent is asked.
type question struct {
	agent    *Agent
	part     string
	ask      func() (keep func()) // keep puts the answer in its place
	keep     func()
	answered bool
}

// Take looks around in a world, of whose nodes some have an agent that has started.
// The world must be at rest (sim.World.Settle), and is not what it was afterwards: who
// is asked may count it, or wait for good.
func Take(w *sim.World, agents map[string]*agent.Agent) Seen {
	// First, since those who ask are goroutines too.
	seen := Seen{At: w.Now(), Goroutines: goroutines()}
	var questions []*question
	for _, n := range w.Nodes() {
		node := Node{
			Name: n.Name(), Running: n.Running(), Paused: n.Paused(), Starts: n.Starts(), Clock: n.Clock(),
			Files: n.Disk().Inventory(), Sockets: n.Stack().Sockets(),
		}
		if err := n.Err(); err != nil {
			node.Err = err.Error()
		}
		if a := agents[n.Name()]; a != nil && node.Running {
			node.Agent = &Agent{}
			all := ask(node.Agent, a)
			for _, q := range all {
				start(n, q)
			}
			questions = append(questions, all...)
		}
		seen.Nodes = append(seen.Nodes, node)
	}
	w.Settle()
	for _, q := range questions {
		if q.answered {
			q.keep()
		} else {
			q.agent.Silent = append(q.agent.Silent, q.part)
		}
		if q.agent.Log != nil && q.part == "log" {
			slices.Reverse(q.agent.Log.Entries)
		}
	}
	var term uint64
	for _, n := range seen.Nodes {
		if !n.Paused && n.Agent != nil && n.Agent.Raft != nil && n.Agent.Raft.Leader && n.Agent.Raft.Term > term {
			seen.Leader, term = n.Name, n.Agent.Raft.Term
		}
	}
	return seen
}

// start asks in the name of the node, whose clock the answer may depend on. The
// goroutines of one that is paused do not run, but what it has can be read.
func start(n *sim.Node, q *question) {
	f := func() {
		q.keep = q.ask()
		q.answered = true
	}
	if n.Paused() || !n.Go(f) {
		go f()
	}
}

// goroutines dumps all goroutines.
func goroutines() string {
	for size := 1 << 20; ; size *= 2 {
		b := make([]byte, size)
		if n := runtime.Stack(b, true); n < size {
			return string(b[:n])
		}
	}
}

// ask lists what an agent is asked. Each question is a goroutine of its own, so that
// what one waits for holds no other up.
func ask(to *Agent, a *agent.Agent) []*question {
	all := []*question{
		{part: "members", ask: answer(&to.Members, list(a.Members))},
		{part: "local", ask: answer(&to.Local, func() Local {
			return Local{InSync: a.Local().InSync(), Services: a.Local().Services(), Checks: a.Local().Checks()}
		})},
	}
	if s := a.Server(); s != nil {
		all = append(all,
			&question{part: "raft", ask: answer(&to.Raft, func() Raft { return raft(s) })},
			&question{part: "log", ask: func() func() { return tail(to, s) }},
			&question{part: "catalog", ask: answer(&to.Catalog, func() Catalog { return catalog(s) })},
			&question{part: "sessions", ask: answer(&to.Sessions, list(func() []api.Session {
				r, _ := s.SessionRead(context.Background(), api.SessionRequest{QueryOptions: stale()}) // reads what is here: cannot fail
				return r.Items
			}))},
			&question{part: "kv", ask: answer(&to.KV, list(func() []api.DirEntry {
				r, _ := s.KVGet(context.Background(), api.KVRequest{Recurse: true, QueryOptions: stale()}) // cannot fail either
				return r.Entries
			}))},
		)
	}
	for _, q := range all {
		q.agent = to
	}
	return all
}

// answer has what f returns put into place.
func answer[T any](place **T, f func() T) func() func() {
	return func() func() {
		v := f()
		return func() { *place = &v }
	}
}

// list has an empty list say that it is empty, and not nil: what was seen travels as
// JSON, in which a pointer to nil is nil, which says that there was no answer.
func list[T any](f func() []T) func() []T {
	return func() []T { return append([]T{}, f()...) }
}

func stale() api.QueryOptions { return api.QueryOptions{AllowStale: true} }

func raft(s *server.Server) Raft {
	n := s.Raft()
	r := Raft{Status: n.Status(), Stats: n.Stats()}
	r.LeaderID, r.LeaderAddress = n.Leader()
	if group, err := n.Servers(); err == nil {
		for _, m := range group {
			r.Group = append(r.Group, m.Address)
		}
		slices.Sort(r.Group)
	}
	digest, err := s.StateDigest()
	if err != nil {
		digest = err.Error()
	}
	r.Digest = digest
	return r
}

// tail reads the end of the log, from the last entry backwards. What it has read is
// there even if the disk never answers about the rest.
func tail(to *Agent, s *server.Server) (keep func()) {
	l := &Log{Err: "the disk does not answer"}
	to.Log = l
	status := s.Raft().Status()
	err := ""
	for i := status.Last; i >= max(status.First, 1) && len(l.Entries) < logTail; i-- {
		e, rerr := s.Raft().Entry(i)
		if rerr != nil {
			err = fmt.Sprintf("entry %d: %v", i, rerr)
			break
		}
		text := strings.ToLower(strings.TrimPrefix(e.Kind, "Log"))
		if e.Command {
			text = fsm.Describe(e.Data)
		}
		l.Entries = append(l.Entries, Entry{i, e.Term, text})
	}
	return func() { l.Err = err }
}

// catalog reads the server's own copy, which cannot fail.
func catalog(s *server.Server) Catalog {
	ctx, any := context.Background(), api.CatalogRequest{State: "any", QueryOptions: stale()}
	nodes, _ := s.Nodes(ctx, any)
	checks, _ := s.ChecksInState(ctx, any)
	c := Catalog{Nodes: nodes.Items, Checks: checks.Items}
	for _, n := range nodes.Items {
		r, _ := s.NodeServices(ctx, api.CatalogRequest{Node: n.Node, QueryOptions: stale()})
		for _, service := range r.Services {
			c.Services = append(c.Services, Service{n.Node, service})
		}
	}
	return c
}
