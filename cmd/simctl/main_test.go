package main

import (
	"path/filepath"
	"testing"
)

func TestBadInputIsStatusTwo(t *testing.T) {
	for _, args := range [][]string{
		{"frob"}, {"run"}, {"run", "none.yaml"}, {"run", "-frob", "x"}, {"run", "-seeds", "5..1", "../../scenarios/storm.yaml"},
		{"explain", "none.yaml"}, {"trace"}, {"trace", "-kind", "frob", "x"}, {"replay", "none"}, {"list", t.TempDir()}, {"mutants", "frob"}, {"build", "x"}, {"points", "x"},
	} {
		if got := command(args); got != exitInput {
			t.Errorf("simctl %v: status %d", args, got)
		}
	}
}

func TestHelpIsStatusZero(t *testing.T) {
	for _, args := range [][]string{{}, {"-h"}, {"run", "-h"}, {"prove", "-h"}, {"list", "../../scenarios"}, {"explain", "../../scenarios/storm.yaml"}, {"points"}} {
		if got := command(args); got != exitOK {
			t.Errorf("simctl %v: status %d", args, got)
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
