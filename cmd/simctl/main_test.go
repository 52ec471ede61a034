package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tribune/sim/trace"
)

func TestBadInputIsStatusTwo(t *testing.T) {
	for _, args := range [][]string{
		{"frob"}, {"run"}, {"run", "none.yaml"}, {"run", "-frob", "x"}, {"run", "-seeds", "5..1", "../../scenarios/storm.yaml"},
		{"explain", "none.yaml"}, {"trace"}, {"trace", "-kind", "frob", "x"}, {"replay", "none"}, {"list", t.TempDir()}, {"mutants", "frob"}, {"mutants", "-parallel", "0"}, {"mutants", "-rates", "x"}, {"mutants", "-rate", "5", "-update"}, {"build", "x"}, {"points", "x"},
		{"trace", "-where", "kind=frob", "x"}, {"debug"}, {"debug", "none.yaml"}, {"debug", t.TempDir()}, {"debug", "-until", "at>soon", "../../scenarios/storm.yaml"},
		{"run", "-json", "../../scenarios/storm.yaml"}, {"run", "-json", "none.yml", "../../scenarios/storm.yaml"}, {"run", "-junit", "none/v.xml", "../../scenarios/storm.yaml"},
	} {
		if got := command(args); got != exitInput {
			t.Errorf("simctl %v: status %d", args, got)
		}
	}
}

func TestHelpIsStatusZero(t *testing.T) {
	for _, args := range [][]string{{}, {"-h"}, {"run", "-h"}, {"prove", "-h"}, {"debug", "-h"}, {"list", "../../scenarios"}, {"explain", "../../scenarios/storm.yaml"}, {"points"}} {
		if got := command(args); got != exitOK {
			t.Errorf("simctl %v: status %d", args, got)
		}
	}
}

func TestATraceIsPrintedAsTextAndAsJSON(t *testing.T) {
	name := filepath.Join(t.TempDir(), "trace.bin")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	r := trace.NewRecording(f, 0)
	r.Record(trace.Event{At: time.Second, Node: "s1", Kind: trace.Log, Text: "INFO hello"})
	r.Record(trace.Event{At: 2 * time.Second, Node: "s2", Kind: trace.Log, Text: "INFO not this one"})
	if err := errors.Join(r.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"   1.000000000  s1         log      INFO hello\n":                      {"trace", "-node", "s1", name},
		`{"at":1000000000,"node":"s1","kind":"log","text":"INFO hello"}` + "\n": {"trace", "-node", "s1", "-json", name},
	} {
		if got := printed(t, args); got != want {
			t.Errorf("%v prints\n%s\nand not\n%s", args, got, want)
		}
	}
}

// printed is what a command prints that does what it is told.
func printed(t *testing.T, args []string) string {
	t.Helper()
	text, status := written(t, &os.Stdout, func() int { return command(args) })
	if status != exitOK {
		t.Fatalf("%v: status %d", args, status)
	}
	return text
}

// written is what f writes to the standard output, or the standard error, and its status.
func written(t *testing.T, to **os.File, f func() int) (text string, status int) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	real := *to
	*to = out
	status = f()
	*to = real
	b, err := os.ReadFile(out.Name())
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b), status
}

func TestAMistakeIsOneLineThatSaysWhatToDo(t *testing.T) {
	const noMutant = `there is no mutant "blind-cass"; simctl mutants -list lists them; did you mean "blind-cas"?`
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"mutants", "blind-cass"}, noMutant},
		{[]string{"mutants", "frob"}, `there is no mutant "frob"; simctl mutants -list lists them`},
		{[]string{"run", "-mutant", "blind-cass", "../../scenarios/storm.yaml"}, noMutant},
		{[]string{"prove", "-mutant", "blind-cass", "../../scenarios/storm.yaml"}, noMutant},
	} {
		text, status := written(t, &os.Stderr, func() int { return command(c.args) })
		if status != exitInput || !strings.HasPrefix(text, "simctl "+c.args[0]+": ") || !strings.HasSuffix(text, c.want+"\n") || strings.Count(text, "\n") != 1 {
			t.Errorf("simctl %v: status %d and\n%s\nwant a line that ends with\n%s", c.args, status, text, c.want)
		}
	}
}

func TestEveryScenarioCanBeExplained(t *testing.T) {
	files, err := filepath.Glob("../../scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	if got := command(append([]string{"explain", "-seed", "3"}, files...)); got != exitOK {
		t.Errorf("status %d", got)
	}
}
