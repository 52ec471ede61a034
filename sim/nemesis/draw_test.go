package nemesis_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tribune/sim/nemesis"
	"tribune/sim/simnet"
)

func TestWhatIsDrawnMakesSense(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cast()
		c.Roles = append(c.Roles, nemesis.Role{Name: "leader", Words: "the leader"})
		end := time.Duration(rapid.IntRange(10, 600).Draw(t, "seconds")) * time.Second
		seed := rapid.Uint64().Draw(t, "seed")
		mix := nemesis.Stormy()
		mix.Aimed, mix.Together, mix.Points = 40, 40, c.AllPoints()
		mix.Kinds = append(mix.Kinds, "bit-rot")
		faults := nemesis.Random(rand.New(rand.NewPCG(seed, 1)), end, mix)
		for _, f := range faults {
			if err := c.Check(f, end); err != nil {
				t.Errorf("%+v: %v", f, err)
			}
		}
		for _, s := range c.Draw(faults, seed, end) {
			if all := s.Shape == "halves" || s.Shape == "ring"; all && len(s.Hits) != len(c.Servers) {
				t.Errorf("%+v divides %v alone", s, s.Hits)
			}
			if s.Begin >= end || len(s.Hits) == 0 || strings.Contains(c.Describe(s, s.Hits), "%!") {
				t.Errorf("%+v: %s", s, c.Describe(s, s.Hits))
			}
		}
	})
}

func TestAShortPhaseHasFaultsToo(t *testing.T) {
	mix := nemesis.Stormy()
	mix.Percent = 100
	for _, end := range []time.Duration{time.Second, 5 * time.Second, 8 * time.Second, time.Minute} {
		faults := nemesis.Random(rand.New(rand.NewPCG(1, 1)), end, mix)
		if len(faults) != len(mix.Kinds) {
			t.Errorf("%d of %d kinds strike within %v", len(faults), len(mix.Kinds), end)
		}
	}
}

// TestAFaultIsTriedSoonerStepByStep: what needs some time before it may not need all.
func TestAFaultIsTriedSoonerStepByStep(t *testing.T) {
	late := nemesis.Fault{Kind: "kill", Target: "n1", At: nemesis.Duration{Duration: 40 * time.Second}}
	var sooner []string
	for _, c := range nemesis.Plainer([]nemesis.Fault{late}) {
		if strings.HasPrefix(c.What, "kill at ") {
			sooner = append(sooner, c.What)
		}
	}
	if want := []string{"kill at 5s", "kill at 20s", "kill at 30s"}; !slices.Equal(sooner, want) {
		t.Errorf("%q, want %q", sooner, want)
	}
}

// TestWhatIsVariedMakesSense begins with faults that a person may have written as well as
// with drawn ones.
func TestWhatIsVariedMakesSense(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cast()
		c.Roles = append(c.Roles, nemesis.Role{Name: "leader", Words: "the leader"})
		end := time.Duration(rapid.IntRange(3, 600).Draw(t, "seconds")) * time.Second
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		mix := nemesis.Stormy()
		mix.Aimed, mix.Together, mix.Points = 40, 40, c.AllPoints()
		faults := slices.Concat(nemesis.Random(r, end, mix), []nemesis.Fault{
			fault("kill", "peer", "greets", 0),
			fault("kill", "here", "file-sync-before", 0, file("count")),
			fault("disk-error", "here", "file-sync-before", 0, file("count"), func(f *nemesis.Fault) { f.Rate = 0.5 }),
			fault("pause", "here", "logged", 0, line("counted"), of("n1")),
			fault("pause", "random", "fault-begins", 0, line("n1")),
			{Kind: "kill", Target: "random", At: nemesis.Duration{Duration: time.Second}},
		})
		for range 20 {
			for _, f := range faults {
				if err := c.Check(f, end); err != nil {
					t.Fatalf("%+v: %v", f, err)
				}
			}
			faults = nemesis.Vary(r, faults, faults, end, mix)
		}
	})
}

func TestOneStrikeAloneStrikesAsItDidAmongOthers(t *testing.T) {
	f := nemesis.Fault{Kind: "partition", Shape: "one-way", Target: "random"}
	f.At.Duration, f.Every.Duration, f.Jitter.Duration, f.For.Duration = time.Second, 10*time.Second, time.Second, time.Second
	for _, s := range cast().Draw([]nemesis.Fault{f}, 1, time.Minute) {
		once := s.Once()
		if err := cast().Check(once, time.Minute); err != nil {
			t.Errorf("%+v: %v", once, err)
		}
		alone := cast().Draw([]nemesis.Fault{once}, 1, time.Minute)
		want, got := cast().Describe(s, s.Hits), cast().Describe(alone[0], alone[0].Hits)
		if len(alone) != 1 || alone[0].Begin != s.Begin || got != want {
			t.Errorf("alone it strikes at %v: %s\nand not at %v: %s", alone[0].Begin, got, s.Begin, want)
		}
	}
}

func TestABridgeIsOneNode(t *testing.T) {
	for _, target := range []string{"random", "majority", "all", "n2"} {
		for seed := range uint64(5) {
			s := cast().Draw([]nemesis.Fault{{Kind: "partition", Shape: "bridge", Target: target}}, seed, time.Minute)[0]
			if len(s.Hits) != 1 {
				t.Errorf("the bridge is %v: %s", s.Hits, cast().Describe(s, s.Hits))
			}
		}
	}
}

func TestABridgePartsServersAndOthersAlikeAndNotAlwaysTheSame(t *testing.T) {
	c := nemesis.Cast{Servers: []string{"s1", "s2", "s3", "s4", "s5"}, Others: []string{"a1", "a2", "a3", "a4", "a5"}}
	for _, bridge := range []string{"s1", "a1"} {
		parted := map[string]bool{}
		for seed := range uint64(20) {
			s := c.Draw([]nemesis.Fault{{Kind: "partition", Shape: "bridge", Target: bridge}}, seed, time.Minute)[0]
			cuts := simnet.Bridge(s.Hits[0], s.Order[:]...)
			var links [2][]string
			for i, names := range [][]string{c.Servers, c.Others} {
				for _, from := range names {
					for _, to := range names {
						if p := (simnet.Packet{From: from, To: to}); from < to && cuts(&p) {
							links[i] = append(links[i], from+to)
						}
					}
				}
			}
			want := [2]int{6, 4} // links between 2 and 3, and between 2 and 2
			if slices.Contains(c.Servers, bridge) {
				want = [2]int{4, 6}
			}
			if got := [2]int{len(links[0]), len(links[1])}; got != want {
				t.Errorf("seed %d: with the bridge %s there are cut %v", seed, bridge, links)
			}
			parted[fmt.Sprint(links)] = true
		}
		if len(parted) < 5 {
			t.Errorf("20 times the halves are one of %v", parted)
		}
	}
}
