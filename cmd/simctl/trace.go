package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tribune/scenarios/report"
	"tribune/sim/trace"
)

func traceVerb(ctx context.Context, args []string) error {
	f := flags("trace", "[options] FILE", "Prints the trace of a run: FILE is one of the files of a report, or its folder.\n\n"+trace.Legend+"\nWith -json: "+trace.JSONLegend)
	var filter trace.Filter
	f.StringVar(&filter.Node, "node", "", "`NAME`: only events of or with this node")
	kinds := f.String("kind", "", "`KIND,...`: only events of these kinds")
	timeVar(f, &filter.From, "from", "`TIME`, such as 12.5s: only events from this virtual time on")
	timeVar(f, &filter.To, "to", "`TIME`: only events before this virtual time")
	asJSON := f.Bool("json", false, "print JSON Lines, for programs")
	where := f.String("where", "", "`PREDICATE`: only events that it chooses; simctl debug -h explains the language")
	rest, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return fmt.Errorf("%w: give one trace file or report folder", errInput)
	}
	chosen := func(_ uint64, e trace.Event) bool { return filter.Match(e) }
	if *where != "" {
		wanted, err := trace.ParsePredicate(*where)
		if err != nil {
			return fmt.Errorf("%w: -where: %w", errInput, err)
		}
		chosen = func(n uint64, e trace.Event) bool { return filter.Match(e) && wanted(n, e) }
	}
	for name := range strings.SplitSeq(*kinds, ",") {
		if name == "" {
			continue
		}
		k, err := trace.ParseKind(name)
		if err != nil {
			return fmt.Errorf("%w: %w", errInput, err)
		}
		filter.Kinds = append(filter.Kinds, k)
	}
	in, err := openTrace(rest[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errInput, err)
	}
	defer func() { _ = in.Close() }() // only read
	text := func(e trace.Event) ([]byte, error) { return []byte(trace.Format(e)), nil }
	if *asJSON {
		text = trace.JSON
	}
	nodes, met := map[string]bool{}, filter.Node == "" || filter.Node == "-"
	noting := func(n uint64, e trace.Event) bool {
		nodes[e.Node] = true
		met = met || e.Node == filter.Node || e.Peer == filter.Node
		return chosen(n, e)
	}
	switch err := printTrace(ctx, trace.NewReader(in), noting, text); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: %s: %w", errInput, rest[0], err)
	}
	if !met {
		delete(nodes, "") // the world itself
		return fmt.Errorf("%w: -node: there is no node %q; there are %s", errInput, filter.Node, strings.Join(slices.Sorted(maps.Keys(nodes)), ", "))
	}
	return nil
}

// printTrace prints the events that are chosen, a line an event, until the context ends.
func printTrace(ctx context.Context, r *trace.Reader, chosen func(n uint64, e trace.Event) bool, text func(trace.Event) ([]byte, error)) error {
	out := bufio.NewWriter(os.Stdout)
	for n := uint64(0); ; n++ {
		e, err := r.Next()
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return out.Flush()
		}
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if !chosen(n, e) {
			continue
		}
		line, err := text(e)
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
}

func openTrace(name string) (*os.File, error) {
	name = report.Folder(name)
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return os.Open(name)
	}
	f, err := os.Open(filepath.Join(name, report.TraceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, report.NoReport(name, report.TraceFile)
	}
	return f, err
}
