package scenarios_test

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"tribune/scenarios"
)

func TestAWrittenScenarioIsReadAsItWas(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		s := load(t, file)
		text := scenarios.Write(s, "first line\n\nlast line")
		again, err := scenarios.Parse(file, text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !reflect.DeepEqual(*again, s) {
			t.Errorf("%s\nis read as\n%+v\nand was\n%+v", text, *again, s)
		}
	}
	storm := load(t, "storm.yaml")
	for seed := range uint64(50) {
		s := scenarios.NewPlan(storm, seed).Scenario
		s.Storm = false
		if seed%10 == 0 { // what goes with another multiplier must be written
			s.Checks.Lag.Duration, s.Agent.RaftMultiplier = 600*time.Millisecond, 1+int(seed/10)
		}
		text := scenarios.Write(s, "")
		again, err := scenarios.Parse("x.yaml", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !reflect.DeepEqual(*again, s) {
			t.Errorf("%s\nis read as\n%+v\nand was\n%+v", text, *again, s)
		}
	}
}
