package harness

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"tribune/netmodel"
	"tribune/sim/casefile"
	"tribune/sim/nemesis"
)

// valid says what a system lacks, and what in it makes no sense. It is asked before
// anything runs: a system without Draw would run, do nothing, and be found free of bugs.
func (s System) valid() error {
	var missing []string
	for _, m := range []struct {
		name string
		is   bool
	}{{"Nodes", len(s.Nodes) > 0}, {"Program", s.Program != nil}, {"Draw", s.Draw != nil}, {"Do", s.Do != nil}} {
		if !m.is {
			missing = append(missing, m.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("it has no %s", strings.Join(missing, ", no "))
	}
	for i, name := range s.Nodes {
		var number int
		switch _, err := fmt.Sscanf(name, "client%d", &number); {
		case name == "":
			return errors.New("a node has no name")
		case err == nil:
			return fmt.Errorf("a node cannot be called %s: clients are called so", name)
		case slices.Contains(s.Nodes[:i], name):
			return fmt.Errorf("two nodes are called %s", name)
		}
	}
	if s.Network != "" {
		if _, err := netmodel.Named(s.Network); err != nil {
			return err
		}
	}
	return s.validMix()
}

// validMix looks at the words of what faults are drawn from.
func (s System) validMix() error {
	known := s.cast().KindNames()
	for _, kind := range s.Faults.Kinds {
		if !slices.Contains(known, kind) {
			return fmt.Errorf("Faults.Kinds: no fault is called %q; there are %s%s", kind, strings.Join(known, ", "), casefile.DidYouMean(kind, known))
		}
	}
	for _, shape := range s.Faults.Shapes {
		if !slices.Contains(nemesis.Shapes(), shape) {
			return fmt.Errorf("Faults.Shapes: no partition is called %q; there are %s", shape, strings.Join(nemesis.Shapes(), ", "))
		}
	}
	for _, target := range s.Faults.Targets {
		if err := s.cast().Check(nemesis.Fault{Kind: "kill", Target: target}, math.MaxInt64); err != nil {
			return fmt.Errorf("Faults.Targets: %w", err)
		}
	}
	return nil
}

// validCase says what in a case makes no sense for the system, such as a fault that no
// kind is called, which would strike nobody. A fault after the end of the run is let
// pass: a case that is made smaller may have one for a while.
func (s System) validCase(c Case) error {
	for i, f := range c.Faults {
		if err := s.cast().Check(f, math.MaxInt64); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	return nil
}

// fitting lists those of the faults that make sense for the system.
func (s System) fitting(faults []nemesis.Fault) []nemesis.Fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f nemesis.Fault) bool {
		return s.cast().Check(f, math.MaxInt64) != nil
	})
}
