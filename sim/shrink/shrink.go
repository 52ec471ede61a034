// Package shrink makes a case that fails smaller, as long as it still fails.
//
// What a case is, it does not know: somebody lists, for a case, smaller ones that
// are worth a try, the boldest first. The first of them that still fails is taken,
// and the search begins again from there, until none fails: then the case is
// minimal with respect to that list (Zeller, Hildebrandt: Simplifying and Isolating
// Failure-Inducing Input, TSE 2002; MacIver, Donaldson: Test-Case Reduction via
// Test-Case Generation, ECOOP 2020, whose passes over one list of reductions this
// follows).
package shrink

import (
	"context"
	"sync"
	"time"
)

// Candidate is a smaller case to try.
type Candidate[C any] struct {
	Case C
	// What says in a few words what is smaller: "without the partition at 12 s".
	What string
}

// Options say how to shrink.
type Options[C any] struct {
	// Candidates lists smaller cases, the boldest first.
	Candidates func(C) []Candidate[C]
	// Fails reports whether a case fails in the way that is wanted. It is called
	// by several goroutines at once. An error ends the search.
	Fails func(context.Context, C) (bool, error)
	// Key is equal for cases that are equal: none is tried twice.
	Key func(C) string
	// Parallel is how many candidates are tried side by side; 0: one.
	Parallel int
	// Tried is told of every candidate that was tried and mattered, in order; it
	// may be nil.
	Tried func(c Candidate[C], fails bool)
}

// Smallest returns the smallest case that it finds before the context ends: its end
// is no error. It trusts that start fails. Which case it returns, given time, does
// not depend on Parallel.
func Smallest[C any](ctx context.Context, start C, o Options[C]) (C, error) {
	best := start
	tried := map[string]bool{o.Key(start): true}
	// A candidate's place in the list is kept over rounds: after one was taken,
	// those before it have mostly been tried in vain, so the search goes on from
	// there and comes back to the beginning once at the end.
	at, vain := 0, 0
	for ctx.Err() == nil {
		all := o.Candidates(best)
		if len(all) == 0 || vain >= len(all) {
			return best, nil
		}
		at %= len(all)
		batch, passed := fresh(all, at, len(all)-vain, max(o.Parallel, 1), tried, o.Key)
		taken, err := firstThatFails(ctx, batch, o)
		if err != nil || ctx.Err() != nil {
			if ctx.Err() != nil {
				err = nil
			}
			return best, err
		}
		last := len(batch) - 1
		if taken >= 0 {
			last = taken
		}
		for _, p := range batch[:last+1] {
			tried[o.Key(p.Case)] = true
			if o.Tried != nil {
				o.Tried(p.Candidate, taken >= 0 && p.at == batch[taken].at)
			}
		}
		if taken >= 0 {
			best, at, vain = batch[taken].Case, batch[taken].at, 0
			continue
		}
		at, vain = at+passed, vain+passed
	}
	return best, nil
}

type placed[C any] struct {
	Candidate[C]
	at int
}

// fresh takes up to most candidates from a place on that were not tried, within a
// limit, and returns how many candidates it passed.
func fresh[C any](all []Candidate[C], from, limit, most int, tried map[string]bool, key func(C) string) (batch []placed[C], passed int) {
	for passed < limit && len(batch) < most {
		at := (from + passed) % len(all)
		passed++
		if !tried[key(all[at].Case)] {
			batch = append(batch, placed[C]{all[at], at})
		}
	}
	return batch, passed
}

// firstThatFails tries the candidates side by side and returns the first in their
// order that fails, -1 if none does.
func firstThatFails[C any](ctx context.Context, batch []placed[C], o Options[C]) (int, error) {
	// Who comes after one that fails is not needed any more.
	runs := make([]context.CancelFunc, len(batch))
	contexts := make([]context.Context, len(batch))
	for i := range batch {
		contexts[i], runs[i] = context.WithCancel(ctx)
		defer runs[i]()
	}
	fails, errs := make([]bool, len(batch)), make([]error, len(batch))
	var wait sync.WaitGroup
	for i, c := range batch {
		wait.Go(func() {
			if fails[i], errs[i] = o.Fails(contexts[i], c.Case); fails[i] {
				for _, stop := range runs[i+1:] {
					stop()
				}
			}
		})
	}
	wait.Wait()
	for i := range batch {
		if errs[i] != nil {
			return -1, errs[i]
		}
		if fails[i] {
			return i, nil
		}
	}
	return -1, nil
}

// Without lists what is left of a list when parts of it are taken out: all of it,
// halves, quarters, down to single elements, each list in the order of Zeller and
// Hildebrandt's ddmin.
func Without[E any](list []E) [][]E {
	var all [][]E
	for size := len(list); size > 0; size /= 2 {
		for from := 0; from < len(list); from += size {
			to := min(from+size, len(list))
			rest := make([]E, 0, len(list)-(to-from))
			rest = append(append(rest, list[:from]...), list[to:]...)
			all = append(all, rest)
		}
	}
	return all
}

// Seeds lists so many seeds, each once: first the case's own, and then the least. A case
// in which much happens is chaotic: what has nothing to do with a failure makes it come
// or not, so a smaller case is not in vain because it does not fail with one seed.
func Seeds(own uint64, n int) []uint64 {
	all := []uint64{own}
	for seed := uint64(1); len(all) < n; seed++ {
		if seed != own {
			all = append(all, seed)
		}
	}
	return all
}

// Shorter lists times that are shorter than one, in whole seconds and not below the
// least: a quarter, half, three quarters and nine tenths of it.
func Shorter(d, least time.Duration) []time.Duration {
	var all []time.Duration
	for _, part := range []time.Duration{d / 4, d / 2, d * 3 / 4, d * 9 / 10} {
		if part = part.Round(time.Second); part >= least && part < d {
			all = append(all, part)
		}
	}
	return all
}
