package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tribune/sim/launch"
)

func TestABriefRunTellsOfRunsThatFailAlone(t *testing.T) {
	binary, err := launch.Build(launch.Options{Package: "tribune/cmd/simctl"})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "runs.json")
	out, err := exec.CommandContext(t.Context(), binary, "run", "-brief", "-seeds", "1..2", "-duration", "15s", "-report", t.TempDir(), "-json", list,
		"../../scenarios/canary.yaml", "../../scenarios/partition.yaml").CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Fatalf("two runs of the canary among four: %v\n%s", err, out)
	}
	text := string(out)
	for want, times := range map[string]int{"canary, seed 1": 1, "canary, seed 2": 1, "FAILED linearizable": 2, "partition, seed": 0, "\n2 of 4 runs as expected": 1} {
		if got := strings.Count(text, want); got != times {
			t.Errorf("%q is printed %d times, want %d:\n%s", want, got, times, text)
		}
	}
	judged, err := os.ReadFile(list)
	if err != nil || strings.Count(string(judged), "\n") != 4 {
		t.Errorf("not four runs are listed: %v\n%s", err, judged)
	}
}
