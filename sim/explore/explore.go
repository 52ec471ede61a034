package explore

import (
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
)

// Subject is what is explored. Run is called by several goroutines at once, the
// other methods by one.
type Subject[C any] interface {
	// Fresh draws the case of a number from nothing else.
	Fresh(number uint64) C
	// Vary draws a case that is like parent, with something of other, which may be
	// the same.
	Vary(number uint64, parent, other C) C
	// Run runs a case. An error is not a failure of the case: it ends the
	// exploration.
	Run(ctx context.Context, c C) (Outcome, error)
}

// Outcome is what came of running a case.
type Outcome struct {
	// Features are what the run reached, each once.
	Features []string
	// Seen is a set of what is too fine to have names, such as sequences of turns: bits,
	// by a hash that is the same in all runs. It may be nil. It is counted, and guides
	// nothing: see the package's comment.
	Seen []byte
	// Failure says what failed, alike for failures that are alike; "" if nothing did.
	Failure string
	// Fingerprint is equal for runs that are equal.
	Fingerprint string
}

// Options say how to explore. The zero value runs one case at a time, plainly,
// until the context ends.
type Options struct {
	First, Last uint64 // numbers of the cases; Last 0: without end
	Parallel    int    // how many run side by side; 0: one
	// Unguided draws every case afresh.
	Unguided bool
	// Again runs the first case and every so-manieth twice, and holds the fingerprints
	// against each other: an exploration of runs that do not repeat finds nothing. 0: none.
	Again uint64
	// KeepGoing goes on after a failure.
	KeepGoing bool
}

// Run is a case that was run.
type Run[C any] struct {
	Number  uint64
	Case    C
	Varied  bool // from a case of the corpus, and not drawn afresh
	Outcome Outcome
	// New are the features that no earlier case reached.
	New []string
	// Novel is how many bits of Outcome.Seen no earlier case had.
	Novel int
	// Kept says that the case became part of the corpus.
	Kept bool
	// Differs says that the case was run twice, with different fingerprints.
	Differs bool
}

// Explorer is an exploration that goes on or has ended.
type Explorer[C any] struct {
	subject Subject[C]
	options Options
	told    func(Run[C])

	corpus []entry[C]
	hits   map[string]int // cases that reached a feature
	seen   []byte         // by all cases
}

type entry[C any] struct {
	c        C
	features []string
}

// perRound is how many cases are drawn before what came of them is looked at. It
// is not the number that run side by side, since an exploration must not depend
// on that.
const perRound = 16

// freshOf is how many cases of so many are drawn afresh when there is a corpus.
const freshOf = 3

// New returns an exploration that tells of every run, in the order of the numbers,
// on the goroutine that calls Explore.
func New[C any](s Subject[C], o Options, told func(Run[C])) *Explorer[C] {
	o.Parallel = max(o.Parallel, 1)
	return &Explorer[C]{subject: s, options: o, told: told, hits: map[string]int{}}
}

// Add puts a case into the corpus that reached the features in an earlier
// exploration.
func (e *Explorer[C]) Add(c C, features []string) {
	e.corpus = append(e.corpus, entry[C]{c, features})
	for _, f := range features {
		e.hits[f]++
	}
}

// Reached lists the features that were reached, sorted, and in how many cases each.
func (e *Explorer[C]) Reached() ([]string, map[string]int) {
	names := make([]string, 0, len(e.hits))
	for f := range e.hits {
		names = append(names, f)
	}
	slices.Sort(names)
	return names, e.hits
}

// Explore draws and runs cases until there are no more numbers, a case failed
// (unless told to keep going), a run differed from itself, or the context ended.
// The context's end is no error, and the runs that it cut off are not told of.
func (e *Explorer[C]) Explore(ctx context.Context) error {
	for number := e.options.First; ctx.Err() == nil && (e.options.Last == 0 || number <= e.options.Last); {
		round := e.draw(number)
		number += uint64(len(round))
		if over, err := e.runAll(ctx, round); over || err != nil {
			return err
		}
	}
	return nil
}

// draw draws the cases of a round.
func (e *Explorer[C]) draw(number uint64) []*Run[C] {
	var round []*Run[C]
	for ; len(round) < perRound && (e.options.Last == 0 || number <= e.options.Last); number++ {
		r := &Run[C]{Number: number}
		draws := rand.New(rand.NewPCG(number, uint64(len(e.corpus))))
		if e.options.Unguided || len(e.corpus) == 0 || draws.IntN(freshOf) == 0 {
			r.Case = e.subject.Fresh(number)
		} else {
			r.Varied = true
			r.Case = e.subject.Vary(number, e.choose(draws), e.choose(draws))
		}
		round = append(round, r)
	}
	return round
}

// choose draws a case of the corpus: the rarer what it reached, the likelier.
func (e *Explorer[C]) choose(draws *rand.Rand) C {
	weights := make([]float64, len(e.corpus))
	var total float64
	for i, c := range e.corpus {
		for _, f := range c.features {
			weights[i] += 1 / float64(e.hits[f])
		}
		total += weights[i]
	}
	at := draws.Float64() * total
	for i, w := range weights {
		if at -= w; at < 0 {
			return e.corpus[i].c
		}
	}
	return e.corpus[len(e.corpus)-1].c
}

// runAll runs the cases of a round, so many side by side, and learns of each once
// those before it are done. It reports whether the exploration is over; then the
// cases that still run are cut off.
func (e *Explorer[C]) runAll(ctx context.Context, round []*Run[C]) (over bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make([]chan error, len(round))
	for i := range done {
		done[i] = make(chan error, 1)
	}
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	wait.Go(func() {
		free := make(chan struct{}, e.options.Parallel)
		for i, r := range round {
			select {
			case free <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wait.Go(func() {
				done[i] <- e.runOne(ctx, r)
				<-free
			})
		}
	})
	for i, r := range round {
		select {
		case err = <-done[i]:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return true, nil
		}
		if err != nil {
			return true, fmt.Errorf("case %d: %w", r.Number, err)
		}
		if e.learn(r); (r.Outcome.Failure != "" && !e.options.KeepGoing) || r.Differs {
			return true, nil
		}
	}
	return false, nil
}

func (e *Explorer[C]) runOne(ctx context.Context, r *Run[C]) error {
	var err error
	if r.Outcome, err = e.subject.Run(ctx, r.Case); err != nil {
		return err
	}
	if n := e.options.Again; n == 0 || r.Number != e.options.First && r.Number%n != 0 {
		return nil
	}
	again, err := e.subject.Run(ctx, r.Case)
	r.Differs = err == nil && again.Fingerprint != r.Outcome.Fingerprint
	return err
}

// learn takes what came of a run into the corpus, and tells of it.
func (e *Explorer[C]) learn(r *Run[C]) {
	for _, f := range r.Outcome.Features {
		if e.hits[f] == 0 {
			r.New = append(r.New, f)
		}
		e.hits[f]++
	}
	e.seen, r.Novel = join(e.seen, r.Outcome.Seen)
	if r.Kept = len(r.New) > 0 && r.Outcome.Failure == ""; r.Kept {
		e.corpus = append(e.corpus, entry[C]{r.Case, r.Outcome.Features})
	}
	e.told(*r)
}

// join adds a set to another, which it changes, and returns how many bits are new.
func join(to, set []byte) (union []byte, added int) {
	if len(to) < len(set) {
		to = append(to, make([]byte, len(set)-len(to))...)
	}
	for i, b := range set {
		added += bits.OnesCount8(b &^ to[i])
		to[i] |= b
	}
	return to, added
}

// Seen is how many bits all cases together have seen.
func (e *Explorer[C]) Seen() int {
	n := 0
	for _, b := range e.seen {
		n += bits.OnesCount8(b)
	}
	return n
}
