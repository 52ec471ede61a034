package harness_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/harness"
	"tribune/impl/host"
	"tribune/linearizability"
	"tribune/sim"
	"tribune/sim/nemesis"
	"tribune/sim/trace"
)

func TestMain(m *testing.M) { systems().Main(m) }

// cell keeps one value: "=v" sets it, "?" asks for it, a line each.
func cell(h host.Host, connection func(), ctx context.Context) error {
	l, err := h.Network().Listen(ctx, "tcp", ":1")
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		_ = l.Close()
	}()
	value := ""
	for {
		c, err := l.Accept()
		if err != nil {
			return nil
		}
		connection()
		b := make([]byte, 64)
		if n, err := c.Read(b); err == nil && b[0] == '=' {
			value = string(b[1:n])
		}
		_, _ = c.Write([]byte("=" + value)) // who asked will see that it is not there
		_ = c.Close()
	}
}

// use sets or asks.
func use(ctx context.Context, c *harness.Client, o *linearizability.Op) error {
	conn, err := c.Host.Network().Dial(ctx, "tcp", net.JoinHostPort(c.At, "1"))
	if err != nil {
		return fmt.Errorf("%w: %w", harness.ErrUntouched, err)
	}
	defer func() { _ = conn.Close() }() // only read
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	text := "?"
	if o.Kind == linearizability.Put {
		text = "=" + o.Value
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		return err
	}
	b, err := io.ReadAll(conn)
	if err != nil || len(b) == 0 {
		return errors.Join(err, io.ErrUnexpectedEOF)
	}
	o.Seen, o.Found = string(b[1:]), len(b) > 1
	return nil
}

func draw(c *harness.Client) linearizability.Op {
	if c.Draws.IntN(2) == 0 {
		return linearizability.Op{Kind: linearizability.Get, Key: "cell"}
	}
	return linearizability.Op{Kind: linearizability.Put, Key: "cell", Value: fmt.Sprintf("%s-%d", c.Name, c.Operations)}
}

// useByNumber waits for as long as the number of its process says, which no world decides.
func useByNumber(ctx context.Context, c *harness.Client, o *linearizability.Op) error {
	time.Sleep(time.Duration(os.Getpid()%1000) * time.Millisecond)
	return use(ctx, c, o)
}

// brittle finds something wrong in every history that it can judge.
func brittle(history []linearizability.Op) string {
	if len(history) < 200 {
		panic("cannot judge so few")
	}
	return "wrong: as always"
}

// running is the program of a node that runs a function.
func running(run func(ctx context.Context, h host.Host) error) func(string) sim.Program {
	return func(string) sim.Program {
		return func(ctx context.Context, h host.Host, log *slog.Logger) error {
			log.Info("the cell opens")
			return run(ctx, h)
		}
	}
}

// hangs is a cell that answers forty times.
func hangs(ctx context.Context, h host.Host) error {
	busy := 0
	return cell(h, func() {
		if busy++; busy > 40 {
			<-ctx.Done()
		}
	}, ctx)
}

// systems are one that is all right, but for its memory, and those with a mistake each.
func systems() harness.Systems {
	right := harness.System{
		Nodes: []string{"n"}, Draw: draw, Do: use, Duration: 10 * time.Second, Settle: time.Second,
		Program: running(func(ctx context.Context, h host.Host) error { return cell(h, func() {}, ctx) }),
		Faults:  nemesis.Mix{Kinds: []string{"loss", "slow-link"}},
	}
	with := func(change func(*harness.System)) harness.System {
		s := right
		change(&s)
		return s
	}
	busy := 0
	panics := running(func(ctx context.Context, h host.Host) error {
		return cell(h, func() {
			if busy++; busy == 40 {
				go func() { panic("forty are too many") }()
			}
		}, ctx)
	})
	return harness.Systems{
		"right":      right,
		"forgets":    with(func(s *harness.System) { s.Faults.Kinds, s.Faults.Percent = []string{"kill"}, 100 }),
		"empty":      {},
		"twins":      with(func(s *harness.System) { s.Nodes = []string{"n", "n"} }),
		"client":     with(func(s *harness.System) { s.Nodes = []string{"client2"} }),
		"no-network": with(func(s *harness.System) { s.Network = "wlan" }),
		"no-kind":    with(func(s *harness.System) { s.Faults.Kinds = []string{"partitoin"} }),
		"no-shape":   with(func(s *harness.System) { s.Faults.Shapes = []string{"round"} }),
		"no-target":  with(func(s *harness.System) { s.Faults.Targets = []string{"leader"} }),
		"panics":     with(func(s *harness.System) { s.Program = panics }),
		"hangs":      with(func(s *harness.System) { s.Program = running(hangs) }),
		"may-panic": with(func(s *harness.System) {
			s.Program, s.MayPanic, s.Check = panics, true, func([]linearizability.Op) string { return "" }
		}),
		"ends": with(func(s *harness.System) {
			s.Program = running(func(context.Context, host.Host) error { return errors.New("no settings") })
		}),
		"exits": with(func(s *harness.System) {
			s.Program = running(func(context.Context, host.Host) error { os.Exit(3); return nil })
		}),
		"exits-well": with(func(s *harness.System) {
			s.Program = running(func(context.Context, host.Host) error { os.Exit(0); return nil })
		}),
		"no-text": with(func(s *harness.System) {
			s.Draw = func(c *harness.Client) linearizability.Op {
				return linearizability.Op{Kind: linearizability.Put, Key: "cell", Value: string([]byte{0xff, byte(c.Operations)})}
			}
		}),
		"draw-panics": with(func(s *harness.System) {
			s.Draw = func(*harness.Client) linearizability.Op { panic("nothing to draw") }
		}),
		"do-stays": with(func(s *harness.System) {
			s.Do = func(context.Context, *harness.Client, *linearizability.Op) error { select {} }
		}),
		"check-panics": with(func(s *harness.System) { s.Check = func([]linearizability.Op) string { panic("cannot count") } }),
		"brittle":      with(func(s *harness.System) { s.Check = brittle }),
		"strange": with(func(s *harness.System) {
			s.Draw = func(*harness.Client) linearizability.Op { return linearizability.Op{Kind: "take"} }
		}),
		"repeats": with(func(s *harness.System) {
			s.Draw = func(*harness.Client) linearizability.Op {
				return linearizability.Op{Kind: linearizability.Put, Key: "cell", Value: "1"}
			}
		}),
		"real": with(func(s *harness.System) { s.Do = useByNumber }),
	}
}

// A mistake of whoever wrote the test must not look like a program without bugs.
func TestMistakesAreSaid(t *testing.T) {
	for system, want := range map[string]string{
		"rihgt": `there is no system "rihgt"; there are brittle, check-panics`, "empty": "it has no Nodes, no Program, no Draw, no Do",
		"twins": "two nodes are called n", "client": "a node cannot be called client2", "no-network": `no network model is called "wlan"`,
		"no-kind": `no fault is called "partitoin"`, "no-shape": `no partition is called "round"`, "no-target": `there is no server "leader"`,
		"exits": "must not call os.Exit", "exits-well": "must not call os.Exit", "no-text": `with value "\xff`, "draw-panics": "client1 ends in Draw or Do, and must not: panic: nothing to draw",
		"do-stays": "client1 does not come back from Do", "check-panics": "the system's Check panics: cannot count",
		"strange": `an operation of kind "take" is drawn`, "repeats": "both write cell=1",
	} {
		_, err := systems().Find(t.Context(), system, harness.Search{Last: 1})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, and not: %s", system, err, want)
		}
	}
}

func TestASearchOfNoCaseIsAMistake(t *testing.T) {
	if _, err := systems().Find(t.Context(), "right", harness.Search{First: 200, Last: 100}); err == nil || !strings.Contains(err.Error(), "no case from 200 to 100") {
		t.Error(err)
	}
}

func TestMistakesInACaseAreSaid(t *testing.T) {
	fault := func(f nemesis.Fault) harness.Case {
		return harness.Case{System: "right", Seed: 1, Faults: []nemesis.Fault{f}}
	}
	for want, c := range map[string]harness.Case{
		`did you mean "partition"?`:           fault(nemesis.Fault{Kind: "partitoin"}),
		`fault 1: target: there is no server`: fault(nemesis.Fault{Kind: "kill", Target: "m"}),
		`there is no system "left"`:           {System: "left"},
	} {
		if _, err := systems().Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	r, err := systems().Run(t.Context(), harness.Case{System: "right", Seed: 1})
	if err != nil || r.Problem != "" || len(r.History) < 100 || r.Case.Clients != 3 {
		t.Errorf("a case that leaves out what its system says: %d operations of %d clients, %q, %v", len(r.History), r.Case.Clients, r.Problem, err)
	}
}

func TestAProgramThatEndsByItselfIsAProblem(t *testing.T) {
	for system, want := range map[string]string{
		"panics": "a node panics: n at ", "may-panic": "", "ends": "nothing works: none of ",
	} {
		r, err := systems().Run(t.Context(), harness.Case{System: system, Seed: 1})
		if err != nil || !strings.HasPrefix(r.Problem, want) || want == "" && r.Problem != "" {
			t.Errorf("%s: %q, %v", system, r.Problem, err)
		}
		if len(r.Ends) == 0 || r.Ends[0].Node != "n" {
			t.Errorf("%s: nobody ended: %+v", system, r.Ends)
		}
		words := r.Words()
		if system == "panics" && (!strings.Contains(words, "forty are too many") || strings.Count(words, "panics: ") > 2 || !strings.Contains(words, "harness_test.go")) {
			t.Errorf("the words do not say where the panic was: %s", words)
		}
	}
}

// TestACaseWithoutAResultIsKept: a varied case does not follow from its seed.
func TestACaseWithoutAResultIsKept(t *testing.T) {
	dir := t.TempDir()
	_, err := systems().Find(t.Context(), "exits", harness.Search{Last: 1, Folder: dir})
	name := filepath.Join(dir, "exits-1-broken.yaml")
	if err == nil || !strings.Contains(err.Error(), "-harness.case "+name) {
		t.Errorf("it does not say how to run the case again: %v", err)
	}
	if c, lerr := harness.Load(name); lerr != nil || c.System != "exits" || len(c.Faults) == 0 {
		t.Errorf("kept is %+v: %v", c, lerr)
	}
	if _, err = systems().Find(t.Context(), "exits", harness.Search{Last: 1}); err == nil || !strings.Contains(err.Error(), "system: exits\n") {
		t.Errorf("without a folder the case is lost: %v", err)
	}
}

func TestAProgramThatHangsAfterItHasWorkedIsAProblem(t *testing.T) {
	r, err := systems().Run(t.Context(), harness.Case{System: "hangs", Seed: 1})
	if err != nil || !strings.HasPrefix(r.Problem, "nothing works: none of ") {
		t.Errorf("%q, %v", r.Problem, err)
	}
	if !slices.ContainsFunc(r.History, func(o linearizability.Op) bool { return o.Outcome == linearizability.OK }) {
		t.Error("it never worked")
	}
}

func TestWhatTheWorldDoesNotDecideIsSaid(t *testing.T) {
	_, err := systems().Find(t.Context(), "real", harness.Search{Last: 1})
	if !errors.Is(err, harness.ErrDiverged) || !strings.Contains(err.Error(), "the first event that differs is number") {
		t.Errorf("a program that looks at its process's number: %v", err)
	}
}

func TestASearchThatFindsNothingSaysWhatItDid(t *testing.T) {
	var told strings.Builder
	f, err := systems().Find(t.Context(), "right", harness.Search{Last: 3, Logf: func(format string, args ...any) { fmt.Fprintf(&told, format+"\n", args...) }})
	if f != nil || err != nil {
		t.Fatalf("%v, %v", f, err)
	}
	for _, want := range []string{"nothing is wrong: 3 cases of 3, ", "times real time", "states reached", "operations: "} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, told.String())
		}
	}
}

func TestWhatIsFoundIsNotLostWhenTheTimeIsUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	logf := func(format string, args ...any) {
		if strings.Contains(fmt.Sprintf(format, args...), " fails: ") {
			cancel()
		}
	}
	f, err := systems().Find(ctx, "forgets", harness.Search{Folder: t.TempDir(), Logf: logf})
	if err != nil || f == nil || !f.Stopped || f.Smallest.Problem == "" {
		t.Fatalf("%+v, %v", f, err)
	}
	if c, err := harness.Load(f.Name); err != nil || len(c.Faults) != len(f.Found.Faults) {
		t.Errorf("kept with %d faults of %d: %v", len(c.Faults), len(f.Found.Faults), err)
	}
	if !strings.Contains(f.String(), "it may get smaller yet") {
		t.Errorf("it does not say that it was stopped:\n%s", f)
	}
	if f, err := systems().Find(ctx, "forgets", harness.Search{}); f != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("a search without time: %v, %v", f, err)
	}
}

func TestACaseThatCannotBeJudgedDoesNotEndTheShrinking(t *testing.T) {
	f, err := systems().Find(t.Context(), "brittle", harness.Search{})
	if err != nil || f == nil || f.Stopped || len(f.Smallest.Case.Faults) > 0 || f.Smallest.Problem != "wrong: as always" {
		t.Fatalf("%+v, %v", f, err)
	}
	if again, err := systems().Run(t.Context(), harness.Case{System: "brittle", Seed: f.Smallest.Case.Seed, Clients: 1, Duration: nemesis.Duration{Duration: 2 * time.Second}}); err == nil {
		t.Errorf("all smaller ones could be judged: %d operations", len(again.History))
	}
}

func TestWhatIsFoundIsKeptAndTold(t *testing.T) {
	dir := t.TempDir()
	f, err := systems().Find(t.Context(), "forgets", harness.Search{Folder: dir})
	if err != nil || f == nil {
		t.Fatalf("%v, %v", f, err)
	}
	text := f.String()
	for _, want := range []string{"not linearizable", "of n", "go test -v tribune/harness -harness.case " + f.Name} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if len(f.Smallest.Anomalies) == 0 || !strings.Contains(text, f.Smallest.Anomalies[0].Text) {
		t.Errorf("it does not say what a client saw:\n%s", text)
	}
	c, err := harness.Load(f.Name)
	if err != nil || filepath.Dir(f.Name) != dir {
		t.Fatalf("%s: %v", f.Name, err)
	}
	var story, every, page strings.Builder
	r, err := systems().Story(t.Context(), c, harness.Told{Lines: &story, Every: &every, Page: &page, File: f.Name})
	if err != nil || r.Problem != f.Smallest.Problem || r.Fingerprint != f.Smallest.Fingerprint {
		t.Errorf("told, the case is another run: %q, %v", r.Problem, err)
	}
	for _, want := range []string{"life     start 1", "the cell opens", "fault    ", "op       n put cell"} {
		if !strings.Contains(story.String(), want) {
			t.Errorf("the story does not tell of %q", want)
		}
	}
	if strings.Contains(story.String(), "deliver") {
		t.Error("the story tells of packets")
	}
	all := trace.NewReader(strings.NewReader(every.String()))
	var kinds []trace.Kind
	for e, err := all.Next(); err == nil; e, err = all.Next() {
		kinds = append(kinds, e.Kind)
	}
	if !slices.Contains(kinds, trace.NetDeliver) {
		t.Error("the trace has no packets")
	}
	for _, want := range []string{`"name":"n","role":"server"`, `"name":"client1","role":"client"`, f.Smallest.Anomalies[0].Text, "-harness.case " + f.Name} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not have %q", want)
		}
	}
}
