package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tribune/sim/trace"
)

func TestBadInputIsStatusTwo(t *testing.T) {
	for _, args := range [][]string{
		{"frob"}, {"help", "frob"}, {"run"}, {"run", "none.yaml"}, {"run", "-frob", "x"}, {"run", "-seeds", "5..1", "../../scenarios/storm.yaml"},
		{"explain", "none.yaml"}, {"trace"}, {"trace", "-kind", "frob", "x"}, {"replay", "none"}, {"list", t.TempDir()}, {"mutants", "frob"}, {"mutants", "-parallel", "0"}, {"mutants", "-rates", "x"}, {"mutants", "-rate", "5", "-update"}, {"build", "x"}, {"points", "x"},
		{"trace", "-where", "kind=frob", "x"}, {"debug"}, {"debug", "none.yaml"}, {"debug", t.TempDir()}, {"debug", "-until", "at>soon", "../../scenarios/storm.yaml"},
		{"run", "-seeds", "0..3", "../../scenarios/storm.yaml"}, {"run", "-seed", "5", "-seeds", "1..3", "../../scenarios/storm.yaml"}, {"run", t.TempDir()},
		{"run", "-json", t.TempDir(), "../../scenarios/storm.yaml"}, {"run", "-report", "main.go", "../../scenarios/storm.yaml"}, {"run", "-report", "main.go/x", "../../scenarios/storm.yaml"},
		{"run", "-duration", "-5s", "../../scenarios/storm.yaml"}, {"run", "-parallel", "0", "../../scenarios/storm.yaml"}, {"explore", "-parallel", "0", "../../scenarios/storm.yaml"}, {"explore", "-for", "-1s", "../../scenarios/storm.yaml"},
		{"explore", "-report", "main.go/x", "../../scenarios/storm.yaml"}, {"shrink", "-parallel", "-3", "../../scenarios/storm.yaml"}, {"shrink", "-o", "none/x.yaml", "../../scenarios/storm.yaml"},
		{"run", "-json", "../../scenarios/storm.yaml"}, {"run", "-json", "none.yml", "../../scenarios/storm.yaml"}, {"run", "-junit", "none/v.xml", "../../scenarios/storm.yaml"},
	} {
		if got := command(args); got != exitInput {
			t.Errorf("simctl %v: status %d", args, got)
		}
	}
}

func TestHelpIsStatusZero(t *testing.T) {
	for _, args := range [][]string{{}, {"-h"}, {"run", "-h"}, {"prove", "--help"}, {"help", "debug"}, {"list", "../../scenarios"}, {"explain", "../../scenarios/storm.yaml"}, {"points"}} {
		if got := command(args); got != exitOK {
			t.Errorf("simctl %v: status %d", args, got)
		}
	}
}

func TestThereAreSeveralWaysToAskForHelp(t *testing.T) {
	want := printed(t, []string{"run", "-h"})
	for _, args := range [][]string{{"help", "run"}, {"run", "-help"}, {"run", "--help"}, {"run", "x.yaml", "-h"}} {
		if got := printed(t, args); got != want || !strings.HasPrefix(got, "Usage: simctl run ") {
			t.Errorf("simctl %v prints\n%s\nand not\n%s", args, got, want)
		}
	}
}

// traced is the file of a trace of two events.
func traced(t *testing.T) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "trace.bin")
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
	return name
}

func TestATraceIsPrintedAsTextAndAsJSON(t *testing.T) {
	name := traced(t)
	complaint, status := written(t, &os.Stderr, func() int { return command([]string{"trace", "-node", "zz", name}) })
	if want := "simctl trace: -node: there is no node \"zz\"; there are s1, s2\n"; complaint != want || status != exitInput {
		t.Errorf("status %d and %q, want %q", status, complaint, want)
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

func TestATraceEndsWhenItIsInterrupted(t *testing.T) {
	name := traced(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	text, _ := written(t, &os.Stdout, func() int {
		if err := traceVerb(ctx, []string{name}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		return exitOK
	})
	if text != "" {
		t.Errorf("it printed %q", text)
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
	const noUnit, noPartition = "give a time with its unit, such as 12.5s or 10m", `no such file or directory; did you mean "scenarios/partition.yaml"?`
	t.Chdir("../..")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"mutants", "blind-cass"}, noMutant},
		{[]string{"mutants", "frob"}, `there is no mutant "frob"; simctl mutants -list lists them`},
		{[]string{"run", "-mutant", "blind-cass", "scenarios/storm.yaml"}, noMutant},
		{[]string{"prove", "-mutant", "blind-cass", "scenarios/storm.yaml"}, noMutant},
		{[]string{"explore", "-for", "10", "scenarios/storm.yaml"}, `invalid value "10" for flag -for: ` + noUnit},
		{[]string{"trace", "-from", "5", "x"}, `invalid value "5" for flag -from: ` + noUnit},
		{[]string{"run", "-duration", "5", "scenarios/storm.yaml"}, `invalid value "5" for flag -duration: ` + noUnit},
		{[]string{"run", "partition"}, noPartition}, {[]string{"run", "partition.yaml"}, noPartition}, {[]string{"explain", "scenario/partitoin.yml"}, noPartition},
		{[]string{"run", "none.yaml"}, "no such file or directory"},
		{[]string{"run", "-seeds", "1..2000000", "scenarios/storm.yaml"}, `-seeds "1..2000000": give a range of a million at the most`},
		{[]string{"run", "-seeds", "5..18446744073709551615", "scenarios/storm.yaml"}, "give a range of a million at the most"},
		{[]string{"explore", "scenarios/storm.yaml", "scenarios/partition.yaml"}, "the first of 2 files would be explored without end; give -for or -seeds"},
		{[]string{"run", "-duration", "5s", "scenarios/partition.yaml"}, "scenarios/partition.yaml: within 5s none of its faults strikes: partition at 8s; give a longer -duration"},
	} {
		text, status := written(t, &os.Stderr, func() int { return command(c.args) })
		if status != exitInput || !strings.HasPrefix(text, "simctl "+c.args[0]+": ") || !strings.HasSuffix(text, c.want+"\n") || strings.Count(text, "\n") != 1 {
			t.Errorf("simctl %v: status %d and\n%s\nwant a line that ends with\n%s", c.args, status, text, c.want)
		}
	}
}

// TestSeedsUpToTheGreatestAreCounted: counting up to it must come to an end.
func TestSeedsUpToTheGreatestAreCounted(t *testing.T) {
	const greatest = math.MaxUint64
	if got, err := seedRange("18446744073709551614..18446744073709551615"); err != nil || !slices.Equal(got, []uint64{greatest - 1, greatest}) {
		t.Errorf("%d, %v", got, err)
	}
}

// TestAnInterruptedCommandSaysWhatElseWentWrong: what could not be written is lost, and an
// interruption is no excuse for that.
func TestAnInterruptedCommandSaysWhatElseWentWrong(t *testing.T) {
	lost := fmt.Errorf("%w: of the list: %w", errors.New("x"), fs.ErrPermission)
	got := parts(errors.Join(context.Canceled, errors.Join(lost, io.EOF)))
	if !slices.Equal(got, []error{context.Canceled, lost, io.EOF}) {
		t.Errorf("got %q", got)
	}
}

func TestWhatWasMadeSmallerIsPrintedWhereItCannotBeWritten(t *testing.T) {
	text, _ := written(t, &os.Stdout, func() int {
		if err := keepSmall("/dev/full", []byte("name: small\n")); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("on a full disk: %v", err)
		}
		return 0
	})
	if !strings.Contains(text, "name: small\n") {
		t.Errorf("it prints %q", text)
	}
}

func TestWhatWasMadeSmallerIsNotOverwrittenUnasked(t *testing.T) {
	dir := t.TempDir()
	small := filepath.Join(dir, "x-small.yaml")
	for _, name := range []string{filepath.Join(dir, "x.yaml"), small} {
		if err := os.WriteFile(name, []byte("name: x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, status := written(t, &os.Stderr, func() int { return command([]string{"shrink", filepath.Join(dir, "x.yaml")}) })
	if want := "simctl shrink: " + small + " is there already; -o " + small + " writes it anew\n"; status != exitInput || text != want {
		t.Errorf("status %d and %q, want %q", status, text, want)
	}
}

func TestATraceThatCannotBeWrittenIsNoSuccess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "trace.bin")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	r := trace.NewRecording(f, 0)
	for range 1000 { // more than a buffer holds
		r.Record(trace.Event{At: time.Second, Node: "s1", Kind: trace.Log, Text: "INFO hello"})
	}
	if err := errors.Join(r.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"trace", name}, {"list", "../../scenarios"}, {"explain", "../../scenarios/storm.yaml"}, {"points"}} {
		real := os.Stdout
		os.Stdout = full
		status := command(args)
		os.Stdout = real
		if status == exitOK {
			t.Errorf("simctl %v on a full disk is a success", args)
		}
	}
	if err := full.Close(); err != nil {
		t.Fatal(err)
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

func TestFaultsThatNeverStrikeAreNamed(t *testing.T) {
	const text = "faults:\n  - {kind: kill, target: leader, at: 10s}\n  - {kind: pause, target: s1, at: 20s}\n" +
		"  - {kind: kill, target: here, on: elected, at: 8s, after: 4s}\n"
	file := filepath.Join(t.TempDir(), "x.yaml")
	for _, c := range []struct{ text, duration, never, wrong string }{
		{text, "30s", "", ""},
		{text, "11s", "pause at 20s, kill at 12s", ""},
		{text, "10s", "", "none of its faults strikes"},
		{"storm: true\n", "1s", "", ""},
		{"seeds: 1\n", "1s", "", ""},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		duration, err := time.ParseDuration(c.duration)
		if err != nil {
			t.Fatal(err)
		}
		all, err := load([]string{file}, duration)
		if c.wrong != "" {
			if !errors.Is(err, errInput) || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("for %s: %v, want %s", c.duration, err, c.wrong)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		warning, _ := written(t, &os.Stderr, func() int { warnOfLate([]string{file}, all); return 0 })
		if (warning == "") != (c.never == "") || !strings.Contains(warning, c.never) || c.never != "" && !strings.Contains(warning, file) {
			t.Errorf("for %s: %q, want %s", c.duration, warning, c.never)
		}
	}
}

func TestAReportMayBeNamedByOneOfItsFiles(t *testing.T) {
	dir := t.TempDir()
	for _, verb := range []string{"replay", "debug", "trace"} {
		want, _ := written(t, &os.Stderr, func() int { return command([]string{verb, dir}) })
		for _, file := range []string{"report.html", "trace.bin", "order.json"} {
			got, status := written(t, &os.Stderr, func() int { return command([]string{verb, filepath.Join(dir, file)}) })
			if got != want || status != exitInput {
				t.Errorf("simctl %s %s: status %d and %q; for the folder it is %q", verb, file, status, got, want)
			}
		}
	}
}
