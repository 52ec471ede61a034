package nemesis_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tribune/sim/nemesis"
	"tribune/sim/trace"
)

const ms = time.Millisecond

// fault makes one that waits for a point.
func fault(kind, target, on string, lasts time.Duration, change ...func(*nemesis.Fault)) nemesis.Fault {
	f := nemesis.Fault{Kind: kind, Target: target}
	f.On, f.For.Duration = on, lasts
	for _, c := range change {
		c(&f)
	}
	return f
}

// lasting makes one that strikes at a time.
func lasting(kind, target string, from, lasts time.Duration, change ...func(*nemesis.Fault)) nemesis.Fault {
	f := fault(kind, target, "", lasts, change...)
	f.At.Duration = from
	return f
}

func of(node string) func(*nemesis.Fault)     { return func(f *nemesis.Fault) { f.Of = node } }
func nth(n int) func(*nemesis.Fault)          { return func(f *nemesis.Fault) { f.Nth = n } }
func times(n int) func(*nemesis.Fault)        { return func(f *nemesis.Fault) { f.Times = n } }
func file(name string) func(*nemesis.Fault)   { return func(f *nemesis.Fault) { f.File = name } }
func size(n int) func(*nemesis.Fault)         { return func(f *nemesis.Fault) { f.Size = n } }
func line(text string) func(*nemesis.Fault)   { return func(f *nemesis.Fault) { f.Line = text } }
func at(d time.Duration) func(*nemesis.Fault) { return func(f *nemesis.Fault) { f.At.Duration = d } }
func later(d time.Duration) func(*nemesis.Fault) {
	return func(f *nemesis.Fault) { f.After.Duration = d }
}

func stories() map[string]story {
	all := looking()
	maps.Copy(all, striking())
	maps.Copy(all, together())
	maps.Copy(all, hurting())
	return all
}

// looking are stories in which no aim is hit.
func looking() map[string]story {
	return map[string]story{
		"looks at a disk":         {faults: []nemesis.Fault{fault("kill", "here", "file-sync-before", 0, file("other"), of("n1"))}},
		"looks at all log lines":  {faults: []nemesis.Fault{fault("kill", "here", "greets", 0, nth(1000))}},
		"looks at some log lines": {faults: []nemesis.Fault{fault("kill", "here", "logged", 0, line("^INFO nothing"))}},
		"looks at nothing":        {},
		"is paused":               {crowd: true, faults: pauses()},
		"is paused, registered":   {crowd: true, faults: pauses(), registered: true},
		"is registered": {registered: true, told: func(s *scene) {
			var greeted []string
			for _, p := range s.passages {
				if p.Point == "greets" {
					greeted = append(greeted, fmt.Sprint(p.At, p.Node, p.Nth))
				}
				if p.Nth > 5 || p.Point == "logged" {
					s.errorf("%+v was noted", p)
				}
			}
			slices.Sort(greeted)
			if strings.Join(greeted, " ") != "0sn11 0sn21 0sn31" {
				s.errorf("those who greeted are %v", greeted)
			}
		}},
	}
}

// pauses strike each node again and again while it is busy.
func pauses() (all []nemesis.Fault) {
	for _, node := range cast().Servers {
		all = append(all, fault("pause", "here", "logged", 100*ms, line("counted"), of(node), nth(3), times(40), later(99*ms)))
	}
	return all
}

func striking() map[string]story {
	return map[string]story{
		"between write and sync": {
			faults: []nemesis.Fault{fault("power", "here", "file-write-after", 500*ms, file("count"), of("n2"), nth(3))},
			told: func(s *scene) {
				s.expect("300ms power failure of n2, on file-write-after")
				for _, e := range s.after("", "power failure of n2, on file-write-after") {
					if e.Node == "n2" && e.Kind == trace.DiskSync && e.At < 800*ms {
						s.errorf("it synced at %v, without power", e.At)
					}
				}
			},
		},
		"before a write": {
			faults: []nemesis.Fault{fault("kill", "here", "file-write-before", 500*ms, file("/count"), of("n2"), nth(3))},
			told: func(s *scene) {
				s.expect("300ms kill -9 of n2, on file-write-before")
				// Two before, and one each 100 ms from 900 ms on.
				if n := len(s.World.Node("n2").Disk().Content("/count")); n != 2+92 {
					s.errorf("it has written %d times", n)
				}
			},
		},
		"a pause holds the operation": {
			faults: []nemesis.Fault{fault("pause", "here", "file-sync-before", 2*time.Second, file("*"), of("n3"))},
			told: func(s *scene) {
				s.expect("100ms n3 is paused, on file-sync-before")
				for _, e := range s.after("n3", "pause") {
					if e.Node == "n3" && e.Kind == trace.DiskSync {
						if e.At < 2100*ms {
							s.errorf("it synced at %v, while it was paused", e.At)
						}
						return
					}
				}
				s.errorf("it never synced again")
			},
		},
		"nth, times, at and after": {
			faults: []nemesis.Fault{fault("kill", "n3", "logged", 50*ms, line("counted"), of("n1"), at(time.Second), nth(3), times(2), later(20*ms))},
			told:   func(s *scene) { s.expect("1.221s kill -9 of n3, on logged", "1.321s kill -9 of n3, on logged") },
		},
		"of a role, and the other side": {
			faults: []nemesis.Fault{
				fault("kill", "n1", "process-start", time.Hour, of("n1"), later(time.Second)),
				fault("pause", "here", "logged", 100*ms, line("counted n=15"), of("first")),
				fault("kill", "peer", "greets", 100*ms, of("n2")),
			},
			told: func(s *scene) {
				s.expect("0s kill -9 of n3, on greets", "1s kill -9 of n1, on process-start", "1.501s n2 is paused, on logged")
			},
		},
	}
}

// together are stories in which one fault has to do with another.
func together() map[string]story {
	return map[string]story{
		"one after another": {
			faults: []nemesis.Fault{
				{Kind: "pause", Target: "n1", At: nemesis.Duration{Duration: time.Second}, For: nemesis.Duration{Duration: time.Second}},
				fault("pause", "n2", "fault-begins", 100*ms, line("n1"), later(30*ms)),
				fault("pause", "n3", "fault-ends", 100*ms, line("n1")),
			},
			told: func(s *scene) {
				s.expect("1s n1 is paused", "1.03s n2 is paused, on fault-begins", "2s n3 is paused, on fault-ends")
			},
		},
		"faults that overlap last each as long as it shall": {
			faults: []nemesis.Fault{
				lasting("pause", "n1", 1*time.Second, 2*time.Second), lasting("pause", "n1", 2*time.Second, 2*time.Second),
				// The process that the first pause stopped is killed; the second is one of the next.
				lasting("pause", "n2", 1*time.Second, 2*time.Second), lasting("kill", "n2", 1500*ms, 100*ms), lasting("pause", "n2", 2*time.Second, 3*time.Second),
			},
			told: func(s *scene) {
				s.quiet("n1", 1001*ms, 4*time.Second)
				s.quiet("n2", 2001*ms, 5*time.Second)
			},
		},
		"bits flip where the pattern says": {
			faults: []nemesis.Fault{
				lasting("bit-rot", "n1", time.Second, 0, file("/count"), size(5)), lasting("bit-rot", "n2", time.Second, 0, file("/other/*"), size(5)),
			},
			told: func(s *scene) {
				for node, want := range map[string]string{"n1": "5", "n2": "0"} {
					if text := want + " bits of the files of " + node + " have flipped"; s.after("", text) == nil {
						s.errorf("nothing says: %s", text)
					}
				}
			},
		},
		"a fault does not set off itself": {
			faults: []nemesis.Fault{
				{Kind: "pause", Target: "n1", At: nemesis.Duration{Duration: time.Second}, For: nemesis.Duration{Duration: time.Second}, Every: nemesis.Duration{Duration: 3 * time.Second}},
				fault("kill", "n2", "fault-begins", 100*ms, times(3)),
				fault("pause", "n3", "fault-ends", 100*ms, times(2), nth(2)),
			},
			told: func(s *scene) {
				s.expect("1s n1 is paused", "1s kill -9 of n2, on fault-begins", "2s n3 is paused, on fault-ends",
					"2s kill -9 of n2, on fault-begins", "2.1s n3 is paused, on fault-ends", "2.1s kill -9 of n2, on fault-begins",
					"4s n1 is paused", "7s n1 is paused")
			},
		},
	}
}

// hurting are stories of how much a fault does, and of its end.
func hurting() map[string]story {
	return map[string]story{
		"all that lasts ends at one time, and repairs are waited for": {
			faults: []nemesis.Fault{lasting("bit-rot", "n1", 7*time.Second, time.Minute, size(5)), lasting("pause", "n2", 7500*ms, time.Second)},
			told: func(s *scene) {
				i := slices.IndexFunc(s.events, func(e trace.Event) bool { return e.Node == "n2" && e.Kind == trace.Log && e.At > 7500*ms })
				if i < 0 || s.events[i].At > 8100*ms {
					s.errorf("n2 was paused when all was healed at 8s")
				}
				if s.after("", "n1 is repaired") == nil || s.after("", "healed")[0].At < 9*time.Second {
					s.errorf("the repair was not waited for")
				}
			},
		},
		"a clock drifts as little as is wanted": {
			faults: []nemesis.Fault{lasting("clock-drift", "n1", time.Second, time.Second, func(f *nemesis.Fault) { f.Rate = 1.0004 })},
			told: func(s *scene) {
				s.expect("1s the clock of n1 goes at 1.00040 of true time")
				if s.after("n1", "clock goes 100040/100000") == nil {
					s.errorf("the clock goes right")
				}
			},
		},
		"the sync of a directory fails too": {
			faults: []nemesis.Fault{lasting("disk-error", "n1", time.Second, time.Second, file("/"), func(f *nemesis.Fault) { f.Rate = 1 })},
			told: func(s *scene) {
				failed := 0
				for _, e := range s.events {
					if e.Kind == trace.Log && e.Text == "WARN names may be lost" {
						failed++
					}
				}
				if failed != 10 {
					s.errorf("%d syncs of a directory failed of those that there are in a second, 10", failed)
				}
			},
		},
	}
}

func TestStories(t *testing.T) {
	for name := range stories() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(2) {
				if a, b := tell(t, name, seed), tell(t, name, seed); a != b {
					t.Errorf("seed %d made two runs", seed)
				}
			}
		})
	}
}

func TestLookingOnIsNothingToARun(t *testing.T) {
	for seed := range uint64(3) {
		want := tell(t, "looks at a disk", seed)
		for _, other := range []string{"looks at all log lines", "looks at some log lines"} {
			if tell(t, other, seed) != want {
				t.Errorf("seed %d: a story that %s is another run", seed, other)
			}
		}
		if tell(t, "is registered", seed) != tell(t, "looks at nothing", seed) {
			t.Errorf("seed %d: to note what is passed changed the run", seed)
		}
		for _, schedule := range []string{"shuffle", "walk", "pct:3:64"} {
			if tellIn(t, "is paused, registered", seed, schedule) != tellIn(t, "is paused", seed, schedule) {
				t.Errorf("%s, seed %d: to note what is passed while nodes are paused changed the run", schedule, seed)
			}
		}
	}
}

func TestAnAnchorStrikesWhereTheTimeDid(t *testing.T) {
	f := nemesis.Fault{Kind: "kill", Target: "n2"}
	f.At.Duration, f.Every.Duration, f.For.Duration = time.Second, time.Minute, 5*time.Second
	passages := []nemesis.Passage{
		{At: time.Second, Point: "often", Node: "n1", Nth: 40}, {At: 1900 * ms, Point: "seldom", Node: "n2", Nth: 2},
		{At: 1950 * ms, Point: "often", Node: "n2", Nth: 41}, {At: 2001 * ms, Point: "too late", Node: "n2", Nth: 1},
		{At: ms, Point: "too early", Node: "n2", Nth: 1},
	}
	want := []nemesis.Fault{
		fault("kill", "here", "seldom", 5*time.Second, of("n2"), nth(2), later(100*ms)),
		fault("kill", "n2", "often", 5*time.Second, of("n1"), nth(40), later(time.Second)),
		fault("kill", "here", "often", 5*time.Second, of("n2"), nth(41), later(50*ms)),
	}
	if got := nemesis.Anchors(f, 2*time.Second, "n2", passages, time.Second); !slices.Equal(got, want) {
		t.Errorf("the anchors are\n%+v\nand not\n%+v", got, want)
	}
}

func TestPointsAreNamedOnceAndSaySomething(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range cast().AllPoints() {
		if seen[p.Name] || p.About == "" || (p.Event.Kind == trace.KindNone) == (p.Disk.Op == "") {
			t.Errorf("%+v", p)
		}
		seen[p.Name] = true
	}
}

func TestWhoSendsAResetLosesNoConnection(t *testing.T) {
	points := nemesis.Points()
	i := slices.IndexFunc(points, func(p nemesis.Point) bool { return p.Name == "connection-reset" })
	watch := nemesis.NewWatch(points[i], "", "")
	for text, want := range map[string]bool{"lost": true, "sent": false} {
		peer, passed := watch.Event(trace.Event{Kind: trace.NetReset, Node: "n1", Peer: "n2", Text: text})
		if passed != want || passed && peer != "n2" {
			t.Errorf("a reset that is %s: passed %t, with %q", text, passed, peer)
		}
	}
}

func TestWhatMakesNoSenseIsToldWithItsField(t *testing.T) {
	every := func(f *nemesis.Fault) { f.Every.Duration = time.Second }
	for want, f := range map[string]nemesis.Fault{
		`on: there is no point "greet"; simctl points lists them; did you mean "greets"?`:                                fault("kill", "here", "greet", 0),
		`target: "here" is where a point is passed, and this fault waits for none: it has no on`:                         {Kind: "kill", Target: "here"},
		`target: the point "process-start" has no other side`:                                                            fault("kill", "peer", "process-start", 0),
		`every: a fault that waits for a point strikes again by times, not by every`:                                     fault("kill", "here", "greets", 0, every),
		`nth: only a fault with on, which waits for a point, takes it`:                                                   fault("kill", "n1", "", 0, nth(2)),
		`: a fault on file-sync-before needs file`:                                                                       fault("kill", "here", "file-sync-before", 0),
		`file: "[" is no pattern of file names`:                                                                          fault("kill", "here", "file-sync-before", 0, file("[")),
		`file: the point "greets" takes none`:                                                                            fault("kill", "here", "greets", 0, file("*")),
		`line: "(" is no regular expression`:                                                                             fault("kill", "here", "logged", 0, line("(")),
		`line: the point "greets" takes none`:                                                                            fault("kill", "here", "greets", 0, line("x")),
		`of: there is no server "n4"; there are n1, n2, n3; did you mean "n1"?`:                                          fault("kill", "here", "greets", 0, of("n4")),
		`on: fault-begins happens to no node, so it takes no of, and no target "here"`:                                   fault("kill", "here", "fault-begins", 0),
		`after: -1ms is before the point is passed, which nobody can foresee`:                                            fault("kill", "here", "greets", 0, later(-ms)),
		`cuts: "up" is none of in, out; did you mean "in"?`:                                                              {Kind: "partition", Shape: "one-way", Target: "n1", Cuts: "up"},
		`cuts: only a partition of shape "one-way" has a direction`:                                                      {Kind: "partition", Shape: "isolate", Target: "n1", Cuts: "in"},
		`at: 1m0s is not before the end of the phase with faults, 1m0s`:                                                  {Kind: "kill", Target: "n1", At: nemesis.Duration{Duration: time.Minute}},
		`target: a partition of shape "ring" is one of all, and takes none`:                                              {Kind: "partition", Shape: "ring", Target: "n1"},
		`target: there is no server "n5"; there are n1, n2, n3, and first, random, majority and all; did you mean "n1"?`: fault("kill", "n5", "greets", 0),
	} {
		var bad *nemesis.Problem
		err := cast().Check(f, time.Minute)
		if !errors.As(err, &bad) || bad.Text != strings.TrimPrefix(want, ": ") || !strings.HasPrefix(want, bad.Field+":") {
			t.Errorf("the problem is\n%#v\nand not\n%s", err, want)
		}
	}
	for _, f := range []nemesis.Fault{
		fault("kill", "peer", "greets", 0, of("servers")),
		fault("disk-error", "here", "process-start", 0, file("*"), func(f *nemesis.Fault) { f.Rate = 0.5 }),
		fault("kill", "random", "fault-ends", 0, line("paused")),
	} {
		if err := cast().Check(f, time.Minute); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestAStrikeIsToldInWords(t *testing.T) {
	for want, f := range map[string]nemesis.Fault{
		"when a node greets another: kill -9 of the node on the other side":                fault("kill", "peer", "greets", 0),
		"20ms after n1 logs a line (counted), for the 3rd time, from 1s on: kill -9 of n3": fault("kill", "n3", "logged", 0, line("counted"), of("n1"), at(time.Second), nth(3), later(20*ms)),
		"when the first that runs has written to a file count: power failure of that node": fault("power", "here", "file-write-after", 0, file("count"), of("first")),
		"when another fault begins (n1): n2 is paused":                                     fault("pause", "n2", "fault-begins", 0, line("n1")),
	} {
		s := cast().Draw([]nemesis.Fault{f}, 1, time.Minute)[0]
		if got := cast().When(s) + ": " + cast().Describe(s, s.Hits); got != want {
			t.Errorf("it says\n%s\nand not\n%s", got, want)
		}
	}
}

func TestOutOfManyFaultsWholeKindsGoFirst(t *testing.T) {
	faults := func(kinds ...string) (all []nemesis.Fault) {
		for _, k := range kinds {
			all = append(all, nemesis.Fault{Kind: k})
		}
		return all
	}
	many := faults("kill", "power", "pause", "kill", "reset", "power", "kill", "kill")
	var got []string
	for _, c := range nemesis.FewerKinds(many) {
		got = append(got, fmt.Sprintf("%s: %d", c.What, len(c.Case)))
	}
	want := []string{
		"only pause, reset: 2", "only kill, power: 6",
		"no kill: 4", "no power: 6", "no pause: 7", "no reset: 7",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for about, few := range map[string][]nemesis.Fault{"few": many[:7], "of one kind": faults("kill", "kill", "kill", "kill", "kill", "kill", "kill", "kill")} {
		if got := nemesis.FewerKinds(few); len(got) > 0 {
			t.Errorf("%s: %v", about, got)
		}
	}
}

func TestWhatWasReachedIsToldByPointAndByKindOfFault(t *testing.T) {
	passed := []nemesis.Passage{{At: 2 * time.Second, Point: "elected"}, {At: 2*time.Second + 50*ms, Point: "restored"}, {At: 9 * time.Second, Point: "elected"}}
	struck := []nemesis.Struck{
		{At: time.Second, Until: 3 * time.Second, Kind: "partition", Shape: "halves"},
		{At: 5 * time.Second, Until: 6 * time.Second, Kind: "partition", Shape: "ring"},
		{At: 8 * time.Second, Kind: "kill"},
	}
	want := []string{
		"elected during kill", "elected during partition halves", "elected ×1", "elected ×2", "elected, then restored",
		"fault kill ×1", "fault partition halves ×1", "fault partition ring ×1", "restored during partition halves", "restored ×1",
	}
	if got := nemesis.Reached(passed, struck); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
