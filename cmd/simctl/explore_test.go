package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/scenarios"
	"tribune/scenarios/search"
	"tribune/sim/explore"
)

// explored is an exploration of a scenario that has run nothing yet.
func explored(t *testing.T, text string) *exploration {
	t.Helper()
	s, err := scenarios.Parse("tiny.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	x := &exploration{scenario: *s, groups: map[string][]string{}, begin: time.Now(), line: newStatus(time.Hour, time.Hour)}
	x.options.folder = t.TempDir()
	x.explorer = explore.New(search.Subject{From: *s}, explore.Options{}, x.learn)
	return x
}

func TestAFailureIsOneLineWithACommandThatExists(t *testing.T) {
	for _, c := range []struct {
		what string
		run  explore.Run[scenarios.Scenario]
		want string
	}{
		{"a check fails", explore.Run[scenarios.Scenario]{Number: 4, Outcome: explore.Outcome{Failure: "linearizable"}}, "FAILED case 4: linearizable: simctl run -mutant blind-cas "},
		{"two runs differ", explore.Run[scenarios.Scenario]{Number: 4, Differs: true}, "FAILED case 4: a bug of the harness itself: one case gave two different runs: simctl prove -seeds 9..9 -mutant blind-cas "},
	} {
		x := explored(t, "duration: 5s\n")
		x.options.mutant = "blind-cas"
		c.run.Case = x.scenario
		c.run.Case.Seed = 9
		text, _ := written(t, &os.Stdout, func() int { x.learn(c.run); return 0 })
		file := filepath.Join(x.options.folder, "tiny-blind-cas-4.yaml")
		if text != c.want+file+"\n" || x.err != nil {
			t.Errorf("%s: %v\n%s\nwant\n%s%s", c.what, x.err, text, c.want, file)
		}
		// An option that nobody knows is complained about when all before it are known.
		_, line, _ := strings.Cut(text, "simctl ")
		complaint, _ := written(t, &os.Stderr, func() int { return command(append(strings.Fields(line), "-frob")) })
		if !strings.Contains(complaint, "-frob") {
			t.Errorf("%s: simctl %s: %s", c.what, line, complaint)
		}
	}
}

func TestAnEarlierFindIsNotOverwritten(t *testing.T) {
	folder := t.TempDir()
	for _, c := range []struct{ text, file string }{
		{"name: one\n", "storm-3.yaml"}, {"name: two\n", "storm-3-2.yaml"}, {"name: one\n", "storm-3.yaml"}, {"name: three\n", "storm-3-3.yaml"},
	} {
		file, err := keepBeside(folder, "storm-3", []byte(c.text))
		if err != nil || file != filepath.Join(folder, c.file) {
			t.Fatalf("%q goes to %s, want %s: %v", c.text, file, c.file, err)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != c.text {
			t.Errorf("%s holds %q, want %q: %v", file, text, c.text, err)
		}
	}
}

func TestOfACorpusTheCasesOfTheScenarioAreTakenAndTheOthersStay(t *testing.T) {
	x := explored(t, "duration: 5s\n")
	x.options.corpus = filepath.Join(t.TempDir(), "corpus")
	var before []byte
	for _, name := range []string{"tiny", "other"} {
		line, err := json.Marshal(kept{"name: " + name + "\n", []string{"reached by " + name}})
		if err != nil {
			t.Fatal(err)
		}
		before = append(before, append(line, '\n')...)
	}
	torn := append(slices.Clone(before), `{"Case": "name: ti`...) // as a full disk leaves it
	if err := os.WriteFile(x.options.corpus, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := x.recall(); err != nil {
		t.Fatal(err)
	}
	if names, _ := x.explorer.Reached(); !slices.Equal(names, []string{"reached by tiny"}) {
		t.Errorf("it begins with what reached %q", names)
	}
	x.learn(explore.Run[scenarios.Scenario]{Number: 1, Case: x.scenario, Kept: true})
	if err := x.keep.Close(); err != nil || x.err != nil {
		t.Fatal(err, x.err)
	}
	after, err := os.ReadFile(x.options.corpus)
	added, same := strings.CutPrefix(string(after), string(before))
	if err != nil || !same || !strings.Contains(added, fmt.Sprintf("name: %s", x.scenario.Name)) {
		t.Errorf("%v\n%s\nbecame\n%s", err, before, after)
	}
}
