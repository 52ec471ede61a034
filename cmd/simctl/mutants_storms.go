package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tribune/scenarios"
	"tribune/scenarios/search"
	"tribune/sim/explore"
	"tribune/sim/mutants"
)

// storms hunts mutants with storms, which know nothing of them.
type storms struct {
	from     scenarios.Scenario
	bound    uint64 // how many are run at most
	parallel int
	ran      func(virtual time.Duration)

	once   sync.Once // for what follows
	kept   []explore.Run[stormCase]
	failed error
}

// corpus explores storms without a bug, in as many runs as each mutant then gets,
// and returns those that reached something new. It does so once for all mutants.
func (s *storms) corpus(ctx context.Context) ([]explore.Run[stormCase], error) {
	s.once.Do(func() { s.failed = s.explore(ctx, s.subject("")) })
	return s.kept, s.failed
}

// explore keeps what reached something new. An exploration of runs that do not repeat says
// nothing of mutants, and is an error.
func (s *storms) explore(ctx context.Context, subject explore.Subject[stormCase]) (err error) {
	const twice = 50 // the first case, and one in so many
	options := explore.Options{First: 1, Last: s.bound, Parallel: s.parallel, KeepGoing: true, Again: twice}
	e := explore.New(subject, options, func(r explore.Run[stormCase]) {
		switch {
		case r.Differs:
			err = fmt.Errorf("a bug of the harness itself: one case gave two different runs, seed %d", r.Case.Seed)
		case len(r.New) > 0 && r.Outcome.Failure == "":
			s.kept = append(s.kept, r)
		}
	})
	ended := e.Explore(ctx)
	return errors.Join(err, ended, ctx.Err())
}

// hunt runs storms with a mutant to the first that catches it: guided by a corpus
// or, if there is none, each drawn afresh.
func (s *storms) hunt(ctx context.Context, binary string, corpus []explore.Run[stormCase]) (*mutants.Found, error) {
	found := &mutants.Found{Runs: int(s.bound)}
	var virtual time.Duration
	subject := s.subject(binary)
	e := explore.New(subject, explore.Options{First: 1, Last: s.bound, Parallel: s.parallel, Unguided: corpus == nil}, func(r explore.Run[stormCase]) {
		t := subject.trial(r.Number)
		virtual += t.Virtual
		if r.Outcome.Failure != "" {
			check := r.Outcome.Failure // of a run that came to no result
			if len(t.Checks) > 0 {
				check = t.Checks[0]
			}
			found.Run, found.Check, found.Virtual = int(r.Number), check, virtual.Round(time.Second).String()
		}
	})
	for _, r := range corpus {
		e.Add(r.Case, r.Outcome.Features)
	}
	return found, errors.Join(e.Explore(ctx), ctx.Err())
}

func (s *storms) subject(binary string) *stormSubject {
	return &stormSubject{inner: search.Subject{From: s.from, Binary: binary}, ran: s.ran, trials: map[uint64]mutants.Trial{}}
}

// stormCase is a storm that knows its number.
type stormCase struct {
	number uint64
	scenarios.Scenario
}

// stormSubject is search.Subject for storms of which the first that fails is
// wanted, and counts only if it passes without the bug.
type stormSubject struct {
	inner search.Subject
	ran   func(virtual time.Duration)

	mu     sync.Mutex
	failed []uint64 // numbers of those that did
	trials map[uint64]mutants.Trial
}

var _ explore.Subject[stormCase] = (*stormSubject)(nil)

// Fresh implements explore.Subject.
func (s *stormSubject) Fresh(number uint64) stormCase {
	return stormCase{number, s.inner.Fresh(number)}
}

// Vary implements explore.Subject.
func (s *stormSubject) Vary(number uint64, parent, other stormCase) stormCase {
	return stormCase{number, s.inner.Vary(number, parent.Scenario, other.Scenario)}
}

// Run implements explore.Subject. It leaves those out that come after one that
// failed: nobody looks at them any more.
func (s *stormSubject) Run(ctx context.Context, c stormCase) (explore.Outcome, error) {
	s.mu.Lock()
	late := slices.ContainsFunc(s.failed, func(number uint64) bool { return number < c.number })
	s.mu.Unlock()
	if late {
		return explore.Outcome{}, nil
	}
	outcome, t, err := s.run(ctx, s.inner, c)
	if err != nil {
		return explore.Outcome{}, err
	}
	if outcome.Failure != "" && s.inner.Binary != "" {
		innocent, _, err := s.run(ctx, search.Subject{From: s.inner.From}, c)
		if err != nil {
			return explore.Outcome{}, err
		}
		if innocent.Failure != "" {
			outcome.Failure, t.Checks = "", nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trials[c.number] = t
	if outcome.Failure != "" && s.inner.Binary != "" {
		s.failed = append(s.failed, c.number)
	}
	return outcome, nil
}

// trial is what came of a case.
func (s *stormSubject) trial(number uint64) mutants.Trial {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trials[number]
}

func (s *stormSubject) run(ctx context.Context, subject search.Subject, c stormCase) (explore.Outcome, mutants.Trial, error) {
	var t mutants.Trial
	subject.Judged = func(_ scenarios.Scenario, r scenarios.Result) { t = trialOf(r) }
	outcome, err := subject.Run(ctx, c.Scenario)
	s.ran(t.Virtual)
	return outcome, t, err
}
