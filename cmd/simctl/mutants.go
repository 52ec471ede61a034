package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"

	"tribune/scenarios"
	"tribune/sim/casefile"
	"tribune/sim/launch"
	"tribune/sim/mutants"
)

type mutantsOptions struct {
	dir      string
	list     bool
	parallel int
	rate     int
	rates    string
	update   bool
	plain    bool
	guided   bool
	bound    int
}

func mutantsVerb(ctx context.Context, args []string) error {
	var o mutantsOptions
	f := flags("mutants", "[options] [NAME...]", `Builds an agent with each deliberate bug and runs the scenario that is expected to
catch it, seed after seed, until a check fails. The agent without the bug runs the
same seeds and must pass. Without a NAME, those of which it is known that nothing
catches them are only listed.`)
	f.StringVar(&o.dir, "scenarios", scenarioFolder, "`DIR` of the scenario files")
	f.BoolVar(&o.list, "list", false, "print them all, or each NAME, as Markdown, with what the file of -rates knows, and run nothing")
	f.IntVar(&o.parallel, "parallel", runtime.NumCPU(), "`N` runs side by side")
	f.IntVar(&o.rate, "rate", 0, "run `N` seeds of each, and say how many of them catch it")
	f.StringVar(&o.rates, "rates", "", "`FILE`: rates measured before; one that is half of that or less, and surely lower, fails")
	f.BoolVar(&o.update, "update", false, "keep what is measured in the file instead: first catches, and with -rate the rates")
	f.BoolVar(&o.plain, "plain", false, "try storms in the scenario's place as well, drawn at random")
	f.BoolVar(&o.guided, "guided", false, "try the exploration of storms as well")
	f.IntVar(&o.bound, "bound", 40, "`N` storms at most for -plain, and as many for -guided")
	names, err := parse(f, args)
	if err != nil {
		return err
	}
	wanted, err := o.check(names)
	if err != nil {
		return err
	}
	kept, err := o.kept()
	if err != nil {
		return err
	}
	switch {
	case o.list && len(names) > 0:
		_, err = fmt.Print(mutants.Rows(kept, wanted))
		return err
	case o.list:
		_, err = fmt.Print(mutants.Table(kept))
		return err
	}
	files := map[string]scenarios.Scenario{}
	for _, name := range o.files(wanted) {
		all, err := load([]string{filepath.Join(o.dir, name)}, 0)
		if err != nil {
			return err
		}
		files[name] = *all[0]
	}
	ensure()
	return newHunt(o, kept, wanted, files).run(ctx)
}

// check says what is wrong with the options, and which mutants are wanted.
func (o mutantsOptions) check(names []string) ([]mutants.Mutant, error) {
	switch {
	case o.parallel < 1 || o.rate < 0 || o.bound < 1:
		return nil, fmt.Errorf("%w: -parallel and -bound must be at least 1, -rate not negative", errInput)
	case o.rates != "" && o.rate == 0 && !o.list && !o.update:
		return nil, fmt.Errorf("%w: -rates compares what -rate measures; give that too, or -update", errInput)
	case o.update && o.rates == "":
		return nil, fmt.Errorf("%w: -update keeps rates in a file; name it with -rates", errInput)
	case len(names) == 0:
		return mutants.All(), nil
	}
	for _, name := range names {
		if _, err := mutantOf(name); err != nil {
			return nil, fmt.Errorf("%w: %w", errInput, err)
		}
	}
	all := append(mutants.All(), mutants.Escaped()...)
	return slices.DeleteFunc(all, func(m mutants.Mutant) bool { return !slices.Contains(names, m.Name) }), nil
}

// kept is what was measured before: nothing without a file, or before the first time that
// it is updated.
func (o mutantsOptions) kept() (mutants.Rates, error) {
	if o.rates == "" {
		return mutants.Rates{}, nil
	}
	kept, err := mutants.ReadRates(o.rates)
	switch {
	case o.update && errors.Is(err, fs.ErrNotExist):
		return mutants.Rates{}, writable("-rates", o.rates)
	case err != nil:
		return kept, fmt.Errorf("%w: -rates: %w", errInput, err)
	}
	return kept, nil
}

// stormFile is the scenario that -plain and -guided run.
const stormFile = "storm.yaml"

// files are the scenarios that the wanted mutants need.
func (o mutantsOptions) files(wanted []mutants.Mutant) []string {
	var names []string
	for _, m := range wanted {
		names = append(names, m.Scenario)
	}
	if o.plain || o.guided {
		names = append(names, stormFile)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// command is the line that measures the same, for the reader of the rates.
func (o mutantsOptions) command() string {
	line := fmt.Sprintf("simctl mutants -rate %d", o.rate)
	if o.plain {
		line += " -plain"
	}
	if o.guided {
		line += " -guided"
	}
	if o.plain || o.guided {
		line += fmt.Sprintf(" -bound %d", o.bound)
	}
	return line + " -rates sim/mutants/rates.json -update NAME..."
}

// mutated builds the program with the mutant of a name; "" is this program.
func mutated(name string) (binary string, err error) {
	if name == "" {
		return "", nil
	}
	m, err := mutantOf(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errInput, err)
	}
	return launch.Build(launch.Options{Package: "tribune/cmd/simctl", Patches: m.Patches})
}

// mutantOf is the mutant of a name.
func mutantOf(name string) (mutants.Mutant, error) {
	var known []string
	for _, m := range append(mutants.All(), mutants.Escaped()...) {
		if m.Name == name {
			return m, nil
		}
		known = append(known, m.Name)
	}
	return mutants.Mutant{}, fmt.Errorf("there is no mutant %q; simctl mutants -list lists them%s", name, casefile.DidYouMean(name, known))
}

// mutantVar is the option -mutant, which has one meaning for all commands.
func mutantVar(f *flag.FlagSet, name *string) {
	f.Func("mutant", "`NAME`: run agents with that deliberate bug (simctl mutants -list)", func(text string) error {
		*name = text
		if text == "" {
			return nil
		}
		_, err := mutantOf(text)
		return err
	})
}

// mutantOption is how a command is told of a mutant.
func mutantOption(name string) string {
	if name == "" {
		return ""
	}
	return " -mutant " + name
}
