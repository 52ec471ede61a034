package harness

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/sim"
	"tribune/sim/casefile"
	"tribune/sim/launch"
	"tribune/sim/nemesis"
)

// System is a program, and how it is used. What is left out is as [Systems] says.
type System struct {
	// Nodes are the machines' names, under which they also find each other.
	Nodes []string
	// Program is what a node runs, each time that its process is started.
	Program func(node string) sim.Program
	// MayPanic says that the program ends itself by a panic when it cannot go on, such
	// as without its disk. Otherwise a panic of a node is a problem.
	MayPanic bool
	// Roles say who has a role now, such as "leader"; faults may be aimed at it. They
	// are called in the run's process, by the world. An empty name: nobody.
	Roles map[string]func() string

	// Look looks at the world every 50 ms of virtual time, and says with
	// World.Violate what must not be. It may be nil.
	Look func(w *sim.World)

	// Clients is how many there are; 0: three.
	Clients int
	// Draw draws a client's next operation. Values that are written must differ.
	Draw func(c *Client) linearizability.Op
	// Do carries out an operation and fills in what was returned: of a cas and a
	// delete-cas, that it was Done. An error means that it may have taken effect or not,
	// now or later; one that is ErrUntouched, that it surely did not.
	Do func(ctx context.Context, c *Client, o *linearizability.Op) error
	// Every is the mean time between two operations of a client; 0: 100 ms.
	Every time.Duration
	// Patience is the time after which a client gives an operation up; 0: 2 s.
	Patience time.Duration

	// Faults is what is drawn from. Without kinds it is those of nemesis.Stormy, which
	// bit-rot is none of, and without a percentage 50 of them; without points it is all,
	// for 25 percent of the faults; without targets, random, majority and all roles.
	Faults nemesis.Mix
	// Network names the model of the network; "": lan.
	Network string
	// Duration is the virtual time in which faults strike; 0: 30 s.
	Duration time.Duration
	// Settle is the time that the system has, when all is healed, until each client
	// does its last operations; 0: 10 s.
	Settle time.Duration

	// Check judges what clients saw: an empty text if all is well, else what is
	// wrong. What is alike begins with the same words, up to a colon. Nil: every key
	// must be linearizable, and operations are those of package linearizability. It
	// is not asked if a node panicked, or if no operation is carried out any more when
	// all is healed. Several goroutines may call it at once.
	Check func([]linearizability.Op) string
}

// ErrUntouched says that an operation did not take effect and never will.
var ErrUntouched = errors.New("the operation did not take effect")

// Client is one client of a system.
type Client struct {
	Number int // from 1
	Name   string
	Host   host.Host // its machine
	// Draws are its random numbers.
	Draws *rand.Rand
	// Nodes are those of the system, At is the one that it talks to: another one
	// after an operation that did not go well.
	Nodes []string
	At    string
	// Operations counts those that it has drawn.
	Operations int
	// Memory is for whatever Draw and Do want to know of this client later.
	Memory any
}

// Systems are the systems of a test program, by name.
type Systems map[string]System

// get returns a system with all that it leaves out.
func (all Systems) get(name string) (System, error) {
	s, ok := all[name]
	if !ok {
		names := slices.Sorted(maps.Keys(all))
		return s, fmt.Errorf("there is no system %q; there are %s%s", name, strings.Join(names, ", "), casefile.DidYouMean(name, names))
	}
	if err := s.valid(); err != nil {
		return s, fmt.Errorf("system %q: %w", name, err)
	}
	orElse(&s.Clients, 3)
	orElse(&s.Every, 100*time.Millisecond)
	orElse(&s.Patience, 2*time.Second)
	orElse(&s.Network, "lan")
	orElse(&s.Duration, 30*time.Second)
	orElse(&s.Settle, 10*time.Second)
	stormy := nemesis.Stormy()
	if len(s.Faults.Kinds) == 0 {
		s.Faults.Kinds = stormy.Kinds
	}
	if len(s.Faults.Shapes) == 0 {
		s.Faults.Shapes = stormy.Shapes
	}
	orElse(&s.Faults.Percent, 50)
	if s.Faults.Points == nil {
		s.Faults.Points, s.Faults.Aimed = s.cast().AllPoints(), 25
	}
	if len(s.Faults.Targets) == 0 {
		s.Faults.Targets = []string{"random", "random", "majority"}
		s.Faults.Targets = append(s.Faults.Targets, slices.Sorted(maps.Keys(s.Roles))...)
	}
	return s, nil
}

func orElse[T comparable](value *T, usual T) {
	var zero T
	if *value == zero {
		*value = usual
	}
}

// Main runs the tests of a program that uses systems, and ends the process: it is
// what TestMain calls. A test binary without the deterministic runtime builds
// itself again with it, which takes a minute or two the first time. With -harness.case
// FILE it runs that case instead of tests and tells what happens; the trace of all
// events goes to the file that -harness.trace names, a timeline for a browser to that of
// -harness.page.
func (all Systems) Main(m *testing.M) {
	launch.ChildMain(all.children())
	pkg := testPackage()
	if pkg == "" {
		fmt.Fprintln(os.Stderr, "harness: this binary does not know what package it is of: build it with modules")
		os.Exit(2)
	}
	launch.Ensure(pkg, true)
	o := flags()
	flag.Parse()
	if o.file != "" {
		os.Exit(all.show(context.Background(), *o, os.Stdout))
	}
	os.Exit(m.Run())
}
