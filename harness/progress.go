package harness

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tribune/linearizability"
)

// progress tells how a search goes on.
type progress struct {
	system string
	cases  uint64 // that there are
	looked int    // at so many of them
	logf   func(format string, args ...any)
	begun  time.Time
	told   time.Time

	mu      sync.Mutex // for what follows, which runs side by side add to
	done    int
	virtual time.Duration
	ops     map[linearizability.Outcome]int
	faults  map[string]int // that struck, by kind
	reached map[string]bool
}

// tellEvery is the real time between two lines.
const tellEvery = 5 * time.Second

func newProgress(system string, o Search) *progress {
	now := time.Now()
	return &progress{
		system: system, cases: o.Last - o.First + 1, logf: o.Logf, begun: now, told: now,
		ops: map[linearizability.Outcome]int{}, faults: map[string]int{}, reached: map[string]bool{},
	}
}

// add counts a run.
func (p *progress) add(r Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.virtual += r.Virtual
	for _, o := range r.History {
		p.ops[o.Outcome]++
	}
	for _, f := range r.Faults {
		p.faults[f.Kind]++
	}
	for _, name := range r.Reached {
		p.reached[name] = true
	}
}

// next is told of each case, and says now and then where the search is.
func (p *progress) next() {
	if p.looked++; time.Since(p.told) < tellEvery {
		return
	}
	p.told = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logf("%s: %s", p.system, p.rate())
}

func (p *progress) rate() string {
	took := time.Since(p.begun).Seconds()
	return fmt.Sprintf("%d cases of %d, %.1f runs a second, %.0f times real time, %d states reached",
		p.looked, p.cases, float64(p.done)/took, p.virtual.Seconds()/took, len(p.reached))
}

// nothing says what was done when nothing was found, so that one can see whether that
// means anything.
func (p *progress) nothing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var struck []string
	for _, kind := range slices.Sorted(maps.Keys(p.faults)) {
		struck = append(struck, fmt.Sprintf("%d %s", p.faults[kind], kind))
	}
	p.logf("%s: nothing is wrong: %s", p.system, p.rate())
	p.logf("%s: operations: %d done, %d that did not take effect, %d of which that is not known; faults: %s",
		p.system, p.ops[linearizability.OK], p.ops[linearizability.Failed], p.ops[linearizability.Unknown], strings.Join(struck, ", "))
}
