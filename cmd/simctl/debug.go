package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"tribune/scenarios"
	"tribune/scenarios/debug"
	"tribune/scenarios/report"
	"tribune/sim/trace"
)

type debugOptions struct {
	seed     uint64
	duration time.Duration
	verbose  bool
	mutant   string
	do       string
	until    string
}

func debugVerb(ctx context.Context, args []string) error {
	var o debugOptions
	f := flags("debug", "[options] FILE|REPORT", `Goes through a run event by event, forwards and backwards, and looks into its world
at any moment: what a server has in its raft log, its state, its goroutines, its files.
FILE is a scenario, whose run is made first; REPORT is the folder of a report. For each
look the run is made again, up to there. Commands come from the terminal, from -do, or
from the standard input; help lists them.

`+trace.PredicateHelp)
	f.Uint64Var(&o.seed, "seed", 0, "`N`: of a scenario's run (default: the file's, or 1)")
	durationVar(f, &o.duration)
	f.BoolVar(&o.verbose, "v", false, "have the servers log more, into the trace; that is another run than without")
	mutantVar(f, &o.mutant)
	f.StringVar(&o.do, "do", "", "`COMMANDS`: carry these out, separated by semicolons, and end")
	f.StringVar(&o.until, "until", "", "`PREDICATE`: begin at the first event that it chooses")
	rest, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return fmt.Errorf("%w: give one scenario file or the folder of a report", errInput)
	}
	if o.until != "" {
		if _, err := trace.ParsePredicate(o.until); err != nil {
			return fmt.Errorf("%w: -until: %w", errInput, err)
		}
	}
	recorded, err := record(ctx, o, rest[0])
	if err != nil {
		return err
	}
	s := debug.New(recorded, os.Stdout)
	if o.until != "" {
		if err := s.Until(o.until); err != nil {
			return fmt.Errorf("%w: -until: %w", errInput, err)
		}
	}
	switch {
	case o.do != "":
		return script(ctx, s, strings.NewReader(lines(o.do)))
	case term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd())):
		return converse(ctx, s)
	}
	return script(ctx, s, os.Stdin)
}

// record reads a report, or makes the run of a scenario.
func record(ctx context.Context, o debugOptions, name string) (debug.Recorded, error) {
	var none debug.Recorded
	name = report.Folder(name)
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if o.seed != 0 || o.duration != 0 || o.verbose {
			return none, fmt.Errorf("%w: -seed, -duration and -v are for scenarios; the run of a report is what it was", errInput)
		}
		r, err := debug.Open(name)
		if err != nil {
			return none, fmt.Errorf("%w: %w", errInput, err)
		}
		ensure()
		r.Binary, err = remake(r.Made, o.mutant)
		printRecorded(r)
		return r, err
	}
	all, err := load([]string{name}, o.duration)
	if err != nil {
		return none, err
	}
	ensure()
	warnOfLate([]string{name}, all)
	binary, err := mutated(o.mutant)
	if err != nil {
		return none, err
	}
	order := scenarios.Order{Scenario: *all[0], Seed: seedOf(*all[0], o.seed), Verbose: o.verbose}
	show := newDisplay(scenarios.NewPlan(order.Scenario, order.Seed))
	r, err := debug.Record(ctx, binary, order, scenarios.Listener{Progress: show.progress})
	show.clear()
	if err != nil {
		return none, err
	}
	printRecorded(r)
	return r, nil
}

func printRecorded(r debug.Recorded) {
	last := r.Events[len(r.Events)-1]
	fmt.Printf("%s, seed %d: %d events, %v\n", r.Result.Scenario, r.Result.Seed, len(r.Events), last.At.Round(time.Millisecond))
	for _, v := range r.Result.Verdicts {
		if !v.OK {
			fmt.Printf("  FAILED %s: %s\n", v.Check, v.Text)
		}
	}
}

// script carries out the commands of in, a line each, and shows them before what comes
// of them.
func script(ctx context.Context, s *debug.Session, in io.Reader) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	lines, ends := linesOf(reading, in)
	var wrong error
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ends:
			return errors.Join(wrong, err, another(s))
		case line := <-lines:
			fmt.Printf("%s%s\n", s.Prompt(), line)
			err := s.Do(ctx, line)
			switch {
			case errors.Is(err, debug.ErrQuit):
				return errors.Join(wrong, another(s))
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				fmt.Println(err)
				wrong = fmt.Errorf("%w: %q failed", errInput, line)
			}
		}
	}
}

// linesOf reads lines that are not empty, until the context ends: a signal does not end a
// read of a terminal. Nobody waits for such a read, which ends with the process.
func linesOf(ctx context.Context, in io.Reader) (<-chan string, <-chan error) {
	lines, ends := make(chan string), make(chan error)
	send := func(line string) bool {
		select {
		case lines <- line:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		r := bufio.NewScanner(in)
		for r.Scan() {
			if line := strings.TrimSpace(r.Text()); line != "" && !send(line) {
				return
			}
		}
		select {
		case ends <- r.Err():
		case <-ctx.Done():
		}
	}()
	return lines, ends
}

// another is the error of a session that has seen another run than the recorded one.
func another(s *debug.Session) error {
	if s.Another() {
		return errors.New("what was shown is of another run than the recorded one")
	}
	return nil
}

// lines puts commands that semicolons separate on lines of their own. A semicolon between
// quotation marks is a part of its command.
func lines(commands string) string {
	quoted := false
	return strings.Map(func(c rune) rune {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return '\n'
		}
		return c
	}, commands)
}

// converse takes commands from a terminal.
func converse(ctx context.Context, s *debug.Session) error {
	fmt.Println("help lists the commands, quit ends; tab completes.")
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}, "")
	t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) { return complete(t, s, line, pos, key) }
	for {
		line, err := ask(t, s.Prompt())
		if errors.Is(err, io.EOF) {
			fmt.Println()
			return nil
		}
		if err != nil {
			return err
		}
		err = s.Do(ctx, line)
		switch {
		case errors.Is(err, debug.ErrQuit):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			fmt.Println(err)
		}
	}
}

// ask reads a line. The terminal is in its raw mode only meanwhile, so that a look can
// be interrupted.
func ask(t *term.Terminal, prompt string) (string, error) {
	fd := int(os.Stdin.Fd())
	was, err := term.MakeRaw(fd)
	if err != nil {
		return "", err
	}
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		_ = t.SetSize(width, height) // then lines wrap elsewhere
	}
	t.SetPrompt(prompt)
	line, err := t.ReadLine()
	return line, errors.Join(err, term.Restore(fd, was))
}

// complete goes as far as there is one way, and then shows the ways.
func complete(t *term.Terminal, s *debug.Session, line string, pos int, key rune) (string, int, bool) {
	if key != '\t' {
		return "", 0, false
	}
	words := s.Complete(line[:pos])
	if len(words) == 0 {
		return line, pos, true
	}
	common := words[0]
	for _, w := range words[1:] {
		for !strings.HasPrefix(w, common) {
			common = common[:len(common)-1]
		}
	}
	if len(words) == 1 {
		common += " "
	}
	begin := strings.LastIndex(line[:pos], " ") + 1
	if begin+len(common) == pos {
		_, _ = fmt.Fprintf(t, "%s\n", strings.Join(words, "  ")) // what cannot be shown nobody misses
	}
	return line[:begin] + common + line[pos:], begin + len(common), true
}
