package register_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tribune/examples/register"
	"tribune/harness"
	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/sim"
	"tribune/sim/nemesis"
)

func TestMain(m *testing.M) { systems().Main(m) }

// systems says what runs and how it is used.
func systems() harness.Systems {
	nodes := []string{"a", "b"}
	return harness.Systems{"register": {
		Nodes: nodes,
		Program: func(node string) sim.Program {
			other := nodes[0]
			if node == other {
				other = nodes[1]
			}
			return func(ctx context.Context, h host.Host, log *slog.Logger) error {
				return register.Run(ctx, h, log, node, other, nodes[0])
			}
		},
		Draw: func(c *harness.Client) linearizability.Op {
			if c.Draws.IntN(2) == 0 {
				return linearizability.Op{Kind: linearizability.Get, Key: "value"}
			}
			return linearizability.Op{Kind: linearizability.Put, Key: "value", Value: fmt.Sprintf("%s-%d", c.Name, c.Operations)}
		},
		Do:     do,
		Faults: nemesis.Mix{Kinds: []string{"partition", "pause", "slow-link"}},
	}}
}

// do reads or writes the value at a node.
func do(ctx context.Context, c *harness.Client, o *linearizability.Op) error {
	method := http.MethodGet
	if o.Kind == linearizability.Put {
		method = http.MethodPut
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.At+":7000/value?v="+url.QueryEscape(o.Value), nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DialContext: c.Host.Network().Dial, DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if resp.StatusCode == http.StatusMisdirectedRequest {
		return fmt.Errorf("%s: %w", resp.Status, harness.ErrUntouched)
	}
	var s register.State
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return err
	}
	o.Found, o.Seen = s.Value != "", s.Value
	return nil
}

func TestTheBugOfTheRegisterIsFoundAndMadeSmall(t *testing.T) {
	f, err := systems().Find(t.Context(), "register", harness.Search{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if f == nil {
		t.Fatal("nothing was found in a hundred cases")
	}
	t.Log(f)
	if n := len(f.Smallest.Case.Faults); n != 1 || !strings.HasPrefix(f.Smallest.Problem, "not linearizable") {
		t.Errorf("it takes %d faults, one is enough: %s", n, f.Smallest.Problem)
	}
}

func TestTheCaseThatWasFoundStillFails(t *testing.T) {
	c, err := harness.Load("testdata/split.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := systems().Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r.Problem, "not linearizable") {
		t.Errorf("found: %q", r.Problem)
	}
	c.Faults = nil
	if r, err = systems().Run(t.Context(), c); err != nil || r.Problem != "" {
		t.Errorf("without faults: %q, %v", r.Problem, err)
	}
}
