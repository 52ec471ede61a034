package nemesis_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"tribune/impl/host"
	"tribune/netmodel"
	"tribune/sim"
	"tribune/sim/launch"
	"tribune/sim/nemesis"
	"tribune/sim/simdisk"
	"tribune/sim/trace"
)

// A story is a cluster of three programs that count into a file each, and the
// faults that strike it, in a process of its own.
type story struct {
	faults     []nemesis.Fault
	registered bool // the points that are passed are noted
	crowd      bool // each program is several that count
	// told looks at the world after ten seconds, and says what is not as it
	// should be.
	told func(s *scene)
}

// scene is what a story's end can look at.
type scene struct {
	*sim.World
	cluster *cluster
	nemesis *nemesis.Nemesis
	events  []trace.Event
	// passages are those of a story that is registered.
	passages []nemesis.Passage
	out      io.Writer
}

func (s *scene) errorf(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// struck are the texts of the faults that struck, with their times.
func (s *scene) struck() []string {
	var all []string
	for _, l := range s.nemesis.Log() {
		all = append(all, fmt.Sprintf("%v %s", l.At.Truncate(time.Millisecond), l.Text))
	}
	return all
}

func (s *scene) expect(want ...string) {
	if got := strings.Join(s.struck(), "\n"); got != strings.Join(want, "\n") {
		s.errorf("there struck\n%s\nand not\n%s", got, strings.Join(want, "\n"))
	}
}

// quiet says so if a node logs in a time in which it should not.
func (s *scene) quiet(node string, from, to time.Duration) {
	for _, e := range s.events {
		if e.Node == node && e.Kind == trace.Log && e.At >= from && e.At < to {
			s.errorf("%s logs at %v: %s", node, e.At, e.Text)
		}
	}
}

// after returns the events of a node from one with a text on.
func (s *scene) after(node, text string) []trace.Event {
	for i, e := range s.events {
		if e.Node == node && e.Text == text {
			return s.events[i+1:]
		}
	}
	return nil
}

// cluster looks after three programs; the first that runs leads.
type cluster struct {
	world   *sim.World
	down    map[string]int
	program sim.Program
}

func cast() nemesis.Cast {
	return nemesis.Cast{
		Servers: []string{"n1", "n2", "n3"},
		Roles:   []nemesis.Role{{Name: "first", Words: "the first that runs"}},
		Points: []nemesis.Point{{
			Name: "greets", About: "greets another",
			Event: nemesis.EventMatch{Kind: trace.Log, Text: `^DEBUG hello (?P<peer>\S+)`, Debug: true},
		}},
	}
}

func (c *cluster) Who(word string) string {
	for _, name := range cast().Servers {
		if word == "first" && c.world.Node(name).Running() || word == "number-"+name[1:] {
			return name
		}
	}
	return ""
}

func (c *cluster) Down(node string, end func()) {
	c.down[node]++
	end()
}

func (c *cluster) Up(node string) {
	if c.down[node]--; c.down[node] == 0 && !c.world.Node(node).Running() {
		c.world.Node(node).Start(c.program)
	}
}

func (c *cluster) Repair(node *sim.Node) {
	time.Sleep(time.Second)
	c.world.Recordf(trace.Fault, "", "", "%s is repaired", node.Name())
}

func (c *cluster) Begin(nemesis.Strike, []string) func() { return func() {} }

// crowd is a program in which some have lost their turn most of the time, where there are
// scheduling points.
func crowd(ctx context.Context, h host.Host, log *slog.Logger) error {
	ended := make(chan error)
	for i := range 8 {
		go func() { ended <- countIn(ctx, fmt.Sprint("/count", i), h, log) }()
	}
	return <-ended
}

// count is the program: every 100 ms it appends to a file, syncs it, and says so. Then it
// syncs the directory, and says so if that fails.
func count(ctx context.Context, h host.Host, log *slog.Logger) error {
	return countIn(ctx, "/count", h, log)
}

func countIn(ctx context.Context, file string, h host.Host, log *slog.Logger) error {
	f, err := h.FS().OpenFile(file, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	log.Debug("hello number-3")
	tick := time.NewTicker(100 * time.Millisecond)
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return f.Close()
		case <-tick.C:
		}
		if _, err := f.Write([]byte("x")); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		log.Info("counted", "n", n)
		if err := h.FS().SyncDir("/"); err != nil {
			log.Warn("names may be lost")
		}
	}
}

const theEnd = "the end "

func stage(tell story) launch.Main {
	return func(in []byte, out io.Writer) {
		seed := binary.BigEndian.Uint64(in)
		schedule, err := sim.ParseSchedule(string(in[8:]))
		if err != nil {
			fmt.Fprintln(out, err)
			return
		}
		program := count
		if tell.crowd {
			program = crowd
		}
		recording := trace.NewRecording(nil, 1<<14)
		register := nemesis.NewRegister(cast(), 5)
		err = sim.Run(sim.Options{Seed: seed, Schedule: schedule, Model: netmodel.LAN(), Trace: recording}, func(w *sim.World) {
			s := &scene{World: w, cluster: &cluster{w, map[string]int{}, program}, out: out}
			s.nemesis = nemesis.New(w, cast(), s.cluster)
			if tell.registered {
				register.Attach(w)
			}
			strikes := cast().Draw(tell.faults, seed, 8*time.Second)
			s.nemesis.Aim(strikes)
			for i, name := range cast().Servers {
				addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
				n := w.AddNode(sim.NodeConfig{Name: name, Addrs: []netip.Addr{addr}, Disk: simdisk.Options{Sync: netmodel.Constant(time.Millisecond)}})
				n.Start(program)
			}
			s.nemesis.Schedule(strikes)
			time.Sleep(8 * time.Second)
			s.nemesis.Heal()
			time.Sleep(2050 * time.Millisecond)
			s.events, s.passages = recording.Recent(), register.Passages()
			for _, name := range cast().Servers {
				if n := w.Node(name); !n.Running() || n.Paused() {
					s.errorf("%s does not run after all was healed", name)
				}
			}
			if tell.told != nil {
				tell.told(s)
			}
		})
		if err != nil {
			fmt.Fprintln(out, err)
		}
		fmt.Fprint(out, theEnd+recording.Fingerprint())
	}
}

func TestMain(m *testing.M) {
	mains := map[string]launch.Main{}
	for name, s := range stories() {
		mains[name] = stage(s)
	}
	launch.ChildMain(mains)
	launch.Ensure("tribune/sim/nemesis", true)
	os.Exit(m.Run())
}

// tell tells a story and returns the fingerprint of its world.
func tell(t *testing.T, name string, seed uint64) string {
	t.Helper()
	return tellIn(t, name, seed, "shuffle")
}

func tellIn(t *testing.T, name string, seed uint64, schedule string) string {
	t.Helper()
	var stderr bytes.Buffer
	input := append(binary.BigEndian.AppendUint64(nil, seed), schedule...)
	out, err := launch.Output(t.Context(), launch.Spec{Main: name, Input: input, Stderr: &stderr})
	said, fingerprint, ended := strings.Cut(string(out), theEnd)
	if err != nil || !ended || said != "" {
		t.Fatalf("%s, seed %d: %v\n%s%s", schedule, seed, err, said, stderr.String())
	}
	return fingerprint
}
