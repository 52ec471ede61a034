package debug

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tribune/impl/api"
	"tribune/scenarios/look"
)

func nodesCommand(ctx context.Context, s *Session, _ string) error {
	seen, err := s.see(ctx)
	if err != nil {
		return err
	}
	var rows, without, unused []string
	for _, name := range s.nodes {
		n := seen.Node(name)
		switch {
		case n == nil:
		case n.Starts == 0:
			unused = append(unused, name)
		case n.Agent == nil && n.Running && !n.Paused:
			without = append(without, name)
		case n.Agent == nil || n.Agent.Raft == nil:
			rows = append(rows, row(name, state(n), role(n), "", "", "", "", n.Starts))
		default:
			r := n.Agent.Raft
			rows = append(rows, row(name, state(n), role(n), r.Term, r.Last, r.Committed, r.Applied, n.Starts))
		}
	}
	if len(without) > 0 {
		s.printf("run, without an agent or with one that has not started yet: %s\n", strings.Join(without, " "))
	}
	if len(unused) > 0 {
		s.printf("were never started: %s\n", strings.Join(unused, " "))
	}
	s.table(row("NODE", "STATE", "ROLE", "TERM", "LAST", "COMMITTED", "APPLIED", "STARTS"), rows...)
	for _, n := range seen.Nodes {
		if n.Err != "" && !n.Running {
			s.printf("%s ended: %s\n", n.Name, n.Err)
		}
		if n.Agent != nil && len(n.Agent.Silent) > 0 {
			s.printf("%s does not answer about %s; see goroutines %s\n", n.Name, strings.Join(n.Agent.Silent, ", "), n.Name)
		}
	}
	return nil
}

func state(n *look.Node) string {
	switch {
	case n.Paused:
		return "paused"
	case n.Running:
		return "runs"
	}
	return "down"
}

func role(n *look.Node) string {
	switch {
	case n.Agent == nil:
		return ""
	case n.Agent.Raft == nil && slices.Contains(n.Agent.Silent, "raft"):
		return "server"
	case n.Agent.Raft == nil:
		return "client agent"
	case n.Agent.Raft.Leader:
		return "leader"
	case n.Agent.Raft.Candidate:
		return "candidate"
	}
	return "follower"
}

func raftCommand(ctx context.Context, s *Session, arg string) error {
	r, _, err := part(ctx, s, arg, "raft", func(a *look.Agent) *look.Raft { return a.Raft })
	if err != nil {
		return err
	}
	what := "follows"
	if r.Leader {
		what = "leads"
	} else if r.Candidate {
		what = "is a candidate"
	}
	s.printf("%s in term %d; log %d to %d, committed %d, applied %d\n", what, r.Term, r.First, r.Last, r.Committed, r.Applied)
	leader := r.LeaderAddress
	if leader == "" {
		leader = "nobody"
	}
	s.printf("it takes for the leader: %s\nthe group, as it knows it: %s\n", leader, strings.Join(r.Group, " "))
	s.printf("its own ID: %s\nthe digest of its state: %s\n", r.ID, r.Digest)
	for _, k := range slices.Sorted(maps.Keys(r.Stats)) {
		switch k { // what is said above, and what says nothing here
		case "term", "state", "commit_index", "applied_index", "last_log_index", "latest_configuration":
		default:
			if !strings.Contains(k, "version") {
				s.printf("  %s = %s\n", k, r.Stats[k])
			}
		}
	}
	return nil
}

func logCommand(ctx context.Context, s *Session, arg string) error {
	l, rest, err := part(ctx, s, arg, "log", func(a *look.Agent) *look.Log { return a.Log })
	if err != nil {
		return err
	}
	n, err := count(rest, 10)
	if err != nil {
		return err
	}
	if l.Err != "" {
		s.printf("it could not be read further back: %s\n", l.Err)
	}
	var rows []string
	for _, e := range l.Entries[max(0, len(l.Entries)-n):] {
		rows = append(rows, row(e.Index, e.Term, e.Text))
	}
	s.table(row("INDEX", "TERM", "COMMAND"), rows...)
	return nil
}

func membersCommand(ctx context.Context, s *Session, arg string) error {
	members, _, err := part(ctx, s, arg, "members", func(a *look.Agent) *[]api.Member { return a.Members })
	if err != nil {
		return err
	}
	status := []string{"none", "alive", "leaving", "left", "failed"}
	var rows []string
	for _, m := range *members {
		text := fmt.Sprint(m.Status)
		if m.Status >= 0 && m.Status < len(status) {
			text = status[m.Status]
		}
		rows = append(rows, row(m.Name, fmt.Sprintf("%s:%d", m.Addr, m.Port), text, m.Tags["role"]))
	}
	s.table(row("MEMBER", "ADDRESS", "STATUS", "ROLE"), rows...)
	return nil
}

func catalogOf(a *look.Agent) *look.Catalog { return a.Catalog }

func catalogCommand(ctx context.Context, s *Session, arg string) error {
	c, _, err := part(ctx, s, arg, "catalog", catalogOf)
	if err != nil {
		return err
	}
	var rows []string
	for _, n := range c.Nodes {
		rows = append(rows, row(n.Node, n.Address, n.CreateIndex, n.ModifyIndex))
	}
	s.table(row("NODE", "ADDRESS", "CREATED", "MODIFIED"), rows...)
	rows = nil
	for _, v := range c.Services {
		rows = append(rows, row(v.Service, v.ID, v.Node, v.Port, strings.Join(v.Tags, ","), v.ModifyIndex))
	}
	s.table(row("SERVICE", "ID", "NODE", "PORT", "TAGS", "MODIFIED"), rows...)
	return nil
}

func checksCommand(ctx context.Context, s *Session, arg string) error {
	c, _, err := part(ctx, s, arg, "catalog", catalogOf)
	if err != nil {
		return err
	}
	s.checks(c.Checks)
	return nil
}

func (s *Session) checks(checks []api.HealthCheck) {
	var rows []string
	for _, c := range checks {
		rows = append(rows, row(c.Node, c.CheckID, c.ServiceID, c.Status, short(c.Output), c.ModifyIndex))
	}
	s.table(row("NODE", "CHECK", "SERVICE", "STATUS", "OUTPUT", "MODIFIED"), rows...)
}

func localCommand(ctx context.Context, s *Session, arg string) error {
	l, _, err := part(ctx, s, arg, "local", func(a *look.Agent) *look.Local { return a.Local })
	if err != nil {
		return err
	}
	if !l.InSync {
		s.printf("the catalog is not known to have all of it\n")
	}
	var rows []string
	for _, v := range l.Services {
		rows = append(rows, row(v.Service, v.ID, v.Port, strings.Join(v.Tags, ",")))
	}
	s.table(row("SERVICE", "ID", "PORT", "TAGS"), rows...)
	s.checks(l.Checks)
	return nil
}

func sessionsCommand(ctx context.Context, s *Session, arg string) error {
	sessions, _, err := part(ctx, s, arg, "sessions", func(a *look.Agent) *[]api.Session { return a.Sessions })
	if err != nil {
		return err
	}
	var rows []string
	for _, v := range *sessions {
		rows = append(rows, row(v.ID, v.Name, v.Node, v.TTL, v.Behavior, v.LockDelay.Round(time.Millisecond), v.CreateIndex))
	}
	s.table(row("SESSION", "NAME", "NODE", "TTL", "BEHAVIOR", "LOCK-DELAY", "CREATED"), rows...)
	return nil
}

func kvCommand(ctx context.Context, s *Session, arg string) error {
	entries, prefix, err := part(ctx, s, arg, "kv", func(a *look.Agent) *[]api.DirEntry { return a.KV })
	if err != nil {
		return err
	}
	var rows []string
	for _, e := range *entries {
		if strings.HasPrefix(e.Key, prefix) {
			rows = append(rows, row(e.Key, short(string(e.Value)), e.CreateIndex, e.ModifyIndex, e.LockIndex, e.Session))
		}
	}
	s.table(row("KEY", "VALUE", "CREATED", "MODIFIED", "LOCKED", "SESSION"), rows...)
	return nil
}

// short is a text in quotes, cut where a line would grow too long.
func short(text string) string {
	const most = 40
	if text == "" {
		return ""
	}
	if len(text) > most {
		return fmt.Sprintf("%q...", text[:most])
	}
	return fmt.Sprintf("%q", text)
}
