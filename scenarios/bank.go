package scenarios

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/sim"
	"tribune/sim/trace"
)

const (
	accounts    = 3 // of a bank; money goes from one to another of the same bank
	banks       = 4
	tellerEvery = 250 * time.Millisecond
	firstTeller = 2000 // the number of the first of them in histories
)

// teller is a client that moves money between the accounts of a bank, with
// transactions. An account without an entry holds nothing, others may owe: the sum
// over a bank's accounts is always nothing.
type teller struct {
	*client
	known map[string]account // as it was last read
}

// account is what an entry says: an amount, and who wrote it, so that no two
// entries are alike.
type account struct {
	amount int
	index  uint64 // 0: there is no entry
}

// tell is the program of a teller's node.
func (r *run) tell(number int, name string) sim.Program {
	return func(ctx context.Context, h host.Host, _ *slog.Logger) error {
		c, err := r.newClient(number, name, h.Network(), r.timeout())
		if err != nil {
			return err
		}
		t := &teller{c, map[string]account{}}
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(tellerEvery/2 + time.Duration(t.draws.Int64N(int64(tellerEvery)))):
			}
			t.turn(ctx)
		}
	}
}

// bankAccounts are the keys of a bank, in an order that is drawn.
func bankAccounts(bank int, draws *rand.Rand) []string {
	keys := make([]string, accounts)
	for i := range keys {
		keys[i] = fmt.Sprintf("bank%d/%c", bank, 'a'+i)
	}
	draws.Shuffle(accounts, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys
}

// turn reads a bank and moves money. One time in four it goes by what it has read
// before, and then somebody may have been faster.
func (t *teller) turn(ctx context.Context) {
	keys := bankAccounts(t.draws.IntN(banks), t.draws)
	_, seen := t.known[keys[0]]
	if !seen || t.draws.IntN(4) > 0 {
		if !t.audit(ctx, keys) {
			return
		}
	}
	t.transact(ctx, t.transfer(keys))
}

// audit reads all accounts of a bank at once.
func (t *teller) audit(ctx context.Context, keys []string) bool {
	var steps []linearizability.Step
	for _, key := range keys {
		steps = append(steps, linearizability.Step{Verb: linearizability.StepGetOrEmpty, Key: key})
	}
	o := t.transact(ctx, steps)
	if o.Outcome != linearizability.OK || !o.Done {
		return false
	}
	t.count(o.Steps)
	return true
}

// count takes note of what was read of all accounts of a bank, which sums up to
// nothing.
func (t *teller) count(steps []linearizability.Step) {
	sum := 0
	for _, s := range steps {
		a := account{amount: amount(s.Seen), index: s.SeenAt}
		t.known[s.Key] = a
		sum += a.amount
	}
	if sum != 0 {
		t.run.world.Violate("sum of accounts", "%s finds %d in %v", t.name, sum, steps)
	}
}

// amount reads what an entry says.
func amount(text string) int {
	digits, _, _ := strings.Cut(text, " ")
	n, _ := strconv.Atoi(digits) // no entry: nothing
	return n
}

// transfer returns the steps of a transfer from the first account to the second;
// the third is looked at. What an account must be like is said in every way there
// is.
func (t *teller) transfer(keys []string) []linearizability.Step {
	t.writes++
	sum := 1 + t.draws.IntN(3)
	from := t.put(keys[0], t.known[keys[0]].amount-sum)
	to := t.put(keys[1], t.known[keys[1]].amount+sum)
	third := linearizability.Step{Verb: linearizability.StepGetOrEmpty, Key: keys[2]}
	if a := t.known[keys[2]]; t.draws.IntN(3) == 0 {
		third.Verb, third.Index = linearizability.StepCheckIndex, a.index
		if a.index == 0 {
			third.Verb = linearizability.StepCheckNotExists
		}
	}
	return append(append(from, to...), third)
}

// put are the steps that replace what is known of an account.
func (t *teller) put(key string, amount int) []linearizability.Step {
	old := t.known[key]
	write := linearizability.Step{Verb: linearizability.StepSet, Key: key, Value: fmt.Sprintf("%d %s-%d", amount, t.name, t.writes)}
	if amount == 0 {
		write = linearizability.Step{Verb: linearizability.StepDelete, Key: key}
	}
	switch {
	case old.index == 0:
		return []linearizability.Step{{Verb: linearizability.StepCheckNotExists, Key: key}, write}
	case t.draws.IntN(2) == 0:
		return []linearizability.Step{{Verb: linearizability.StepCheckIndex, Key: key, Index: old.index}, write}
	case amount == 0:
		// A delete-cas of what is gone is done, so that it needs to be said that
		// it is there.
		return []linearizability.Step{{Verb: linearizability.StepGet, Key: key}, {Verb: linearizability.StepDeleteCAS, Key: key, Index: old.index}}
	}
	write.Verb, write.Index = linearizability.StepCAS, old.index
	return []linearizability.Step{write}
}

// transact carries out a transaction and adds it to the history.
func (t *teller) transact(ctx context.Context, steps []linearizability.Step) linearizability.Txn {
	w, server := t.run.world, t.agents[t.at]
	o := linearizability.Txn{Client: t.number, Steps: steps, Call: w.Now()}
	w.Recordf(trace.Op, t.name, server, "txn %v", steps)
	ctx, cancel := context.WithTimeout(ctx, t.run.timeout())
	err := t.ask(ctx, &o)
	cancel()
	o.Return, o.Outcome = w.Now(), linearizability.OK
	if err != nil {
		o.Error, o.Outcome = err.Error(), linearizability.Unknown
		if untouched(err) {
			o.Outcome = linearizability.Failed
		}
		t.at = t.draws.IntN(len(t.servers))
	}
	w.Recordf(trace.Op, t.name, server, "txn returns %s done=%t %v %s", o.Outcome, o.Done, o.Steps, o.Error)
	t.run.transactions = append(t.run.transactions, o)
	return o
}

// ask sends a transaction and fills in the answer.
func (t *teller) ask(ctx context.Context, o *linearizability.Txn) error {
	var ops api.TxnOps
	for _, s := range o.Steps {
		ops = append(ops, &api.TxnOp{KV: &api.KVTxnOp{Verb: api.KVOp(s.Verb), Key: s.Key, Value: []byte(s.Value), Index: s.Index}})
	}
	// Only a transaction that reads and nothing else takes notice of the mode.
	done, a, _, err := t.servers[t.at].Txn().Txn(ops, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	if err != nil {
		return err
	}
	o.Done = done
	if !done {
		if len(a.Errors) == 0 {
			return t.wrong("the transaction was refused, and no step failed")
		}
		return nil
	}
	o.Steps = slices.Clone(o.Steps)
	results := a.Results
	for i := range o.Steps {
		s := &o.Steps[i]
		if s.Verb == linearizability.StepDelete || s.Verb == linearizability.StepDeleteCAS || s.Verb == linearizability.StepCheckNotExists {
			continue // no result
		}
		if len(results) == 0 || results[0].KV == nil || results[0].KV.Key != s.Key {
			return t.wrong("the answer has no result for step %d, %s %s", i, s.Verb, s.Key)
		}
		found := results[0].KV
		results = results[1:]
		s.SeenAt = found.ModifyIndex
		if s.Verb == linearizability.StepGet || s.Verb == linearizability.StepGetOrEmpty {
			s.Found, s.Seen = found.ModifyIndex != 0, string(found.Value)
		}
	}
	return nil
}

// wrong complains about an answer that fits no transaction, and is the error of who got it.
func (t *teller) wrong(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	t.run.world.Violate("answers to transactions", "%s: %v", t.name, err)
	return err
}

// startTellers starts the tellers, if the scenario has any, and returns their
// nodes.
func (r *run) startTellers() []*sim.Node {
	var nodes []*sim.Node
	if r.plan.Scenario.Workload.Tellers > 0 {
		r.transactions = []linearizability.Txn{}
	}
	for i := range r.plan.Scenario.Workload.Tellers {
		n := r.world.AddNode(sim.NodeConfig{Name: fmt.Sprintf("t%d", i+1), Addrs: address(8, i+1)})
		n.Start(r.tell(firstTeller+i, n.Name()))
		nodes = append(nodes, n)
	}
	return nodes
}

// auditAll reads all banks once more when all is over, so that what was lost is
// missed.
func (c *client) auditAll(ctx context.Context) error {
	if c.run.plan.Scenario.Workload.Tellers == 0 {
		return nil
	}
	t := &teller{c, map[string]account{}}
	for bank := range banks {
		keys := bankAccounts(bank, c.draws)
		read := false
		for try := 0; try < readTries && !read; try++ {
			if read = t.audit(ctx, keys); !read {
				time.Sleep(readPause)
			}
		}
		if !read {
			return fmt.Errorf("bank %d cannot be read", bank)
		}
	}
	return nil
}
