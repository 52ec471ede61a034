package nemesis

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tribune/sim"
)

// Mix says what Random draws from.
type Mix struct {
	Kinds   []string
	Percent int      // of the kinds that there are in the end
	Targets []string // a word that is listed twice is drawn twice as often
	Shapes  []string // of partitions

	Aimed  int     // percent of the faults that wait for a point instead of a time
	Points []Point // which they may wait for; of those only the notable ones are drawn
	// Together is the percentage of the faults that strike when another begins: what
	// fails together, such as all that hangs on one switch, does not fail at random.
	Together int
}

// Stormy is the mix of all kinds that any cluster should outlive.
func Stormy() Mix {
	kinds := []string{
		"partition", "flap", "loss", "slow-link", "gray", "reset", "kill", "power", "restart", "pause",
		"clock-jump", "clock-drift", "disk-full", "disk-slow", "disk-stall", "disk-error",
	}
	return Mix{Kinds: kinds, Percent: 35, Targets: []string{"random", "leader", "random", "majority"}, Shapes: Shapes()}
}

// firstStorm is when the first of the faults that Random draws may strike, if they have
// twice that time: before, a cluster is still coming together.
const firstStorm = 5 * time.Second

// Random draws which faults there are at all, how often they strike before end
// and how hard (Groce et al., Swarm Testing, 2012: runs that each leave something
// out find more than runs that all have everything). Every knob is drawn for
// every kind, taken or not, so that the kinds do not depend on each other.
func Random(r *rand.Rand, end time.Duration, m Mix) []Fault {
	var faults []Fault
	for _, kind := range m.Kinds {
		f := Fault{Kind: kind}
		taken := r.IntN(100) < m.Percent
		f.At.Duration = min(firstStorm, end/2) + time.Duration(r.Int64N(max(int64(end/3), 1)))
		f.Every.Duration = LogUniform(r, end/12, end/2)
		f.For.Duration = LogUniform(r, end/100, end/6)
		f.Jitter.Duration = f.Every.Duration / 4
		f.Target = m.Targets[r.IntN(len(m.Targets))]
		hardness := r.Float64()
		f.harden(hardness, m.Shapes, r)
		f.aim(m, r)
		if f.On == "" {
			f.join(m, r)
		}
		if taken && f.At.Duration < end {
			faults = append(faults, f)
		}
	}
	return faults
}

func (m Mix) notable() []Point {
	return slices.DeleteFunc(slices.Clone(m.Points), func(p Point) bool { return !p.notable() })
}

// join has a fault strike when another begins, if it shall.
func (f *Fault) join(m Mix, r *rand.Rand) {
	if m.Together == 0 {
		return
	}
	nth, after, together := 1+r.IntN(4), LogUniform(r, time.Millisecond, 2*time.Second), r.IntN(100) < m.Together
	if atOnce := r.IntN(2) == 0; atOnce {
		after = 0
	}
	if together {
		f.On, f.Nth, f.Times, f.After.Duration = "fault-begins", nth, 1, after.Round(time.Microsecond)
		f.Every.Duration, f.Jitter.Duration = 0, 0
	}
}

// aim draws what a fault waits for, if it shall wait. Its strikes may come one upon
// another, so they are few.
func (f *Fault) aim(m Mix, r *rand.Rand) {
	points := m.notable()
	if len(points) == 0 {
		return
	}
	p := points[r.IntN(len(points))]
	aimed, whom := r.IntN(100) < m.Aimed, r.IntN(4)
	nth, times, after := 1+r.IntN(3), 1+r.IntN(3), LogUniform(r, time.Millisecond, time.Second)
	if atOnce := r.IntN(2) == 0; atOnce {
		after = 0
	}
	if !aimed {
		return
	}
	f.On, f.Nth, f.Times, f.After.Duration = p.Name, nth, times, after.Round(time.Microsecond)
	f.Every.Duration, f.Jitter.Duration = 0, 0
	switch {
	case f.Target == "" || whom == 0:
	case whom == 1 && p.HasPeer():
		f.Target = peer
	default:
		f.Target = here
	}
}

// LogUniform draws a time between low and high whose logarithm is uniform: as
// often between 1 and 2 s as between 2 and 4 s.
func LogUniform(r *rand.Rand, low, high time.Duration) time.Duration {
	return time.Duration(float64(low) * math.Pow(float64(high)/float64(low), r.Float64()))
}

// harden sets what a kind of fault needs; h is between 0 and 1.
func (f *Fault) harden(h float64, shapes []string, r *rand.Rand) {
	shape, back := shapes[r.IntN(len(shapes))], r.IntN(2) == 0
	scale := func(low, high time.Duration) Duration {
		return Duration{Duration: low + time.Duration(h*float64(high-low))}
	}
	switch f.Kind {
	case "partition":
		f.Shape = shape
		if shape == "bridge" {
			f.Target = "random"
		}
		if f.dividesAll() {
			f.Target = ""
		}
	case "flap":
		f.Period = scale(2*time.Second, 300*time.Millisecond)
		f.By = Duration{Duration: f.Period.Duration / 2}
	case "loss":
		f.Rate, f.Duplicate, f.Reorder, f.Target = 0.02+0.25*h, 0.2*h, 0.3*h, ""
		f.By = scale(5*time.Millisecond, 100*time.Millisecond)
	case "slow-link":
		f.By = scale(10*time.Millisecond, 600*time.Millisecond)
	case "gray":
		f.Size = 1400 - int(1000*h)
	case "clock-jump":
		f.By = scale(time.Second, 10*time.Minute)
		if back {
			f.By.Duration = -f.By.Duration
		}
	case "clock-drift":
		f.Rate = 0.9 + 0.2*h
		if sim.ClockAt(f.Rate).Right() {
			f.Rate = 1.1 // no fault would be none
		}
	case "disk-slow":
		f.By = scale(5*time.Millisecond, 300*time.Millisecond)
	case "disk-error":
		f.Rate = 0.001 + 0.02*h
	case "bit-rot":
		f.Size = 1 + int(20*h)
	}
}
