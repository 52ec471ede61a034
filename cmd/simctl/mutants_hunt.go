package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"tribune/scenarios"
	"tribune/sim/explore"
	"tribune/sim/launch"
	"tribune/sim/mutants"
)

// hunt is what becomes of the mutants that are wanted.
type hunt struct {
	options mutantsOptions
	kept    mutants.Rates // what was measured before
	wanted  []mutants.Mutant
	files   map[string]scenarios.Scenario
	width   int // how many runs of one mutant go side by side
	storms  *storms
	table   *huntTable

	measured mutants.Rates // kept, and what is measured now

	mu      sync.Mutex // guards without
	without map[trialKey]func() (mutants.Trial, error)
}

// trialKey names a run of the agent without a bug.
type trialKey struct {
	file string
	seed uint64
}

// catch is what became of one mutant.
type catch struct {
	mutant mutants.Mutant
	trials []mutants.Trial // in the order of the seeds; without -rate up to the first that is caught
	alarms []uint64        // seeds that fail without the bug too
	rate   mutants.Rate
	halved bool
	err    error
}

// ok reports whether all is as the mutant's list says.
func (c catch) ok() bool {
	return c.err == nil && len(c.alarms) == 0 && !c.halved && (c.rate.Caught > 0 || c.mutant.Escapes != "")
}

func newHunt(o mutantsOptions, kept mutants.Rates, wanted []mutants.Mutant, files map[string]scenarios.Scenario) *hunt {
	h := &hunt{options: o, kept: kept, measured: kept, wanted: wanted, files: files, without: map[trialKey]func() (mutants.Trial, error){}}
	h.width = max(1, o.parallel/len(wanted))
	h.table = newHuntTable(o, kept, len(wanted))
	h.storms = &storms{from: files[stormFile], bound: uint64(o.bound), parallel: h.width, ran: h.table.ran}
	return h
}

func (h *hunt) run(ctx context.Context) error {
	h.table.head()
	results := make([]chan catch, len(h.wanted))
	for i := range results {
		results[i] = make(chan catch, 1)
	}
	var wait sync.WaitGroup
	var next atomic.Int64
	for range min(h.options.parallel, len(h.wanted)) {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(results)); i = next.Add(1) - 1 {
				results[i] <- h.one(ctx, h.wanted[i])
			}
		})
	}
	var all []catch
	var failed error
	for _, result := range results {
		c := <-result
		if all = append(all, c); ctx.Err() == nil {
			h.table.row(c)
			failed = errors.Join(failed, h.keep(c))
		}
	}
	wait.Wait()
	if err := errors.Join(ctx.Err(), failed); err != nil {
		return err
	}
	if !h.table.summary(all) {
		return errFailed
	}
	return nil
}

// keep writes what was measured of a mutant into the file, if that is wanted: at once, for a
// hunt is long and may be interrupted.
func (h *hunt) keep(c catch) error {
	if !h.options.update || c.err != nil || len(c.alarms) > 0 {
		return nil
	}
	if h.options.rate > 0 {
		h.measured = h.measured.With(c.rate)
		h.measured.Command, h.measured.Machine = h.options.command(), machine()
	}
	h.measured = h.measured.WithFirst(c.mutant, c.trials)
	return h.measured.WriteFile(h.options.rates)
}

// one hunts a mutant.
func (h *hunt) one(ctx context.Context, m mutants.Mutant) catch {
	c := catch{mutant: m, err: ctx.Err()}
	if c.err != nil {
		return c
	}
	h.table.begin(m.Name)
	defer h.table.end(m.Name)
	binary, err := mutated(m.Name)
	if err != nil {
		c.err = err
		return c
	}
	last := h.options.rate
	if last == 0 {
		last = m.MaxSeeds
	}
	c.err = h.seeds(ctx, &c, binary, last)
	c.rate = mutants.NewRate(m, c.trials)
	if h.options.plain && c.err == nil {
		c.rate.Plain, c.err = h.storms.hunt(ctx, binary, nil)
	}
	if h.options.guided && c.err == nil {
		var corpus []explore.Run[stormCase]
		if corpus, c.err = h.storms.corpus(ctx); c.err == nil {
			c.rate.Guided, c.err = h.storms.hunt(ctx, binary, corpus)
		}
	}
	if kept, known := h.kept.Of(m.Name); known && !h.options.update && h.options.rate > 0 {
		c.halved = mutants.Halved(kept, c.rate)
	}
	return c
}

// seeds runs a mutant's scenario with seeds, to the first that catches it or, if
// rates are wanted, all. Those that run side by side are looked at in their order,
// so how many they are changes nothing.
func (h *hunt) seeds(ctx context.Context, c *catch, binary string, last int) error {
	for first := 1; first <= last; first += h.width {
		wave := make([]mutants.Trial, min(h.width, last-first+1))
		alarms := make([]bool, len(wave))
		errs := make([]error, len(wave))
		var wait sync.WaitGroup
		for i := range wave {
			wait.Go(func() {
				seed := uint64(first + i)
				if wave[i], errs[i] = h.trial(ctx, binary, c.mutant.Scenario, seed); errs[i] != nil {
					return
				}
				var plain mutants.Trial
				plain, errs[i] = h.innocent(ctx, c.mutant.Scenario, seed)
				alarms[i] = len(plain.Checks) > 0
			})
		}
		wait.Wait()
		for i, t := range wave {
			if errs[i] != nil {
				return fmt.Errorf("seed %d: %w", first+i, errs[i])
			}
			if alarms[i] {
				c.alarms = append(c.alarms, uint64(first+i))
				t.Checks = nil
			}
			c.trials = append(c.trials, t)
			if len(t.Checks) > 0 && h.options.rate == 0 {
				return nil
			}
		}
	}
	return nil
}

// trial runs a scenario with a seed. A run that dies has failed, too.
func (h *hunt) trial(ctx context.Context, binary, file string, seed uint64) (mutants.Trial, error) {
	r, err := scenarios.Run(ctx, binary, scenarios.Order{Scenario: h.files[file], Seed: seed}, launch.Perturb{}, scenarios.Listener{})
	h.table.ran(r.Virtual)
	t := trialOf(r)
	if died := (*scenarios.Death)(nil); errors.As(err, &died) && ctx.Err() == nil {
		t.Checks, err = append(t.Checks, scenarios.RunCheck), nil
	}
	return t, err
}

func trialOf(r scenarios.Result) mutants.Trial {
	t := mutants.Trial{Virtual: r.Virtual}
	for _, v := range r.Verdicts {
		if !v.OK {
			t.Checks = append(t.Checks, v.Check)
		}
	}
	return t
}

// innocent runs a scenario without a bug: once for all mutants that share it.
func (h *hunt) innocent(ctx context.Context, file string, seed uint64) (mutants.Trial, error) {
	key := trialKey{file, seed}
	h.mu.Lock()
	run, known := h.without[key]
	if !known {
		run = sync.OnceValues(func() (mutants.Trial, error) { return h.trial(ctx, "", file, seed) })
		h.without[key] = run
	}
	h.mu.Unlock()
	return run()
}
