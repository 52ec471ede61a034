package sim_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"tribune/netmodel"
	"tribune/sim"
	"tribune/sim/launch"
	"tribune/sim/simdisk"
	"tribune/sim/trace"
)

// A story is what happens in a world of its own, in a process of its own. What
// it says is not as it should be fails the test that tells it.
type story func(s *scene)

// scene is the world of a story, and what is said of it.
type scene struct {
	*sim.World
	recording *trace.Recording
	out       io.Writer
}

// errorf says that something is not as it should be.
func (s *scene) errorf(format string, args ...any) {
	fmt.Fprintf(s.out, "%v: %s\n", s.Now(), fmt.Sprintf(format, args...))
}

// must ends the story at an error.
func (s *scene) must(err error) {
	if err != nil {
		panic(err)
	}
}

// node adds a node.
func (s *scene) node(name string) *sim.Node { return s.nodeWith(name, sim.Clock{}, simdisk.Options{}) }

func (s *scene) nodeWith(name string, c sim.Clock, d simdisk.Options) *sim.Node {
	addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(len(s.Nodes()) + 1)})
	return s.AddNode(sim.NodeConfig{Name: name, Addrs: []netip.Addr{addr}, Clock: c, Disk: d})
}

// lines are the events of a kind that the world remembers.
func (s *scene) lines(kind trace.Kind) string {
	var b strings.Builder
	for _, e := range s.recording.Recent() {
		if e.Kind == kind {
			fmt.Fprintf(&b, "%v %s %s\n", e.At, e.Node, e.Text)
		}
	}
	return b.String()
}

const (
	theEnd    = "the end "
	remembers = 1 << 16 // events
)

// stage makes a story something that a child process does.
func stage(tell story) launch.Main {
	return func(in []byte, out io.Writer) {
		recording := trace.NewRecording(nil, remembers)
		o := sim.Options{Seed: binary.BigEndian.Uint64(in), Model: netmodel.LAN(), Trace: recording}
		err := sim.Run(o, func(w *sim.World) {
			tell(&scene{w, recording, out})
		})
		if err != nil {
			fmt.Fprintln(out, err)
		}
		if err := sim.Run(o, func(*sim.World) {}); err == nil {
			fmt.Fprintln(out, "a second world began in one process")
		}
		fmt.Fprint(out, theEnd+recording.Fingerprint())
	}
}

func stories() map[string]story {
	return map[string]story{
		"exit": exit, "stop": stop, "kill": kill, "power": power, "pause": pause, "panic": panics, "panic and more": panicsAndMore, "clocks": clocks,
		"log": logs, "violations": violations, "streams": streams, "agenda": agenda, "many lives": manyLives, "weighed": weighed,
		"talk": talk(false), "talk, and one draws more": talk(true),
	}
}

func TestMain(m *testing.M) {
	mains := map[string]launch.Main{"taped": taped, "stopped": stopped}
	for name, s := range stories() {
		mains[name] = stage(s)
	}
	launch.ChildMain(mains)
	launch.Ensure("tribune/sim", true)
	os.Exit(m.Run())
}

// tell tells a story and returns the fingerprint of its world.
func tell(t *testing.T, name string, seed uint64, p launch.Perturb) string {
	t.Helper()
	var stderr bytes.Buffer
	spec := launch.Spec{Main: name, Input: binary.BigEndian.AppendUint64(nil, seed), Perturb: p, Stderr: &stderr}
	out, err := launch.Output(t.Context(), spec)
	said, fingerprint, ended := strings.Cut(string(out), theEnd)
	if err != nil || !ended || said != "" {
		t.Fatalf("seed %d: %v\n%s%s", seed, err, said, stderr.String())
	}
	return fingerprint
}

func TestStories(t *testing.T) {
	for name := range stories() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				tell(t, name, seed+1, launch.Perturb{})
			}
		})
	}
}

func TestTheSameSeedMakesTheSameWorldWhateverHappensAroundIt(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(4) {
		want := tell(t, "talk", seed, launch.Perturb{})
		if seen[want] {
			t.Errorf("seed %d makes the world of another seed", seed)
		}
		seen[want] = true
		for _, p := range []launch.Perturb{{}, {EnvBytes: 1 << 16}, {Ballast: 8 << 20, ExtraGC: 1}, {Hash: true}} {
			if got := tell(t, "talk", seed, p); got != want {
				t.Errorf("seed %d with %+v: %s, not %s", seed, p, got, want)
			}
		}
	}
}

func TestWhatOneNodeDrawsIsNothingToTheOthers(t *testing.T) {
	for seed := range uint64(3) {
		if a, b := tell(t, "talk", seed, launch.Perturb{}), tell(t, "talk, and one draws more", seed, launch.Perturb{}); a != b {
			t.Errorf("seed %d: %s is not %s", seed, a, b)
		}
	}
}
