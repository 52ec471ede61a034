package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tribune/scenarios"
	"tribune/sim/casefile"
)

// scenarioFolder is where the scenarios are.
const scenarioFolder = "scenarios"

// load reads scenario files. With a duration, faults strike for so long, and it is an
// error when none of a file's can: a run without them would pass and say nothing.
func load(files []string, duration time.Duration) ([]*scenarios.Scenario, error) {
	var all []*scenarios.Scenario
	for _, file := range files {
		s, err := scenarios.Load(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %w%s", errInput, err, meant(file))
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errInput, err)
		}
		if duration > 0 {
			s.Duration.Duration = duration
			if never := late(*s); len(never) > 0 && len(never) == len(s.Faults) {
				return nil, fmt.Errorf("%w: %s: within %v none of its faults strikes: %s; give a longer -duration", errInput, file, duration, inWords(never))
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// meant suggests the scenario that a person may have meant by a file that is not there.
func meant(file string) string {
	known, _ := filepath.Glob(filepath.Join(scenarioFolder, "*.yaml")) // the pattern is right
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	return casefile.DidYouMean(filepath.Join(scenarioFolder, name+".yaml"), known)
}

// late lists the faults that cannot strike, since the phase in which they could is over
// by then. A storm draws its own.
func late(s scenarios.Scenario) []scenarios.Fault {
	if s.Storm {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.Faults), func(f scenarios.Fault) bool {
		return f.At.Duration+f.After.Duration < s.Duration.Duration
	})
}

// warnOfLate says of scenarios which of their faults never strike.
func warnOfLate(files []string, all []*scenarios.Scenario) {
	for i, s := range all {
		if never := late(*s); len(never) > 0 {
			fmt.Fprintf(os.Stderr, "WARNING %s: within %v these of its %d faults never strike: %s; a longer -duration has them\n", files[i], s.Duration, len(s.Faults), inWords(never))
		}
	}
}

// inWords lists faults by what people find them by in a file.
func inWords(faults []scenarios.Fault) string {
	var all []string
	for _, f := range faults {
		all = append(all, fmt.Sprintf("%s at %v", f.Kind, f.At.Duration+f.After.Duration))
	}
	return strings.Join(all, ", ")
}

// timeVar is an option that takes a time, and says so when its unit is missing.
func timeVar(f *flag.FlagSet, t *time.Duration, name, usage string) {
	f.Var((*timeValue)(t), name, usage)
}

type timeValue time.Duration

// String implements flag.Value.
func (t *timeValue) String() string { return time.Duration(*t).String() }

// Set implements flag.Value.
func (t *timeValue) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("give a time with its unit, such as 12.5s or 10m")
	}
	*t = timeValue(d)
	return nil
}

// durationVar is the option that run, prove and debug have in common.
func durationVar(f *flag.FlagSet, d *time.Duration) {
	timeVar(f, d, "duration", "`TIME`, such as 30s: virtual time in which faults strike, instead of the file's")
}
