package queue_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tribune/examples/queue"
	"tribune/harness"
	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/sim"
	"tribune/sim/nemesis"
)

func TestMain(m *testing.M) { systems().Main(m) }

// The operations. They are none that the usual check knows.
const (
	add  linearizability.Kind = "add"
	take linearizability.Kind = "take"
	done linearizability.Kind = "done"
)

func systems() harness.Systems {
	return harness.Systems{"queue": {
		Nodes: []string{"q"},
		Program: func(string) sim.Program {
			return func(ctx context.Context, h host.Host, log *slog.Logger) error { return queue.Run(ctx, h, log) }
		},
		Draw:   draw,
		Do:     do,
		Check:  check,
		Faults: nemesis.Mix{Kinds: []string{"loss", "pause", "kill", "power", "disk-slow"}},
	}}
}

// draw has a client add jobs, take one, and say that it is done; what it works on is its
// own memory.
func draw(c *harness.Client) linearizability.Op {
	if job, working := c.Memory.(string); working && c.Draws.IntN(4) == 0 {
		c.Memory = nil
		return linearizability.Op{Kind: done, Value: job}
	}
	if c.Draws.IntN(2) == 0 {
		return linearizability.Op{Kind: add, Value: fmt.Sprintf("%s-%d", c.Name, c.Operations)}
	}
	return linearizability.Op{Kind: take}
}

func do(ctx context.Context, c *harness.Client, o *linearizability.Op) error {
	address := fmt.Sprintf("http://%s:7000/%s?job=%s", c.At, o.Kind, url.QueryEscape(o.Value))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DialContext: c.Host.Network().Dial, DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, b)
	}
	if o.Seen = string(b); o.Seen != "" {
		c.Memory = o.Seen
	}
	return nil
}

// check asks of what clients saw that nobody got a job while its lease lasted, or after
// it was done. A lease began after the call that got it, and a job was handed out again
// before the other call returned; so no delay can make this wrong. A clock of the queue
// that jumps or goes faster than true time could, and no fault here touches clocks.
func check(history []linearizability.Op) string {
	taken, over := map[string]linearizability.Op{}, map[string]linearizability.Op{}
	for _, o := range history { // in the order in which they returned
		if o.Outcome != linearizability.OK {
			continue
		}
		if o.Kind == done {
			over[o.Value] = o
		}
		if o.Kind != take || o.Seen == "" {
			continue
		}
		if was, ok := over[o.Seen]; ok && o.Call > was.Return {
			return fmt.Sprintf("a job is done twice: client %d got %s at %.3f s, done at %.3f s", o.Client, o.Seen, o.Return.Seconds(), was.Return.Seconds())
		}
		if was, ok := taken[o.Seen]; ok && o.Return < was.Call+queue.Lease {
			return fmt.Sprintf("two work on one job: client %d got %s at %.3f s, and client %d had it since %.3f s",
				o.Client, o.Seen, o.Return.Seconds(), was.Client, was.Return.Seconds())
		}
		taken[o.Seen] = o
	}
	return ""
}

func TestTheBugOfTheQueueIsFoundAndMadeSmall(t *testing.T) {
	f, err := systems().Find(t.Context(), "queue", harness.Search{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if f == nil {
		t.Fatal("nothing was found in a hundred cases")
	}
	t.Log(f)
	if n := len(f.Smallest.Case.Faults); n != 1 || !strings.HasPrefix(f.Smallest.Problem, "two work on one job") {
		t.Errorf("it takes %d faults, one is enough: %s", n, f.Smallest.Problem)
	}
}

func TestTheCaseThatWasFoundStillFails(t *testing.T) {
	c, err := harness.Load("testdata/restart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := systems().Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r.Problem, "two work on one job") {
		t.Errorf("found: %q", r.Problem)
	}
	c.Faults = nil
	if r, err = systems().Run(t.Context(), c); err != nil || r.Problem != "" {
		t.Errorf("without faults: %q, %v", r.Problem, err)
	}
}
