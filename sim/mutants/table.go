package mutants

import (
	"fmt"
	"strings"
	"time"
)

// Table is docs/mutants.md: all mutants and what was measured of them, as Markdown.
func Table(measured Rates) string {
	var b strings.Builder
	b.WriteString("# Mutants\n\n" +
		"Deliberate bugs, by which it is measured whether the harness finds bugs: `simctl\n" +
		"mutants NAME` builds an agent with one and runs the scenario until a check fails.\n" +
		"Where there is an origin, the bug really happened, there; it is made again here, in\n" +
		"the agent or in the library it was in. This page is written by\n" +
		"`simctl mutants -list -rates sim/mutants/rates.json >docs/mutants.md`.\n\n")
	all := All()
	made := 0
	for _, m := range append(All(), Escaped()...) {
		if m.Origin != "" {
			made++
		}
	}
	fmt.Fprintf(&b, "There are %d, of which %d have an origin: %d that are caught, and %d that no scenario\n"+
		"catches. Of those that are caught the seeds are counted from 1 to the first that a check\n"+
		"fails with; the time is the virtual time of all of them.\n\n", len(all)+len(Escaped()), made, len(all), len(Escaped()))
	b.WriteString(Rows(measured, all))
	var times []time.Duration
	for _, m := range all {
		first, _ := measured.FirstOf(m.Name)
		if after, err := time.ParseDuration(first.Virtual); err == nil {
			times = append(times, after)
		}
	}
	if after, enough := Median(times, len(all)); enough {
		fmt.Fprintf(&b, "\nThe median virtual time to the first catch is %v.\n", after)
	}
	b.WriteString("\n## Not caught\n\nThese no scenario catches within reasonable time.\n\n")
	b.WriteString(Rows(measured, Escaped()))
	power(&b, measured)
	return b.String()
}

// Rows is the part of the table that is about some mutants: those that are caught, and
// then those that are not.
func Rows(measured Rates, some []Mutant) string {
	var caught, escaped strings.Builder
	for _, m := range some {
		b := &caught
		if m.Escapes != "" {
			b = &escaped
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s", m.Name, m.Area, m.Bug, link(m.Origin), strings.TrimSuffix(m.Scenario, ".yaml"))
		first, known := measured.FirstOf(m.Name)
		switch {
		case m.Escapes != "":
			fmt.Fprintf(b, ", seeds 1 to %d | %s |\n", m.MaxSeeds, m.Escapes)
		case known:
			fmt.Fprintf(b, " | %s | %d | %s |\n", strings.Join(first.Checks, ", "), first.Seed, first.Virtual)
		default:
			b.WriteString(" | | | |\n")
		}
	}
	var tables []string
	if caught.Len() > 0 {
		tables = append(tables, "| mutant | area | bug | origin | scenario | caught by | seeds | time |\n|---|---|---|---|---|---|---|---|\n"+caught.String())
	}
	if escaped.Len() > 0 {
		tables = append(tables, "| mutant | area | bug | origin | tried | why |\n|---|---|---|---|---|---|\n"+escaped.String())
	}
	return strings.Join(tables, "\n")
}

// power says how reliably mutants are caught.
func power(b *strings.Builder, measured Rates) {
	if len(measured.Rates) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## How reliably\n\n"+
		"Last measured by\n\n    %s\n\non %s; some with more seeds, as their column says, and the columns \"plain\" and\n"+
		"\"guided\" with -plain -guided.\n\n", measured.Command, measured.Machine)
	b.WriteString("Each mutant's scenario ran with all seeds from 1 on. A seed counts as caught when a\n" +
		"check fails with the mutant and none does without it. The interval is Wilson's, 95 %.\n" +
		"The time is virtual, until the first catch: the median over the seeds as beginnings.\n" +
		"\"Plain\" are storms (scenarios/storm.yaml) drawn at random until one catches the mutant,\n" +
		"\"guided\" as many runs of `simctl explore` of the same file, which varies the storms of a\n" +
		"corpus that it has built up in as many runs of the agent without the bug. Both know\n" +
		"nothing of the mutant, and a bug in what storms do not do they cannot find. What is\n" +
		"empty was not measured; these two columns may be older than the others.\n\n" +
		"| mutant | area | scenario | caught | rate | interval | time to catch | most often by | plain | guided |\n" +
		"|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range measured.Rates {
		fmt.Fprintf(b, "| `%s` | %s | %s | %d of %d | %.2f | %.2f to %.2f | %s | %s | %s | %s |\n", r.Mutant, area(r.Mutant), strings.TrimSuffix(r.Scenario, ".yaml"),
			r.Caught, r.Seeds, r.Rate, r.Interval[0], r.Interval[1], r.ToCatch, r.Check, r.Plain, r.Guided)
	}
}

func area(mutant string) string {
	for _, m := range append(All(), Escaped()...) {
		if m.Name == mutant {
			return m.Area
		}
	}
	return ""
}

// link is an issue as Markdown.
func link(origin string) string {
	repository, number, found := strings.Cut(origin, "#")
	if !found {
		return ""
	}
	return fmt.Sprintf("[%s](https://github.com/%s/issues/%s)", origin, repository, number)
}
