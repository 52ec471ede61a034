package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"tribune/sim/mutants"
)

// huntTable prints what becomes of mutants: a row for each, in their order, and
// below it how far the hunt is.
type huntTable struct {
	options mutantsOptions
	kept    mutants.Rates
	of      int
	begun   time.Time

	mu      sync.Mutex // for what follows
	now     []string   // the mutants that are being hunted
	done    int
	runs    int
	virtual time.Duration
	line    *status
}

func newHuntTable(o mutantsOptions, kept mutants.Rates, of int) *huntTable {
	return &huntTable{options: o, kept: kept, of: of, begun: time.Now(), line: newStatus(time.Second/5, 30*time.Second)}
}

// cells are a row: as wide as the widest content that is to be expected.
func (t *huntTable) cells(mutant, area string, rest ...string) string {
	row := fmt.Sprintf("%-28s  %-16s", mutant, area)
	widths := []int{13, 6, 13} // caught by, seeds, virtual time
	if t.options.rate > 0 {
		widths = []int{13, 9, 5, 12, 13, 12} // caught by, caught, rate, interval, virtual time, before
	}
	for i, c := range rest {
		width := 20 // what storms did
		if i < len(widths) {
			width = widths[i]
		}
		row += fmt.Sprintf("  %-*s", width, c)
	}
	return strings.TrimRight(row, " ")
}

func (t *huntTable) head() {
	names := []string{"caught by", "seeds", "virtual time"}
	if t.options.rate > 0 {
		names = []string{"caught by", "caught", "rate", "95 %", "virtual time", "before"}
	}
	if t.options.plain {
		names = append(names, "plain")
	}
	if t.options.guided {
		names = append(names, "guided")
	}
	fmt.Println(t.cells("mutant", "area", names...))
}

// row prints what became of a mutant.
func (t *huntTable) row(c catch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line.clear()
	r := c.rate
	by := r.Check
	if r.Caught == 0 {
		by = "NOT CAUGHT"
	}
	rest := []string{by, fmt.Sprint(r.Seeds), r.ToCatch}
	if t.options.rate == 0 {
		rest[2] = total(c.trials).Round(time.Second).String()
	} else {
		rest = []string{by, fmt.Sprintf("%d of %d", r.Caught, r.Seeds), fmt.Sprintf("%.2f", r.Rate), fmt.Sprintf("%.2f to %.2f", r.Interval[0], r.Interval[1]), r.ToCatch, t.before(c)}
	}
	if t.options.plain {
		rest = append(rest, r.Plain.String())
	}
	if t.options.guided {
		rest = append(rest, r.Guided.String())
	}
	fmt.Println(t.cells(c.mutant.Name, c.mutant.Area, rest...))
	for _, seed := range c.alarms {
		fmt.Printf("  FALSE ALARM  the agent without the bug fails too: simctl run -seed %d %s/%s\n", seed, t.options.dir, c.mutant.Scenario)
	}
	if c.err != nil {
		first, _, _ := strings.Cut(c.err.Error(), "\n\n") // a process that ends prints all its goroutines
		fmt.Printf("  FAILED  %s\n", first)
	}
}

// before says what the kept rate was.
func (t *huntTable) before(c catch) string {
	kept, known := t.kept.Of(c.mutant.Name)
	switch {
	case !known:
		return "new"
	case c.halved:
		return fmt.Sprintf("%.2f HALVED", kept.Rate)
	}
	return fmt.Sprintf("%.2f", kept.Rate)
}

// total is the virtual time of the runs to the first that was caught.
func total(trials []mutants.Trial) (sum time.Duration) {
	for _, t := range trials {
		sum += t.Virtual
	}
	return sum
}

// begin, end and ran tell how far the hunt is.
func (t *huntTable) begin(mutant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = append(t.now, mutant)
	t.progress()
}

func (t *huntTable) end(mutant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = slices.DeleteFunc(t.now, func(name string) bool { return name == mutant })
	t.done++
	t.progress()
}

func (t *huntTable) ran(virtual time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs++
	t.virtual += virtual
	t.progress()
}

func (t *huntTable) progress() {
	t.line.show(func() string {
		took := time.Since(t.begun).Seconds()
		return fmt.Sprintf("  %d of %d mutants done, %d runs, %.0f times real time; now %s", t.done, t.of, t.runs, t.virtual.Seconds()/took, strings.Join(t.now, ", "))
	})
}

// summary prints what the hunt says of the harness, and reports whether all is as
// it should be.
func (t *huntTable) summary(all []catch) bool {
	t.line.clear()
	caught, ok := 0, true
	var after []time.Duration
	var missed []mutants.Mutant
	for _, c := range all {
		ok = ok && c.ok()
		if c.rate.Caught == 0 {
			missed = append(missed, c.mutant)
			continue
		}
		caught++
		first := total(c.trials)
		if t.options.rate > 0 {
			first, _ = mutants.TimeToCatch(c.trials)
		}
		after = append(after, first)
		if c.mutant.Escapes != "" {
			fmt.Printf("%s is caught, and the list says that it escapes: %s\n", c.mutant.Name, c.mutant.Escapes)
		}
	}
	fmt.Printf("%d of %d caught", caught, len(all))
	if median, enough := mutants.Median(after, len(all)); enough {
		fmt.Printf("; median virtual time to the first catch: %v", median.Round(time.Second))
	}
	fmt.Printf("; %d runs in %v\n", t.runs, time.Since(t.begun).Round(time.Second))
	if len(all) == len(mutants.All()) {
		missed = append(missed, mutants.Escaped()...)
	}
	for _, m := range missed {
		why := m.Escapes
		if why == "" {
			why = fmt.Sprintf("nobody knows why; %s is to catch it within %d seeds", m.Scenario, m.MaxSeeds)
		}
		fmt.Printf("  not caught: %s (%s): %s\n", m.Name, m.Area, why)
	}
	return ok
}

// machine says what this one is, for the reader of what was measured on it.
func machine() string {
	return fmt.Sprintf("%d cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}
