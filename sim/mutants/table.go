package mutants

import (
	"fmt"
	"strings"
)

// Table is docs/mutants.md: all mutants, as Markdown.
func Table() string {
	var b strings.Builder
	b.WriteString("# Mutants\n\n" +
		"Deliberate bugs, by which it is measured whether the harness finds bugs: `simctl\n" +
		"mutants NAME` builds an agent with one and runs the scenario until a check fails.\n" +
		"Where there is an origin, the bug really happened, there; it is made again here, in\n" +
		"the agent or in the library it was in. This page is written by\n" +
		"`simctl mutants -list >docs/mutants.md`.\n\n")
	all := All()
	made := 0
	for _, m := range all {
		if m.Origin != "" {
			made++
		}
	}
	fmt.Fprintf(&b, "There are %d, of which %d have an origin.\n\n", len(all), made)
	b.WriteString("| mutant | area | bug | origin | scenario |\n|---|---|---|---|---|\n")
	for _, m := range all {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Area, m.Bug, link(m.Origin), strings.TrimSuffix(m.Scenario, ".yaml"))
	}
	b.WriteString("\n## Not caught\n\nThese no scenario catches within reasonable time.\n\n" +
		"| mutant | area | bug | origin | tried | why |\n|---|---|---|---|---|---|\n")
	for _, m := range Escaped() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s, seeds 1 to %d | %s |\n", m.Name, m.Area, m.Bug, link(m.Origin), strings.TrimSuffix(m.Scenario, ".yaml"), m.MaxSeeds, m.Escapes)
	}
	return b.String()
}

// link is an issue as Markdown.
func link(origin string) string {
	repository, number, found := strings.Cut(origin, "#")
	if !found {
		return ""
	}
	return fmt.Sprintf("[%s](https://github.com/%s/issues/%s)", origin, repository, number)
}
