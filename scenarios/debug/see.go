package debug

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tribune/scenarios/look"
)

// kept is how many sights are kept: going back and forth costs nothing then.
const kept = 8

// slow is the real time after which a look says how long it took.
const slow = time.Second

// see looks around at the present position.
func (s *Session) see(ctx context.Context) (look.Seen, error) {
	for _, old := range s.seen {
		if old.position == s.at {
			return old.Seen, nil
		}
	}
	begin := time.Now()
	seen, err := s.look(ctx, s.at)
	if err != nil {
		return seen, err
	}
	if took := time.Since(begin); took > slow {
		s.note("(the run was made again up to here, in %v)\n", took.Round(100*time.Millisecond))
	}
	if was := s.run.fingerprint(seen.Events); was != seen.Fingerprint {
		s.note("!!! THIS IS ANOTHER RUN THAN THE RECORDED ONE, already before event #%d:\n", seen.Events)
		s.note("!!! fingerprint %s, and it was %s.\n", seen.Fingerprint, was)
		s.note("!!! Either the program is not the one that made the record, or the harness is at\n!!! fault; simctl replay names the first event that differs.\n")
		s.another = true
	}
	s.seen = append(s.seen, sight{s.at, seen})
	if len(s.seen) > kept {
		s.seen = slices.Delete(s.seen, 0, 1)
	}
	return seen, nil
}

// node looks at a node, whose name is the first word of arg; rest are the others.
func (s *Session) node(ctx context.Context, arg string) (n *look.Node, rest string, err error) {
	name, rest, _ := strings.Cut(arg, " ")
	if !slices.Contains(s.nodes, name) {
		return nil, "", fmt.Errorf("there is no node %s; there are %s", name, strings.Join(s.nodes, " "))
	}
	seen, err := s.see(ctx)
	if err != nil {
		return nil, "", err
	}
	if n = seen.Node(name); n == nil {
		return nil, "", fmt.Errorf("there is no node %s yet", name)
	}
	return n, strings.TrimSpace(rest), nil
}

// part looks at a part of what an agent says.
func part[T any](ctx context.Context, s *Session, arg, name string, get func(*look.Agent) *T) (v *T, rest string, err error) {
	n, rest, err := s.node(ctx, arg)
	switch {
	case err != nil:
		return nil, "", err
	case n.Agent == nil && !n.Running:
		return nil, "", fmt.Errorf("%s does not run", n.Name)
	case n.Agent == nil:
		return nil, "", fmt.Errorf("no agent runs on %s, or it has not started yet", n.Name)
	}
	if v = get(n.Agent); v != nil {
		return v, rest, nil
	}
	if !slices.Contains(n.Agent.Silent, name) {
		return nil, "", fmt.Errorf("%s is a client agent and has none", n.Name)
	}
	why := "whoever asks waits for a lock, a goroutine or the disk"
	if n.Paused {
		why = "it is paused"
	}
	return nil, "", fmt.Errorf("%s does not answer: %s. See goroutines %s", n.Name, why, n.Name)
}
