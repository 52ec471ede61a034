package nemesis

import (
	"math/rand/v2"
	"slices"
	"time"
)

// mostChanges is how many changes Vary makes at the most.
const mostChanges = 4

// Vary draws faults that are like those given: some are gone, new, at other times,
// longer or shorter, strike others, or come from others' faults.
func Vary(r *rand.Rand, faults, others []Fault, end time.Duration, m Mix) []Fault {
	varied := slices.Clone(faults)
	for range 1 + r.IntN(mostChanges) {
		change := r.IntN(8)
		if len(varied) == 0 {
			change = 0
		}
		i := 0
		if len(varied) > 0 {
			i = r.IntN(len(varied))
		}
		switch change {
		case 0, 1:
			one := m
			one.Kinds, one.Percent = []string{m.Kinds[r.IntN(len(m.Kinds))]}, 100
			varied = append(varied, Random(r, end, one)...)
		case 2:
			varied = slices.Delete(varied, i, i+1)
		case 3:
			if len(others) > 0 {
				varied = append(varied, others[r.IntN(len(others))])
			}
		default:
			varied[i] = varied[i].altered(r, end, m)
		}
	}
	return varied
}

// altered is a fault with one thing changed.
func (f Fault) altered(r *rand.Rand, end time.Duration, m Mix) Fault {
	if f.On != "" {
		return f.aimedElse(r, m)
	}
	switch r.IntN(4) {
	case 0:
		f.At.Duration = min(firstStorm, end/2) + time.Duration(r.Int64N(max(int64(end-firstStorm), 1)))
	case 1:
		f.For.Duration = LogUniform(r, max(f.For.Duration/4, time.Millisecond), max(f.For.Duration*4, 2*time.Millisecond))
	case 2:
		if slices.Contains(m.Targets, f.Target) {
			f.Target = m.Targets[r.IntN(len(m.Targets))]
		}
	case 3:
		if f.Every.Duration > 0 {
			f.Every.Duration, f.Jitter.Duration = 0, 0
		} else {
			f.Every.Duration = LogUniform(r, end/20, end/2)
			f.Jitter.Duration = f.Every.Duration / 4
		}
	}
	return f
}

// aimedElse is an aimed fault that strikes at another point, another time, later or
// sooner after it, or for another time.
func (f Fault) aimedElse(r *rand.Rand, m Mix) Fault {
	switch r.IntN(4) {
	case 0:
		if points := m.notable(); len(points) > 0 {
			f.waitFor(points[r.IntN(len(points))])
		}
	case 1:
		f.Nth = 1 + r.IntN(2*max(f.Nth, 1))
	case 2:
		f.After.Duration = LogUniform(r, time.Microsecond, time.Second)
	case 3:
		f.For.Duration = LogUniform(r, max(f.For.Duration/4, time.Millisecond), max(f.For.Duration*4, 2*time.Millisecond))
	}
	return f
}

// waitFor has an aimed fault wait for another point, and lets go of what only the old
// one had. A point that is drawn takes neither line nor file.
func (f *Fault) waitFor(p Point) {
	f.On, f.Line = p.Name, ""
	if f.Target == peer && !p.HasPeer() {
		f.Target = here
	}
	if i := slices.IndexFunc(Kinds(), func(k Kind) bool { return k.Name == f.Kind }); i < 0 || !slices.Contains(Kinds()[i].Takes, "file") {
		f.File = ""
	}
}
