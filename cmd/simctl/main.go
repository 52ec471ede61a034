// Command simctl runs scenarios: real agents in a simulated world.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"tribune/scenarios"
	"tribune/sim/casefile"
	"tribune/sim/launch"
)

// Exit statuses.
const (
	exitOK      = 0   // all is as expected
	exitFailed  = 1   // a check failed, or a run did
	exitInput   = 2   // bad input
	exitStopped = 130 // interrupted, as shells have it
)

// errInput marks an error of what the user gave.
var errInput = errors.New("bad input")

// errFailed says that a check failed; it was printed.
var errFailed = errors.New("a check failed")

// verb is a command.
type verb struct {
	name, usage, about string
	run                func(ctx context.Context, args []string) error
}

func verbs() []verb {
	return []verb{
		{"run", "[options] FILE...", "run scenarios and judge what the clients saw", runVerb},
		{"list", "[DIR]", "list the scenarios in a folder (scenarios) and what they are about", listVerb},
		{"explain", "[options] FILE", "say in words what a scenario will do", explainVerb},
		{"points", "", "list the points at which faults may strike", pointsVerb},
		{"replay", "[options] REPORT", "run a reported run again and name the first event that differs", replayVerb},
		{"trace", "[options] FILE", "print the trace of a reported run, or parts of it", traceVerb},
		{"debug", "[options] FILE|REPORT", "go through a run, back and forth, and look into its world", debugVerb},
		{"prove", "[options] FILE", "prove that runs are deterministic: the same seeds under disturbances", proveVerb},
		{"explore", "[options] FILE...", "look for runs that fail, guided by what runs have reached", exploreVerb},
		{"shrink", "[options] FILE", "make a scenario that fails smaller, as long as it still fails", shrinkVerb},
		{"mutants", "[options] [NAME...]", "build agents with deliberate bugs and see that scenarios catch them", mutantsVerb},
		{"build", "[-o FILE]", "build simctl itself with the deterministic runtime", buildVerb},
	}
}

func main() {
	launch.ChildMain(scenarios.Children())
	os.Exit(command(os.Args[1:]))
}

func command(args []string) int {
	if len(args) == 2 && args[0] == "help" {
		args = []string{args[1], "-h"}
	}
	if len(args) == 0 || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help" {
		usage(os.Stdout)
		return exitOK
	}
	for _, v := range verbs() {
		if v.name != args[0] {
			continue
		}
		ctx, stop := interruptible()
		defer stop()
		err := v.run(ctx, args[1:])
		switch {
		case err == nil || errors.Is(err, flag.ErrHelp):
			return exitOK
		case errors.Is(err, errFailed):
			return exitFailed
		}
		for _, e := range parts(err) {
			if ctx.Err() == nil || !errors.Is(e, ctx.Err()) { // what else went wrong is no less wrong
				fmt.Fprintf(os.Stderr, "simctl %s: %s\n", v.name, strings.TrimPrefix(e.Error(), errInput.Error()+": "))
			}
		}
		switch {
		case ctx.Err() != nil:
			fmt.Fprintln(os.Stderr, "interrupted")
			return exitStopped
		case errors.Is(err, errInput):
			return exitInput
		}
		return exitFailed
	}
	var known []string
	for _, v := range verbs() {
		known = append(known, v.name)
	}
	fmt.Fprintf(os.Stderr, "simctl: there is no command %q; simctl -h lists them%s\n", args[0], casefile.DidYouMean(args[0], known))
	return exitInput
}

// interruptible is a context that ends when a person or a machine wants the command to
// end, but for signals that nohup or a shell has it ignore.
func interruptible() (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
	signals = slices.DeleteFunc(signals, signal.Ignored)
	if len(signals) == 0 { // which NotifyContext takes for all
		return context.WithCancel(context.Background())
	}
	return signal.NotifyContext(context.Background(), signals...)
}

// parts are the errors that errors.Join has joined into one.
func parts(err error) []error {
	wraps, ok := err.(interface{ Unwrap() []error })
	if !ok || err.Error() != errors.Join(wraps.Unwrap()...).Error() { // fmt.Errorf adds words
		return []error{err}
	}
	var all []error
	for _, e := range wraps.Unwrap() {
		all = append(all, parts(e)...)
	}
	return all
}

func usage(w io.Writer) {
	fmt.Fprint(w, `simctl runs real Tribune agents in a simulated world (network, disks, clocks,
crashes), strikes them with faults, and judges what their clients saw.

Usage: simctl COMMAND [options] [arguments]

`)
	for _, v := range verbs() {
		fmt.Fprintf(w, "  %-8s %-21s %s\n", v.name, v.usage, v.about)
	}
	fmt.Fprint(w, `
simctl help COMMAND explains a command. Exit status: 0 all as expected, 1 a check
failed, 2 bad input, 130 interrupted.
`)
}

// flags makes the flag set of a command, whose -h prints text before the flags.
func flags(name, usage, text string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {} // the flag package shows it for every mistake too
	f.BoolFunc("h", "explain the command", func(string) error {
		f.SetOutput(os.Stdout)
		fmt.Printf("Usage: simctl %s %s\n\n%s\n\nOptions:\n", name, usage, text)
		f.PrintDefaults()
		f.SetOutput(io.Discard)
		return flag.ErrHelp
	})
	return f
}

// parse parses a command's options, which may stand before, between and after
// its arguments.
func parse(f *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) { // -help, of which only the flag package knows
				return nil, f.Set("h", "true")
			}
			if strings.HasSuffix(err.Error(), flag.ErrHelp.Error()) {
				return nil, flag.ErrHelp
			}
			return nil, fmt.Errorf("%w: %w", errInput, err)
		}
		if f.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, f.Arg(0))
		args = f.Args()[1:]
	}
}

// ensure makes this process one with the deterministic runtime. It is called
// once the input is known to be good.
func ensure() { launch.Ensure("tribune/cmd/simctl", false) }
