package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
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
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			return nil, fmt.Errorf("%w: %s is a folder, and no scenario; simctl replay makes the run of a report again", errInput, file)
		}
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
	if d < 0 {
		return errors.New("give a time that is not negative")
	}
	*t = timeValue(d)
	return nil
}

// durationVar is the option that run, prove and debug have in common.
func durationVar(f *flag.FlagSet, d *time.Duration) {
	timeVar(f, d, "duration", "`TIME`, such as 30s: virtual time in which faults strike, instead of the file's")
}

// parallelVar is the option of commands that make several runs at once.
func parallelVar(f *flag.FlagSet, n *int, about string) {
	*n = runtime.NumCPU()
	f.Func("parallel", fmt.Sprintf("%s`N` runs side by side (default %d)", about, *n), func(text string) (err error) {
		if *n, err = strconv.Atoi(text); err != nil || *n < 1 {
			return errors.New("give a number, at least 1")
		}
		return nil
	})
}

// seedOf is the seed that a person gave, or the file, or 1.
func seedOf(s scenarios.Scenario, given uint64) uint64 {
	return cmp.Or(given, s.Seed, 1)
}

// seedRange reads a range of seeds.
func seedRange(text string) ([]uint64, error) {
	first, last, ok := strings.Cut(text, "..")
	a, err := strconv.ParseUint(first, 10, 64)
	b, err2 := strconv.ParseUint(last, 10, 64)
	if !ok || err != nil || err2 != nil || a == 0 || b < a {
		return nil, fmt.Errorf("%w: -seeds %q: give a range from 1 on, such as 1..50", errInput, text)
	}
	const most = 1_000_000
	if b-a >= most {
		return nil, fmt.Errorf("%w: -seeds %q: give a range of a million at the most", errInput, text)
	}
	seeds := make([]uint64, b-a+1)
	for i := range seeds {
		seeds[i] = a + uint64(i)
	}
	return seeds, nil
}

// writable says before long runs what would be wrong with a file after them.
func writable(option, name string) error {
	if ext := filepath.Ext(name); ext == ".yaml" || ext == ".yml" {
		return fmt.Errorf("%w: %s wants the name of a file to write, and %s is a scenario", errInput, option, name)
	}
	return creatable(option, name)
}

// creatable says what is wrong with a file that is to be written, if it has a name: that
// it is a folder or cannot be written, or that its own folder is not there or takes no files.
func creatable(option, name string) error {
	if name == "" {
		return nil
	}
	if info, err := os.Stat(name); err == nil {
		if info.IsDir() {
			return fmt.Errorf("%w: %s %s: it is a folder", errInput, option, name)
		}
		const toWrite = 2 // W_OK of access(2)
		if err := syscall.Access(name, toWrite); err != nil {
			return fmt.Errorf("%w: %s %s: %w", errInput, option, name, err)
		}
		return nil
	}
	dir := filepath.Dir(name)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: %s %s: there is no such folder", errInput, option, name)
	}
	return takesFiles(option, dir)
}

// takesFiles says what is wrong with a folder that is to be made, or is there and is to
// take files.
func takesFiles(option, dir string) error {
	at := dir
	for {
		_, err := os.Stat(at)
		if err == nil {
			break
		}
		if parent := filepath.Dir(at); errors.Is(err, fs.ErrNotExist) && parent != at {
			at = parent
			continue
		}
		return fmt.Errorf("%w: %s %s: %w", errInput, option, dir, err)
	}
	probe, err := os.CreateTemp(at, ".simctl-*")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	if err != nil {
		return fmt.Errorf("%w: %s %s: %w", errInput, option, dir, err)
	}
	return nil
}
