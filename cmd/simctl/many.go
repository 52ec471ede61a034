package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tribune/page"
	"tribune/scenarios"
	"tribune/scenarios/report"
	"tribune/sim/launch"
	"tribune/sim/mutants"
)

// job is one run that is wanted.
type job struct {
	scenario scenarios.Scenario
	file     string
	seed     uint64
}

// many makes many runs side by side, and tells only of those that fail.
type many struct {
	options runOptions
	jobs    []job
	begun   time.Time

	printing sync.Mutex // held while a run is made again for its report, before mu
	line     *status

	mu      sync.Mutex       // for what follows
	judged  []*report.Judged // of each job; nil: not run
	done    int
	failed  int
	virtual time.Duration
}

// run makes the runs and returns what came of those that were made before the context
// ended, in the order of the jobs.
func (m *many) run(ctx context.Context, jobs []job) ([]report.Judged, error) {
	m.jobs, m.begun, m.judged, m.line = jobs, time.Now(), make([]*report.Judged, len(jobs)), newStatus(time.Second/5, 30*time.Second)
	fmt.Printf("%d runs, %d side by side\n", len(m.jobs), m.options.parallel)
	var wait sync.WaitGroup
	var next atomic.Int64
	for range min(m.options.parallel, len(m.jobs)) {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(m.jobs)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				m.one(ctx, int(i))
			}
		})
	}
	wait.Wait()
	m.summary()
	var all []report.Judged
	for _, j := range m.judged {
		if j != nil {
			all = append(all, *j)
		}
	}
	return all, ctx.Err()
}

// one makes a run without a trace, which only those that fail need: they are made again.
func (m *many) one(ctx context.Context, i int) {
	j := m.jobs[i]
	order := scenarios.Order{Scenario: j.scenario, Seed: j.seed, Verbose: m.options.verbose}
	begin := time.Now()
	r, err := scenarios.Run(ctx, m.options.binary, order, launch.Perturb{}, scenarios.Listener{})
	if ctx.Err() != nil {
		return
	}
	judged := report.Judge(report.Run{
		Made: report.Made{Order: order, Mutant: m.options.mutant}, Plan: scenarios.NewPlan(j.scenario, j.seed), File: j.file, Result: r, Took: time.Since(begin), Flags: m.options.flags(),
	}, "", err)
	failed := err != nil || !judged.OK
	if failed {
		judged = m.again(ctx, j, judged)
	}
	m.mu.Lock()
	m.done++
	m.virtual += r.Virtual
	if failed {
		m.failed++
	}
	m.judged[i] = &judged
	m.mu.Unlock()
	if m.printing.TryLock() { // or others are told of a run
		defer m.printing.Unlock()
		m.line.show(m.progress)
	}
}

// again makes a run that failed once more, for its report, while others go on.
func (m *many) again(ctx context.Context, j job, judged report.Judged) report.Judged {
	m.printing.Lock()
	defer m.printing.Unlock()
	m.line.clear()
	again, err := runOne(ctx, m.options, j.scenario, j.seed, j.file)
	judged, more := repeated(judged, again, cmp.Or(ctx.Err(), err))
	fmt.Print(more)
	return judged
}

// repeated is what to keep of a run that failed and of the same made again for its report,
// which has printed what came of it, and what there is to print besides. The error is that
// of the second run.
func repeated(first, again report.Judged, err error) (keep report.Judged, more string) {
	if died := (*scenarios.Death)(nil); err != nil && !errors.As(err, &died) && again.Unreported == "" {
		return first, fmt.Sprintf("  FAILED %s\n  it was not made again for its report: %v\n", complaint(first), err)
	}
	again.OK = false
	if again.Unreported != "" {
		more = fmt.Sprintf("  FAILED the report: %s\n", again.Unreported)
	}
	if again.Fingerprint != first.Fingerprint || (again.Error == "") != (first.Error == "") {
		text := fmt.Sprintf("fingerprint %s, which failed with %s, became %s; a bug of the harness: simctl prove -seeds %d..%d %s names the first event that differs",
			first.Fingerprint, complaint(first), again.Fingerprint, first.Seed, first.Seed, first.File)
		again.Verdicts = append(again.Verdicts, page.Verdict{Check: "repeated", Means: "The same seed is the same run.", Expected: "the same run", Got: "another", Text: text})
		more += fmt.Sprintf("  FAILED repeated: %s\n", text)
	}
	return again, more
}

// complaint is the first thing that was wrong with a run.
func complaint(j report.Judged) string {
	i := slices.IndexFunc(j.Verdicts, func(v page.Verdict) bool { return !v.OK })
	if i < 0 {
		return j.Error
	}
	return j.Verdicts[i].Check + ": " + j.Verdicts[i].Text
}

func (m *many) progress() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	took := time.Since(m.begun)
	left := time.Duration(float64(took) / float64(max(m.done, 1)) * float64(len(m.jobs)-m.done))
	return fmt.Sprintf("  %d of %d runs, %d failed; %.2f runs and %.0f virtual seconds a second, %v left",
		m.done, len(m.jobs), m.failed, float64(m.done)/took.Seconds(), m.virtual.Seconds()/took.Seconds(), left.Round(time.Second))
}

// summary says how much the runs prove.
func (m *many) summary() {
	m.line.clear()
	if m.done == 0 {
		return
	}
	if left := len(m.jobs) - m.done; left > 0 {
		fmt.Printf("%d runs were not made.\n", left)
	}
	low, high := mutants.Wilson(m.failed, m.done)
	fmt.Printf("%d of %d runs as expected: %v of virtual time in %v. The chance that a run fails is between %.2g and %.2g (95 %%).\n",
		m.done-m.failed, m.done, m.virtual.Round(time.Second), time.Since(m.begun).Round(time.Second), low, high)
}
