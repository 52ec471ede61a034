package debug

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tribune/sim/trace"
)

// command is one that a person gives.
type command struct {
	name, args, about string
	more              string // for its help
	do                func(ctx context.Context, s *Session, arg string) error
}

func commands() []command {
	return []command{
		{"goto", "TIME|#N|start|end", "go to a virtual time or an event", "goto 12.5s, goto +2s, goto -100ms, goto #12345, goto start, goto end.\nAt a time, what is seen is the world at exactly that time.", gotoCommand},
		{"step", "[N]", "go N events forward", "Only events that pass the filter count.", stepCommand},
		{"back", "[N]", "go N events back", "Only events that pass the filter count.", backCommand},
		{"next", "KIND|NODE|POINT", "go to the next event of a kind, of or with a node, or where a node passes a point", `The filter does not matter. "next point" goes to any point, "next elected" to that of
this name; simctl points lists them.

` + trace.Legend, nextCommand},
		{"prev", "KIND|NODE|POINT", "go back to the last one", "See next.", prevCommand},
		{"until", "[-back] PREDICATE", "go to the next, or back to the last, event with it", trace.PredicateHelp, untilCommand},
		{"list", "[N]", "list the events around this one", "10 if N is not given; those that pass the filter.", listCommand},
		{"filter", "[PREDICATE]", "have step, back and list show only such events", "Without a predicate all are shown.\n\n" + trace.PredicateHelp, filterCommand},
		{"where", "", "say where this is, and who leads", "Who leads comes from the result of the run; nodes looks.", whereCommand},
		{"faults", "", "list the faults that last", "", faultsCommand},
		{"nodes", "", "list who runs, is paused, leads; term and indexes", "", nodesCommand},
		{"raft", "NODE", "a server's raft state", "", raftCommand},
		{"log", "NODE [N]", "the last N entries of a server's raft log", "10 if N is not given; at most 1000 are looked at.", logCommand},
		{"members", "NODE", "who is in the gossip pool, as an agent sees it", "", membersCommand},
		{"catalog", "NODE", "nodes and services in a server's copy of the catalog", "", catalogCommand},
		{"checks", "NODE", "checks in a server's copy of the catalog", "", checksCommand},
		{"local", "NODE", "services and checks of an agent's own", "", localCommand},
		{"sessions", "NODE", "sessions in a server's state", "", sessionsCommand},
		{"kv", "NODE [PREFIX]", "keys in a server's state", "", kvCommand},
		{"goroutines", "[NODE] [REGEXP]", "goroutines: what they wait for and since when", `Without a node they are counted. With a node those that are alike are one line,
with a number of how many; with an expression too, the whole stacks of those whose
state or stack it matches ("." is all). The node - is the world itself.`, goroutinesCommand},
		{"conns", "NODE", "sockets and streams", "", connsCommand},
		{"files", "NODE", "files, and what a power failure may take of them", "", filesCommand},
		{"clock", "[NODE]", "how far clocks are off, and how fast they go", "Without a node, those that are not right.", clockCommand},
		{"diff", "COMMAND A B", "what a command says of one node and not of the other", "diff kv s1 s3, diff log s1 s2: lines that begin with - are A's alone, with + B's.", diffCommand},
		{"help", "[COMMAND]", "explain a command, or list all", "", nil},
		{"quit", "", "end", "", nil},
	}
}

// ErrQuit is what Do returns when somebody wants to end.
var ErrQuit = errors.New("the session ends")

// Do carries out a command and prints what comes of it. An error is for whoever gave
// the command; the session goes on, unless it is ErrQuit or the context has ended.
func (s *Session) Do(ctx context.Context, line string) error {
	name, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
	arg = strings.TrimSpace(arg)
	switch name {
	case "":
		return nil
	case "help", "h", "?":
		return s.help(arg)
	case "quit", "exit", "q":
		return ErrQuit
	}
	c, err := lookup(name)
	if err != nil {
		return err
	}
	if strings.HasPrefix(c.args, "[") || arg != "" || c.args == "" {
		if c.args == "" && arg != "" {
			return fmt.Errorf("%s takes no argument", c.name)
		}
		return c.do(ctx, s, arg)
	}
	return fmt.Errorf("give it an argument: %s %s", c.name, c.args)
}

// lookup returns the command of a name, or of the beginning of just one name.
func lookup(name string) (command, error) {
	var fit []command
	var names []string
	for _, c := range commands() {
		if c.name == name {
			return c, nil
		}
		if strings.HasPrefix(c.name, name) && c.do != nil {
			fit, names = append(fit, c), append(names, c.name)
		}
	}
	switch len(fit) {
	case 0:
		return command{}, fmt.Errorf("there is no command %q; help lists them", name)
	case 1:
		return fit[0], nil
	}
	return command{}, fmt.Errorf("%q may be %s", name, strings.Join(names, ", "))
}

func (s *Session) help(name string) error {
	if name == "" {
		s.printf("Commands (the beginning of a name will do):\n")
		for _, c := range commands() {
			s.printf("  %-28s %s\n", strings.TrimSpace(c.name+" "+c.args), c.about)
		}
		return nil
	}
	i := slices.IndexFunc(commands(), func(c command) bool { return c.name == name })
	c := command{}
	if i >= 0 {
		c = commands()[i]
	} else {
		var err error
		if c, err = lookup(name); err != nil {
			return err
		}
	}
	s.printf("%s: %s\n", strings.TrimSpace(c.name+" "+c.args), c.about)
	if c.more != "" {
		s.printf("%s\n", strings.TrimRight(c.more, "\n"))
	}
	return nil
}

// Complete returns what the last word of a line may become, sorted: commands, then
// what the command takes.
func (s *Session) Complete(line string) []string {
	name, arg, further := strings.Cut(strings.TrimLeft(line, " "), " ")
	var words []string
	if !further {
		for _, c := range commands() {
			words = append(words, c.name)
		}
		return begin(words, name)
	}
	if name == "help" || name == "diff" && !strings.Contains(strings.TrimLeft(arg, " "), " ") {
		return s.Complete(strings.TrimLeft(arg, " "))
	}
	if name == "diff" {
		return begin(slices.Clone(s.nodes), arg[strings.LastIndex(arg, " ")+1:])
	}
	c, err := lookup(name)
	if err != nil || strings.Contains(strings.TrimLeft(arg, " "), " ") {
		return nil
	}
	if strings.Contains(c.args, "NODE") {
		words = append(words, s.nodes...)
	}
	if strings.Contains(c.args, "KIND") {
		for k := trace.KindNone + 1; k.Known(); k++ {
			words = append(words, k.String())
		}
	}
	if strings.Contains(c.args, "POINT") {
		words = append(append(words, point), s.points...)
	}
	if c.name == "goto" {
		words = append(words, "start", "end")
	}
	return begin(words, strings.TrimLeft(arg, " "))
}

func begin(words []string, with string) []string {
	words = slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, with) })
	slices.Sort(words)
	return words
}

// diffCommand carries out a command for two nodes and shows the lines that only one
// of them has.
func diffCommand(ctx context.Context, s *Session, arg string) error {
	words := strings.Fields(arg)
	if len(words) != 3 {
		return errors.New("give it a command and two nodes, such as diff kv s1 s3")
	}
	c, err := lookup(words[0])
	if err != nil {
		return err
	}
	if !strings.HasPrefix(c.args, "NODE") {
		return fmt.Errorf("%s says nothing of one node", c.name)
	}
	var lines [2][]string
	for i, node := range words[1:] {
		var b strings.Builder
		aside := *s
		aside.out = &b
		err := c.do(ctx, &aside, node)
		s.seen, s.another = aside.seen, aside.another
		if err != nil {
			return err
		}
		lines[i] = strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	}
	same := true
	for i, sign := range []string{"-", "+"} {
		for _, line := range lines[i] {
			// One table's columns may be wider than the other's.
			equal := func(other string) bool { return slices.Equal(strings.Fields(line), strings.Fields(other)) }
			if !slices.ContainsFunc(lines[1-i], equal) {
				same = false
				s.printf("%s %s\n", sign, line)
			}
		}
	}
	if same {
		s.printf("the same\n")
	}
	return nil
}
