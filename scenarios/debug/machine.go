package debug

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

func connsCommand(ctx context.Context, s *Session, arg string) error {
	n, _, err := s.node(ctx, arg)
	if err != nil {
		return err
	}
	var rows []string
	for _, c := range n.Sockets {
		rows = append(rows, row(c.Protocol, c.State, c.Local, c.Remote, c.Peer, c.Unread, c.Unsent))
	}
	s.table(row("PROTOCOL", "STATE", "LOCAL", "REMOTE", "PEER", "UNREAD", "UNSENT"), rows...)
	return nil
}

func filesCommand(ctx context.Context, s *Session, arg string) error {
	n, _, err := s.node(ctx, arg)
	if err != nil {
		return err
	}
	var rows []string
	for _, f := range n.Files {
		name := "durable"
		if f.Unnamed {
			name = "may be undone"
		}
		rows = append(rows, row(f.Path, f.Size, f.Durable, f.Unsynced, name))
	}
	s.table(row("FILE", "BYTES", "DURABLE", "UNSYNCED", "NAME"), rows...)
	return nil
}

func clockCommand(ctx context.Context, s *Session, arg string) error {
	names := s.nodes
	if arg != "" {
		names = []string{arg}
	}
	var rows []string
	for _, name := range names {
		n, _, err := s.node(ctx, name)
		if err != nil {
			if arg == "" {
				continue // it is not there yet
			}
			return err
		}
		if arg == "" && n.Clock.Skew == 0 && n.Clock.Num == n.Clock.Den {
			continue
		}
		rate := "1"
		if n.Clock.Den > 0 {
			rate = fmt.Sprint(float64(n.Clock.Num) / float64(n.Clock.Den))
		}
		rows = append(rows, row(name, n.Clock.Skew, rate))
	}
	if len(rows) == 0 {
		s.printf("all clocks are right\n")
		return nil
	}
	s.table(row("NODE", "OFF BY", "RATE"), rows...)
	return nil
}

func goroutinesCommand(ctx context.Context, s *Session, arg string) error {
	node, pattern, _ := strings.Cut(arg, " ")
	if node != "" && node != "-" && !slices.Contains(s.nodes, node) {
		return fmt.Errorf("there is no node %s; there are %s, and - is the world", node, strings.Join(s.nodes, " "))
	}
	match, err := regexp.Compile(strings.TrimSpace(pattern))
	if err != nil {
		return err
	}
	seen, err := s.see(ctx)
	if err != nil {
		return err
	}
	groups := grouped(parseDump(seen.Goroutines))
	if node == "" {
		s.countGoroutines(groups)
		return nil
	}
	groups = slices.DeleteFunc(groups, func(g group) bool {
		return g.node != node || pattern != "" && !match.MatchString(g.state+"\n"+g.stack())
	})
	if pattern == "" {
		var rows []string
		for _, g := range groups {
			rows = append(rows, row(len(g.since), g.state, g.sinceText(), g.top()))
		}
		s.table(row("HOW MANY", "WAITS FOR", "SINCE", "IN"), rows...)
		return nil
	}
	for _, g := range groups {
		s.printf("%d waiting for %s, since %s\n%s\n", len(g.since), g.state, g.sinceText(), g.stack())
	}
	if len(groups) == 0 {
		s.printf("no goroutine of %s has that\n", node)
	}
	return nil
}

func (s *Session) countGoroutines(groups []group) {
	counts := map[string]int{}
	for _, g := range groups {
		counts[g.node] += len(g.since)
	}
	var rows []string
	for _, name := range append([]string{"-"}, s.nodes...) {
		if counts[name] > 0 {
			rows = append(rows, row(name, counts[name]))
		}
	}
	s.table(row("NODE", "GOROUTINES"), rows...)
}

// sinceText says since when the goroutines of a group wait.
func (g group) sinceText() string {
	first, last := slices.Min(g.since), slices.Max(g.since)
	if first == last {
		return rounded(first)
	}
	return rounded(first) + " to " + rounded(last)
}

func rounded(d time.Duration) string { return d.Round(time.Microsecond).String() }
