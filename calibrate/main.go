//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"tribune/sim/launch"
)

// Exit statuses.
const (
	exitOK      = 0 // all is within its bound, or nothing could be measured here
	exitDiffers = 1 // something is not, or could not be measured
	exitInput   = 2 // bad input
)

// options are what a person chooses.
type options struct {
	scale float64 // of the numbers of measurements
	seeds uint64  // of the simulator
	bare  bool    // without what the machine costs
	dir   string  // for data
	keep  string  // file to write what was measured in reality to
	known string  // file to take it from instead
}

func main() {
	if len(os.Args) == 2 && roles()[os.Args[1]] != nil {
		if err := play(roles()[os.Args[1]]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitDiffers)
		}
		return
	}
	launch.ChildMain(children())
	var o options
	flag.Float64Var(&o.scale, "scale", 1, "`FACTOR` for the numbers of measurements")
	flag.Uint64Var(&o.seeds, "seeds", 5, "simulate with so many seeds, each as often as in reality")
	flag.BoolVar(&o.bare, "bare", false, "simulate a machine whose fsyncs and messages cost no time")
	flag.StringVar(&o.dir, "dir", "", "`DIR` on the disk that the agents write to; empty: the one for temporary files")
	flag.StringVar(&o.keep, "keep", "", "write what was measured in reality to `FILE`")
	flag.StringVar(&o.known, "known", "", "compare with what `FILE` says of reality instead of measuring it; needs no root")
	flag.Parse()
	if flag.NArg() > 0 || o.scale <= 0 || o.seeds == 0 {
		flag.Usage()
		os.Exit(exitInput)
	}
	launch.Ensure("tribune/calibrate", false)
	if why := unable(); why != "" && o.known == "" {
		fmt.Printf("calibrate: SKIPPED: %s\n", why)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	rows, err := calibrate(ctx, o)
	stop()
	if err == nil {
		err = report(rows)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "calibrate: %v\n", err)
		os.Exit(exitDiffers)
	}
}

// calibrate measures in both worlds and compares.
func calibrate(ctx context.Context, o options) (rows []comparison, err error) {
	all, err := observe(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, real := range all {
		fmt.Printf("%s: a message costs %s, an fsync %s\n", real.Plan.Link, spread(real.Machine.Message), spread(real.Machine.Sync))
		if o.bare {
			real.Machine = Machine{}
		}
		simulated := Samples{}
		begun, virtual := time.Now(), time.Duration(0)
		for seed := range o.seeds {
			found, err := simulate(ctx, order{real.Plan, seed + 1, real.Machine})
			if err != nil {
				return nil, err
			}
			virtual += found.Virtual
			for what, more := range found.Samples {
				simulated[what] = append(simulated[what], more...)
			}
		}
		fmt.Printf("%s: simulated %v in %v\n", real.Plan.Link, virtual.Round(time.Second), time.Since(begun).Round(time.Second))
		for _, what := range slices.Concat(phases()...) {
			if len(real.Samples[what]) > 0 {
				rows = append(rows, compare(real.Plan, what, real.Samples[what], simulated[what]))
			}
		}
	}
	return rows, nil
}

// observe measures reality, or reads what was measured.
func observe(ctx context.Context, o options) (all []lived, err error) {
	if o.known != "" {
		text, err := os.ReadFile(o.known)
		if err == nil {
			err = json.Unmarshal(text, &all)
		}
		return all, err
	}
	dir, err := os.MkdirTemp(o.dir, prefix)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "tribune")
	defer func() {
		if err == nil || errors.Is(err, errInterrupted) {
			err = errors.Join(err, os.RemoveAll(dir))
			return
		}
		_ = os.Remove(program) // the logs beside it may tell why
	}()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "tribune/cmd/tribune").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	for _, plan := range plans(o.scale) {
		real, err := live(ctx, plan, program, dir)
		if err != nil {
			return nil, err
		}
		if all = append(all, real); o.keep == "" {
			continue
		}
		text, err := json.Marshal(all)
		if err == nil {
			err = os.WriteFile(o.keep, text, 0o644)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// live takes a plan's measurements in reality and tells of it.
func live(ctx context.Context, plan Plan, program, dir string) (real lived, err error) {
	data := filepath.Join(dir, plan.Name)
	if err := os.Mkdir(data, 0o700); err != nil {
		return real, err
	}
	fmt.Printf("%s: real agents\n", plan.Link)
	begun := time.Now()
	real, err = reality{
		Program: program, Dir: data, Prefix: prefix + strconv.Itoa(os.Getpid()) + "-", Plan: plan,
	}.delegate(ctx, "-experience", "nice", "-n", strconv.Itoa(urgency))
	if err != nil {
		return real, err
	}
	late := summarize(real.Late)
	real.Late = nil // it has been told
	fmt.Printf("%s: real agents took %v; the router was late by %s in the median, %s in the 99th percentile\n",
		plan.Link, time.Since(begun).Round(time.Second), text(late.quantile(0.5)), text(late.quantile(0.99)))
	return real, nil
}

// report prints the table. The error says that something differs.
func report(rows []comparison) error {
	fmt.Println()
	if err := write(os.Stdout, rows); err != nil {
		return err
	}
	fmt.Print(legend)
	if why := explanations(rows); why != "" {
		fmt.Printf("\nWhere it is not the same:\n\n%s", why)
	}
	for _, c := range rows {
		if c.verdict == differs {
			return fmt.Errorf("the simulator and reality differ by more than their bound")
		}
	}
	return nil
}
