package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"tribune/scenarios"
)

func listVerb(_ context.Context, args []string) error {
	f := flags("list", "[DIR]", "Lists the scenario files in a folder and what they are about.")
	dirs, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(dirs) == 0 {
		dirs = []string{scenarioFolder}
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("%w: no scenario files (*.yaml) in %s", errInput, dir)
		}
		for _, file := range files {
			s, err := scenarios.Load(file)
			if err != nil {
				return fmt.Errorf("%w: %w", errInput, err)
			}
			if _, err := fmt.Printf("%-36s %s\n", file, firstSentence(s.About)); err != nil {
				return err
			}
		}
	}
	return nil
}

func pointsVerb(_ context.Context, args []string) error {
	f := flags("points", "", "Lists the points that a fault of a scenario file may wait for with `on`.\nWith * it needs file, a pattern of file names, or line, a regular expression of the line.\nWith > there is another side, and the fault may have the target peer.")
	rest, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: it takes no arguments", errInput)
	}
	for _, p := range scenarios.Points() {
		mark := " "
		switch {
		case strings.HasSuffix(p.Takes, "!"):
			mark = "*"
		case p.HasPeer():
			mark = ">"
		}
		subject := "a node "
		if p.World {
			subject = ""
		}
		if _, err := fmt.Printf("%-22s %s %s%s\n", p.Name, mark, subject, p.About); err != nil {
			return err
		}
	}
	return nil
}

func firstSentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if at := strings.Index(text, ". "); at >= 0 {
		return text[:at+1]
	}
	return text
}

func explainVerb(_ context.Context, args []string) error {
	f := flags("explain", "[options] FILE", "Says in words what a scenario will do with a seed. Nothing is run.")
	seed := f.Uint64("seed", 0, "`N`: the seed that the plan is drawn from (default: the file's, or 1)")
	var o runOptions
	durationVar(f, &o.duration)
	scheduleVar(f, &o)
	files, err := parse(f, args)
	if err != nil {
		return err
	}
	all, err := load(files, o.duration)
	if err != nil {
		return err
	}
	if err := o.reschedule(all); err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("%w: give a scenario file", errInput)
	}
	for _, s := range all {
		if _, err := fmt.Println(scenarios.NewPlan(*s, seedOf(*s, *seed)).Explain()); err != nil {
			return err
		}
	}
	return nil
}
