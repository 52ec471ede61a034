package debug

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"tribune/scenarios"
	"tribune/sim/launch"
)

// TestMain makes this test binary one with the deterministic runtime, and each run and
// each look a process of its own.
func TestMain(m *testing.M) {
	launch.ChildMain(scenarios.Children())
	launch.Ensure("tribune/scenarios/debug", true)
	os.Exit(m.Run())
}

// recorded is a run in which the leader is paused, and then a disk stalls.
func recorded(t *testing.T) Recorded {
	t.Helper()
	s, err := scenarios.Parse("short.yaml", []byte(`
about: To be looked into.
topology: {servers: 3, clients: 2}
workload: {rate: 30, keys: 3}
disk: {sync: 2ms}
duration: 14s
faults:
  - {kind: pause, target: leader, at: 5s, for: 4s}
  - {kind: disk-stall, target: s2, at: 11s, for: 2s}
`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Record(t.Context(), "", scenarios.Order{Scenario: *s, Seed: 1}, scenarios.Listener{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// says is what a command prints.
func says(t *testing.T, s *Session, out *bytes.Buffer, command string) string {
	t.Helper()
	out.Reset()
	if err := s.Do(t.Context(), command); err != nil {
		t.Errorf("%s: %v", command, err)
	}
	if strings.Contains(out.String(), "ANOTHER RUN") {
		t.Errorf("%s", out.String())
	}
	note := regexp.MustCompile(`(?m)^\(the run was made again .*\)\n`) // of a machine that is slow just now
	return note.ReplaceAllString(out.String(), "")
}

// TestLooking goes through a run. A look that met another run would say so.
func TestLooking(t *testing.T) {
	r := recorded(t)
	var out bytes.Buffer
	s := New(r, &out)
	say := func(command string) string { return says(t, s, &out, command) }
	t.Run("the run is the one that nobody records", func(t *testing.T) {
		o := r.Order
		o.Passages, o.Trace = 0, false
		plain, err := scenarios.Run(t.Context(), "", o, launch.Perturb{}, scenarios.Listener{})
		if err != nil || plain.Fingerprint != r.Result.Fingerprint || len(r.Result.Passages) == 0 || len(plain.Passages) > 0 {
			t.Errorf("%v: fingerprints %s and %s, with %d points", err, plain.Fingerprint, r.Result.Fingerprint, len(r.Result.Passages))
		}
	})
	reigns := r.Result.Reigns
	if len(reigns) < 2 {
		t.Fatalf("no second leader: %+v", reigns)
	}
	t.Run("an election changes what is seen", func(t *testing.T) {
		first, second := reigns[0], reigns[1]
		say("goto " + first.At.String())
		before, paused := say("raft "+first.Server), say("nodes")
		if !strings.HasPrefix(before, "leads in term") || strings.Contains(paused, "paused") {
			t.Errorf("%s%s", before, paused)
		}
		say("goto " + second.At.String())
		after, paused := say("raft "+second.Server), say("nodes")
		if !strings.HasPrefix(after, "leads in term") || !regexp.MustCompile(first.Server+" +paused +leader").MatchString(paused) {
			t.Errorf("%s%s", after, paused)
		}
		if log := say("log " + second.Server + " 5"); !strings.Contains(log, "kv ") && !strings.Contains(log, "noop") {
			t.Errorf("%s", log)
		}
		if text := say("goroutines " + second.Server + " runLeader"); !strings.Contains(text, "1 waiting for") || !strings.Contains(text, "raft.(*Raft).run ") {
			t.Errorf("no goroutine of a leader: %s", text)
		}
	})
	t.Run("nothing is not silence", func(t *testing.T) {
		if text := say("sessions s1") + say("kv s1 nosuch"); strings.Count(text, "none") != 2 {
			t.Errorf("where there is nothing it says: %s", text)
		}
	})
	t.Run("a disk that stalls holds nobody up who looks", func(t *testing.T) {
		say("goto 12.5s")
		say("nodes")
		if text := say("goroutines s2 simdisk"); !strings.Contains(text, "simdisk.(*Disk).enter") {
			t.Errorf("nobody waits for the disk: %s", text)
		}
		if at := s.seen[len(s.seen)-1].At; at < 12500*time.Millisecond || at > 12500*time.Millisecond+time.Microsecond {
			t.Errorf("the world was seen at %v", at)
		}
	})
	t.Run("at any event, the start and the end", func(t *testing.T) {
		say("goto start")
		say("nodes")
		for range 6 {
			s.at = position{event: s.at.event + len(r.Events)/7}
			say("nodes")
		}
		say("goto end")
		if nodes := say("nodes"); !strings.Contains(nodes, "leader") {
			t.Errorf("%s", nodes)
		}
	})
}
