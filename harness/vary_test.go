package harness

import (
	"context"
	"testing"

	"tribune/linearizability"
	"tribune/sim"
)

// A fault that waits for a connection strikes the other side, and there is none when it is
// made to wait for a process instead.
func TestWhatIsMadeOfACaseMakesSense(t *testing.T) {
	all := Systems{"any": {
		Nodes:   []string{"a", "b"},
		Program: func(string) sim.Program { return nil },
		Draw:    func(*Client) linearizability.Op { return linearizability.Op{} },
		Do:      func(context.Context, *Client, *linearizability.Op) error { return nil },
		Roles:   map[string]func() string{"leader": func() string { return "" }},
	}}
	system, err := all.get("any")
	if err != nil {
		t.Fatal(err)
	}
	s := subject{all, system, "any", "", nil}
	for number := range uint64(100) {
		c, other := s.Fresh(number), s.Fresh(number+1)
		for n := range uint64(20) {
			if err := system.validCase(c); err != nil {
				t.Fatalf("%v: %s", err, oneLine(c))
			}
			c, other = s.Vary(100+20*number+n, c, other), c
		}
	}
}
